"""The pair of orders: both, neither, undone, or a halt; one order out at a time, whatever the venue does."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from mrmarket.core.clock import NS_PER_S
from mrmarket.core.side import Side
from mrmarket.trading.execution.leg_pair import (
    Leg,
    LegPart,
    PairPlan,
    PairState,
    begin,
    leg_slot,
    parse_leg_slot,
    resume,
)
from mrmarket.trading.execution.legs import (
    Ask,
    Begin,
    Corrected,
    Doubted,
    Ended,
    Finish,
    Halt,
    LegAction,
    LegEvent,
    LegRules,
    LegStage,
    Send,
    Tick,
    decide,
)

BUY = Leg(0, Side.BUY, 10, 1000, min_grains=2000)
SELL = Leg(1, Side.SELL, 10, 1010, min_grains=2000)
PLAN = PairPlan(BUY, SELL)
RULES = LegRules(retries=1, unwind_retries=1, deadline_ns=5 * NS_PER_S)
FUNDS = (10_000, 10)


def through(
    *events: LegEvent, plan: PairPlan = PLAN, rules: LegRules = RULES
) -> tuple[PairState, list[LegAction]]:
    """The state after events, and every action on the way."""
    state = begin(plan, rules)
    actions: list[LegAction] = []
    for event in events:
        state, new = decide(state, event)
        actions += new
    return state, actions


def test_both_legs_fill() -> None:
    """The first takes, the second passes all of it on inside its band, and nothing is left."""
    state, actions = through(Begin(0, FUNDS), Ended(1, "a100", 10), Ended(2, "b200", -10))
    assert actions == [
        Send("a100", 0, Side.BUY, 10, 1000, "first leg"),
        Send("b200", 1, Side.SELL, 10, 1009, "second leg"),
        Finish(LegStage.DONE, "both legs are through"),
    ]
    assert (state.stage, state.held, state.retries) == (LegStage.DONE, 0, 0)


@pytest.mark.parametrize(
    ("plan", "funds", "reason"),
    [
        (PLAN, (9_999, 10), "balance of the buy on venue 0"),
        (PLAN, (10_000, 9), "balance of the sell on venue 1"),
        (PairPlan(BUY, Leg(1, Side.SELL, 10, 1010, min_lots=11)), FUNDS, "lot of the sell on venue 1"),
        (
            PairPlan(BUY, Leg(1, Side.SELL, 1, 1010, min_grains=2000)),
            FUNDS,
            "min_notional of the sell on venue 1",
        ),
        (
            PairPlan(Leg(0, Side.BUY, 10, 1000, fee=Fraction(1, 1000)), SELL),
            FUNDS,
            "balance of the buy on venue 0",
        ),
    ],
)
def test_preflight_refuses_before_anything_is_sent(
    plan: PairPlan, funds: tuple[int, int], reason: str
) -> None:
    """Balance with its fee, lot and least notional of both legs are looked at before the first is sent."""
    state, actions = through(Begin(0, funds), plan=plan)
    assert state.stage is LegStage.REFUSED
    assert actions == [Finish(LegStage.REFUSED, reason)]


def test_a_first_leg_that_misses_costs_nothing() -> None:
    """Nothing taken, nothing to pass on."""
    state, actions = through(Begin(0, FUNDS), Ended(1, "a100", 0))
    assert state.stage is LegStage.DONE
    assert actions[-1] == Finish(LegStage.DONE, "the first leg missed")


def test_a_partial_second_leg_is_tried_again_further_out() -> None:
    """Only the rest is sent, one band further, under a key of its own."""
    _, actions = through(Begin(0, FUNDS), Ended(1, "a100", 10), Ended(2, "b200", -6))
    assert actions[-1] == Send("b201", 1, Side.SELL, 4, 1008, "second leg, attempt 2")


def test_a_missed_second_leg_is_undone() -> None:
    """Once its attempts are spent, the rest is sold where it was bought."""
    state, actions = through(
        Begin(0, FUNDS), Ended(1, "a100", 10), Ended(2, "b200", -6), Ended(3, "b201", 0), Ended(4, "au00", -4)
    )
    assert actions[-2] == Send("au00", 0, Side.SELL, 4, 995, "undo: the second leg missed")
    assert state.stage is LegStage.DONE
    assert state.reason.startswith("undone")
    assert state.retries == 2


def test_after_the_deadline_it_is_undone_at_once() -> None:
    """A second leg that took too long is not tried again although attempts are left."""
    _, actions = through(Begin(0, FUNDS), Ended(1, "a100", 10), Ended(5 * NS_PER_S, "b200", -6))
    assert isinstance(actions[-1], Send)
    assert actions[-1].slot == "au00"


def test_what_cannot_be_undone_halts() -> None:
    """A halt names what is held, and a late end corrects it."""
    events = (Begin(0, FUNDS), Ended(1, "a100", 10), Ended(2, "b200", 0), Ended(3, "b201", 0))
    state, actions = through(*events, Ended(4, "au00", -3), Ended(5, "au01", 0))
    assert state.stage is LegStage.HALTED
    assert actions[-1] == Halt("the second leg missed; the first leg could not be undone", 7)
    state, late = decide(state, Corrected(6, -7))
    assert late == (Halt("the second leg missed; the first leg could not be undone", 0),)


def test_an_unknown_outcome_is_asked_for_before_anything_else() -> None:
    """In doubt nothing is sent; the answer decides; without one the run halts and says which order."""
    state, actions = through(Begin(0, FUNDS), Ended(1, "a100", 10), Doubted(2, "b200"), Doubted(3, "b200"))
    assert actions[-1] == Ask("b200", 1)
    assert sum(isinstance(each, Ask) for each in actions) == 1
    assert decide(state, Tick(2 + RULES.doubt_ns - 1)) == (state, ())
    halted, said = decide(state, Tick(2 + RULES.doubt_ns))
    assert said == (Halt("the fate of order b200 stays unknown", 10),)
    assert decide(halted, Tick(3 + RULES.doubt_ns)) == (halted, ())
    after, said = decide(halted, Ended(9, "b200", -10))
    assert said == (Halt("the fate of order b200 stays unknown", 0),)
    assert after.stage is LegStage.HALTED
    settled, _ = decide(state, Ended(4, "b200", -10))
    assert settled.stage is LegStage.DONE


def test_a_late_fill_reopens_a_finished_pair() -> None:
    """A trade that shows up after its order was told as ended is undone like any other."""
    state, _ = through(Begin(0, FUNDS), Ended(1, "a100", 0))
    state, actions = decide(state, Corrected(2, 4))
    assert actions == (Send("au00", 0, Side.SELL, 4, 995, "undo: a fill came late"),)


def test_too_little_for_the_second_venue_is_undone() -> None:
    """A first fill below the second venue's least size goes back where it came from."""
    plan = PairPlan(Leg(0, Side.BUY, 10, 1000), Leg(1, Side.SELL, 10, 1010, min_lots=5))
    _, actions = through(Begin(0, FUNDS), Ended(1, "a100", 4), plan=plan)
    assert isinstance(actions[-1], Send)
    assert actions[-1].slot == "au00"
    _, actions = through(Begin(0, FUNDS), Ended(1, "a100", 10), Ended(2, "b200", -6), plan=plan)
    assert isinstance(actions[-1], Send)
    assert actions[-1].slot == "au00"


