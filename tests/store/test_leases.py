"""Leases and fences: of two writers, only the newer one writes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mrmarket.store.errors import LeaseHeldError, StaleFenceError
from mrmarket.store.trading_store import TradingStore
from store.trading_samples import STREAM, intent, mark


@pytest.fixture
def other(path: Path, store: TradingStore) -> Iterator[TradingStore]:
    """A second process on the same file."""
    other = TradingStore.open(path)
    yield other
    other.close()


def test_fences_only_rise(store: TradingStore, other: TradingStore) -> None:
    """Every acquisition has a number of its own, whoever takes it and however often it changes hands."""
    fences = [
        store.acquire_lease(STREAM, "a", 10, 0),
        store.acquire_lease(STREAM, "a", 10, 5),
        other.acquire_lease(STREAM, "b", 10, 20),
        store.acquire_lease(STREAM, "a", 10, 40),
    ]
    assert fences == [1, 2, 3, 4]


def test_a_running_lease_keeps_others_out(store: TradingStore, other: TradingStore) -> None:
    """Another owner waits until the lease has run out."""
    store.acquire_lease(STREAM, "a", 10, 0)
    with pytest.raises(LeaseHeldError) as caught:
        other.acquire_lease(STREAM, "b", 10, 9)
    assert (caught.value.owner, caught.value.expires_ns, caught.value.retryable) == ("a", 10, True)
    assert other.acquire_lease(STREAM, "b", 10, 10) == 2


def test_a_renewed_lease_runs_on_and_a_released_one_ends(store: TradingStore, other: TradingStore) -> None:
    """Renewing keeps others out, releasing lets them in at once."""
    store.acquire_lease(STREAM, "a", 10, 0)
    store.renew_lease(STREAM, 10, 9)
    with pytest.raises(LeaseHeldError):
        other.acquire_lease(STREAM, "b", 10, 15)
    store.release_lease(STREAM)
    assert other.acquire_lease(STREAM, "b", 10, 15) == 2


def test_a_deposed_owner_can_write_nothing(store: TradingStore, other: TradingStore) -> None:
    """Facts, intents, reports and renewals of the older epoch all fail whole."""
    store.acquire_lease(STREAM, "a", 10, 0)
    store.record_intent(intent("a"))
    other.acquire_lease(STREAM, "b", 10, 20)
    with pytest.raises(StaleFenceError) as caught:
        store.append_facts(STREAM, [mark(1), mark(2)])
    assert (caught.value.name, caught.value.held) == (STREAM, 1)
    with pytest.raises(StaleFenceError):
        store.record_intent(intent("b"))
    with pytest.raises(StaleFenceError):
        store.record_report("a", state="acked", at_ns=2)
    with pytest.raises(StaleFenceError):
        store.renew_lease(STREAM, 10, 30)
    other.append_facts(STREAM, [mark(3)])
    assert [(row.seq, row.epoch, row.at_ns) for row in other.read_facts(STREAM, 0, 9)] == [(1, 2, 3)]
    assert [(order.client_order_id, order.state) for order in other.orders(STREAM)] == [("a", "new")]


def test_a_leased_stream_takes_nothing_from_strangers(store: TradingStore, other: TradingStore) -> None:
    """Whoever never took the lease cannot write once somebody has; other streams are free."""
    other.append_facts(STREAM, [mark(1)])
    store.acquire_lease(STREAM, "a", 10, 0)
    with pytest.raises(StaleFenceError):
        other.append_facts(STREAM, [mark(2)])
    assert other.append_facts("run/2", [mark(2)])[0].epoch == 0


def test_a_lease_that_was_never_taken_cannot_be_renewed(store: TradingStore) -> None:
    """Renewing needs an acquisition first."""
    with pytest.raises(StaleFenceError):
        store.renew_lease(STREAM, 10, 0)
