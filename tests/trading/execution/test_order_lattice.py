"""The order lattice: evidence in any order, any number of times, gives one answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrmarket.core.side import Side
from mrmarket.trading.execution.order import Order, OrderStage
from mrmarket.trading.venue.port import FillReport, OrderKind, OrderReport, OrderStatus

SIZE = 100


def order() -> Order:
    """A new order of 100 lots."""
    return Order("id1", "BTC/USDT", "b1", Side.BUY, OrderKind.POST_ONLY, 6_000_000, SIZE, created_ns=1)


def report(status: OrderStatus, filled: int) -> OrderReport:
    """What the venue says."""
    return OrderReport(
        symbol="BTC/USDT",
        client_order_id="id1",
        venue_order_id="77",
        side=Side.BUY,
        status=status,
        price_ticks=6_000_000,
        size_lots=SIZE,
        filled_lots=filled,
        venue_ns=5,
    )


def fill(trade_id: int, lots: int) -> FillReport:
    """One trade."""
    return FillReport(
        symbol="BTC/USDT",
        trade_id=str(trade_id),
        client_order_id="id1",
        venue_order_id="77",
        side=Side.BUY,
        price_ticks=6_000_000,
        size_lots=lots,
        fee="0",
        fee_asset="USDT",
        maker=True,
        venue_ns=5,
    )


Evidence = Callable[[Order], Order]


@st.composite
def histories(draw: st.DrawFn) -> list[Evidence]:
    """What one venue could truthfully say of one order, fill by fill to its end."""
    sizes = draw(st.lists(st.integers(1, 40), max_size=4).filter(lambda sizes: sum(sizes) <= SIZE))
    evidence: list[Evidence] = [
        lambda known: known.sent(9),
        lambda known: known.with_report(report(OrderStatus.OPEN, 0), 9),
    ]
    if draw(st.booleans()):
        evidence.append(lambda known: known.doubted(9))
    done = 0
    for number, lots in enumerate(sizes):
        done += lots
        status = OrderStatus.FILLED if done == SIZE else OrderStatus.PARTIALLY_FILLED
        evidence.append(lambda known, n=number, lots=lots: known.with_fill(fill(n, lots), 9))  # type: ignore[misc]  # bound defaults
        evidence.append(lambda known, s=status, d=done: known.with_report(report(s, d), 9))  # type: ignore[misc]  # bound defaults
    if done < SIZE and draw(st.booleans()):
        end = draw(st.sampled_from([OrderStatus.CANCELLED, OrderStatus.EXPIRED]))
        evidence.append(lambda known: known.with_report(report(end, done), 9))
    return evidence


def fold(evidence: list[Evidence]) -> Order:
    """Everything that is known at the end."""
    known = order()
    for each in evidence:
        known = each(known)
    return known


@given(st.data(), histories())
def test_any_order_and_any_repetition_gives_the_same_order(data: Any, evidence: list[Evidence]) -> None:
    """Permuted and duplicated evidence folds to the same state, fills and position."""
    straight = fold(evidence)
    repeated = evidence + data.draw(st.lists(st.sampled_from(evidence), max_size=6))
    shuffled = fold(data.draw(st.permutations(repeated)))
    assert (shuffled.state, shuffled.stage) == (straight.state, straight.stage)
    assert (shuffled.filled_lots, shuffled.reported_lots) == (straight.filled_lots, straight.reported_lots)
    assert shuffled.fills == straight.fills
    assert shuffled.venue_order_id == straight.venue_order_id
    assert shuffled.missing_lots == straight.missing_lots == 0


@given(histories(), st.integers(0, 20))
def test_evidence_never_takes_a_stage_back(evidence: list[Evidence], cut: int) -> None:
    """The stage and the filled quantity only ever rise."""
    known = order()
    for each in [*evidence[cut:], *evidence]:
        following = each(known)
        assert following.stage >= known.stage
        assert following.filled_lots >= known.filled_lots
        known = following


def test_a_fill_may_come_before_the_acknowledgement() -> None:
    """A fill proves that the order lives."""
    known = order().sent(2).doubted(3)
    assert known.state == "unknown"
    assert known.is_doubted
    known = known.with_fill(fill(1, 30), 4)
    assert (known.state, known.filled_lots, known.remaining_lots) == ("partially_filled", 30, 70)
    assert not known.is_doubted
    assert known.with_report(report(OrderStatus.OPEN, 0), 5).state == "partially_filled"


def test_a_fill_after_the_cancel_counts() -> None:
    """A cancelled order that was filled before the cancel keeps its fill, and can turn out complete."""
    known = order().with_report(report(OrderStatus.CANCELLED, 0), 3)
    assert known.is_settled
    late = known.with_fill(fill(1, 40), 4)
    assert (late.state, late.filled_lots, late.remaining_lots) == ("cancelled", 40, 0)
    assert late.with_fill(fill(2, 60), 5).state == "filled"


def test_a_counted_fill_that_has_not_come_is_missed() -> None:
    """A closed order is settled only once its fills account for what the venue counted."""
    known = order().with_report(report(OrderStatus.CANCELLED, 25), 3)
    assert (known.missing_lots, known.is_settled, known.filled_lots) == (25, False, 0)
    assert known.with_fill(fill(1, 25), 4).is_settled


def test_doubt_of_a_cancel_ends_with_the_order() -> None:
    """A lost cancel answer is a state of its own until a terminal event or a query ends it."""
    known = (
        order().with_report(report(OrderStatus.OPEN, 0), 2).cancelling(3).with_cancel_doubt(4, doubted=True)
    )
    assert (known.state, known.is_doubted, known.remaining_lots) == ("cancel_unknown", True, SIZE)
    assert known.with_cancel_doubt(5, doubted=False).state == "acked"
    assert known.with_report(report(OrderStatus.CANCELLED, 0), 5).state == "cancelled"
    assert known.cancelling(6).cancel_attempts == 2


def test_the_same_news_is_the_same_object() -> None:
    """Repetition is free: nothing changes, not even the time."""
    known = order().with_report(report(OrderStatus.OPEN, 0), 2)
    assert known.with_report(report(OrderStatus.OPEN, 0), 9) is known
    filled = known.with_fill(fill(1, 10), 3)
    assert filled.with_fill(fill(1, 10), 9) is filled


@pytest.mark.parametrize("stage", list(OrderStage))
def test_every_stage_has_a_word(stage: OrderStage) -> None:
    """The journal's words for final stages are the store's."""
    known = order().with_stage(stage, 2)
    assert known.state == stage.name.lower()
    assert known.is_final == stage.is_final
    assert known.is_resting == (known.state in ("acked", "partially_filled"))
