"""Wanted quotes against live orders."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from mrmarket.core.clock import NS_PER_S
from mrmarket.core.side import Side
from mrmarket.trading.execution.differ import Allowance, LiveOrder, Plan, RefreshRules, plan
from mrmarket.trading.execution.order import Order, OrderStage
from mrmarket.trading.execution.targets import Quote, TargetQuotes
from mrmarket.trading.venue.port import OrderKind

RULES = RefreshRules(
    refresh_ns=5 * NS_PER_S,
    tolerance=Decimal("0.0001"),
    cancel_cooldown_ns=NS_PER_S,
    max_age_ns=600 * NS_PER_S,
)
OLD = 10 * NS_PER_S


def quote(slot: str, price: int, size: int = 100, **more: object) -> Quote:
    """A wanted quote; the slot's letter says its side."""
    side = Side.BUY if slot[0] == "b" else Side.SELL
    return Quote(slot, side, price, size, **more)  # type: ignore[arg-type]  # by name


def live(
    slot: str,
    price: int,
    *,
    size: int = 100,
    stage: OrderStage = OrderStage.ACKED,
    age_ns: int = OLD,
    number: int = 1,
    **more: object,
) -> LiveOrder:
    """A live order."""
    side = Side.BUY if slot[0] == "b" else Side.SELL
    order = Order(f"id{slot}{number}", "X/Y", slot, side, OrderKind.POST_ONLY, price, size, 1, stage)
    return LiveOrder(replace(order, **more), age_ns, 0)


def cancelled(result: Plan) -> list[tuple[str, str]]:
    """(slot, reason) of the cancels."""
    return [(each.order.slot, each.reason) for each in result.cancels]


def placed(result: Plan) -> list[str]:
    """Slots of the placements."""
    return [each.slot for each in result.placements]


def test_an_empty_market_gets_every_quote() -> None:
    """Each wanted slot without an order is placed, nothing is cancelled."""
    result = plan(TargetQuotes((quote("b1", 99), quote("s1", 101))), [], RULES, 0)
    assert placed(result) == ["b1", "s1"]
    assert not result.cancels
    assert result


@pytest.mark.parametrize(
    ("wanted", "order", "reason"),
    [
        (quote("b1", 100_000), live("b1", 99_990), None),
        (quote("b1", 100_000), live("b1", 99_989), "the price moved"),
        (quote("b1", 99_980), live("b1", 100_000, age_ns=4 * NS_PER_S), None),
        (quote("b1", 100_000), live("b1", 100_000, age_ns=600 * NS_PER_S), "it reached its greatest age"),
        (quote("b1", 100_000, 100), live("b1", 100_000, size=125), None),
        (quote("b1", 100_000, 100), live("b1", 100_000, size=126), "the size changed"),
        (quote("b1", 100_000, 100), live("b1", 100_000, reported_lots=25), None),
        (quote("b1", 100_000, 100), live("b1", 100_000, reported_lots=26), "the size changed"),
        (
            quote("b1", 99_000, worst_ticks=99_500),
            live("b1", 99_501, age_ns=0),
            "its price is no longer acceptable",
        ),
        (quote("b1", 99_000, worst_ticks=99_500), live("b1", 99_500, age_ns=0), None),
        (
            quote("s1", 101_000, worst_ticks=100_500),
            live("s1", 100_499, age_ns=0),
            "its price is no longer acceptable",
        ),
        (quote("s1", 101_000, worst_ticks=100_500), live("s1", 100_500, age_ns=0), None),
        (quote("b1", 90_000, sticky=True), live("b1", 100_000), None),
        (
            quote("b1", 90_000, sticky=True),
            live("b1", 100_000, age_ns=600 * NS_PER_S),
            "it reached its greatest age",
        ),
        (Quote("b1", Side.SELL, 100_001, 100), live("b1", 100_000), "the slot changed its side"),
        (None, live("b1", 100_000, age_ns=0), "not wanted"),
        (quote("b1", 99_000), live("b1", 100_000, stage=OrderStage.SENT), None),
        (quote("b1", 99_000), live("b1", 100_000, cancel_doubted=True), None),
        (None, live("b1", 100_000, stage=OrderStage.SENT, place_doubted=True), None),
        (None, live("b1", 100_000, cancel_attempts=1), None),
    ],
)
def test_when_a_live_order_gives_way(wanted: Quote | None, order: LiveOrder, reason: str | None) -> None:
    """The table of reasons; a slot with an order is never placed into."""
    result = plan(TargetQuotes((wanted,) if wanted else ()), [order], RULES, 0)
    assert cancelled(result) == ([(order.order.slot, reason)] if reason else [])
    assert not result.placements


def test_a_second_cancel_waits_for_the_cooldown() -> None:
    """A cancel whose effect has not shown is repeated after the cooldown, not before."""
    order = live("b1", 100, cancel_attempts=1)
    assert not plan(TargetQuotes(), [order], RULES, 0)
    again = LiveOrder(order.order, OLD, since_cancel_ns=NS_PER_S)
    assert cancelled(plan(TargetQuotes(), [again], RULES, 0)) == [("b1", "not wanted")]


def test_the_second_order_of_a_slot_goes() -> None:
    """Two live orders in one slot (found after a crash): the older one stays."""
    result = plan(
        TargetQuotes((quote("b1", 100),)), [live("b1", 100, number=1), live("b1", 100, number=2)], RULES, 0
    )
    assert [each.order.client_order_id for each in result.cancels] == ["idb12"]
    assert not result.placements


