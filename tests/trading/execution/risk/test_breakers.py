"""Every breaker trips at its limit and not below."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrmarket.core.clock import NS_PER_S
from mrmarket.core.side import Side
from mrmarket.trading.execution.differences import Difference, DifferenceKind
from mrmarket.trading.execution.risk.breakers import (
    CountBreaker,
    DifferenceBreaker,
    DrawdownBreaker,
    LastingBreaker,
    LossBreaker,
    LossLimit,
    ShareBreaker,
    SlippageBreaker,
)
from mrmarket.trading.execution.risk.state import RiskState
from mrmarket.trading.execution.risk.windows import SumWindow, ValueWindow

MINUTE = 60 * NS_PER_S
CAPITAL = Decimal(10_000)
CENT = Decimal("0.01")
NOTHING = (None, "")


@pytest.mark.parametrize(
    ("limit", "amount"),
    [
        (LossLimit(quote=Decimal(50)), Decimal(50)),
        (LossLimit(share=Decimal("0.02")), Decimal(200)),
        (LossLimit(quote=Decimal(500), share=Decimal("0.02")), Decimal(200)),
        (LossLimit(quote=Decimal(50), share=Decimal("0.02")), Decimal(50)),
        (LossLimit(), None),
    ],
)
def test_a_loss_trips_at_the_smaller_of_amount_and_share(limit: LossLimit, amount: Decimal | None) -> None:
    """A cent less does not; without a limit nothing does."""
    assert limit.amount(CAPITAL) == amount
    least = amount if amount is not None else Decimal(10_000)
    for loss, trips in ((least - CENT, False), (least, amount is not None)):
        breaker = LossBreaker(MINUTE, limit)
        assert breaker.observe(0, Decimal(7), CAPITAL) is None
        assert (breaker.observe(NS_PER_S, 7 - loss, CAPITAL) is not None) == trips
        drawdown = DrawdownBreaker(limit)
        assert drawdown.observe(Decimal(7), CAPITAL) is None
        assert (drawdown.observe(7 - loss, CAPITAL) is not None) == trips


def test_a_loss_leaves_with_its_window_and_a_drawdown_stays() -> None:
    """After the span the loss is the past's; the high-water mark is never forgotten until it is reset."""
    limit = LossLimit(quote=Decimal(50))
    breaker, drawdown = LossBreaker(MINUTE, limit), DrawdownBreaker(limit)
    for at_s, equity in ((0, 100), (30, 50), (59, 50)):
        breaker.observe(at_s * NS_PER_S, Decimal(equity), CAPITAL)
    assert breaker.observe(60 * NS_PER_S, Decimal(50), CAPITAL) is not None
    assert breaker.observe(62 * NS_PER_S, Decimal(50), CAPITAL) is None
    drawdown.recall(Decimal(100))
    assert drawdown.observe(Decimal(50), CAPITAL) == "50.00 below the high-water mark, the limit is 50.00"
    drawdown.reset()
    assert drawdown.observe(Decimal(50), CAPITAL) is None
    assert drawdown.high == 50
    breaker.recall(70 * NS_PER_S, Decimal(200))
    assert breaker.observe(71 * NS_PER_S, Decimal(150), CAPITAL) is None, "an older sample counts"
    breaker.reset()
    breaker.observe(72 * NS_PER_S, Decimal(200), CAPITAL)
    assert breaker.observe(73 * NS_PER_S, Decimal(150), CAPITAL) is not None


def test_a_gain_is_no_loss_even_without_capital() -> None:
    """A share of nothing would be reached by standing still."""
    breaker = LossBreaker(MINUTE, LossLimit(share=Decimal("0.1")))
    assert breaker.observe(0, Decimal(0), Decimal(0)) is None
    assert breaker.observe(1, Decimal(0), Decimal(0)) is None
    assert DrawdownBreaker(LossLimit(share=Decimal("0.1"))).observe(Decimal(0), Decimal(0)) is None


def test_refusals_need_enough_orders_to_tell() -> None:
    """Half of 20 is at the limit, one more is beyond it; half of few is nothing."""
    breaker = ShareBreaker(MINUTE, Decimal("0.5"), 20)
    for _ in range(19):
        breaker.order(0)
        breaker.refused(0)
    assert breaker.reading(0) is None
    breaker.order(0)
    assert breaker.reading(0) == "19 of 20 orders were refused"
    for _ in range(18):
        breaker.order(0)
    assert breaker.reading(0) is None, "19 of 38 is half"
    breaker.refused(0)
    assert breaker.reading(0) == "20 of 38 orders were refused"
    breaker.reset()
    assert breaker.reading(0) is None


def test_counts_trip_when_the_most_is_passed() -> None:
    """Ten within a minute are allowed, eleven are not, and they leave with the minute."""
    breaker = CountBreaker(MINUTE, 10, "fills within a minute")
    for number in range(10):
        breaker.count(number * NS_PER_S)
    assert breaker.reading(10 * NS_PER_S) is None
    breaker.count(10 * NS_PER_S)
    assert breaker.reading(10 * NS_PER_S) == "11 fills within a minute, at most 10"
    assert breaker.reading(62 * NS_PER_S) is None
    breaker.count(63 * NS_PER_S)
    breaker.reset()
    assert breaker.reading(63 * NS_PER_S) is None


