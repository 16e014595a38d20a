"""A round of three orders: whatever the venue does, nothing is spent twice and nothing is forgotten."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrmarket.core.clock import NS_PER_S
from mrmarket.core.instrument import Instrument
from mrmarket.core.side import Side
from mrmarket.trading.execution.legs import (
    Ask,
    Begin,
    Corrected,
    Doubted,
    Ended,
    Halt,
    LegRules,
    LegStage,
    Send,
    Tick,
    decide,
)
from mrmarket.trading.strategy.multileg.amounts import in_words
from mrmarket.trading.strategy.multileg.budget import leg_budget
from mrmarket.trading.strategy.triangular.parameters import TriangularParameters
from mrmarket.trading.strategy.triangular.round import RoundState, begin, resume
from mrmarket.trading.strategy.triangular.round_plan import (
    RoundPart,
    RoundPlan,
    parse_round_slot,
    round_slot,
    step_of,
)

FEE = Fraction(1, 1000)
RULES = LegRules(retries=2, band=Fraction(1, 2000), unwind_retries=2)
FREE = Fraction(10**6)


def pair(base: str, quote: str, least: str = "0") -> Instrument:
    """A pair with ticks of 0.01 and lots of 0.001."""
    return Instrument(
        venue="one",
        symbol=f"{base}/{quote}",
        base=base,
        quote=quote,
        tick_size=Decimal("0.01"),
        lot_size=Decimal("0.001"),
        min_notional=Decimal(least),
    )


def around(least: str = "0") -> RoundPlan:
    """Buy B at 100, buy C with it at 1.96, sell C at 200."""
    return RoundPlan(
        "A",
        (
            step_of(pair("B", "A", least), Side.BUY, 10_000),
            step_of(pair("C", "B"), Side.BUY, 196),
            step_of(pair("C", "A", least), Side.SELL, 20_000),
        ),
        500,
    )


def filled(plan: RoundPlan, send: Send, lots: int) -> dict[str, Fraction]:
    """What lots of an order change at its own price, the fee in what is received."""
    step = plan.steps[send.place]
    base, notional = lots * step.lot, lots * step.lot * send.price_ticks * step.tick
    if send.side is Side.BUY:
        return {step.quote: -notional, step.base: base * (1 - FEE)} if lots else {}
    return {step.base: -base, step.quote: notional * (1 - FEE)} if lots else {}


def play(plan: RoundPlan, shares: list[str], seconds: float = 0.1) -> tuple[RoundState, list[Send]]:
    """A round whose orders are answered in turn: `1` in full, `0.5` half, `0` not, `no` refused."""
    answers = iter(shares)
    state, actions = decide(begin(plan, RULES), Begin(0, FREE))
    sent: list[Send] = []
    now_ns = 0
    while not state.is_over:
        (send,) = (each for each in actions if isinstance(each, Send))
        sent.append(send)
        now_ns += round(seconds * NS_PER_S)
        answer = next(answers, "1")
        lots = 0 if answer == "no" else int(send.size_lots * Decimal(answer))
        reason = "no such luck" if answer == "no" else ""
        state, actions = decide(state, Ended(now_ns, send.slot, filled(plan, send, lots), reason))
    return state, sent


def slots(sent: list[Send]) -> list[str]:
    """In order."""
    return [each.slot for each in sent]


def test_a_round_comes_home_with_more() -> None:
    """Three orders in full, each paid with what the one before brought, and a remainder that goes home."""
    state, sent = play(around(), [])
    assert slots(sent) == ["t100", "t200", "t300", "tb00"]
    assert (state.stage, state.reason, state.failed) == (LegStage.DONE, "all three are through", False)
    assert Fraction(4, 10) < state.gained < Fraction(9, 10)
    assert all(abs(amount) < Fraction(1, 500) for amount in state.held.values())


@pytest.mark.parametrize(
    ("answers", "order", "end"),
    [
        (["0"], ["t100"], "the first order missed"),
        (["no"], ["t100"], "no such luck"),
        (["0.5"], ["t100", "t200", "t300"], "all three are through"),
        (["1", "0", "1"], ["t100", "t200", "t201", "t300"], "all three are through"),
        (["1", "0", "0", "0"], ["t100", "t200", "t201", "t202", "tb00"],
         "undone: a pair did not take all of it"),
        (["1", "no", "no", "no"], ["t100", "t200", "t201", "t202", "tb00"], "undone: no such luck"),
        (["1", "0.5", "0", "0"], ["t100", "t200", "t201", "t202", "t300", "tb00"],
         "undone: a pair did not take all of it"),
        (["1", "1", "0", "0", "0", "0"], ["t100", "t200", "t300", "t301", "t302", "tc00", "tc01"],
         "undone: a pair did not take all of it"),
    ],
)  # fmt: skip
def test_what_is_not_taken_goes_home(answers: list[str], order: list[str], end: str) -> None:
    """Misses, parts and refusals at each order: tried again, then brought home by the asset's own pair."""
    state, sent = play(around("1"), answers)
    assert slots(sent)[: len(order)] == order
    assert (state.stage, state.reason) == (LegStage.DONE, end)
    held = {asset: amount for asset, amount in state.held.items() if amount > Fraction(11, 1000)}
    assert not held


