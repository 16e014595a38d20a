"""The order journal: written before sending, never lost, never confused."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from mrmarket.core.errors import InvalidInputError
from mrmarket.store.errors import DuplicateIntentError, UnknownIntentError
from mrmarket.store.order_journal import FINAL_STATES, OrderRecord
from mrmarket.store.trading_store import TradingStore
from store.trading_samples import STREAM, intent


def test_an_intent_is_open_until_told_otherwise(store: TradingStore) -> None:
    """A written intent counts as an order that may stand at the venue."""
    store.record_intent(intent("a"))
    (record,) = store.open_intents(STREAM)
    assert record == OrderRecord(
        **{name: getattr(intent("a"), name) for name in intent("a").__struct_fields__},
        venue_order_id="",
        state="new",
        filled_lots=0,
        updated_ns=1,
    )
    assert record.is_open


def test_a_report_moves_an_order_on(store: TradingStore) -> None:
    """State, venue id and fill follow the reports."""
    store.record_intent(intent("a"))
    store.record_report("a", state="acked", venue_order_id="77", filled_lots=0, at_ns=5)
    store.record_report("a", state="partially_filled", filled_lots=3, at_ns=6)
    record = store.order("a")
    assert record is not None
    assert (record.state, record.venue_order_id, record.filled_lots, record.updated_ns) == (
        "partially_filled",
        "77",
        3,
        6,
    )


def test_a_late_report_takes_nothing_back(store: TradingStore) -> None:
    """A smaller fill, an empty venue id and an older time leave what is known."""
    store.record_intent(intent("a"))
    store.record_report("a", state="partially_filled", venue_order_id="77", filled_lots=3, at_ns=9)
    store.record_report("a", state="acked", filled_lots=1, at_ns=4)
    record = store.order("a")
    assert record is not None
    assert (record.venue_order_id, record.filled_lots, record.updated_ns) == ("77", 3, 9)


@pytest.mark.parametrize("state", sorted(FINAL_STATES))
def test_a_final_order_is_no_longer_open(store: TradingStore, state: str) -> None:
    """Orders that ended are out of the list that recovery walks, and still in the history."""
    store.record_intent(intent("a"))
    store.record_report("a", state=state, at_ns=2)
    assert store.open_intents(STREAM) == []
    assert [order.state for order in store.orders(STREAM)] == [state]


@pytest.mark.parametrize("state", ["sent", "unknown", "acked", "partially_filled", "cancel_unknown"])
def test_a_doubtful_order_stays_open(store: TradingStore, state: str) -> None:
    """Only a final state ends an order; doubt does not."""
    store.record_intent(intent("a"))
    store.record_report("a", state=state, at_ns=2)
    assert [order.client_order_id for order in store.open_intents(STREAM)] == ["a"]


def test_orders_come_newest_first_and_limited(store: TradingStore) -> None:
    """The screen asks for the last few orders of one run."""
    for number in range(5):
        store.record_intent(intent(f"a{number}", created_ns=number))
    store.record_intent(intent("other", stream="run/2"))
    store.record_report("a4", state="filled", at_ns=9)
    assert [order.client_order_id for order in store.orders(STREAM, limit=2)] == ["a4", "a3"]
    assert [order.client_order_id for order in store.orders(STREAM, open_only=True, limit=2)] == ["a3", "a2"]
    assert [order.client_order_id for order in store.open_intents(STREAM)] == ["a0", "a1", "a2", "a3"]


def test_a_client_order_id_is_used_once(store: TradingStore) -> None:
    """Two orders can never share an id, not even over two runs."""
    store.record_intent(intent("a"))
    with pytest.raises(DuplicateIntentError) as caught:
        store.record_intent(intent("a", stream="run/2"))
    assert caught.value.client_order_id == "a"


def test_an_impossible_order_is_refused(store: TradingStore) -> None:
    """An order without size does not enter the journal."""
    with pytest.raises(InvalidInputError):
        store.record_intent(intent("a", size_lots=0))
    assert store.orders(STREAM) == []


def test_a_report_without_intent_is_an_error(store: TradingStore) -> None:
    """Nothing is invented for an id that was never written down."""
    with pytest.raises(UnknownIntentError):
        store.record_report("nobody", state="acked", at_ns=1)
    assert store.order("nobody") is None


def test_intents_survive_reopening(store: TradingStore, path: Path) -> None:
    """A second process sees an intent at once, without the first closing its file."""
    store.record_intent(intent("a"))
    other = TradingStore.open(path)
    assert [order.client_order_id for order in other.open_intents(STREAM)] == ["a"]
    other.close()


def test_sequences_rise_and_never_repeat_over_restarts(store: TradingStore, path: Path) -> None:
    """A number handed out before a crash is not handed out after it."""
    first = [store.next_sequence(STREAM) for _ in range(1_005)]
    other = TradingStore.open(path)
    after_crash = other.next_sequence(STREAM)
    other.close()
    assert first == list(range(1, 1_006))
    assert after_crash > first[-1]
    assert store.next_sequence("run/2") == 1


def test_the_open_list_is_served_by_its_index(store: TradingStore, path: Path) -> None:
    """Finding open orders costs nothing with a long history."""
    store.record_intent(intent("a"))
    connection = sqlite3.connect(path)
    plan = connection.execute(
        "EXPLAIN QUERY PLAN SELECT * FROM orders WHERE stream = ? AND"
        " state NOT IN ('filled', 'cancelled', 'rejected', 'expired') ORDER BY created_ns, rowid",
        (STREAM,),
    ).fetchall()
    connection.close()
    assert any("orders_open" in row[3] for row in plan)


def test_several_intents_are_written_together_or_not_at_all(store: TradingStore) -> None:
    """One that is refused takes the others with it; nothing may be sent then."""
    store.record_intents([intent("a"), intent("b")])
    store.record_intents([])
    with pytest.raises(DuplicateIntentError):
        store.record_intents([intent("c"), intent("a")])
    with pytest.raises(InvalidInputError):
        store.record_intents([intent("d"), intent("e", size_lots=0)])
    assert [record.client_order_id for record in store.open_intents(intent("a").stream)] == ["a", "b"]
