"""The machine that switches strategies."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from mrmarket.core.clock import NS_PER_S
from mrmarket.trading.strategy.selection.candidate import Candidate
from mrmarket.trading.strategy.selection.decision import Outcome, Start, Stop, Verdict, tuning
from mrmarket.trading.strategy.selection.machine import Step, begin, decide, pending
from mrmarket.trading.strategy.selection.state import EngineState, Evaluated, Failed, Started, Stopped
from mrmarket.trading.strategy.selection.thresholds import Thresholds
from selection_samples import EAGER, START_NS, candidate, scored

MAKER, ARB = candidate("mm"), candidate("arb")
BOTH = {"mm": MAKER, "arb": ARB}
MINUTE_NS = 60 * NS_PER_S


def evaluate(
    state: EngineState,
    *,
    mm: float | None = 0.01,
    arb: float | None = 0.05,
    after_s: float = 0,
    thresholds: Thresholds = EAGER,
    candidates: dict[str, Candidate] = BOTH,
    owner: frozenset[str] = frozenset(),
    mm_upper: float | None = None,
) -> Step:
    """One evaluation, so long after the start."""
    event = Evaluated(
        scores=(scored("mm", mm, upper=mm_upper), scored("arb", arb)),
        held_by_owner=owner,
    )
    return decide(state, event, candidates, thresholds, START_NS + int(after_s * NS_PER_S))


def happens(step: Step, event: Stopped | Started | Failed, after_s: float = 0) -> Step:
    """What follows from the world's answer."""
    return decide(step.state, event, BOTH, EAGER, START_NS + int(after_s * NS_PER_S))


def switched(after_s: float = 0, thresholds: Thresholds = EAGER) -> EngineState:
    """Market making has given way to arbitrage."""
    step = evaluate(begin(MAKER, START_NS), after_s=after_s, thresholds=thresholds)
    step = happens(step, Stopped(candidate="mm", proven=True), after_s)
    return happens(step, Started(candidate="arb"), after_s).state


def test_a_switch_stops_first_and_starts_only_after_the_proof() -> None:
    """Between two strategies every order of the first is proven closed."""
    step = evaluate(begin(MAKER, START_NS))
    assert [type(action) for action in step.actions] == [Stop]
    assert step.decision is not None
    assert (step.decision.outcome, step.decision.verdict) == (Outcome.SWITCH, Verdict.BETTER)
    unproven = happens(step, Stopped(candidate="mm", proven=False, detail="order 7"))
    assert [type(action) for action in unproven.actions] == [Stop]
    assert unproven.decision is not None
    assert unproven.decision.outcome is Outcome.UNPROVEN
    again = happens(unproven, Stopped(candidate="mm", proven=False, detail="order 7"))
    assert again.decision is not None
    assert not again.decision.recorded
    proven = happens(again, Stopped(candidate="mm", proven=True))
    assert [type(action) for action in proven.actions] == [Start]
    done = happens(proven, Started(candidate="arb"))
    assert (done.state.current, done.state.phase) == ("arb", "steady")


def test_an_interrupted_run_is_taken_up_again() -> None:
    """Who gives way is remembered, and told so when it goes on."""
    state = switched()
    assert [parked.candidate for parked in state.parked] == ["mm"]
    step = evaluate(state, mm=0.5, arb=0.01, after_s=60)
    step = happens(step, Stopped(candidate="arb", proven=True), 60)
    (start,) = step.actions
    assert isinstance(start, Start)
    assert start.resumes
    step = happens(step, Started(candidate="mm"), 60)
    assert step.decision is not None
    assert step.decision.resumes
    assert [parked.candidate for parked in step.state.parked] == ["arb"]


@pytest.mark.parametrize(
    ("mm", "arb", "verdict"),
    [
        (0.01, 0.014, Verdict.NOT_BETTER),  # not 1.5 times
        (0.0001, 0.0010, Verdict.NOT_BETTER),  # ten times, but not the margin more
        (-0.05, -0.01, Verdict.NOT_BETTER),  # better, and still a loss
        (0.01, None, Verdict.NO_CHALLENGER),
        (0.01, float("nan"), Verdict.NO_CHALLENGER),
        (0.01, float("inf"), Verdict.NO_CHALLENGER),
    ],
)
def test_who_is_not_better_by_the_inequality_stays_out(
    mm: float, arb: float | None, verdict: Verdict
) -> None:
    """Ratio, margin and a gain of its own are all needed, and numbers that are none never win."""
    step = evaluate(begin(MAKER, START_NS), mm=mm, arb=arb, mm_upper=1.0)
    assert step.actions == ()
    assert step.decision is not None
    assert step.decision.verdict is verdict