def test_hold_keeps_what_lives_and_adds_nothing() -> None:
    """During the pause after a fill only unwanted and unacceptable orders go."""
    targets = TargetQuotes((quote("b1", 90_000), quote("s1", 110_000)), hold=True)
    result = plan(targets, [live("b1", 100_000), live("b2", 99_000)], RULES, 0)
    assert cancelled(result) == [("b2", "not wanted")]
    assert not result.placements


def test_quotes_never_meet_our_own_orders() -> None:
    """A quote that would trade with a live order of ours, or with another wanted quote, waits."""
    result = plan(TargetQuotes((quote("b1", 105), quote("s1", 111))), [live("s2", 105)], RULES, 0)
    assert placed(result) == ["s1"]
    assert result.waiting == (("b1", "would trade with our own order"),)
    crossed = plan(TargetQuotes((quote("b1", 105), quote("s1", 105))), [], RULES, 0)
    assert placed(crossed) == ["b1"]
    assert crossed.waiting == (("s1", "would trade with our own order"),)


def test_refused_slots_rest_and_the_budget_is_kept() -> None:
    """A slot that was refused lately waits; no more is sent than allowed, urgent cancels first."""
    targets = TargetQuotes((quote("b1", 99), quote("b2", 98), quote("s9", 150)))
    allowance = Allowance(cancels=1, placements=1, blocked_until_ns={"b1": 50})
    orders = [live("s9", 200), live("s8", 201)]
    result = plan(targets, orders, RULES, 49, allowance)
    assert placed(result) == ["b2"]
    assert cancelled(result) == [("s8", "not wanted")]
    assert result.waiting == (("b1", "rests after a refusal"),)
    later = plan(targets, orders, RULES, 50, allowance)
    assert placed(later) == ["b1"]
    assert later.waiting == (("b2", "the rate budget is spent"),)


SLOTS = ["b1", "b2", "b3", "s1", "s2", "s3"]
PRICES = st.integers(1_000, 1_060)


@st.composite
def wishes(draw: st.DrawFn) -> TargetQuotes:
    """Any wanted quotes, also ones that cross each other."""
    slots = draw(st.lists(st.sampled_from(SLOTS), unique=True))
    return TargetQuotes(tuple(quote(slot, draw(PRICES), draw(st.integers(50, 200))) for slot in slots))


@st.composite
def markets(draw: st.DrawFn) -> list[LiveOrder]:
    """Any live orders."""
    slots = draw(st.lists(st.sampled_from(SLOTS), max_size=8))
    stages = st.sampled_from([OrderStage.SENT, OrderStage.ACKED, OrderStage.PARTIALLY_FILLED])
    return [
        live(
            slot,
            draw(PRICES),
            stage=draw(stages),
            age_ns=draw(st.integers(0, 20 * NS_PER_S)),
            number=number,
            place_doubted=draw(st.booleans()),
            cancel_doubted=draw(st.booleans()),
        )
        for number, slot in enumerate(slots)
    ]


@given(wishes(), markets())
def test_a_plan_is_safe_whatever_it_meets(targets: TargetQuotes, orders: list[LiveOrder]) -> None:
    """No slot is ever doubled, no quote crosses our own, and doubt is left alone."""
    result = plan(targets, orders, RULES, 0)
    occupied = {each.order.slot for each in orders}
    assert occupied.isdisjoint(placed(result))
    assert len(set(placed(result))) == len(result.placements)
    bids = [each.order.price_ticks for each in orders if each.order.side is Side.BUY]
    asks = [each.order.price_ticks for each in orders if each.order.side is Side.SELL]
    bids += [each.price_ticks for each in result.placements if each.side is Side.BUY]
    for each in result.placements:
        if each.side is Side.BUY:
            assert all(each.price_ticks < ask for ask in asks)
        else:
            assert all(each.price_ticks > bid for bid in bids)
    assert all(not each.order.is_doubted and each.order.is_resting for each in result.cancels)
    assert len({each.order.client_order_id for each in result.cancels}) == len(result.cancels)


@given(wishes(), markets())
def test_plans_converge_and_then_rest(targets: TargetQuotes, orders: list[LiveOrder]) -> None:
    """Carried out by a venue that obeys, plans reach what is wanted in two steps and then do nothing."""
    standing = [
        replace(
            each, order=replace(each.order, stage=OrderStage.ACKED, place_doubted=False, cancel_doubted=False)
        )
        for each in orders
    ]
    sent = 0
    for step in range(4):
        result = plan(targets, standing, RULES, 0)
        if step >= 2:
            assert not result
        gone = {each.order.client_order_id for each in result.cancels}
        standing = [each for each in standing if each.order.client_order_id not in gone]
        for each in result.placements:
            sent += 1
            standing.append(live(each.slot, each.price_ticks, size=each.size_lots, number=1_000 + sent))
    slots = [each.order.slot for each in standing]
    assert len(set(slots)) == len(slots)
    wanted = {each.slot for each in targets.quotes}
    assert set(slots) <= wanted
    waiting = {slot for slot, _ in plan(targets, standing, RULES, 0).waiting}
    assert wanted - set(slots) == waiting
    assert sent <= len(wanted)


@given(wishes())
def test_what_stands_as_wanted_costs_nothing(targets: TargetQuotes) -> None:
    """With every wanted quote live, nothing is sent: the fewest actions are none."""
    orders = [live(each.slot, each.price_ticks, size=each.size_lots) for each in targets.quotes]
    assert not plan(targets, orders, RULES, 0)
