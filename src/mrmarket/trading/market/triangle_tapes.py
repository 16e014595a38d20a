"""Three generated pairs of one venue: two markets of their own, and a cross that follows both, or strays."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from heapq import merge
from itertools import takewhile
from math import exp
from pathlib import Path
from random import Random
from typing import Final

from mrmarket.core.clock import NS_PER_MS, NS_PER_S
from mrmarket.trading.market.book import OrderBook
from mrmarket.trading.market.event import EventKind, Level, MarketEvent
from mrmarket.trading.market.generator import DEFAULT_INSTRUMENT, MarketGenerator
from mrmarket.trading.market.generator_parameters import load_parameters
from mrmarket.trading.market.tape import TapeWriter

START_NS: Final = 1_700_000_000 * NS_PER_S
ETH_USDT: Final = replace(
    DEFAULT_INSTRUMENT, symbol="ETH/USDT", base="ETH", lot_size=Decimal("0.0001"), min_notional=Decimal(5)
)
ETH_BTC: Final = replace(
    DEFAULT_INSTRUMENT,
    symbol="ETH/BTC",
    base="ETH",
    quote="BTC",
    tick_size=Decimal("0.000001"),
    lot_size=Decimal("0.0001"),
    min_notional=Decimal("0.0001"),
)
_FRAME_NS: Final = 100 * NS_PER_MS
_LEVELS: Final = 20
_LEVEL_LOG_MEAN: Final = 9.0
_LEVEL_LOG_SD: Final = 0.8


@dataclass(frozen=True, slots=True)
class Straying:
    """When the cross leaves its fair price, and how far; up and down in turn."""

    bps: float = 0.0
    every_s: float = 20.0
    """From one beginning to the next."""
    lasts_s: float = 2.0

    def at(self, seconds: float) -> float:
        """Above the fair price by so many basis points."""
        number, into = divmod(seconds, self.every_s)
        if into < self.every_s - self.lasts_s:
            return 0.0
        return self.bps if int(number) % 2 == 0 else -self.bps


def write_triangle(
    folder: Path, seconds: float, *, seed: int = 7, straying: Straying | None = None
) -> list[Path]:
    """Write BTC/USDT, ETH/USDT and ETH/BTC; equal arguments give equal files.

    Args:
        folder: made if it is not there.
        seconds: how long the tapes are.
        seed: of everything random.
        straying: how the cross leaves what the two others make of it; never, if None.

    Raises:
        OSError: the files cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    end_ns = START_NS + round(seconds * NS_PER_S)
    bitcoin = MarketGenerator(load_parameters("BTC/USDT"), DEFAULT_INSTRUMENT, seed, START_NS)
    ether = MarketGenerator(load_parameters("ETH/USDT"), ETH_USDT, seed + 1, START_NS)
    one, two = (list(_until(each.events(), end_ns)) for each in (bitcoin, ether))
    cross = list(_cross(one, two, seed + 2, straying or Straying()))
    found = []
    for instrument, events in ((DEFAULT_INSTRUMENT, one), (ETH_USDT, two), (ETH_BTC, cross)):
        path = folder / f"{instrument.venue_symbol}.jsonl.gz"
        with TapeWriter(path, instrument) as writer:
            for event in events:
                writer.write(event)
        found.append(path)
    return found


def _until(events: Iterable[MarketEvent], end_ns: int) -> Iterator[MarketEvent]:
    return takewhile(lambda each: each.exchange_ns < end_ns, events)


def _cross(
    bitcoin: list[MarketEvent], ether: list[MarketEvent], seed: int, straying: Straying
) -> Iterator[MarketEvent]:
    """A frame every 100 ms around the ratio of the two mids: a level a tick, a new size for a new price."""
    rng = Random(seed)  # noqa: S311 - a simulation, not a secret
    books = {0: OrderBook(DEFAULT_INSTRUMENT), 1: OrderBook(ETH_USDT)}
    lines = ([(number, event) for event in events] for number, events in enumerate((bitcoin, ether)))
    shown: tuple[dict[int, int], dict[int, int]] | None = None
    next_ns, last_id = START_NS, 0
    for number, event in merge(*lines, key=lambda each: each[1].exchange_ns):
        books[number].apply(event)
        if event.exchange_ns < next_ns:
            continue
        fair = _ratio(books[0], books[1])
        if fair is None:
            continue
        next_ns = event.exchange_ns + _FRAME_NS
        seconds = (event.exchange_ns - START_NS) / NS_PER_S
        wanted = _book(fair * (1 + straying.at(seconds) / 10_000), rng, shown)
        first = shown is None
        if shown is None:
            bids, asks = sorted(wanted[0].items(), reverse=True), sorted(wanted[1].items())
        else:
            bids, asks = _changes(shown[0], wanted[0]), _changes(shown[1], wanted[1])
        if not (bids or asks):
            continue
        yield MarketEvent(
            kind=EventKind.SNAPSHOT if first else EventKind.DEPTH,
            exchange_ns=event.exchange_ns,
            local_ns=event.local_ns,
            first_id=0 if first else last_id + 1,
            last_id=last_id + 1,
            bids=bids,
            asks=asks,
        )
        shown, last_id = wanted, last_id + 1


def _ratio(bitcoin: OrderBook, ether: OrderBook) -> float | None:
    mids = []
    for book in (bitcoin, ether):
        bid, ask = book.best_bid, book.best_ask
        if bid is None or ask is None:
            return None
        mids.append((bid[0] + ask[0]) * float(book.instrument.tick_size) / 2)
    return mids[1] / mids[0]


def _book(
    price: float, rng: Random, shown: tuple[dict[int, int], dict[int, int]] | None
) -> tuple[dict[int, int], dict[int, int]]:
    centre = price / float(ETH_BTC.tick_size)
    bid = int(centre)
    old_bids, old_asks = shown or ({}, {})
    bids = {bid - n: old_bids.get(bid - n) or _lots(rng) for n in range(_LEVELS)}
    asks = {bid + 1 + n: old_asks.get(bid + 1 + n) or _lots(rng) for n in range(_LEVELS)}
    return bids, asks


def _lots(rng: Random) -> int:
    return max(1, round(exp(rng.gauss(_LEVEL_LOG_MEAN, _LEVEL_LOG_SD))))


def _changes(old: dict[int, int], new: dict[int, int]) -> list[Level]:
    prices = sorted(old.keys() | new.keys())
    return [(price, new.get(price, 0)) for price in prices if old.get(price) != new.get(price)]
