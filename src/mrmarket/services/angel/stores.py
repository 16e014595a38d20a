"""The instance's stores as the Angel holds them: opened when they answer, missed without harm."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeVar

from mrmarket.store.lease_row import LeaseRow, Seizure
from mrmarket.store.operations import AngelAction, Beat, OperationsStore, Restriction
from mrmarket.store.trading_port import TradingLog


class Closes(Protocol):
    """Something that is closed."""

    def close(self) -> None:
        """Release it."""
        ...


Store = TypeVar("Store", bound=Closes)


class Late(Generic[Store]):
    """A store that is opened by its first user, and by the next one where that failed."""

    def __init__(self, opener: Callable[[], Store]) -> None:
        """`opener` raises a `StoreError` where the database does not answer."""
        self._opener = opener
        self._lock = threading.Lock()
        self._store: Store | None = None

    def get(self) -> Store:
        """The open store; raises a `StoreError`. Waits, so call it in a thread."""
        with self._lock:
            if self._store is None:
                self._store = self._opener()
            return self._store

    def close(self) -> None:
        """Close it if it was opened."""
        with self._lock:
            store, self._store = self._store, None
        if store is not None:
            store.close()


class LateLeases:
    """Implements the Angel's `Leases`."""

    def __init__(self, late: Late[TradingLog]) -> None:
        self._late = late

    def leases(self) -> list[LeaseRow]:
        """Every lease."""
        return self._late.get().leases()

    def seize_lease(self, name: str, owner: str, ttl_ns: int, now_ns: int) -> Seizure:
        """Take a lease whoever holds it."""
        return self._late.get().seize_lease(name, owner, ttl_ns, now_ns)

    def renew_leases(self, names: Sequence[str], ttl_ns: int, now_ns: int) -> list[str]:
        """Hold on to leases."""
        return self._late.get().renew_leases(names, ttl_ns, now_ns)

    def release_lease(self, name: str) -> None:
        """Let others in."""
        self._late.get().release_lease(name)


class LateDesk:
    """Implements the Angel's `AngelDesk`, and reads signs of life."""

    def __init__(self, late: Late[OperationsStore]) -> None:
        self._late = late

    def beats(self) -> list[Beat]:
        """Every node that has not signed off."""
        return self._late.get().beats()

    def beat(self, beat: Beat) -> None:
        """Write a sign of life."""
        self._late.get().beat(beat)

    def sign_off(self, node: str) -> None:
        """A node is not to be missed."""
        self._late.get().sign_off(node)

    def log_action(self, action: AngelAction) -> None:
        """Append to the log."""
        self._late.get().log_action(action)

    def restrict(self, restriction: Restriction) -> None:
        """Write a restriction."""
        self._late.get().restrict(restriction)
