"""Rounds: campaigns are found, joined once, worked for and ended, whatever the partner answers."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from campaigns.campaign_stage import CYCLE_MS, START_MS, CampaignStage, offer
from mrmarket.campaigns.board import board, campaign_page, outcomes
from mrmarket.campaigns.entity import Event, Stage
from mrmarket.campaigns.errors import UnknownOfferError
from mrmarket.campaigns.offer import Measure
from mrmarket.campaigns.ports import JoinVerdict, OfferSeen, OfferState
from mrmarket.campaigns.terms import Pause
from mrmarket.money.rewards.repository import RewardRepository


async def test_a_campaign_lives_from_its_offer_to_its_end(either: CampaignStage) -> None:
    """Found, wanted, joined, active, ended, paid out; every step is written down, on both databases."""
    stage = either
    done = await stage.round()
    assert (done.found, done.joined, done.unclear) == (1, 1, [])
    assert stage.campaign().stage is Stage.ACTIVE  # it has begun
    assert stage.campaign().joined_ms == START_MS + 5
    assert stage.read(lambda sql: RewardRepository(sql).campaign(offer().id)) is not None
    stage.pass_time(3 * CYCLE_MS)
    await stage.round()
    assert stage.campaign().stage is Stage.ENDED
    stage.pass_time(stage.rules.payout_grace_ms)
    await stage.round()
    assert stage.campaign().stage is Stage.PAID_OUT
    steps = stage.repository(lambda repository: repository.steps(offer().id))
    assert [step.event for step in steps] == [
        "discovered",
        "wanted",
        "asked",
        "joined",
        "started",
        "ended",
        "paid_out",
    ]
    assert stage.world.asked == [offer().id]
    assert stage.repository(lambda repository: repository.count_by_stage()) == {Stage.PAID_OUT: 1}


async def test_a_lost_join_is_never_asked_for_twice(stage: CampaignStage) -> None:
    """The join happened and its answer was lost: UNKNOWN, until the partner says that we are in."""
    stage.world.lost = {"join", "status"}
    done = await stage.round()
    assert stage.campaign().stage is Stage.UNKNOWN
    assert [error.code for error in done.unclear] == ["campaign_partner_unclear"]
    for _ in range(3):
        await stage.round()
    assert stage.campaign().stage is Stage.UNKNOWN
    stage.world.lost = set()
    await stage.round()
    assert stage.campaign().stage is Stage.ACTIVE
    assert stage.world.asked == [offer().id]


async def test_a_join_that_never_arrived_is_asked_for_again(stage: CampaignStage) -> None:
    """The partner says that we are not in and may join: then, and only then, once more."""
    stage.world.silent = {"join"}
    await stage.round()
    assert stage.campaign().stage is Stage.UNKNOWN
    stage.world.silent = set()
    await stage.round()
    assert stage.campaign().stage is Stage.ACTIVE
    assert len(stage.world.asked) == 2


async def test_somebody_joined_by_hand(stage: CampaignStage) -> None:
    """A join that is refused because we are in already is a join."""
    stage.world.joined_ms[offer().id] = START_MS + 1
    await stage.round()
    assert (stage.campaign().stage, stage.campaign().joined_ms) == (Stage.ACTIVE, START_MS + 1)


async def test_a_closed_campaign_is_refused_with_the_reason(stage: CampaignStage) -> None:
    """It is not asked for again."""
    stage.world.closed = "max_participants_reached"
    await stage.round()
    await stage.round()
    assert (stage.campaign().stage, stage.campaign().reason) == (Stage.REFUSED, "max_participants_reached")
    assert len(stage.world.asked) == 1


async def test_what_the_rules_do_not_want_is_judged_again(stage: CampaignStage) -> None:
    """The reason is kept; when it pays, it is joined."""
    stage.world.verdict = JoinVerdict(False, "net_reward", "it costs too much")
    await stage.round()
    assert (stage.campaign().stage, stage.campaign().reason) == (Stage.DISCOVERED, "it costs too much")
    before = stage.repository(lambda repository: repository.steps(offer().id))
    await stage.round()
    assert stage.repository(lambda repository: repository.steps(offer().id)) == before
    stage.world.verdict = JoinVerdict(True, "join", "it pays")
    await stage.round()
    assert stage.campaign().stage is Stage.ACTIVE


async def test_a_partner_that_is_silent_stops_nothing_else(stage: CampaignStage) -> None:
    """The list fails: goals are still told, payouts still taken."""
    await stage.round()
    stage.world.goals.clear()
    stage.world.silent = {"list"}
    stage.pass_time(CYCLE_MS)
    done = await stage.round()
    assert (len(done.unclear), list(stage.world.goals)) == (1, [f"campaign:{offer().id}:1"])


@pytest.mark.parametrize(
    ("state", "before", "after"),
    [
        (OfferState.CANCELLED, Stage.DISCOVERED, Stage.CANCELLED),
        (OfferState.CANCELLING, Stage.ACTIVE, Stage.ENDED),
        (OfferState.CANCELLED, Stage.ACTIVE, Stage.ENDED),
        (OfferState.COMPLETED, Stage.ENDED, Stage.PAID_OUT),
        (OfferState.CANCELLED, Stage.ENDED, Stage.ENDED),
    ],
)
async def test_the_partners_word_on_a_campaign(
    stage: CampaignStage, state: OfferState, before: Stage, after: Stage
) -> None:
    """Cancelled before we joined is the end; afterwards what was earned is still waited for."""
    if before is Stage.DISCOVERED:
        stage.world.verdict = JoinVerdict(False, "net_reward", "it costs too much")
    await stage.round()
    if before is Stage.ENDED:
        stage.pass_time(3 * CYCLE_MS)
        await stage.round()
    assert stage.campaign().stage is before
    stage.world.offers = [OfferSeen(offer(), state)]
    await stage.round()
    await stage.round()
    assert stage.campaign().stage is after


async def test_a_cancelled_campaign_with_a_lost_join_is_asked_about_first(stage: CampaignStage) -> None:
    """We may be in, and what was earned until then is ours."""
    stage.world.lost = {"join", "status"}
    await stage.round()
    stage.world.offers = [OfferSeen(offer(), OfferState.CANCELLING)]
    await stage.round()
    assert stage.campaign().stage is Stage.UNKNOWN
    stage.world.lost = set()
    await stage.round()
    await stage.round()
    assert stage.campaign().stage is Stage.ENDED


async def test_terms_that_change_are_shown_and_not_taken(stage: CampaignStage) -> None:
    """What we joined is what holds; the difference is an error that is shown in each round."""
    await stage.round()
    stage.world.offers = [OfferSeen(offer(target=Decimal(9)), OfferState.OPEN)]
    done = await stage.round()
    assert [error.code for error in done.unclear] == ["campaign_terms_changed"]
    assert stage.campaign().offer.target == Decimal(1000)


async def test_what_was_over_before_we_saw_it_is_no_news(stage: CampaignStage) -> None:
    """A list full of old campaigns fills nothing."""
    stage.world.offers = [OfferSeen(offer(), OfferState.COMPLETED)]
    assert (await stage.round()).found == 0
    with pytest.raises(UnknownOfferError):
        stage.campaign()


async def test_goals_are_told_once_and_again_when_they_change(stage: CampaignStage) -> None:
    """The same goal is not told twice; met, it is told that it pauses; the next cycle has its own."""
    assert (await stage.round()).goals == 1
    assert (await stage.round()).goals == 0
    progress = stage.world.cycle_progress
    assert progress is not None
    stage.world.cycle_progress = replace(progress, volume=Decimal(1000), total_volume=Decimal(1000))
    assert (await stage.round()).goals == 1
    assert '"pause":"target_met"' in stage.world.goals[f"campaign:{offer().id}:0"]
    stage.pass_time(CYCLE_MS)
    stage.world.cycle_progress = progress
    await stage.round()
    assert '"pause":"none"' in stage.world.goals[f"campaign:{offer().id}:1"]


async def test_a_goal_that_got_lost_is_told_again(stage: CampaignStage) -> None:
    """It stays untold until the engine has answered."""
    stage.world.lost = {"goal"}
    await stage.round()
    untold = stage.repository(lambda repository: repository.untold_goals())
    assert [goal.cycle for goal in untold] == [0]
    stage.world.lost = set()
    assert (await stage.round()).goals == 1
    assert stage.repository(lambda repository: repository.untold_goals()) == []


async def test_an_unclear_progress_changes_no_goal(stage: CampaignStage) -> None:
    """What holds goes on to hold; what nobody can say pauses."""
    await stage.round()
    stage.world.silent = {"progress"}
    await stage.round()
    assert '"pause":"none"' in stage.world.goals[f"campaign:{offer().id}:0"]
    stage.world.silent = set()
    stage.world.cycle_progress = None
    await stage.round()
    assert '"pause":"unpriced"' in stage.world.goals[f"campaign:{offer().id}:0"]


async def test_the_end_is_told_to_the_engine(stage: CampaignStage) -> None:
    """The last cycle's goal is over; a campaign that counts balances never had one."""
    stage.world.offers.append(OfferSeen(offer("0xcc", Measure.BALANCE), OfferState.OPEN))
    stage.pass_time(2 * CYCLE_MS)
    await stage.round()
    stage.pass_time(CYCLE_MS)
    await stage.round()
    assert list(stage.world.goals) == [f"campaign:{offer().id}:2"]
    assert f'"pause":"{Pause.OVER}"' in stage.world.goals[f"campaign:{offer().id}:2"]


