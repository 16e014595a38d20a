"""A round's three orders, and how an amount in hand becomes an order of one of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from fractions import Fraction
from math import floor
from typing import Final

from mrmarket.core.instrument import Instrument
from mrmarket.core.side import Side
from mrmarket.trading.execution.legs import beyond, make_slot, split_slot
from mrmarket.trading.strategy.triangular.sizing import Triangle

_HEAD: Final = "t"


class RoundPart(StrEnum):
    """Which order of a round."""

    FIRST = "1"
    SECOND = "2"
    THIRD = "3"
    BACK = "b"
    """What the first one brought goes home by the first pair."""
    HOME = "c"
    """What the second one brought goes home by the third pair, whatever the price, inside a wide band."""

    @property
    def step(self) -> int:
        """The pair it trades: 0, 1 or 2."""
        return {"1": 0, "2": 1, "3": 2, "b": 0, "c": 2}[self.value]


@dataclass(frozen=True, slots=True)
class RoundStep:
    """One exchange of an asset into another, on one pair's grid."""

    symbol: str
    base: str
    quote: str
    side: Side
    price_ticks: int
    """The worst price of the decision."""
    tick: Fraction
    """Quote."""
    lot: Fraction
    """Base."""
    min_lots: int = 1
    min_notional: Fraction = Fraction(0)

    @property
    def spends(self) -> str:
        """The asset that goes in."""
        return self.quote if self.side is Side.BUY else self.base

    @property
    def receives(self) -> str:
        """The asset that comes out."""
        return self.base if self.side is Side.BUY else self.quote

    def back(self) -> RoundStep:
        """The same pair the other way round."""
        return replace(self, side=self.side.opposite)

    def beyond(self, band: Fraction) -> int:
        """The worst price inside a band around the decided one, in ticks."""
        return beyond(self.price_ticks, self.side, band)

    def lots(self, amount: Fraction, price_ticks: int) -> int:
        """Lots that an amount surely pays for at this price; 0 where that is less than the venue takes."""
        if amount <= 0:
            return 0
        cost = self.lot if self.side is Side.SELL else price_ticks * self.tick * self.lot
        lots = floor(amount / cost)
        return 0 if self.refusal(lots, price_ticks) else lots

    def refusal(self, lots: int, price_ticks: int) -> str:
        """Why the venue would not take so many lots; empty if it would."""
        if lots < self.min_lots:
            return "lot"
        notional = lots * price_ticks * self.tick * self.lot
        return "min_notional" if notional < self.min_notional else ""

    def cost(self, lots: int, price_ticks: int) -> Fraction:
        """What an order reserves of the asset that goes in."""
        return lots * self.lot * (price_ticks * self.tick if self.side is Side.BUY else 1)


@dataclass(frozen=True, slots=True)
class RoundPlan:
    """Three orders that lead home; each later one is sized by what the one before brought."""

    home: str
    steps: tuple[RoundStep, RoundStep, RoundStep]
    first_lots: int

    def step(self, part: RoundPart) -> RoundStep:
        """What a part trades."""
        step = self.steps[part.step]
        return step.back() if part is RoundPart.BACK else step


def plan_of(triangle: Triangle, instruments: Mapping[str, Instrument], home_free: Fraction) -> RoundPlan:
    """The orders of a sized triangle; the first is small enough to be reserved at its worst price."""
    one, two, three = (step_of(instruments[leg.symbol], leg.side, leg.worst_ticks) for leg in triangle.legs)
    lots = min(triangle.legs[0].size_lots, one.lots(home_free, one.price_ticks))
    return RoundPlan(triangle.cycle.home, (one, two, three), lots)


def step_of(instrument: Instrument, side: Side, price_ticks: int) -> RoundStep:
    """One step on a pair's grid."""
    return RoundStep(
        instrument.symbol,
        instrument.base,
        instrument.quote,
        side,
        price_ticks,
        Fraction(instrument.tick_size),
        Fraction(instrument.lot_size),
        instrument.min_lots,
        Fraction(instrument.min_notional),
    )


def round_slot(part: RoundPart, attempt: int) -> str:
    """The slot of an order, such as `t200` for the first attempt at the second one."""
    return make_slot(_HEAD, part.value, attempt)


def parse_round_slot(slot: str) -> tuple[RoundPart, int] | None:
    """(part, attempt) of a slot; None for one that is no round's."""
    found = split_slot(slot, _HEAD, "123bc")
    return None if found is None else (RoundPart(found[1]), found[2])
