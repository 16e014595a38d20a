"""Which engine takes which run."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from mrmarket.services.engine.placement import Moves, plan_moves, shares

NODES = st.integers(1, 6).map(lambda count: [f"n{i}" for i in range(count)])


@st.composite
def worlds(draw: st.DrawFn) -> tuple[list[str], dict[str, str]]:
    """Live engines, and runs held by them, by engines that are gone, or by nobody."""
    nodes = draw(NODES)
    runs = [f"r{i:03}" for i in range(draw(st.integers(0, 40)))]
    holders = {run: draw(st.sampled_from([*nodes, "gone", ""])) for run in runs}
    return nodes, holders


def step(nodes: list[str], holders: dict[str, str], at_once: int) -> int:
    """Every engine acts once on the same rows; returns how many runs were handed over."""
    moves = {node: plan_moves(node, holders, nodes, at_once=at_once) for node in nodes}
    handed = 0
    for node, move in moves.items():
        for run in move.claim:
            if not holders[run]:
                holders[run] = node
        for run in move.hand_over:
            assert holders[run] == node
            holders[run] = ""
            handed += 1
    return handed


@given(worlds(), st.integers(1, 5))
def test_placement_comes_to_rest_with_fair_shares(
    world: tuple[list[str], dict[str, str]], at_once: int
) -> None:
    """Leases of engines that are gone run out, then every run is held and shares differ by one at most."""
    nodes, holders = world
    holders = {run: "" if node == "gone" else node for run, node in holders.items()}
    for _ in range(100):
        before = dict(holders)
        step(nodes, holders, at_once)
        if holders == before:
            break
    held = Counter(dict.fromkeys(nodes, 0))
    held.update(holders.values())
    assert "" not in holders.values()
    assert max(held.values()) - min(held.values()) <= 1


@given(worlds(), st.integers(1, 5))
def test_no_more_runs_move_than_are_too_many_somewhere(
    world: tuple[list[str], dict[str, str]], at_once: int
) -> None:
    """Whoever is not above a fair share keeps everything, and nobody gives a run away twice."""
    nodes, holders = world
    held = Counter(dict.fromkeys(nodes, 0))
    held.update(node for node in holders.values() if node in held)
    fair = shares(held, len(holders))
    too_many = sum(max(0, held[node] - fair[node]) for node in nodes)
    holders = {run: "" if node == "gone" else node for run, node in holders.items()}
    moved = sum(step(nodes, holders, at_once) for _ in range(100))
    assert moved <= too_many


@given(worlds(), st.integers(1, 5))
def test_each_free_run_has_one_taker(world: tuple[list[str], dict[str, str]], at_once: int) -> None:
    """On the same rows the engines' claims are disjoint and leave no free run."""
    nodes, holders = world
    claims = [run for node in nodes for run in plan_moves(node, holders, nodes, at_once=at_once).claim]
    assert sorted(claims) == sorted(run for run, node in holders.items() if not node)


@given(worlds(), st.integers(1, 5))
def test_never_more_than_allowed_are_handed_over_at_once(
    world: tuple[list[str], dict[str, str]], at_once: int
) -> None:
    """And only runs that are one's own."""
    nodes, holders = world
    for node in nodes:
        move = plan_moves(node, holders, nodes, at_once=at_once)
        assert len(move.hand_over) <= at_once
        assert all(holders[run] == node for run in move.hand_over)


def test_nothing_is_handed_over_while_free_runs_can_fill_the_gap() -> None:
    """An engine that came new takes what is free first."""
    holders = {"a": "one", "b": "one", "c": "", "d": ""}
    assert plan_moves("one", holders, ["one", "two"]) == Moves()
    assert plan_moves("two", holders, ["one", "two"]) == Moves(claim=("c", "d"))


def test_runs_of_an_engine_that_is_gone_count_as_free_soon() -> None:
    """Nobody gives anything to an engine that is about to take those."""
    holders = {"a": "one", "b": "one", "c": "gone", "d": "gone"}
    assert plan_moves("one", holders, ["one", "two"], at_once=4) == Moves()


def test_what_has_not_begun_goes_first_and_does_not_count() -> None:
    """A lease under which nothing was sent yet costs nothing to give back."""
    holders = {f"r{number}": "one" for number in range(8)}
    moves = plan_moves("one", holders, ["one", "two"], waiting={"r0", "r2", "r3"}, at_once=1)
    assert moves == Moves(hand_over=("r0", "r2", "r3", "r7"))


def test_what_is_being_set_down_is_not_set_down_twice() -> None:
    """Nor is another run given away in its place."""
    holders = {f"r{number}": "one" for number in range(4)}
    assert plan_moves("one", holders, ["one", "two"], leaving={"r0", "r1"}, at_once=4) == Moves()
    assert plan_moves("one", holders, ["one", "two"], leaving={"r0"}, at_once=4) == Moves(hand_over=("r3",))
    assert plan_moves("one", holders, ["one", "two"], leaving={"r0"}, at_once=1) == Moves()


def test_a_barred_run_is_left_to_others_and_an_overdue_one_to_anybody() -> None:
    """Where its engine cannot start a run, another takes it."""
    holders = {"a": "", "b": "two"}
    assert plan_moves("one", holders, ["one", "two"], barred={"a"}) == Moves()
    assert plan_moves("two", holders, ["one", "two"]) == Moves()
    assert plan_moves("two", holders, ["one", "two"], overdue={"a"}) == Moves(claim=("a",))


def test_without_engines_there_are_no_shares() -> None:
    """Nothing to divide by."""
    assert shares({}, 3) == {}


def test_a_run_that_was_given_back_is_left_to_a_late_engine_and_a_lost_one_is_not() -> None:
    """Until it is overdue; a late engine that holds as many as others gets nothing more."""
    holders = {"a": "n0", "b": "n0", "c": ""}
    assert plan_moves("n0", holders, ["n0"], late=["n1"], given=["c"]) == Moves()
    assert plan_moves("n0", holders, ["n0"], late=["n1"]) == Moves(claim=("c",))
    assert plan_moves("n0", holders, ["n0"], late=["n1"], given=["c"], overdue=["c"]) == Moves(claim=("c",))
    full = holders | {"d": "n1", "e": "n1"}
    assert plan_moves("n0", full, ["n0"], late=["n1"], given=["c"]) == Moves(claim=("c",))