async def test_estimates_are_kept_when_they_change(stage: CampaignStage) -> None:
    """A change of less than a hundredth is no news; the figures say what price they used."""
    for units in (300, 302, 304, 150):
        progress = stage.world.cycle_progress
        assert progress is not None
        stage.world.cycle_progress = replace(progress, expected_units=units)
        await stage.round()
    kept = stage.repository(lambda repository: repository.estimates(offer().id, 0))
    assert [(one.seq, one.expected_units, one.price_source) for one in kept] == [
        (1, 300, "hand"),
        (2, 304, "hand"),
        (3, 150, "hand"),
    ]
    (outcome,) = stage.read(lambda sql: outcomes(sql, offer().id))
    assert (outcome.paid_units, outcome.difference_units) == (0, -150)


async def test_the_board_shows_every_stage(either: CampaignStage) -> None:
    """Columns in the order of a life, with the running goal; a page has the history."""
    stage = either
    stage.world.offers.append(OfferSeen(offer("0xcc", Measure.BALANCE), OfferState.OPEN))
    await stage.round()
    columns = stage.read(lambda sql: board(sql, START_MS + 1))
    assert [column.stage for column in columns] == list(Stage)
    cards = next(column.cards for column in columns if column.stage is Stage.ACTIVE)
    assert [card.campaign.id for card in cards] == [offer("0xaa").id, offer("0xcc").id]
    first, second = cards
    assert first.goal is not None
    assert (first.cycle, first.goal.pause, first.expected_units) == (0, Pause.NONE, 300)
    assert second.goal is None
    page = stage.read(lambda sql: campaign_page(sql, offer().id, START_MS - 1))
    assert page.card.cycle is None
    assert [step.event for step in page.steps][:2] == ["discovered", "wanted"]
    assert len(page.goals) == 1
    assert page.payouts == []


async def test_a_moved_campaign_is_not_moved_by_an_old_reading(stage: CampaignStage) -> None:
    """A move is decided on what the table says in the same transaction."""
    await stage.round()
    stale = stage.campaign()
    stage.pass_time(3 * CYCLE_MS)
    await stage.round()
    assert (await stage.rounds._move(stale, Event.ENDED)).stage is Stage.ENDED
