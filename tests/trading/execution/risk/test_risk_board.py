"""The risk board: who is bound by what, what ends by itself and what waits for the owner."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from mrmarket.core.clock import NS_PER_S, ManualClock
from mrmarket.core.notice import Notice, Severity
from mrmarket.store.operations import Restriction
from mrmarket.trading.execution.risk.board import Rearming, RiskBoard, RiskChange
from mrmarket.trading.execution.risk.state import (
    INSTANCE,
    RULES,
    Cause,
    RiskState,
    run_scope,
    venue_scope,
)

RUN, VENUE = run_scope("r1"), venue_scope("v1")
REARMING = Rearming(cool_down_ns=60 * NS_PER_S, dwell_ns=10 * NS_PER_S)


@dataclass
class Heard:
    """What a sink and a listener were told."""

    notices: list[Notice] = field(default_factory=list)
    changes: list[RiskChange] = field(default_factory=list)

    def notify(self, notice: Notice) -> None:
        """Note it."""
        self.notices.append(notice)


class House:
    """A board with a clock and somebody who listens."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.heard = Heard()
        self.board = RiskBoard(self.clock, rearming=REARMING, sink=self.heard)
        self.board.listen(self.heard.changes.append)

    def later(self, seconds: float) -> None:
        """Time passes and the board is looked at."""
        self.clock.advance(int(seconds * NS_PER_S))
        self.board.tick()

    def state(self) -> RiskState:
        """Of the run r1 on v1."""
        return self.board.state("r1", "v1")


@pytest.fixture
def house() -> House:
    """Nothing is restricted."""
    return House()


def test_the_strictest_of_run_venue_and_instance_counts(house: House) -> None:
    """A restriction of the venue or the instance binds each of its runs, one of a run no other."""
    house.board.hold(RUN, Cause.LOSS_1M, "r1")
    assert house.state() is RiskState.REDUCE
    assert house.board.state("r2", "v1") is RiskState.ACTIVE
    house.board.hold(VENUE, Cause.CLOCK_OFFSET, "r1")
    assert house.state() is RiskState.CANCEL_ONLY
    assert house.board.state("r2", "v1") is RiskState.CANCEL_ONLY
    assert house.board.state("r2", "v2") is RiskState.ACTIVE
    house.board.hold(INSTANCE, Cause.OWNER, "somebody", detail="fire drill")
    assert house.board.state("r9", "v9") is RiskState.HALT
    assert house.board.explain("r9", "v9") == "halt: fire drill"
    assert house.board.explain("r1", "v1") == "halt: fire drill"


def test_a_soft_restriction_ends_after_cool_down_and_dwell(house: House) -> None:
    """Both must have passed: the cool-down since it began, the dwell time since its condition went."""
    house.board.hold(RUN, Cause.LOSS_1M, "r1")
    house.later(100)
    assert house.state() is RiskState.REDUCE, "its condition is still there"
    house.board.release(RUN, Cause.LOSS_1M, "r1")
    house.later(9.9)
    assert house.state() is RiskState.REDUCE, "gone for too short a time"
    house.later(0.1)
    assert house.state() is RiskState.ACTIVE
    house.board.hold(RUN, Cause.LOSS_1H, "r1")
    house.board.release(RUN, Cause.LOSS_1H, "r1")
    house.later(59.9)
    assert house.state() is RiskState.CANCEL_ONLY, "the cool-down is not over"
    house.later(0.1)
    assert house.state() is RiskState.ACTIVE


def test_a_flickering_condition_does_not_flicker_the_state(house: House) -> None:
    """Every return of the condition restarts the dwell time."""
    house.board.hold(RUN, Cause.LOSS_1M, "r1")
    for _ in range(30):
        house.board.release(RUN, Cause.LOSS_1M, "r1")
        house.later(9)
        assert house.state() is RiskState.REDUCE
        house.board.hold(RUN, Cause.LOSS_1M, "r1")
    assert len(house.heard.changes) == 1


def test_what_comes_back_soon_cools_down_twice_as_long(house: House) -> None:
    """60 s, 120 s, 240 s …, and 60 s again after an hour without it."""
    for cool_down in (60, 120, 240):
        house.board.hold(RUN, Cause.LOSS_1M, "r1")
        house.board.release(RUN, Cause.LOSS_1M, "r1")
        house.later(cool_down - 0.1)
        assert house.state() is RiskState.REDUCE
        house.later(0.1)
        assert house.state() is RiskState.ACTIVE
    house.later(3_700)
    house.board.hold(RUN, Cause.LOSS_1M, "r1")
    house.board.release(RUN, Cause.LOSS_1M, "r1")
    house.later(60)
    assert house.state() is RiskState.ACTIVE


