"""Whether a campaign is worth its volume: what a cycle brings beside the others, and what that costs."""

from __future__ import annotations

from decimal import Decimal

from campaigns.campaign_stage import offer
from mrmarket.campaigns.offer import Measure
from mrmarket.campaigns.terms import Limits
from mrmarket.partners.hufi.estimate import CostModel, Price
from mrmarket.partners.hufi.messages import LeaderboardRow
from mrmarket.services.partners.estimation import CampaignEstimate, estimate

COST = CostModel(100, 1_000, 1_000_000, 100)
"""Two hundred millionths of what is made."""
PRICE = Price(Decimal(2), "hand")
ONE = 10**18


def row(address: str, volume: str) -> LeaderboardRow:
    """Somebody whose volume was all made."""
    return LeaderboardRow(address, Decimal(volume), Decimal(volume), Decimal(0))


def worked_out(
    *rows: LeaderboardRow,
    measure: Measure = Measure.VOLUME,
    price: Price | None = PRICE,
    volume: str | None = None,
    own_volume: str = "0",
) -> CampaignEstimate:
    """Of a campaign that pays 300 tokens a cycle for 1,000 of volume."""
    return estimate(
        offer(measure=measure),
        "0xwe",
        rows,
        COST,
        price,
        limits=Limits(),
        own_volume=Decimal(own_volume),
        volume=None if volume is None else Decimal(volume),
    )


def test_others_leave_less_to_be_made_and_take_their_part() -> None:
    """Six hundred are made by another: 400 are missing, and bring two fifths."""
    found = worked_out(row("0xother", "600"))
    assert (found.others, found.others_volume, found.volume) == (1, Decimal(600), Decimal(400))
    assert (found.expectation.pool_units, found.expectation.units) == (300 * ONE, 120 * ONE)
    assert (found.expectation.value, found.expectation.cost) == (Decimal(240), Decimal("0.08"))
    assert found.verdict == "it pays"


def test_what_we_have_made_is_counted_by_whoever_counts_more() -> None:
    """The leaderboard is minutes behind: our own count fills the gap, and never takes away."""
    behind = worked_out(row("0xwe", "100"), own_volume="250")
    assert (behind.made, behind.volume, behind.expectation.units) == (
        Decimal(250),
        Decimal(1_000),
        300 * ONE,
    )
    ahead = worked_out(row("0xwe", "300"), own_volume="250", volume="200")
    assert (ahead.made, ahead.volume) == (Decimal(300), Decimal(300))


def test_a_balance_is_held_and_not_made() -> None:
    """It costs no volume; what it brings goes by the balances."""
    found = worked_out(row("0xwe", "50"), row("0xother", "150"), measure=Measure.BALANCE)
    assert (found.volume, found.expectation.cost, found.expectation.units) == (
        Decimal(50),
        Decimal(0),
        15 * ONE,
    )
    assert "counts balances" in found.verdict


def test_the_verdict_says_what_stands_in_the_way() -> None:
    """No price, no reward, or a cost above it."""
    assert "nobody knows" in worked_out(price=None).verdict
    assert worked_out(price=None).expectation.net is None
    nothing = worked_out(measure=Measure.THRESHOLD_VOLUME, volume="10")
    assert (nothing.expectation.units, "bring nothing" in nothing.verdict) == (0, True)
    assert "does not pay" in worked_out(price=Price(Decimal("0.0001"), "hand")).verdict