def test_an_unknown_current_score_counts_as_nothing() -> None:
    """Where nothing is known of the current strategy, the newcomer must earn the margin."""
    assert evaluate(begin(MAKER, START_NS), mm=None, arb=0.0009).actions == ()
    assert evaluate(begin(MAKER, START_NS), mm=None, arb=0.0011).actions


def test_the_same_newcomer_must_win_in_a_row() -> None:
    """A loss in between starts the count anew."""
    patient = replace(EAGER, debounce=3)
    state = begin(MAKER, START_NS)
    verdicts = []
    for arb in (0.05, 0.05, 0.0, 0.05, 0.05, 0.05):
        step = evaluate(state, arb=arb, thresholds=patient)
        assert step.decision is not None
        verdicts.append(step.decision.verdict)
        state = step.state
    assert verdicts == [
        Verdict.DEBOUNCE,
        Verdict.DEBOUNCE,
        Verdict.NOT_BETTER,
        Verdict.DEBOUNCE,
        Verdict.DEBOUNCE,
        Verdict.BETTER,
    ]


@pytest.mark.parametrize(
    ("thresholds", "verdict"),
    [
        (replace(EAGER, cool_down_s=100), Verdict.COOL_DOWN),
        (replace(EAGER, dwell_s=100), Verdict.DWELL),
        (replace(EAGER, switches_per_hour=1), Verdict.FREQUENCY),
    ],
)
def test_time_forbids_a_switch_that_is_worth_it(thresholds: Thresholds, verdict: Verdict) -> None:
    """Cool-down, dwell and frequency each hold, are recorded when they first do, and end."""
    state = switched()
    step = evaluate(state, mm=0.5, arb=0.01, after_s=99, thresholds=thresholds)
    assert step.decision is not None
    assert (step.decision.verdict, step.decision.recorded) == (verdict, True)
    again = evaluate(step.state, mm=0.5, arb=0.01, after_s=99.5, thresholds=thresholds)
    assert again.decision is not None
    assert not again.decision.recorded
    assert evaluate(state, mm=0.5, arb=0.01, after_s=3_601, thresholds=thresholds).actions


def test_a_modest_newcomer_waits_in_the_queue() -> None:
    """Who may not interrupt waits until the current strategy earns nothing."""
    modest = {"mm": MAKER, "arb": candidate("arb", can_interrupt=False)}
    step = evaluate(begin(MAKER, START_NS), candidates=modest)
    assert step.decision is not None
    assert step.decision.verdict is Verdict.CANNOT_INTERRUPT
    assert step.state.table.queue == ("arb",)
    assert evaluate(step.state, mm=-0.01, candidates=modest, mm_upper=0.1).actions
    hopeless = evaluate(step.state, arb=-0.01, candidates=modest)
    assert hopeless.state.table.queue == ()


def test_a_key_in_other_hands_is_waited_for() -> None:
    """A mutex that another strategy holds keeps a better one out, and the reason names the holder."""
    stranger = candidate("stranger", accounts=("b/default",))
    wide = {"mm": MAKER, "arb": candidate("arb", accounts=("a/default", "b/default"))}
    state = begin(MAKER, START_NS)
    table, granted = state.table.take(stranger)
    assert granted
    step = evaluate(replace(state, table=table), candidates=wide)
    assert step.decision is not None
    assert step.decision.verdict is Verdict.MUTEX
    assert "stranger" in step.decision.reason
    freed = replace(step.state, table=step.state.table.give_back("stranger"))
    assert evaluate(freed, candidates=wide).actions


def test_a_strategy_that_loses_beyond_doubt_ends_with_nothing_in_its_place() -> None:
    """Idle is entered when even the upper bound is a loss, and left for whoever earns."""
    step = evaluate(begin(MAKER, START_NS), mm=-0.05, arb=None, mm_upper=-0.01)
    assert step.decision is not None
    assert step.decision.outcome is Outcome.IDLE
    stays = replace(EAGER, may_idle=False)
    assert not evaluate(begin(MAKER, START_NS), mm=-0.05, arb=None, mm_upper=-0.01, thresholds=stays).actions
    step = happens(step, Stopped(candidate="mm", proven=True))
    assert (step.state.current, step.actions) == ("", ())
    again = evaluate(step.state, mm=-0.05, arb=0.05)
    (start,) = again.actions
    assert isinstance(start, Start)