@pytest.mark.parametrize("cause", [cause for cause in Cause if RULES[cause].state is RiskState.HALT])
def test_a_halt_waits_for_the_owner(house: House, cause: Cause) -> None:
    """No HALT ends by itself, however long its condition has been gone."""
    house.board.hold(RUN, cause, "r1")
    house.board.release(RUN, cause, "r1")
    house.later(10 * 86_400)
    assert house.state() is RiskState.HALT
    assert house.board.restrictions(RUN)[0].until_ms == 0
    assert house.board.rearm(RUN, cause) == [cause]
    assert house.state() is RiskState.ACTIVE


def test_a_restriction_only_grows_stricter(house: House) -> None:
    """REDUCE may become HALT under the same cause; less is not listened to, and HALT makes it hard."""
    assert house.board.hold(RUN, Cause.DIFFERENCE, "r1")
    assert not house.board.hold(RUN, Cause.DIFFERENCE, "r1")
    assert house.board.hold(RUN, Cause.DIFFERENCE, "r1", state=RiskState.HALT, detail="it grows")
    assert not house.board.hold(RUN, Cause.DIFFERENCE, "r1", state=RiskState.REDUCE)
    house.board.release(RUN, Cause.DIFFERENCE, "r1")
    house.later(86_400)
    assert house.state() is RiskState.HALT
    assert [change.scope_state for change in house.heard.changes] == [RiskState.REDUCE, RiskState.HALT]
    assert house.board.trips == {"difference": 1}


def test_each_who_sees_a_condition_must_see_it_go(house: House) -> None:
    """A venue's condition that two runs see ends once both have released it; a run that ends does."""
    house.board.hold(VENUE, Cause.CLOCK_OFFSET, "r1")
    house.board.hold(VENUE, Cause.CLOCK_OFFSET, "r2")
    house.board.release(VENUE, Cause.CLOCK_OFFSET, "r1")
    house.later(200)
    assert house.state() is RiskState.CANCEL_ONLY
    house.board.forget_holder("r2")
    house.later(10)
    assert house.state() is RiskState.ACTIVE


def test_a_word_that_nobody_knows_is_the_strictest(house: House) -> None:
    """An owner's own cause halts, and so does a row whose state cannot be read."""
    house.board.hold(RUN, "my_own_cause", "somebody")
    assert house.state() is RiskState.HALT
    assert RiskState.of("something new") is RiskState.HALT
    assert RiskState.of("reduce") is RiskState.REDUCE


def test_rearm_lifts_one_cause_or_all_of_a_scope(house: House) -> None:
    """Other scopes keep what they have; who listens hears that the owner did it."""
    house.board.hold(RUN, Cause.DRAWDOWN, "r1")
    house.board.hold(RUN, Cause.OWNER, "somebody")
    house.board.hold(VENUE, Cause.VENUE_BANNED, "r1")
    assert house.board.rearm(RUN, Cause.DRAWDOWN) == ["drawdown"]
    assert house.board.rearm(RUN, "nothing") == []
    assert house.board.rearm(RUN) == ["owner"]
    assert [row.cause for row in house.board.restrictions()] == ["venue_banned"]
    assert all(change.by_owner for change in house.heard.changes[-2:])
    assert house.board.scope_state(RUN) is RiskState.ACTIVE


def test_everybody_hears_even_where_somebody_cannot(house: House) -> None:
    """A listener that raises is counted and told of; the next one is told all the same."""

    def broken(_: RiskChange) -> None:
        raise RuntimeError("deaf")

    late: list[RiskChange] = []
    house.board.listen(broken)
    forget = house.board.listen(late.append)
    house.board.hold(RUN, Cause.LOSS_1M, "r1")
    assert len(late) == 1
    assert house.board.listener_faults == 1
    assert [notice.severity for notice in house.heard.notices] == [Severity.CRITICAL, Severity.WARNING]
    forget()
    forget()
    house.board.rearm(RUN)
    assert len(late) == 1
    assert house.heard.notices[-1].severity is Severity.INFO


