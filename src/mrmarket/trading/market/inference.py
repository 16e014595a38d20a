"""Which pair and grid a tape of raw Binance frames holds, read from its numbers."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from math import gcd
from pathlib import Path
from typing import Final

import msgspec

from mrmarket.core.instrument import Instrument
from mrmarket.trading.market.binance import FrameParser
from mrmarket.trading.market.errors import (
    BadFrameError,
    NotATapeError,
    TapeCutError,
    TapeLineError,
    TapeMixedError,
)
from mrmarket.trading.market.tape_lines import read_lines

_SAMPLED_FRAMES: Final = 5000
_SAMPLED_BOOKS: Final = 200
_FINE: Final = 10
"""Decimals of the fine grid on which the greatest common divisor is taken."""

_QUOTES: Final = (
    "FDUSD", "USDT", "USDC", "TUSD", "BUSD", "USDP", "DAI", "USD", "EUR", "TRY", "BRL", "JPY", "GBP",
    "BTC", "ETH", "BNB",
)  # fmt: skip
_SPOT_FEE: Final = Decimal("0.001")
_MIN_NOTIONAL: Final = Decimal(5)


class _Named(msgspec.Struct):
    s: str = ""
    symbol: str = ""


class _NamedFrame(msgspec.Struct):
    data: _Named | None = None
    s: str = ""
    symbol: str = ""

    @property
    def pair(self) -> str:
        inner = self.data
        return self.s or self.symbol or ((inner.s or inner.symbol) if inner else "")


def infer_instrument(path: Path) -> tuple[Instrument, str]:
    """The instrument of a raw tape and the pair's name in its frames.

    Both are taken from the first frames: at least 5000 of them, and 200 of the book. The tick is the
    largest power of ten that divides every price. The lot is the largest that divides 99 % of the
    sizes, because old orders with finer sizes still rest on Binance. Fees are Binance
    spot's 0.1 % and the smallest order is worth 5 of the quote: raw frames say nothing of either.

    Raises:
        TapeError: no frame names a pair, several do, or a line is damaged.
    """
    fine = Decimal(1).scaleb(-_FINE)
    named = msgspec.json.Decoder(_NamedFrame)
    venue_symbol = ""
    parser: FrameParser | None = None
    ticks = books = 0
    sizes: Counter[int] = Counter()
    for frames, line in enumerate(read_lines(path), 1):
        try:
            pair = named.decode(line.json).pair
            if pair and not venue_symbol:
                venue_symbol = pair
                base, quote = split_pair(pair)
                parser = FrameParser(Instrument("", pair, base, quote, fine, fine), pair)
            elif pair and pair != venue_symbol:
                raise TapeMixedError(path, line.number, venue_symbol, pair)
            event = parser.parse(line.json, line.local_ns) if parser else None
        except (msgspec.MsgspecError, UnicodeDecodeError, BadFrameError, RecursionError) as error:
            if not line.whole:
                raise TapeCutError(path, line.number) from error
            detail = error.detail if isinstance(error, BadFrameError) else str(error)
            raise TapeLineError(path, line.number, detail) from error
        if event is not None:
            books += bool(event.bids)
            ticks = gcd(ticks, event.price_ticks, *(price for price, _ in event.bids + event.asks))
            sizes.update(size for _, size in (*event.bids, *event.asks, (0, event.size_lots)) if size)
        if frames >= _SAMPLED_FRAMES and books >= _SAMPLED_BOOKS:
            break
    if not ticks or not sizes:
        raise NotATapeError(path, "no frame names a pair with a price and a size")
    base, quote = split_pair(venue_symbol)
    instrument = Instrument(
        venue="binance",
        symbol=f"{base}/{quote}",
        base=base,
        quote=quote,
        tick_size=Decimal(1).scaleb(_zeros(ticks) - _FINE),
        lot_size=Decimal(1).scaleb(_common_zeros(sizes) - _FINE),
        min_notional=_MIN_NOTIONAL,
        maker_fee=_SPOT_FEE,
        taker_fee=_SPOT_FEE,
    )
    return instrument, venue_symbol


def split_pair(venue_symbol: str) -> tuple[str, str]:
    """`BTCUSDT` to `("BTC", "USDT")`; a futures ending such as `_PERP` is dropped.

    A pair whose quote is not known is split in the middle, so that it still has two names.
    """
    word = venue_symbol.partition("_")[0]
    for quote in _QUOTES:
        if word.endswith(quote) and len(word) > len(quote):
            return word.removesuffix(quote), quote
    middle = max(len(word) // 2, 1)
    return word[:middle], word[middle:] or word


def _common_zeros(sizes: Counter[int]) -> int:
    """How many zeros at the end 99 % of the sizes have at least."""
    zeros = sorted(_zeros(size) for size in sizes.elements())
    return zeros[len(zeros) // 100]


def _zeros(steps: int) -> int:
    zeros = 0
    while steps % 10 == 0:
        steps //= 10
        zeros += 1
    return zeros
