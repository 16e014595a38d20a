"""What a cycle should bring, what it costs, and how far off that was."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrmarket.campaigns.entity import Campaign, Stage
from mrmarket.campaigns.errors import JoinRefusedError, PartnerUnclearError
from mrmarket.campaigns.offer import Measure, Offer
from mrmarket.campaigns.ports import JoinState, OfferState
from mrmarket.core.errors import InvalidInputError
from mrmarket.partners.hufi import launcher, recording_oracle
from mrmarket.partners.hufi.estimate import (
    CostModel,
    Deviation,
    OwnTrade,
    Price,
    expect,
    measured_cost,
    standings_of,
    with_volume,
)
from mrmarket.partners.hufi.messages import CampaignDetail, LeaderboardRow
from mrmarket.partners.hufi.offers import HufiOffers, HufiParticipation, HufiProgress, offer_of
from mrmarket.partners.hufi.sandbox.faults import FaultKind, FaultRule
from mrmarket.partners.hufi.score import SCALE, Standing
from partners.hufi.hufi_stage import CHAIN, CYCLE_MS, ONE, HufiStage, offer, trade

FREE = CostModel(0, 0, 1_000_000, 0)
DEAR = CostModel(1_000, 2_000, 500_000, 300)
"""0.1 % as maker, 0.2 % as taker, half each, and 0.03 % lost on the way."""


def test_cost_by_hand() -> None:
    """1,000 of volume: half at 0.1 %, half at 0.2 %, and 0.03 % of all: 1.8."""
    assert DEAR.of(Decimal(1_000)) == Decimal("1.8")
    assert CostModel(-200, 0, 1_000_000, -100).of(Decimal(10_000)) == Decimal(-3)
    with pytest.raises(InvalidInputError):
        CostModel(0, 0, 1_000_001, 0)


def test_cost_as_measured_by_hand() -> None:
    """Three parts made and one taken; fees as charged; what was lost to the fair value is a cost."""
    trades = [
        OwnTrade(Decimal(300), is_maker=True, fee=Decimal("-0.03"), edge=Decimal("0.06")),
        OwnTrade(Decimal(100), is_maker=False, fee=Decimal("0.1"), edge=Decimal("-0.1")),
    ]
    found = measured_cost(trades, DEAR)
    assert found == CostModel(-100, 1_000, 750_000, 100, is_measured=True)
    assert measured_cost([], DEAR) == DEAR
    assert measured_cost(trades[:1], DEAR).taker_fee_ppm == DEAR.taker_fee_ppm


def test_expectation_by_hand() -> None:
    """We add 600 to others' 200 of 1,000: the pool is 240 of 300, and three quarters of it are ours."""
    mine, others = Standing("we", 0, 0), [Standing("x", 200 * 100 * SCALE, 200 * SCALE)]
    found = expect(offer(), mine, others, Decimal(600), FREE, Price(Decimal(10**17), "hand"))
    assert (found.units, found.pool_units, found.volume) == (180, 240, Decimal(600))
    assert (found.value, found.net) == (Decimal(18), Decimal(18))


def test_nobody_knows_a_price() -> None:
    """The units are known all the same, and the net is not made up."""
    found = expect(offer(), Standing("we", 0, 0), [], Decimal(600), DEAR, None)
    assert (found.units, found.value, found.net) == (180, None, None)


def test_what_is_taken_counts_less() -> None:
    """Half made, half taken: 100 of volume score 50 + 50 × 0.26."""
    found = with_volume(offer(), Standing("we", 0, 0), Decimal(100), DEAR)
    assert (found.score, found.result_units) == ((5000 + 50 * 26) * SCALE, 100 * SCALE)
    held = Standing("we", 5, 5)
    assert with_volume(offer(Measure.BALANCE), held, Decimal(9), DEAR) == held


@given(
    st.integers(0, 10**24),
    st.integers(0, 10**24),
    st.decimals(0, 10**6, places=3),
    st.decimals(0, 10**6, places=3),
)
def test_more_volume_is_never_expected_to_bring_less(
    mine: int, theirs: int, less: Decimal, more: Decimal
) -> None:
    """The expectation grows with the volume that is added."""
    ours, others = Standing("we", mine * 100, mine), [Standing("x", theirs * 100, theirs)]
    low, high = sorted((less, more))
    first = expect(offer(), ours, others, low, FREE, None)
    second = expect(offer(), ours, others, high, FREE, None)
    assert first.units <= second.units


