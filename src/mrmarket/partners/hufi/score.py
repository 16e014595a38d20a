"""What HuFi makes of trades and balances: scores and results, as exact whole numbers.

A trade's score is its cost in the quote asset times a weight: 1 as maker, 0.42 as taker who buys, 0.1 as
taker who sells. Costs are whole units of the quote asset (`scale` of them are one), weights whole numbers
over 100; so a score is a whole number over `100 × scale`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal
from fractions import Fraction
from typing import Final

from mrmarket.campaigns.offer import Measure, Offer
from mrmarket.core.errors import InvalidInputError
from mrmarket.money.rewards.campaign import Span

ONE: Final = 100
"""The weight of a maker's trade; the others are so many hundredths."""
TAKER_BUY: Final = 42
TAKER_SELL: Final = 10

SCALE: Final = 10**18
"""Units of a quote asset, or of a symbol, in one; finer than any exchange's."""


@dataclass(frozen=True, slots=True)
class TradeMade:
    """A trade of one participant."""

    at_ms: int
    is_maker: bool
    is_buy: bool
    cost_units: int
    """Price × quantity, in units of the quote asset."""

    def __post_init__(self) -> None:
        if self.cost_units < 0:
            raise InvalidInputError("cost", self.cost_units, "a cost that is not below zero")


@dataclass(frozen=True, slots=True)
class Tally:
    """What a participant's trades in a cycle come to."""

    score: int
    """Over `100 × scale`."""
    volume_units: int


@dataclass(frozen=True, slots=True)
class Standing:
    """A participant at the end of a cycle, or at the moment of the check."""

    address: str
    score: int
    result_units: int
    """Volume or balance."""


def weight(trade: TradeMade) -> int:
    """Hundredths that a trade's cost counts."""
    if trade.is_maker:
        return ONE
    return TAKER_BUY if trade.is_buy else TAKER_SELL


def tally(trades: Iterable[TradeMade], cycle: Span, joined_ms: int) -> Tally:
    """Sum up the trades in `[max(cycle's start, joined), cycle's end)`."""
    score = volume = 0
    first_ms = max(cycle.start_ms, joined_ms)
    for trade in trades:
        if first_ms <= trade.at_ms < cycle.end_ms:
            score += weight(trade) * trade.cost_units
            volume += trade.cost_units
    return Tally(score, volume)


def traded_standing(offer: Offer, address: str, found: Tally, scale: int = SCALE) -> Standing:
    """A participant of a campaign that counts trades."""
    if offer.measure is Measure.THRESHOLD_VOLUME:
        return Standing(address, int(found.volume_units >= offer.target * scale), found.volume_units)
    return Standing(address, found.score, found.volume_units)


def held_standing(offer: Offer, address: str, balance_units: int, scale: int = SCALE) -> Standing:
    """A participant of a campaign that counts balances; `balance_units` at the moment of the check."""
    if offer.measure is Measure.THRESHOLD_BALANCE:
        return Standing(address, int(balance_units >= offer.target * scale), balance_units)
    return Standing(address, balance_units, balance_units)


def net_fund(gross_units: int, fee_percents: Sequence[Decimal]) -> int:
    """What of a fund is left after the oracles' fees, cut to whole units."""
    left = Fraction(100) - sum((Fraction(fee) for fee in fee_percents), Fraction(0))
    if not 0 <= left <= 100:  # noqa: PLR2004 - per cent
        raise InvalidInputError("fees", tuple(map(str, fee_percents)), "percentages that come to 100 at most")
    return int(gross_units * left / 100)


def cycle_units(offer: Offer) -> int:
    """The most that one cycle can pay: the fund over all cycles, the short last one included, cut."""
    return offer.fund_units // offer.cycles


def pool_units(offer: Offer, standings: Sequence[Standing], scale: int = SCALE) -> int:
    """What a cycle pays in all: its part of the fund times how far its target was reached, cut."""
    daily = cycle_units(offer)
    target = Fraction(offer.target) * scale
    match offer.measure:
        case Measure.VOLUME | Measure.BALANCE:
            reached = Fraction(sum(one.result_units for one in standings)) / target
        case Measure.THRESHOLD_VOLUME | Measure.THRESHOLD_BALANCE:
            eligible = sum(1 for one in standings if one.score > 0)
            reached = Fraction(eligible, offer.max_participants or 1)
        case Measure.RANKED_VOLUME:
            return daily if any(_may_win(offer, one, scale) for one in standings) else 0
    return int(daily * min(reached, Fraction(1)))


def payouts(offer: Offer, standings: Sequence[Standing], scale: int = SCALE) -> dict[str, int]:
    """What each address is paid for a cycle, in base units; who gets none is left out.

    What cutting leaves, and what an unmet target leaves, stays in the escrow.
    """
    pool = pool_units(offer, standings, scale)
    if offer.measure is Measure.RANKED_VOLUME:
        return _prizes(offer, standings, pool, scale)
    total = sum(one.score for one in standings)
    if not total:
        return {}
    parts = {one.address: pool * one.score // total for one in standings}
    return {address: units for address, units in parts.items() if units}


def to_units(value: Decimal, scale: int = SCALE) -> int:
    """A figure of HuFi's in whole units, cut."""
    return int((value * scale).to_integral_value(ROUND_FLOOR))


def _may_win(offer: Offer, standing: Standing, scale: int) -> bool:
    return standing.score > 0 and standing.result_units >= offer.target * scale


def _prizes(offer: Offer, standings: Sequence[Standing], pool: int, scale: int) -> dict[str, int]:
    """By rank; those who are level share the slots that they take, also where some of these are empty."""
    slots = sorted((Fraction(prize) for prize in offer.prizes), reverse=True)
    by_score: dict[int, list[str]] = {}
    for one in standings:
        if _may_win(offer, one, scale):
            by_score.setdefault(one.score, []).append(one.address)
    paid: dict[str, int] = {}
    place = 0
    for score in sorted(by_score, reverse=True):
        level = by_score[score]
        share = sum(slots[place : place + len(level)], Fraction(0)) / len(level)
        place += len(level)
        units = int(pool * share / 100)
        if units:
            paid |= dict.fromkeys(level, units)
    return paid
