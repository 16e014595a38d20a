"""What a cycle should bring us, what making its volume costs, and how far we were off in the end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from mrmarket.campaigns.offer import Offer
from mrmarket.core.errors import InvalidInputError
from mrmarket.partners.hufi.messages import LeaderboardRow
from mrmarket.partners.hufi.score import (
    ONE,
    SCALE,
    TAKER_BUY,
    TAKER_SELL,
    Standing,
    Tally,
    payouts,
    pool_units,
    to_units,
    traded_standing,
)

_PPM: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class CostModel:
    """What a unit of volume costs, in millionths of it; measured on our own trades, or assumed."""

    maker_fee_ppm: int
    """Negative for a rebate."""
    taker_fee_ppm: int
    maker_share_ppm: int
    """Of our volume, made as maker."""
    spread_cost_ppm: int
    """What we lose to the fair value on the way, net; negative where quoting earns."""
    is_measured: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.maker_share_ppm <= _PPM:
            raise InvalidInputError("maker_share_ppm", self.maker_share_ppm, f"a number from 0 to {_PPM}")

    def of(self, volume: Decimal) -> Decimal:
        """The cost of a volume, in the quote asset; negative where it earns."""
        taker_share = _PPM - self.maker_share_ppm
        fees = self.maker_fee_ppm * self.maker_share_ppm + self.taker_fee_ppm * taker_share
        return volume * (Decimal(fees) / _PPM + self.spread_cost_ppm) / _PPM


@dataclass(frozen=True, slots=True)
class OwnTrade:
    """One of our trades, as its cost is measured. Money is in the quote asset."""

    cost: Decimal
    """Price × quantity."""
    is_maker: bool
    fee: Decimal
    """Negative for a rebate."""
    edge: Decimal
    """Gained against the fair value some time after the trade; negative where it went against us."""


def measured_cost(trades: Sequence[OwnTrade], assumed: CostModel) -> CostModel:
    """The model that our own trades show; what is assumed where there are none of a kind."""
    volume = sum((trade.cost for trade in trades), Decimal(0))
    if volume <= 0:
        return assumed
    made = [trade for trade in trades if trade.is_maker]
    taken = [trade for trade in trades if not trade.is_maker]
    made_volume = sum((trade.cost for trade in made), Decimal(0))
    edge = sum((trade.edge for trade in trades), Decimal(0))
    return CostModel(
        maker_fee_ppm=_rate(made, assumed.maker_fee_ppm),
        taker_fee_ppm=_rate(taken, assumed.taker_fee_ppm),
        maker_share_ppm=int(made_volume * _PPM / volume),
        spread_cost_ppm=int(-edge * _PPM / volume),
        is_measured=True,
    )


@dataclass(frozen=True, slots=True)
class Expectation:
    """What a cycle should bring. Rewards in base units of the token, money in the quote asset."""

    units: int
    pool_units: int
    """What everybody together should get."""
    volume: Decimal
    """Of ours that this takes."""
    cost: Decimal
    value: Decimal | None
    """Of the reward; None where nobody knows a price."""

    @property
    def net(self) -> Decimal | None:
        """What is left of the reward after its cost."""
        return None if self.value is None else self.value - self.cost


@dataclass(frozen=True, slots=True)
class Price:
    """What one whole token is worth in the quote asset, and who says so."""

    value: Decimal
    source: str


def expect(
    offer: Offer,
    mine: Standing,
    others: Sequence[Standing],
    more_volume: Decimal,
    cost: CostModel,
    price: Price | None,
) -> Expectation:
    """What a cycle brings if we add a volume to what we have, and the others stay where they are.

    The volume counts by how much of it the cost model says is made as maker; what is taken is half bought
    and half sold.
    """
    planned = with_volume(offer, mine, more_volume, cost)
    everybody = [*(one for one in others if one.address != mine.address), planned]
    units = payouts(offer, everybody).get(mine.address, 0)
    value = None if price is None else price.value * units / Decimal(10) ** offer.token.decimals
    volume = Decimal(planned.result_units) / SCALE
    return Expectation(units, pool_units(offer, everybody), volume, cost.of(volume), value)


def with_volume(offer: Offer, mine: Standing, more: Decimal, cost: CostModel) -> Standing:
    """Our standing after so much more volume, in a campaign that counts trades; else as it is."""
    if not offer.measure.is_traded:
        return mine
    volume = mine.result_units + to_units(more)
    made = to_units(more) * cost.maker_share_ppm // _PPM
    taken = to_units(more) - made
    score = mine.score + made * ONE + taken * (TAKER_BUY + TAKER_SELL) // 2
    return traded_standing(offer, mine.address, Tally(score, volume))


def standings_of(offer: Offer, rows: Sequence[LeaderboardRow]) -> list[Standing]:
    """The leaderboard as standings, at our scale."""
    weight = ONE if offer.measure.is_traded and not _is_threshold(offer) else 1
    scale = 1 if _is_threshold(offer) else SCALE
    return [
        Standing(row.address.lower(), to_units(row.score * weight, scale), to_units(row.result))
        for row in rows
    ]


@dataclass(frozen=True, slots=True)
class Deviation:
    """How far the expected and the paid reward of a cycle are apart."""

    expected_units: int
    paid_units: int

    @property
    def units(self) -> int:
        """Paid beyond what was expected; negative where it was less."""
        return self.paid_units - self.expected_units

    @property
    def ppm(self) -> int | None:
        """The same in millionths of what was expected; None where nothing was."""
        return self.units * _PPM // self.expected_units if self.expected_units else None

    def is_within(self, tolerance_ppm: int) -> bool:
        """Whether the two agree so far."""
        return abs(self.units) * _PPM <= tolerance_ppm * max(self.expected_units, self.paid_units)


def _is_threshold(offer: Offer) -> bool:
    return offer.measure.value.startswith("threshold")


def _rate(trades: Sequence[OwnTrade], assumed_ppm: int) -> int:
    volume = sum((trade.cost for trade in trades), Decimal(0))
    if volume <= 0:
        return assumed_ppm
    return int(sum((trade.fee for trade in trades), Decimal(0)) * _PPM / volume)
