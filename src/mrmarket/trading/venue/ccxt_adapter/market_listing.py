"""ccxt's markets to instruments."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_CEILING, Decimal
from typing import Any, Final

from mrmarket.core.errors import InvalidInputError
from mrmarket.core.instrument import Instrument
from mrmarket.trading.venue.ccxt_adapter.faults import MalformedAnswerError
from mrmarket.trading.venue.ccxt_adapter.numbers import exact, exact_or_none

_DECIMAL_PLACES: Final = 2
_TICK_SIZE: Final = 4
"""ccxt's `precisionMode`; the third, significant digits, has no fixed grid."""


def is_spot(market: Mapping[str, Any]) -> bool:
    """Whether it is a spot pair that can be traded."""
    return bool(market.get("spot")) and market.get("active") is not False


def instrument_of(
    venue: str,
    market: Mapping[str, Any],
    precision_mode: int,
    fees: tuple[str, str] | None,
    overrides: tuple[Decimal | None, Decimal | None],
) -> Instrument:
    """The grid, limits and fees of one market.

    `fees` are the account's (maker, taker) where known, else the market's own stand; `overrides`
    come before both.

    Raises:
        MalformedAnswerError: the market has no fixed grid.
    """
    symbol = str(market.get("symbol", ""))
    try:
        tick = _step(market["precision"]["price"], precision_mode)
        lot = _step(market["precision"]["amount"], precision_mode)
        amount, cost = market["limits"]["amount"], market["limits"]["cost"]
        smallest, largest = exact_or_none(amount.get("min")), exact_or_none(amount.get("max"))
        maker, taker = fees or (market.get("maker") or 0, market.get("taker") or 0)
        limits: dict[str, int] = {}
        if smallest:
            limits["min_lots"] = max(1, int((smallest / lot).to_integral_value(ROUND_CEILING)))
        if largest:
            limits["max_lots"] = int(largest // lot)
        return Instrument(
            venue=venue,
            symbol=symbol,
            base=str(market["base"]),
            quote=str(market["quote"]),
            tick_size=tick,
            lot_size=lot,
            min_notional=exact_or_none(cost.get("min")) or Decimal(0),
            maker_fee=exact(maker) if overrides[0] is None else overrides[0],
            taker_fee=exact(taker) if overrides[1] is None else overrides[1],
            **limits,
        )
    except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError, InvalidInputError) as error:
        raise MalformedAnswerError(venue, f"read the market {symbol}", repr(error)) from error


def _step(precision: object, mode: int) -> Decimal:
    if precision is None:
        raise ValueError("there is no fixed step")
    if mode == _TICK_SIZE:
        return exact(precision).normalize()
    if mode == _DECIMAL_PLACES:
        return Decimal(1).scaleb(-int(exact(precision)))
    raise ValueError("prices are given by significant digits")
