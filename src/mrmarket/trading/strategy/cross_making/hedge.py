"""The hedge of a maker's fills: gathered until the taker venue takes them, then sent inside a band. Pure.

One order is out at any time; while its fate is unknown nothing is sent. There is no market order: what does
not trade inside the band is tried again at the prices of then, and after some attempts the run halts with the
rest.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil, floor

from mrmarket.core.instrument import Instrument
from mrmarket.core.side import Side
from mrmarket.trading.execution.legs import Halt, Send


@dataclass(frozen=True, slots=True)
class HedgeRules:
    """How it is carried out."""

    band: Fraction = Fraction(15, 10_000)
    """From the taker venue's best price."""
    attempts: int = 5
    """In a row without any of it trading."""


@dataclass(frozen=True, slots=True)
class HedgeState:
    """What is not hedged yet."""

    unhedged: Fraction = Fraction(0)
    """Base bought less sold by the maker and not yet passed on."""
    sent: int = 0
    """Orders so far; part of each one's slot."""
    waiting: str = ""
    """Slot of the order that is out."""
    missed: int = 0
    """Attempts in a row of which nothing traded."""
    halted: bool = False


def filled(state: HedgeState, base: Fraction) -> HedgeState:
    """The maker traded: bought is positive, fees in base taken off."""
    return replace(state, unhedged=state.unhedged + base)


def ended(state: HedgeState, slot: str, base: Fraction) -> HedgeState:
    """A hedge order is closed and each of its fills known; `base` as it changed what is held."""
    if slot != state.waiting:
        return replace(state, unhedged=state.unhedged + base)
    missed = 0 if base else state.missed + 1
    return replace(state, unhedged=state.unhedged + base, waiting="", missed=missed)


def rearmed(state: HedgeState) -> HedgeState:
    """The owner lets it try again."""
    return replace(state, halted=False, missed=0)


def due(
    state: HedgeState, taker: Instrument, venue: int, best_bid: int, best_ask: int, rules: HedgeRules
) -> tuple[HedgeState, Send | Halt | None]:
    """The next order, if the taker venue would take what has gathered. Best prices are ticks."""
    if state.waiting or state.halted:
        return state, None
    side = Side.SELL if state.unhedged > 0 else Side.BUY
    lots = floor(abs(state.unhedged) / Fraction(taker.lot_size))
    best = best_bid if side is Side.SELL else best_ask
    if lots < taker.min_lots or taker.notional(best, lots) < taker.min_notional:
        return state, None
    if state.missed >= rules.attempts:
        reason = f"{rules.attempts} hedges in a row found nobody inside the band"
        return replace(state, halted=True), Halt(reason, lots if side is Side.SELL else -lots)
    # Beyond the best price by the band and no further, rounded towards it.
    sells = side is Side.SELL
    price = max(1, ceil(best * (1 - rules.band))) if sells else floor(best * (1 + rules.band))
    slot = f"h{state.sent % 36**4:x}"
    state = replace(state, sent=state.sent + 1, waiting=slot)
    return state, Send(slot, venue, side, lots, price, "hedge of the maker's fills")
