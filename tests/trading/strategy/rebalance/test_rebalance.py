"""Balances between places: planned where it pays, moved once, followed to the end."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrmarket.core.clock import NS_PER_S, ManualClock
from mrmarket.trading.strategy.rebalance.machine import (
    Learnt,
    Refused,
    Requested,
    Tick,
    TransferRules,
    TransferStage,
    TransferState,
    TransferStep,
    decide,
    transfer_key,
)
from mrmarket.trading.strategy.rebalance.plan import Terms, Wanted, equally, plan, targets
from mrmarket.trading.strategy.rebalance.port import TransferFate, TransferOrder
from mrmarket.trading.strategy.rebalance.rebalancer import Rebalancer
from mrmarket.trading.strategy.rebalance.simulated import SimulatedTransfers

FREE = Terms(0)
GAIN = Fraction(1, 10)
PLACES = ("a", "b", "c")


def test_balances_are_equalised() -> None:
    """From the fullest to the emptiest, one transfer a pair of places, to exactly a third each."""
    found = plan("BTC", {"a": 90, "b": 0, "c": 0}, Wanted(equally(*PLACES)), lambda *_: FREE, gain=GAIN)
    assert [(move.source, move.target, move.units) for move in found.moves] == [
        ("a", "b", 30),
        ("a", "c", 30),
    ]
    assert (
        plan("BTC", {"a": 35, "b": 30, "c": 25}, Wanted(equally(*PLACES)), lambda *_: FREE, gain=GAIN).moves
        == ()
    )


def test_minimums_come_first() -> None:
    """A place is filled up to its minimum even inside the band; what cannot be met is split by them."""
    wanted = Wanted(equally("a", "b"), {"b": 48}, band=Fraction(1, 2))
    found = plan("BTC", {"a": 60, "b": 40}, wanted, lambda *_: FREE, gain=GAIN)
    assert [(move.target, move.units) for move in found.moves] == [("b", 10)]
    assert targets(100, Wanted(equally("a", "b"), {"a": 300, "b": 100})) == {"a": 75, "b": 25}
    assert targets(100, Wanted(equally("a", "b"), {"a": 80})) == {"a": 80, "b": 20}
    assert targets(7, Wanted({"a": Fraction(0), "b": Fraction(1)})) == {"a": 0, "b": 7}
    assert targets(3, Wanted(equally("a", "b"), {"a": 0})) == {"a": 2, "b": 1}


@pytest.mark.parametrize(
    ("terms", "gain", "idle", "words"),
    [
        (Terms(5), GAIN, Fraction(0), "costs 5 units and is expected to bring 4.5"),
        (Terms(1), GAIN, Fraction(1, 10), "costs 6 units and is expected to bring 4.9"),
        (Terms(0, least_units=60), GAIN, Fraction(0), "too little"),
        (Terms(50), Fraction(9), Fraction(0), "too little"),
        (None, GAIN, Fraction(0), "no way"),
    ],
)
def test_what_costs_more_than_it_brings_stays(
    terms: Terms | None, gain: Fraction, idle: Fraction, words: str
) -> None:
    """Fee, time under way, least amount and a missing way each keep it where it is, and are said."""
    found = plan(
        "BTC", {"a": 100, "b": 0}, Wanted(equally("a", "b")), lambda *_: terms, gain=gain, idle_cost=idle
    )
    assert found.moves == ()
    assert words in found.left[0]


@given(
    held=st.fixed_dictionaries(dict.fromkeys(PLACES, st.integers(0, 1000))),
    minimum=st.fixed_dictionaries(dict.fromkeys(PLACES, st.integers(0, 400))),
    fee=st.integers(0, 20),
    most=st.none() | st.integers(1, 300),
)
def test_a_plan_never_makes_it_worse(
    held: dict[str, int], minimum: dict[str, int], fee: int, most: int | None
) -> None:
    """Targets add up; nothing is sent from below its target or beyond another's; each move pays."""
    wanted = Wanted(equally(*PLACES), minimum)
    goal = targets(sum(held.values()), wanted)
    assert sum(goal.values()) == sum(held.values())
    after = dict(held)
    for move in plan("X", held, wanted, lambda *_: Terms(fee, 0, most), gain=GAIN).moves:
        assert move.benefit_units > move.cost_units
        assert move.units > fee
        after[move.source] -= move.units
        after[move.target] += move.units
    for place in PLACES:
        assert abs(after[place] - goal[place]) <= abs(held[place] - goal[place])
        assert (after[place] - goal[place]) * (held[place] - goal[place]) >= 0