def test_a_sale_first_is_covered_with_the_fee_in_base() -> None:
    """What is bought back is enough for what arrives after the venue's fee in base."""
    plan = PairPlan(Leg(1, Side.SELL, 100, 1010), Leg(0, Side.BUY, 102, 1000, fee_in_base=Fraction(1, 100)))
    _, actions = through(Begin(0, (100, 10**9)), Ended(1, "b100", -100), plan=plan)
    assert actions[-1] == Send("a200", 0, Side.BUY, 102, 1001, "second leg")


def test_a_slot_reads_back() -> None:
    """Venue, part and attempt make the slot, and the slot says them."""
    assert parse_leg_slot(leg_slot(1, LegPart.UNWIND, 37)) == (1, LegPart.UNWIND, 37)
    assert parse_leg_slot("b1") is None
    assert parse_leg_slot("x100") is None


def test_after_a_crash_the_rest_is_undone() -> None:
    """A resumed pair is undone from the next tick on, under the next attempt's key; dust is left alone."""
    state = resume(PLAN, RULES, 6, 1, 100)
    state, actions = decide(state, Tick(101))
    assert actions == (Send("au01", 0, Side.SELL, 6, 990, "undo: resumed"),)
    assert decide(state, Tick(102)) == (state, ())
    assert resume(PLAN, RULES, 1, 0, 100).stage is LegStage.DONE
    assert decide(state, Begin(0, FUNDS)) == (state, ())
    assert decide(state, Ended(0, "b200", 5)) == (state, ())


