"""What holds of the machine whatever happens to it."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from mrmarket.core.clock import NS_PER_S
from mrmarket.trading.strategy.selection.candidate import Candidate
from mrmarket.trading.strategy.selection.decision import Action, Outcome, Start, Stop
from mrmarket.trading.strategy.selection.machine import begin, decide
from mrmarket.trading.strategy.selection.rule import needed_to_replace
from mrmarket.trading.strategy.selection.state import Evaluated, Event, Failed, Started, Stopped
from mrmarket.trading.strategy.selection.thresholds import Thresholds
from selection_samples import EAGER, START_NS, candidate, scored

NAMES = ("mm", "arb", "grid")
CANDIDATES: dict[str, Candidate] = {
    "mm": candidate("mm"),
    "arb": candidate("arb", accounts=("a/default", "b/default")),
    "grid": candidate("grid", can_interrupt=False),
}
VALUES = st.one_of(
    st.none(), st.sampled_from([float("nan"), float("inf"), float("-inf")]), st.floats(-0.1, 0.1)
)
EVENTS = st.one_of(
    st.builds(
        lambda values, owner: Evaluated(
            scores=tuple(scored(name, value) for name, value in zip(NAMES, values, strict=True)),
            held_by_owner=frozenset(owner),
        ),
        st.tuples(VALUES, VALUES, VALUES),
        st.sets(st.sampled_from(NAMES), max_size=1),
    ),
    st.builds(Stopped, candidate=st.sampled_from(NAMES), proven=st.booleans()),
    st.builds(Started, candidate=st.sampled_from(NAMES)),
    st.builds(Failed, candidate=st.sampled_from(NAMES), reason=st.just("boom")),
)
THRESHOLDS = st.builds(
    lambda ratio, margin, debounce, dwell, per_hour: replace(
        EAGER,
        ratio=ratio,
        margin_per_h=margin,
        debounce=debounce,
        dwell_s=dwell,
        cool_down_s=dwell,
        switches_per_hour=per_hour,
    ),
    st.floats(1, 3),
    st.floats(0, 0.01),
    st.integers(1, 3),
    st.floats(0, 300),
    st.integers(0, 4),
)


class World:
    """Who trades by the actions that were asked for and answered; it checks what must never be."""

    def __init__(self) -> None:
        self.trading = {"mm"}

    def do(self, actions: tuple[Action, ...]) -> None:
        """Only one ever trades: a start comes when nobody does any more."""
        for action in actions:
            if isinstance(action, Start):
                assert not self.trading - {action.candidate}
                self.trading = {action.candidate}
            else:
                assert isinstance(action, Stop)

    def hear(self, event: Event) -> None:
        """A proof is the world's word."""
        if isinstance(event, Stopped) and event.proven:
            self.trading.discard(event.candidate)


@settings(max_examples=250, deadline=None)
@given(st.lists(st.tuples(EVENTS, st.floats(0, 600)), max_size=40), THRESHOLDS)
def test_the_rules_hold_whatever_happens(course: list[tuple[Event, float]], thresholds: Thresholds) -> None:
    """No two hold a key, no more switches an hour than allowed, and none without the inequality."""
    state, now_ns = begin(CANDIDATES["mm"], START_NS), START_NS
    world, switches = World(), []
    for event, seconds in course:
        now_ns += int(seconds * NS_PER_S)
        # The world proves only what it was asked to stop, and starts only what it was asked to.
        if isinstance(event, Stopped) and (state.phase != "stopping" or event.candidate != state.current):
            continue
        if isinstance(event, Started) and (state.phase != "starting" or event.candidate != state.target):
            continue
        world.hear(event)
        step = decide(state, event, CANDIDATES, thresholds, now_ns)
        world.do(step.actions)
        decision = step.decision
        if decision is not None and decision.outcome is Outcome.SWITCH:
            switches.append(now_ns)
            assert isinstance(event, Evaluated)
            assert decision.challenger_value is not None
            assert decision.challenger_value > 0
            current = float("nan") if decision.current_value is None else decision.current_value
            assert decision.challenger_value >= needed_to_replace(current, thresholds)
            assert decision.challenger not in event.held_by_owner
            assert state.current not in event.held_by_owner
        state = step.state
        for held in state.table.held:
            clashing = [each for each in state.table.held if each.key.clashes(held.key)]
            assert {each.holder for each in clashing} == {held.holder}
        if state.current:
            assert state.table.holds(state.current)
    for end in switches:
        within = [each for each in switches if end - 3_600 * NS_PER_S < each <= end]
        assert len(within) <= thresholds.switches_per_hour