def made(clock: ManualClock, **changes: int) -> tuple[Rebalancer, SimulatedTransfers, list[TransferState]]:
    """100 at one place, none at the other; a transfer takes 30 s and costs 2."""
    port = SimulatedTransfers(clock, {"BTC": {"a": 100, "b": 0}}, Terms(2), 30 * NS_PER_S)
    late: list[TransferState] = []
    rules = TransferRules(absent_after_ns=20 * NS_PER_S, **changes)
    rebalancer = Rebalancer(
        "run",
        "BTC",
        Wanted(equally("a", "b")),
        port,
        clock,
        gain=lambda: GAIN,
        rules=rules,
        on_late=late.append,
    )
    return rebalancer, port, late


async def until_over(
    rebalancer: Rebalancer, clock: ManualClock, port: SimulatedTransfers, most: int = 50
) -> None:
    """Step every 5 s; money is never made or lost beyond the fee."""
    for _ in range(most):
        await rebalancer.step()
        if not port.deaf:
            held = await port.held("BTC")
            assert sum(held.values()) + port.under_way in (100, 98)
        if not rebalancer.is_at_work:
            return
        clock.advance(5 * NS_PER_S)


async def test_a_plan_is_carried_out_once() -> None:
    """Requested, followed, arrived less its fee; then nothing is off any more."""
    clock = ManualClock()
    rebalancer, port, late = made(clock)
    await until_over(rebalancer, clock, port)
    assert await port.held("BTC") == {"a": 50, "b": 48}
    assert (rebalancer.arrived, port.requests, late) == (1, 1, [])
    assert not await rebalancer.step()
    assert rebalancer.number == 1


@pytest.mark.parametrize(("fault", "requests"), [("lose_answer", 1), ("lose_request", 2)])
async def test_a_lost_answer_moves_the_money_once(fault: str, requests: int) -> None:
    """Begun or not, it is asked for first; a second request goes only once its absence is proven."""
    clock = ManualClock()
    rebalancer, port, _ = made(clock)
    port.faults.append(fault)
    await until_over(rebalancer, clock, port)
    assert await port.held("BTC") == {"a": 50, "b": 48}
    assert port.requests == requests


async def test_a_refused_transfer_fails_and_one_that_never_begins_too() -> None:
    """The reason is kept; after its attempts it is given up, and no money is missing."""
    clock = ManualClock()
    rebalancer, port, _ = made(clock)
    port.faults.append("refuse")
    await rebalancer.step()
    assert rebalancer.transfers[0].stage is TransferStage.FAILED
    assert "does not send" in rebalancer.transfers[0].reason
    port.faults.extend(["lose_request"] * 3)
    await until_over(rebalancer, clock, port)
    assert rebalancer.transfers[0].reason == "it could not be begun"
    assert await port.held("BTC") == {"a": 100, "b": 0}


async def test_a_late_transfer_is_told_of_once_and_followed() -> None:
    """While nobody answers the owner hears of it and nothing is sent again; an heir follows it on."""
    clock = ManualClock()
    rebalancer, port, late = made(clock, late_after_ns=60 * NS_PER_S)
    await rebalancer.step()
    port.deaf = True
    await until_over(rebalancer, clock, port, most=30)
    assert len(late) == 1
    assert port.requests == 1
    heir, _, _ = made(clock)
    heir = Rebalancer(
        "run", "BTC", Wanted(equally("a", "b")), port, clock, gain=lambda: GAIN, number=rebalancer.number
    )
    heir.adopt(rebalancer.transfers)
    port.deaf = False
    await until_over(heir, clock, port)
    assert (heir.arrived, port.requests) == (1, 1)
    port.deaf = True
    assert not await heir.step()


def test_what_no_longer_matters_changes_nothing() -> None:
    """A transfer that is over stays over; a place that forgets a known one proves nothing."""
    order = TransferOrder(transfer_key("run", 1, 0), "BTC", "a", "b", 5)
    assert order.key == "run-r1-0"
    state, steps = decide(TransferState(order), Tick(0))
    assert steps == (TransferStep.REQUEST,)
    state, _ = decide(state, Requested(1))
    assert decide(state, Learnt(10**15, TransferFate.ABSENT)) == (state, ())
    failed, _ = decide(state, Learnt(2, TransferFate.FAILED))
    assert failed.stage is TransferStage.FAILED
    assert decide(failed, Refused(3, "no")) == (failed, ())