def test_the_owners_pause_is_not_undone_by_a_switch() -> None:
    """While the owner holds the current strategy, nothing is begun in its place."""
    step = evaluate(begin(MAKER, START_NS), owner=frozenset({"mm"}))
    assert step.actions == ()
    assert step.decision is not None
    assert (step.decision.verdict, step.decision.recorded) == (Verdict.OWNER_HOLDS, True)
    held = evaluate(begin(MAKER, START_NS), owner=frozenset({"arb"}))
    assert held.actions == ()


def test_a_run_that_fails_gives_way_and_rests() -> None:
    """What failed is stopped to the proof, and not chosen again before its rest is over."""
    step = happens(Step(switched()), Failed(candidate="arb", reason="boom"))
    assert [type(action) for action in step.actions] == [Stop]
    assert step.decision is not None
    assert step.decision.outcome is Outcome.FAILED
    step = happens(step, Stopped(candidate="arb", proven=True))
    assert step.state.current == ""
    rests = evaluate(step.state, mm=-1, arb=0.05, after_s=59)
    assert rests.actions == ()
    assert evaluate(step.state, mm=-1, arb=0.05, after_s=61).actions


def test_a_newcomer_that_cannot_begin_is_stopped_and_nothing_follows() -> None:
    """A failure while it starts, or while it is waited for, ends in idle."""
    step = happens(evaluate(begin(MAKER, START_NS)), Stopped(candidate="mm", proven=True))
    failed = happens(step, Failed(candidate="arb", reason="no market"))
    assert (failed.state.phase, failed.state.current) == ("stopping", "arb")
    waiting = happens(evaluate(begin(MAKER, START_NS)), Failed(candidate="arb", reason="no market"))
    assert (waiting.state.phase, waiting.state.target) == ("stopping", "")
    ended = happens(waiting, Stopped(candidate="mm", proven=True))
    assert (ended.state.phase, ended.actions) == ("steady", ())


def test_a_failure_elsewhere_only_bars_the_failed() -> None:
    """A strategy that fails on paper touches nobody's turn."""
    step = happens(Step(begin(MAKER, START_NS)), Failed(candidate="arb", reason="boom"))
    assert (step.state.current, step.actions) == ("mm", ())
    assert evaluate(step.state).actions == ()


def test_a_restart_asks_again_for_what_was_under_way() -> None:
    """Every saved phase names the action that is to be carried out once more."""
    stopping = evaluate(begin(MAKER, START_NS))
    assert pending(stopping.state) == stopping.actions
    starting = happens(stopping, Stopped(candidate="mm", proven=True))
    assert pending(starting.state) == starting.actions
    assert pending(begin(MAKER, START_NS)) == ()


def test_answers_to_another_question_change_nothing() -> None:
    """A late answer of an earlier step is passed over, and so is an evaluation under way."""
    state = begin(MAKER, START_NS)
    assert happens(Step(state), Stopped(candidate="mm", proven=True)).state == state
    assert happens(Step(state), Started(candidate="arb")).state == state
    under_way = evaluate(state).state
    assert evaluate(under_way).state == under_way


def test_evaluations_that_change_nothing_are_sampled() -> None:
    """One in so many is recorded."""
    state, recorded = begin(MAKER, START_NS), []
    for _ in range(9):
        step = evaluate(state, arb=0.0, thresholds=replace(EAGER, record_every=3))
        assert step.decision is not None
        recorded.append(step.decision.recorded)
        state = step.state
    assert recorded == [False, False, True] * 3


def test_a_change_of_thresholds_is_a_decision_of_its_own() -> None:
    """It names what changed, and by whom; no change is none."""
    decision = tuning(EAGER, replace(EAGER, ratio=2.0), current="mm", by="owner", at_ms=5)
    assert decision is not None
    assert (decision.changed, decision.by, decision.outcome) == ({"ratio": 2.0}, "owner", Outcome.TUNED)
    assert "ratio 1.5 → 2" in decision.reason
    assert tuning(EAGER, EAGER, current="mm", by="owner", at_ms=5) is None
