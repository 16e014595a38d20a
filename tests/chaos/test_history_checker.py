"""The history checker finds each thing that must not be, in a history that is otherwise in order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import msgspec
import pytest

from chaos.history import (
    AccountRecord,
    History,
    LeaseSample,
    VenueOrder,
    VenueTrade,
    contradictions,
)
from chaos.members import Ending
from mrmarket.core.events import Filled
from mrmarket.core.side import Side
from mrmarket.store.event_log import LoggedFact
from mrmarket.store.operations import AngelAction
from mrmarket.store.order_journal import OrderRecord
from mrmarket.trading.execution.order_id import OrderIds

INSTANCE, RUN, VENUE = "instance", "binance.BTCUSDT", "binance"
FIRST = OrderIds(INSTANCE, RUN, fence=1).make("b1", 1)
SECOND = OrderIds(INSTANCE, RUN, fence=2).make("b1", 2)
LATE = OrderIds(INSTANCE, RUN, fence=1).make("a1", 3)


def order(key: str, number: str, placed_ms: int, *, executed: str = "0") -> VenueOrder:
    """An order that was cancelled a second after it was placed."""
    return VenueOrder(
        venue_order_id=number,
        client_order_id=key,
        placed_ms=placed_ms,
        ended_ms=placed_ms + 1_000,
        status="CANCELED",
        executed=Decimal(executed),
    )


def row(key: str) -> OrderRecord:
    """What the journal says of it."""
    return OrderRecord(
        stream=RUN,
        client_order_id=key,
        symbol="BTC/USDT",
        slot="b1",
        side=Side.BUY,
        kind="limit",
        price_ticks=1,
        size_lots=2,
        created_ns=0,
        venue_order_id="1",
        state="cancelled",
        filled_lots=1,
        updated_ns=0,
    )


TRADE = VenueTrade(
    trade_id="7",
    venue_order_id="1",
    price=Decimal(100),
    size=Decimal("0.1"),
    fee=Decimal("0.01"),
    fee_asset="USDT",
)
FILL = Filled(
    venue=VENUE,
    at_ns=0,
    symbol="BTC/USDT",
    base="BTC",
    quote="USDT",
    trade_id="7",
    client_order_id=FIRST,
    venue_order_id="1",
    side=Side.BUY,
    price="100",
    size="0.1",
    quote_size="10",
    fee="0.01",
    fee_asset="USDT",
    maker=True,
)
ACCOUNT = AccountRecord(
    venue=VENUE,
    orders=[order(FIRST, "1", 1_000, executed="0.1"), order(SECOND, "2", 9_000)],
    trades=[TRADE],
    open_ids=[],
)


def logged(seq: int, epoch: int, fill: Filled) -> LoggedFact:
    """A row of the event log."""
    return LoggedFact(stream=RUN, epoch=epoch, seq=seq, at_ns=0, fact=fill, payload=b"", hash=b"")


def did(at_ms: int, action: str, detail: str = "", incident: str = "i") -> AngelAction:
    """Something that the Angel did."""
    target = RUN if action == "seize" else ""
    name = f"{at_ms}"
    return AngelAction(
        id=name, angel="angel", at_ms=at_ms, incident=incident, action=action, target=target, detail=detail
    )


INTERVENTION = [did(4_000, "intervene"), did(4_100, "seize", "fence 2"), did(6_000, "cleared")]
SOUND = History(
    instance=INSTANCE,
    runs=[RUN],
    accounts=[ACCOUNT],
    facts={RUN: [logged(1, 1, FILL)]},
    journal=[row(FIRST), row(SECOND)],
    leases=[LeaseSample(name=RUN, fence=fence) for fence in (1, 1, 2)],
    actions=[*INTERVENTION, did(6_100, "closed")],
    endings=[Ending("instance", -9, True, "", ""), Ending("instance", 3, False, "", "error: the venue")],
)


def with_orders(*more: VenueOrder) -> History:
    """More orders at the exchange."""
    return replace(SOUND, accounts=[replace(ACCOUNT, orders=[*ACCOUNT.orders, *more])])


def twice() -> History:
    """A trade that was logged under another key too."""
    return replace(SOUND, facts={RUN: [logged(1, 1, FILL)], "other": [logged(1, 1, FILL)]})


WRONG: dict[str, Callable[[], History]] = {
    "strangers": lambda: with_orders(order("by-hand", "9", 1_000)),
    "ids_given_twice": lambda: with_orders(order(FIRST, "9", 2_000, executed="0.1")),
    "orders_left_alive": lambda: replace(SOUND, accounts=[replace(ACCOUNT, open_ids=[SECOND])]),
    "orders_without_an_intent": lambda: replace(SOUND, journal=[row(FIRST)]),
    "ends_that_differ": lambda: replace(
        SOUND, accounts=[replace(ACCOUNT, orders=[replace(each, status="FILLED") for each in ACCOUNT.orders])]
    ),
    "fills_that_differ": lambda: replace(SOUND, facts={RUN: []}),
    "placements_under_an_old_fence": lambda: replace(
        with_orders(order(LATE, "3", 12_001)), journal=[row(FIRST), row(SECOND), row(LATE)], actions=[]
    ),
    "fences_that_fell": lambda: replace(SOUND, leases=[LeaseSample(name=RUN, fence=f) for f in (2, 1)]),
    "interventions_left_open": lambda: replace(SOUND, actions=INTERVENTION),
    "orders_that_outlived_a_proof": lambda: replace(
        with_orders(order(LATE, "3", 6_500)), journal=[row(FIRST), row(SECOND), row(LATE)]
    ),
    "faults_of_the_angel": lambda: replace(SOUND, actions=[did(1, "internal_error", "KeyError", "")]),
    "bad_endings": lambda: replace(SOUND, endings=[Ending("north", 70, False, "", "a fault of ours")]),
}


def test_a_history_in_order_is_in_order() -> None:
    """Kills, a new fence, an intervention with its end: nothing of that is wrong."""
    assert contradictions(SOUND) == []


@pytest.mark.parametrize("name", WRONG)
def test_what_must_not_be_is_found(name: str) -> None:
    """By the check of that name, and by no other."""
    found = {line.partition(":")[0] for line in contradictions(WRONG[name]())}
    assert found == {name}


@pytest.mark.parametrize(
    "fill",
    [
        {"trade_id": "8"},
        {"price": "101"},
        {"size": "0.2"},
        {"fee": "0.02"},
        {"fee_asset": "BTC"},
        {"client_order_id": SECOND},
        {"venue": "binance-b"},
    ],
)
def test_a_fill_must_agree_to_the_digit(fill: dict[str, str]) -> None:
    """Price, size, fee, order and venue."""
    facts = {RUN: [logged(1, 1, msgspec.structs.replace(FILL, **fill))]}
    assert any(line.startswith("fills_that_differ") for line in contradictions(replace(SOUND, facts=facts)))


def test_a_trade_is_logged_once_in_all_streams() -> None:
    """Also where two runs share a venue."""
    assert any("logged 2 times" in line for line in contradictions(twice()))


def test_a_fence_must_not_fall_within_a_log() -> None:
    """A fact that an older holder wrote after a newer one."""
    later = msgspec.structs.replace(FILL, trade_id="8")
    rows = [logged(1, 2, FILL), logged(2, 1, later)]
    found = contradictions(replace(SOUND, facts={RUN: rows}))
    assert f"fences_that_fell: {RUN} 2: 1 after 2" in found


def test_an_order_number_is_given_once_whatever_the_fence() -> None:
    """Two ids that differ only in fence and slot."""
    again = OrderIds(INSTANCE, RUN, fence=2).make("a1", 1)
    history = replace(with_orders(order(again, "3", 9_500)), journal=[row(FIRST), row(SECOND), row(again)])
    assert contradictions(history) == [f"ids_given_twice: number 1 of {RUN}"]


def test_a_request_that_was_in_a_socket_may_still_land() -> None:
    """Up to the receive window and the skew after the newer fence's first order."""
    history = replace(
        with_orders(order(LATE, "3", 12_000)), journal=[row(FIRST), row(SECOND), row(LATE)], actions=[]
    )
    assert contradictions(history) == []


def test_an_intervention_may_end_with_its_angel() -> None:
    """Another Angel began to watch afterwards."""
    cut = [*INTERVENTION, did(7_000, "watching", incident="")]
    assert contradictions(replace(SOUND, actions=cut)) == []


def test_intents_may_be_lost_only_where_the_database_lost_power() -> None:
    """They are committed before the order is sent, and not synced."""
    lost = replace(SOUND, journal=[row(FIRST)])
    assert contradictions(lost) != []
    assert contradictions(replace(lost, intents_may_be_lost=True)) == []