def test_what_others_have_written_down_is_taken_over(house: House) -> None:
    """Hard rows wait for the owner, soft ones end by themselves; what is known already is left alone."""
    rows = [
        Restriction(scope=RUN, cause="owner", state="halt", by="x", since_ms=1),
        Restriction(scope=VENUE, cause="rate_budget", state="cancel_only", by="y", since_ms=1, until_ms=2),
        Restriction(scope=INSTANCE, cause="old", state="active", by="y", since_ms=1),
    ]
    house.board.load(rows)
    house.board.load(rows)
    assert [change.is_local for change in house.heard.changes] == [True, True]
    assert house.heard.notices == []
    house.later(60)
    assert [row.cause for row in house.board.restrictions()] == ["owner"]
    house.board.hold(INSTANCE, Cause.KILL_SWITCH, "file")
    assert house.heard.changes[-1].is_local
    house.board.hold(INSTANCE, Cause.ANGEL, "angel")
    assert not house.heard.changes[-1].is_local


SCOPES = (RUN, VENUE, INSTANCE)
CAUSES = (Cause.LOSS_1M, Cause.LOSS_1H, Cause.DRAWDOWN, Cause.DIFFERENCE)
WHO = ("r1", "r2")


@dataclass
class _Held:
    state: RiskState
    soft: bool
    since: int
    cool_down: int
    holders: set[str]
    clear: int | None


class BoardMachine(RuleBasedStateMachine):
    """The board against a model that is a plain table."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = ManualClock()
        self.board = RiskBoard(self.clock, rearming=REARMING)
        self.told: dict[tuple[str, str], RiskState] = {}
        self.board.listen(self._hear)
        self.model: dict[tuple[str, str], _Held] = {}
        self.past: dict[tuple[str, str], list[int]] = {}

    def _hear(self, change: RiskChange) -> None:
        key = (change.scope, change.cause)
        if change.restriction is None:
            del self.told[key]
        else:
            self.told[key] = RiskState.of(change.restriction.state)

    @rule(
        scope=st.sampled_from(SCOPES),
        cause=st.sampled_from(CAUSES),
        who=st.sampled_from(WHO),
        state=st.sampled_from([None, RiskState.REDUCE, RiskState.HALT]),
    )
    def hold(self, scope: str, cause: Cause, who: str, state: RiskState | None) -> None:
        """A condition is seen."""
        self.board.hold(scope, cause, who, state=state)
        wanted, now, key = state or RULES[cause].state, self.clock.monotonic_ns(), (scope, cause.value)
        soft = RULES[cause].soft and wanted is not RiskState.HALT
        held = self.model.get(key)
        if held is None:
            past = [at for at in self.past.get(key, []) if now - at <= 3_600 * NS_PER_S][-6:]
            cool_down = min(60 * 2 ** len(past), 3_600) * NS_PER_S
            self.past[key] = [*past, now]
            self.model[key] = _Held(wanted, soft, now, cool_down, {who}, None)
            return
        held.holders.add(who)
        held.clear = None
        if wanted > held.state:
            held.state, held.soft = wanted, held.soft and soft

    @rule(scope=st.sampled_from(SCOPES), cause=st.sampled_from(CAUSES), who=st.sampled_from(WHO))
    def release(self, scope: str, cause: Cause, who: str) -> None:
        """It is seen no more."""
        self.board.release(scope, cause, who)
        held = self.model.get((scope, cause.value))
        if held is not None and who in held.holders:
            held.holders.discard(who)
            if not held.holders:
                held.clear = self.clock.monotonic_ns()

    @rule(seconds=st.sampled_from([1, 10, 59, 60, 120, 3_601]))
    def later(self, seconds: int) -> None:
        """Time passes."""
        self.clock.advance(seconds * NS_PER_S)
        self.board.tick()
        now = self.clock.monotonic_ns()
        for key, held in list(self.model.items()):
            gone = held.clear is not None and now - held.clear >= 10 * NS_PER_S
            if held.soft and gone and now - held.since >= held.cool_down:
                del self.model[key]

    @rule(scope=st.sampled_from(SCOPES), cause=st.sampled_from([None, *CAUSES]))
    def rearm(self, scope: str, cause: Cause | None) -> None:
        """The owner lifts."""
        self.board.rearm(scope, cause)
        for key in list(self.model):
            if key[0] == scope and cause in (None, key[1]):
                del self.model[key]
                self.past.pop(key, None)

    @invariant()
    def they_agree(self) -> None:
        """State, restrictions and what was told are the model's."""
        states = {key: held.state for key, held in self.model.items()}
        assert {(r.scope, r.cause): RiskState.of(r.state) for r in self.board.restrictions()} == states
        assert self.told == states
        assert self.board.state("r1", "v1") == max(states.values(), default=RiskState.ACTIVE)
        for scope in SCOPES:
            own = [state for key, state in states.items() if key[0] == scope]
            assert self.board.scope_state(scope) == max(own, default=RiskState.ACTIVE)


BoardMachine.TestCase.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
test_the_board_agrees_with_a_small_model = BoardMachine.TestCase