def test_after_the_deadline_nothing_is_tried_again() -> None:
    """The second order that missed after five seconds is not repeated."""
    state, sent = play(around("1"), ["1", "0"], seconds=3)
    assert slots(sent)[:3] == ["t100", "t200", "tb00"]
    assert state.reason == "undone: an order was too late"


def test_what_cannot_be_brought_home_halts_and_says_what_is_held() -> None:
    """Every order after the first refused: a halt that names the asset, and a late fill tells it again."""
    plan = around("1")
    state, sent = play(plan, ["1", *["no"] * 9])
    assert slots(sent)[-1] == "tb02"
    assert state.stage is LegStage.HALTED
    assert set(state.held) == {"B"}
    assert "could not be brought home" in state.reason
    later, actions = decide(state, Corrected(9, {"B": -state.held["B"]}))
    assert [type(each) for each in actions] == [Halt]
    assert in_words(later.held) == "nothing"


def test_an_order_without_an_answer_is_asked_for_before_anything_is_sent() -> None:
    """In doubt nothing is sent; the answer goes on with it, and a minute without one halts."""
    plan = around()
    state, (first,) = decide(begin(plan, RULES), Begin(0, FREE))
    assert isinstance(first, Send)
    doubted, actions = decide(state, Doubted(1, "t100"))
    assert actions == (Ask("t100", 0),)
    assert decide(doubted, Doubted(2, "t100")) == (doubted, ())
    assert decide(doubted, Tick(3)) == (doubted, ())
    known, actions = decide(doubted, Ended(4, "t100", filled(plan, first, 500)))
    assert [each.slot for each in actions if isinstance(each, Send)] == ["t200"]
    assert decide(known, Ended(5, "t100", {})) == (known, ())
    halted, actions = decide(doubted, Tick(61 * NS_PER_S))
    assert halted.stage is LegStage.HALTED
    assert "t100 stays unknown" in halted.reason
    assert decide(halted, Ended(6, "t100", {}))[1] == (Halt(halted.reason, {}),)


def test_a_late_fill_goes_home_too() -> None:
    """A fill that comes after a round was settled is brought home by its own pair."""
    plan = around("1")
    state, _ = play(plan, ["0"])
    late, actions = decide(state, Corrected(9, {"A": Fraction(-10), "B": Fraction(1, 10)}))
    assert [each.slot for each in actions if isinstance(each, Send)] == ["tb00"]
    assert late.stage is LegStage.UNWIND
    running, _ = decide(begin(plan, RULES), Begin(0, FREE))
    assert decide(running, Corrected(9, {"B": Fraction(1)}))[1] == ()


