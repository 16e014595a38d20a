"""A campaign's life: every move there is, and no other."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from campaigns.campaign_stage import CYCLE_MS, START_MS, WALLET, offer
from mrmarket.campaigns.entity import Campaign, Event, Stage, advance, discovered, seen_again
from mrmarket.campaigns.errors import OfferConflictError, StageConflictError
from mrmarket.campaigns.offer import Measure, Offer, RewardToken, campaign_id
from mrmarket.core.errors import InvalidInputError
from mrmarket.money.rewards.campaign import Span

NEW = discovered(offer(), WALLET, "main", 1)


def at(stage: Stage) -> Campaign:
    """A campaign at a stage."""
    return replace(NEW, stage=stage)


@pytest.mark.parametrize(
    ("events", "stage"),
    [
        ("wanted asked joined started ended paid_out", Stage.PAID_OUT),
        ("unwanted wanted asked lost joined", Stage.JOINED),
        ("wanted asked lost lost absent wanted asked refused", Stage.REFUSED),
        ("wanted asked absent unwanted", Stage.DISCOVERED),
        ("wanted asked joined ended", Stage.ENDED),
        ("joined started started joined", Stage.ACTIVE),
        ("joined started ended joined ended", Stage.ENDED),
        ("wanted asked lost cancelled", Stage.CANCELLED),
        ("refused refused", Stage.REFUSED),
    ],
)
def test_lives_that_happen(events: str, stage: Stage) -> None:
    """Each is a walk through the machine; being told twice is harmless."""
    campaign = NEW
    for number, event in enumerate(events.split()):
        campaign = advance(campaign, Event(event), number + 2, f"because {event}")
    assert campaign.stage is stage


@pytest.mark.parametrize(
    ("stage", "event"),
    [
        (Stage.DISCOVERED, Event.ASKED),
        (Stage.DISCOVERED, Event.STARTED),
        (Stage.UNKNOWN, Event.ASKED),
        (Stage.UNKNOWN, Event.WANTED),
        (Stage.JOINING, Event.ASKED),
        (Stage.JOINED, Event.ABSENT),
        (Stage.ACTIVE, Event.ASKED),
        (Stage.PAID_OUT, Event.CANCELLED),
        (Stage.REFUSED, Event.JOINED),
        (Stage.ENDED, Event.STARTED),
    ],
)
def test_what_cannot_happen_is_refused(stage: Stage, event: Event) -> None:
    """Above all: nobody asks to join again before the partner has said whether we are in."""
    with pytest.raises(StageConflictError) as refused:
        advance(at(stage), event, 2)
    assert refused.value.code == "campaign_stage"


@given(st.sampled_from(list(Stage)), st.lists(st.sampled_from(list(Event)), max_size=12))
def test_ends_are_ends(stage: Stage, events: list[Event]) -> None:
    """Whatever comes, a final stage is left by nothing, and when we joined is never rewritten."""
    campaign = at(stage)
    for event in events:
        try:
            after = advance(campaign, event, 9, joined_ms=7)
        except StageConflictError:
            continue
        assert not campaign.stage.is_final or after.stage is campaign.stage
        assert not campaign.joined_ms or after.joined_ms == campaign.joined_ms
        campaign = after


def test_an_event_that_changes_nothing_gives_the_same_campaign() -> None:
    """Also its time stays."""
    assert advance(at(Stage.ACTIVE), Event.STARTED, 99) is not None
    active = at(Stage.ACTIVE)
    assert advance(active, Event.STARTED, 99) is active


def test_joining_keeps_the_partners_time() -> None:
    """The partner's word on when we joined, ours where it says none."""
    joining = at(Stage.JOINING)
    assert advance(joining, Event.JOINED, 50, joined_ms=40).joined_ms == 40
    assert advance(joining, Event.JOINED, 50).joined_ms == 50


def test_terms_that_change_are_a_conflict() -> None:
    """The fields are named; the same terms are no news."""
    assert seen_again(NEW, offer()) is NEW
    with pytest.raises(OfferConflictError) as changed:
        seen_again(NEW, offer(target=Decimal(1), end_ms=START_MS + 1))
    assert changed.value.fields == ("end_ms", "target")


def test_cycles_count_from_the_start_and_the_last_is_short() -> None:
    """Two and a half cycles are three; a moment outside belongs to none."""
    terms = offer(end_ms=START_MS + 2 * CYCLE_MS + 30_000)
    assert terms.cycles == 3
    assert terms.cycle(2) == Span(START_MS + 2 * CYCLE_MS, terms.end_ms)
    assert [terms.cycle_at(START_MS + ms) for ms in (-1, 0, CYCLE_MS - 1, CYCLE_MS, 150_000)] == [
        None,
        0,
        0,
        1,
        None,
    ]
    with pytest.raises(InvalidInputError):
        terms.cycle(3)
    assert campaign_id("hufi", 137, "0xAB") == "hufi-137-0xab"


@pytest.mark.parametrize(
    "changes",
    [
        {"id": "has:colon"},
        {"end_ms": START_MS},
        {"cycle_ms": 0},
        {"fund_units": -1},
        {"target": Decimal(0)},
        {"target": Decimal("NaN")},
        {"max_participants": 0},
        {"prizes": (Decimal(1),)},
        {"measure": Measure.RANKED_VOLUME, "prizes": ()},
        {"measure": Measure.RANKED_VOLUME, "prizes": (Decimal(60), Decimal(41))},
        {"measure": Measure.RANKED_VOLUME, "prizes": (Decimal(60), Decimal(0))},
    ],
)
def test_terms_that_make_no_sense_are_refused(changes: dict[str, Any]) -> None:
    """Before anybody reckons with them."""
    fields = {name: getattr(offer(), name) for name in offer().__struct_fields__}
    with pytest.raises(InvalidInputError):
        Offer(**(fields | changes))
    with pytest.raises(InvalidInputError):
        RewardToken(1, "0x", "HMT", 39)