def test_the_leaderboard_is_read_at_our_scale() -> None:
    """Scores in quote units become scores over 100 × scale; those of thresholds stay 0 and 1."""
    row = LeaderboardRow("0xAB", Decimal("1.5"), Decimal(3), Decimal(0))
    assert standings_of(offer(), [row]) == [Standing("0xab", 150 * SCALE, 3 * SCALE)]
    assert standings_of(offer(Measure.BALANCE), [row]) == [Standing("0xab", 3 * SCALE // 2, 3 * SCALE)]
    one = LeaderboardRow("0xAB", Decimal(1), Decimal(3), Decimal(0))
    assert standings_of(offer(Measure.THRESHOLD_VOLUME), [one]) == [Standing("0xab", 1, 3 * SCALE)]


def test_deviation_by_hand() -> None:
    """95 for an expected 100 is 5 % too little; nothing for nothing is no deviation."""
    found = Deviation(100, 95)
    assert (found.units, found.ppm, found.is_within(50_000), found.is_within(49_999)) == (
        -5,
        -50_000,
        True,
        False,
    )
    assert (Deviation(0, 0).ppm, Deviation(0, 0).is_within(0), Deviation(0, 1).is_within(0)) == (
        None,
        True,
        False,
    )


async def test_the_estimate_meets_what_is_paid(stage: HufiStage) -> None:
    """What we expect at the end of a cycle, by the leaderboard, the oracle pays, to the unit."""
    campaign = stage.launch()
    await stage.oracle.join(CHAIN, campaign.offer.address)
    stage.feed.made["our key", "ETH/USDT"] = [
        trade(5, "123.456"),
        trade(6, "77.7", maker=False),
        trade(7, "1.01", maker=False, buy=False),
    ]
    offers = await HufiOffers(stage.launcher, [CHAIN], CYCLE_MS).list()
    terms = offers.seen[0].offer
    assert terms == campaign.offer
    board = await stage.oracle.leaderboard(CHAIN, terms.address)
    assert board is not None
    (mine,) = standings_of(terms, board.data)
    expected = expect(terms, mine, [], Decimal(0), FREE, None)
    stage.pass_time(CYCLE_MS)
    await stage.sandbox.record_due()
    (payment,) = stage.settlement.paid.values()
    assert Deviation(expected.units, payment.parts[stage.wallet]).is_within(0)


async def test_offers_say_what_cannot_be_taken(stage: HufiStage) -> None:
    """A campaign with a strange status or terms is refused by name; the others are there, fees asked once."""
    good, bad, odd, poor = (stage.launch() for _ in range(4))
    object.__setattr__(bad, "details", {"daily_volume_target": "much"})
    odd.status = type("S", (), {"value": "asleep", "is_over": False})()
    poor.gross_units = -5
    offers = HufiOffers(stage.launcher, [CHAIN], CYCLE_MS)
    found = await offers.list()
    assert [(one.offer.id, one.state) for one in found.seen] == [
        (f"hufi-{CHAIN}-{good.offer.address}", OfferState.OPEN)
    ]
    assert {one.ref.split("-")[1]: one.code for one in found.refused} == {
        bad.offer.address: "hufi_manifest",
        odd.offer.address: "status",
        poor.offer.address: "invalid_input",
    }
    stage.sandbox.faults.set(FaultRule(launcher.CAMPAIGN, FaultKind.EXTRA_FIELD, times=99))
    bad.details, odd.status, poor.gross_units = good.details, good.status, good.gross_units
    assert len((await offers.list()).seen) == 4
    assert stage.sandbox.faults.struck == 3


async def test_a_partner_that_is_not_there_is_unclear(stage: HufiStage) -> None:
    """Each port says so under one code, and the caller asks again later."""
    campaign = stage.launch()
    participation = HufiParticipation(stage.oracle)
    board = HufiProgress(stage.oracle, lambda _campaign, _cycle: (Decimal(0), FREE), lambda _: None)
    taking_part = Campaign(campaign.offer, Stage.ACTIVE, stage.wallet, "main", 1, "", 1)
    await stage.sandbox.close()
    for asked in (
        HufiOffers(stage.launcher, [CHAIN]).list(),
        participation.status(campaign.offer),
        participation.join(campaign.offer),
        board.progress(taking_part, 0),
    ):
        with pytest.raises(PartnerUnclearError) as unclear:
            await asked
        assert unclear.value.retryable


async def test_taking_part_through_the_port(stage: HufiStage) -> None:
    """can_join, join, joined since when; closed with the reason; a refusal is final, another no is not."""
    campaign, full = stage.launch(), stage.launch()
    participation = HufiParticipation(stage.oracle)
    assert (await participation.status(campaign.offer)).state is JoinState.CAN_JOIN
    await participation.join(campaign.offer)
    status = await participation.status(campaign.offer)
    assert (status.state, status.joined_ms) == (JoinState.JOINED, campaign.participants[0].joined_ms)
    with pytest.raises(JoinRefusedError):
        await participation.join(campaign.offer)
    stage.sandbox.cancel(full.offer.address)
    closed = await participation.status(full.offer)
    assert (closed.state, closed.reason) == (JoinState.CLOSED, "ended")
    stage.sandbox.faults.set(FaultRule(recording_oracle.JOIN, FaultKind.RETIRED))
    with pytest.raises(PartnerUnclearError):
        await participation.join(full.offer)
    with pytest.raises(PartnerUnclearError):
        await participation.join(
            Offer(
                **{name: getattr(full.offer, name) for name in full.offer.__struct_fields__}
                | {"address": "0xnone"}
            )
        )


async def test_progress_through_the_port(stage: HufiStage) -> None:
    """Ours, everybody's, the cost so far and of what is missing, and what the reward is worth."""
    campaign = stage.launch()
    await stage.oracle.join(CHAIN, campaign.offer.address)
    stage.feed.made["our key", "ETH/USDT"] = [trade(5, "400")]
    board = HufiProgress(
        stage.oracle, lambda _campaign, _cycle: (Decimal(2), DEAR), lambda _: Price(Decimal("0.5"), "hand")
    )
    taking_part = Campaign(campaign.offer, Stage.ACTIVE, stage.wallet, "main", 1, "", 1)
    found = await board.progress(taking_part, 0)
    assert found is not None
    assert (found.volume, found.total_volume, found.cost) == (Decimal(400), Decimal(400), Decimal(2))
    assert found.expected_cost == DEAR.of(Decimal(600))
    assert found.expected_reward_value == Decimal(291) / 2
    stage.pass_time(3 * CYCLE_MS)
    await stage.sandbox.record_due()
    assert await board.progress(taking_part, 0) is None


async def test_fund_is_net_of_the_oracles(stage: HufiStage) -> None:
    """900 tokens less three per cent are 873."""
    campaign = stage.launch()
    detail = await stage.launcher.campaign(CHAIN, campaign.offer.address)
    assert isinstance(detail, CampaignDetail)
    assert offer_of(detail, detail, CYCLE_MS).fund_units == 873 * ONE