def test_a_first_order_that_cannot_be_paid_is_not_sent() -> None:
    """Too little of home, or an order below the pair's least: refused, with the reason."""
    state, actions = decide(begin(around(), RULES), Begin(0, Fraction(49)))
    assert (state.stage, state.reason) == (LegStage.REFUSED, "balance of the first order, B/A")
    assert not any(isinstance(each, Send) for each in actions)
    small = replace(around("5"), first_lots=1)
    assert decide(begin(small, RULES), Begin(0, FREE))[0].reason == "min_notional of the first order, B/A"
    assert decide(begin(replace(small, first_lots=0), RULES), Begin(0, FREE))[0].reason.startswith("lot")
    assert decide(state, Begin(1, FREE)) == (state, ())


def test_a_round_is_taken_up_after_a_crash() -> None:
    """What its fills add up to goes home, with the attempts that were made before counted on."""
    plan = around("1")
    held = {"A": Fraction(-50), "B": Fraction(1, 2)}
    state = resume(plan, RULES, held, {RoundPart.BACK: 1}, 7)
    assert state.stage is LegStage.UNWIND
    state, actions = decide(state, Tick(7))
    assert [each.slot for each in actions if isinstance(each, Send)] == ["tb01"]
    assert decide(state, Tick(8)) == (state, ())
    assert resume(plan, RULES, {"B": Fraction(1, 10**6)}, {}, 7).stage is LegStage.DONE


ANSWERS = st.lists(st.sampled_from(["0", "0.1", "0.5", "0.9", "1", "no"]), max_size=20)


@given(answers=ANSWERS, late=st.booleans(), least=st.sampled_from(["0", "1", "10"]))
def test_whatever_happens_nothing_is_spent_that_is_not_there(
    answers: list[str], late: bool, least: str
) -> None:
    """No id twice, no asset below zero, and at the end either a halt or nothing that a pair would take."""
    plan = around(least)
    state, sent = play(plan, answers, seconds=2 if late else 0.1)
    assert len(set(slots(sent))) == len(sent)
    assert all(amount >= 0 for asset, amount in state.changed.items() if asset != "A")
    spent: dict[str, Any] = {}
    for send in sent:
        step = plan.step(RoundPart(send.slot[1]))
        assert step.side is send.side
        assert not step.refusal(send.size_lots, send.price_ticks)
        spent[step.spends] = True
    back, home = plan.step(RoundPart.BACK), plan.step(RoundPart.HOME)
    left = [step.lots(state.held.get(step.spends, Fraction(0)), step.price_ticks) for step in (back, home)]
    if state.stage is LegStage.DONE and state.failed:
        # At a price inside the band a little more might be sold; not a tenth.
        assert all(lots * step.lot <= Fraction(1, 10) for lots, step in zip(left, (back, home), strict=True))
    if state.stage is LegStage.HALTED:
        assert state.held


def test_slots_read_back() -> None:
    """Part and attempt come back from a slot; what is none gives None."""
    for part in RoundPart:
        assert parse_round_slot(round_slot(part, 37)) == (part, 37)
    for other in ("a100", "t4", "t900", "b1", ""):
        assert parse_round_slot(other) is None


def test_a_budget_rests_after_a_round_and_longer_after_a_bad_one() -> None:
    """The pause, the cool-down after a failure, and the limit of repeated attempts within a minute."""
    terms = TriangularParameters(failure_cooldown=30, max_retries_per_minute=2)
    budget = leg_budget("round", terms, pause_s=1)
    good, _ = play(around(), [])
    bad, _ = play(around("1"), ["1", "0", "0", "0"])
    assert budget.refusal(0) == ""
    assert budget.after(good, 0).refusal(NS_PER_S // 2) == "resting between rounds"
    assert budget.after(good, 0).refusal(NS_PER_S) == ""
    after = budget.after(bad, 0)
    assert after.refusal(29 * NS_PER_S).startswith("cooling down")
    assert after.refusal(31 * NS_PER_S).startswith("budget: 2 repeated attempts")
    assert after.refusal(61 * NS_PER_S) == ""