def test_a_condition_has_to_last() -> None:
    """An interruption starts its time anew."""
    breaker = LastingBreaker(30 * NS_PER_S)
    assert not breaker.observe(0, there=True)
    assert not breaker.observe(30 * NS_PER_S - 1, there=True)
    assert breaker.observe(30 * NS_PER_S, there=True)
    assert not breaker.observe(31 * NS_PER_S, there=False)
    assert not breaker.observe(32 * NS_PER_S, there=True)
    breaker.reset()
    assert not breaker.observe(70 * NS_PER_S, there=True)
    assert LastingBreaker(0).observe(5, there=True)


@pytest.mark.parametrize("side", Side)
def test_slippage_is_weighed_by_size_and_exact(side: Side) -> None:
    """50 bp of what was traded is allowed, one tick more is not; a better price makes up for a worse one."""
    breaker = SlippageBreaker(MINUTE, 50)
    assert breaker.reading(0) is None
    breaker.taken(0, side, 1_000_000, 1_000_000 + side.sign * 5_000, 7)
    assert breaker.reading(0) is None
    breaker.taken(0, side, 1_000_000, 1_000_000 + side.sign * 5_001, 1)
    assert breaker.reading(0) is not None
    breaker.taken(0, side, 1_000_000, 1_000_000 + side.sign * 4_999, 1)
    assert breaker.reading(0) is None
    breaker.taken(0, side, 1_000_000, 1_000_000 + side.sign * 9_000, 100)
    breaker.reset()
    assert breaker.reading(0) is None


def balance(ours: str, theirs: str, asset: str = "BTC") -> Difference:
    """The account holds something else than trades explain."""
    return Difference(DifferenceKind.BALANCE, asset, ours, theirs)


def test_a_difference_reduces_and_halts_when_it_lasts_or_grows() -> None:
    """Up to a lot of base it is dust; what cannot be measured counts at once, and halts only by lasting."""
    lot = Decimal("0.00001")

    def fresh() -> DifferenceBreaker:
        return DifferenceBreaker(lot, "BTC", 120 * NS_PER_S)

    breaker = fresh()
    breaker.change(0, balance("1", "1.00001"), standing=True)
    assert breaker.reading(0) is None
    breaker.change(0, balance("1", "1.00002"), standing=True)
    assert breaker.reading(119 * NS_PER_S) == (
        RiskState.REDUCE,
        "balance:BTC: we have 1, the venue 1.00002",
    )
    state, why = breaker.reading(120 * NS_PER_S) or (None, "")
    assert state is RiskState.HALT
    assert why.endswith("and it lasts")
    breaker.change(121 * NS_PER_S, balance("1", "1.00002"), standing=False)
    assert breaker.reading(121 * NS_PER_S) is None

    breaker = fresh()
    breaker.change(0, balance("5", "3", "USDT"), standing=True)
    breaker.change(1, balance("5", "4", "USDT"), standing=True)
    assert (breaker.reading(1) or NOTHING)[0] is RiskState.REDUCE, "it shrinks"
    breaker.change(2, balance("5", "2.9", "USDT"), standing=True)
    state, why = breaker.reading(2) or (None, "")
    assert state is RiskState.HALT
    assert why.endswith("and it grows")

    breaker = fresh()
    breaker.change(0, Difference(DifferenceKind.ORDER_MISSING, "id", "acked", "unknown"), standing=True)
    assert (breaker.reading(0) or NOTHING)[0] is RiskState.REDUCE
    assert (breaker.reading(120 * NS_PER_S) or NOTHING)[0] is RiskState.HALT
    breaker.reset()
    assert (breaker.reading(300 * NS_PER_S) or NOTHING)[0] is RiskState.REDUCE, "the owner has looked at it"
    assert (breaker.reading(419 * NS_PER_S) or NOTHING)[0] is RiskState.REDUCE
    assert (breaker.reading(420 * NS_PER_S) or NOTHING)[0] is RiskState.HALT


EVENTS = st.lists(st.tuples(st.integers(0, 40), st.integers(-5, 5)), max_size=60)


@given(EVENTS)
def test_a_sum_window_is_right_to_a_slot(events: list[tuple[int, int]]) -> None:
    """It holds everything of the span and nothing older than the span and one slot."""
    window, now, past = SumWindow(60, 6), 0, list[tuple[int, int]]()
    for step, amount in events:
        now += step
        window.add(now, amount)
        past.append((now, amount))
        kept = [value for at, value in past if now // 10 - at // 10 <= 6]
        assert window.at(now) == sum(kept) == window.total
        surely = sum(value for at, value in past if now - at <= 60)
        older = [value for at, value in past if 60 < now - at < 70]
        assert abs(window.total - surely) <= sum(map(abs, older))


@given(EVENTS)
def test_a_value_window_gives_what_was_there_a_span_ago(events: list[tuple[int, int]]) -> None:
    """The oldest of the kept values is within the span, at most a slot younger than it could be."""
    window, now, past = ValueWindow(60, 6), 0, list[tuple[int, Decimal]]()
    for step, value in events:
        now += step
        past.append((now, Decimal(value)))
        given_back = window.put(now, Decimal(value))
        firsts = [past[0], *(b for a, b in pairwise(past) if b[0] // 10 != a[0] // 10)]
        fresh = [each for at, each in firsts if now - at <= 60]
        assert given_back == (fresh[0] if fresh else Decimal(value))
    window.clear()
    assert window.put(now, Decimal(99)) == 99
