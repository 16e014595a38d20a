"""What rounds came to, and what the pairs of a triangular run are worth in its home asset."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from mrmarket.trading.execution.legs import LegStage
from mrmarket.trading.strategy.multileg.amounts import Amounts, decimal_of
from mrmarket.trading.strategy.multileg.side import MarketSide


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundRecord:
    """One round that is over. Amounts in the home asset."""

    number: int
    """A part of the ids of its orders."""
    at_ns: int
    """Wall time of its end."""
    why: str
    promised: Decimal
    made: Decimal
    """What came back less what went out; remainders in between count for nothing."""
    left_over: str
    stage: LegStage
    end: str
    """How it ended, in words."""


def worth_of(amounts: Amounts, home: str, sides: Iterable[MarketSide]) -> Decimal | None:
    """Amounts in the home asset, at the mids; None without one that is needed."""
    total = amounts.get(home, Fraction(0))
    for asset, amount in amounts.items():
        if asset == home or not amount:
            continue
        price = _price(asset, home, sides)
        if price is None:
            return None
        total += amount * price
    return decimal_of(total)


def held_of(sides: Iterable[MarketSide]) -> Amounts | None:
    """What the account holds of the traded assets; None until balances are known."""
    held: dict[str, Fraction] = {}
    for side in sides:
        account = side.execution.account
        if not account.is_known:
            return None
        held[side.instrument.base] = Fraction(account.base_total)
        held[side.instrument.quote] = Fraction(account.quote_total)
    return held


def _price(asset: str, home: str, sides: Iterable[MarketSide]) -> Fraction | None:
    """Home asset by the mid of the pair of both; 0 for an asset that has none here."""
    for side in sides:
        instrument = side.instrument
        if {instrument.base, instrument.quote} != {asset, home}:
            continue
        double = side.watch.double_mid_ticks
        if not double:
            return None
        mid = double * Fraction(instrument.tick_size) / 2
        return mid if instrument.base == asset else 1 / mid
    return Fraction(0)
