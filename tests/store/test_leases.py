"""Leases in SQLite, where the callers' clock judges."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mrmarket.store.errors import LeaseHeldError
from mrmarket.store.trading_store import TradingStore
from store.trading_samples import STREAM


@pytest.fixture
def other(path: Path, store: TradingStore) -> Iterator[TradingStore]:
    """A second process on the same file."""
    other = TradingStore.open(path)
    yield other
    other.close()


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