@dataclass
class ModelVenue:
    """A venue that fills what it likes, and answers when it likes."""

    out: dict[str, Send] = field(default_factory=dict)
    filled: dict[str, int] = field(default_factory=dict)
    sent: list[str] = field(default_factory=list)


class LegMachine(RuleBasedStateMachine):
    """Random fills, refusals, losses of answers, late fills and ticks."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0
        self.venue = ModelVenue()
        self.state = begin(PLAN, LegRules(retries=2, unwind_retries=2))
        self.halts: list[Halt[int]] = []
        self.held = 0
        self.told = 0
        self.act(Begin(0, FUNDS))

    def act(self, event: LegEvent) -> None:
        """Feed the machine and carry out what it says."""
        before = self.state
        self.state, actions = decide(self.state, event)
        for action in actions:
            if isinstance(action, Send):
                assert not self.venue.out, "one order at a time"
                assert action.slot not in self.venue.sent, "never the same key twice"
                assert before.doubted_ns is None or isinstance(event, Ended)
                self.venue.out[action.slot] = action
                self.venue.sent.append(action.slot)
            elif isinstance(action, Halt):
                self.halts.append(action)
        if self.state.is_over and not before.is_over:
            last = actions[-1]
            assert isinstance(last, Finish | Halt)

    @precondition(lambda self: self.venue.out)
    @rule(share=st.integers(0, 10), after_s=st.integers(0, 3))
    def answers(self, share: int, after_s: int) -> None:
        """The order ends with some of it filled."""
        self.now += after_s * NS_PER_S
        slot, order = self.venue.out.popitem()
        lots = order.size_lots * share // 10
        self.held += order.side.sign * lots
        self.told += order.side.sign * lots
        self.act(Ended(self.now, slot, order.side.sign * lots))

    @precondition(lambda self: self.venue.out)
    @rule()
    def falls_silent(self) -> None:
        """The answer is lost."""
        self.act(Doubted(self.now, next(iter(self.venue.out))))

    @rule(after_s=st.integers(0, 70))
    def time_passes(self, after_s: int) -> None:
        """Nothing but time."""
        self.now += after_s * NS_PER_S
        self.act(Tick(self.now))

    @precondition(lambda self: self.state.is_over and abs(self.held) < 20)
    @rule(lots=st.integers(-3, 3))
    def a_fill_comes_late(self, lots: int) -> None:
        """A trade nobody had told of."""
        self.held += lots
        self.told += lots
        self.act(Corrected(self.now, lots))

    @invariant()
    def nothing_is_lost(self) -> None:
        """What the machine holds is what the venues have told; over means flat, or halted and said."""
        assert self.state.held == self.told
        if self.state.stage is LegStage.DONE:
            assert abs(self.held) < 2, "what a venue takes is never left"
        if self.state.stage is LegStage.HALTED:
            assert self.halts
            assert self.halts[-1].held == self.state.held


LegMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
TestLegMachine = LegMachine.TestCase
