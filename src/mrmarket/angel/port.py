"""What the Angel needs of the world: venues it can read and cancel at, leases it can seize, signs of life."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from mrmarket.store.lease_row import Seizure
from mrmarket.store.operations import AngelAction, Beat, Restriction
from mrmarket.trading.venue.port import Capability, KeyPermissions, OrderReport


class WatchedVenue(Protocol):
    """One account on one exchange, seen through a door that no order fits through.

    Every method raises a `VenueError`; there is no way to place or to withdraw.
    """

    name: str

    async def open(self) -> None:
        """Learn the pairs and measure the clock; may be called again after it failed."""
        ...

    async def close(self) -> None:
        """Close every connection; closing twice is harmless."""
        ...

    async def permissions(self) -> KeyPermissions:
        """What the Angel's key may do."""
        ...

    async def open_orders_everywhere(self) -> list[OrderReport]:
        """Every live order of the account on every pair; prices and sizes are 0 where a grid is unknown."""
        ...

    async def cancel(self, symbol: str, client_order_id: str, venue_order_id: str) -> OrderReport | None:
        """Cancel by either id; None where the venue acknowledges without a word about the order."""
        ...

    async def query(self, symbol: str, client_order_id: str, venue_order_id: str) -> OrderReport:
        """Ask for one order."""
        ...

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What else it can do."""
        ...

    async def cancel_all_after(self, symbol: str, countdown_s: float) -> None:
        """The dead man's switch of a pair; only with `Capability.DEAD_MAN_SWITCH`."""
        ...


class LeaseRow(Protocol):
    """One lease as the store has it."""

    @property
    def name(self) -> str:
        """The run."""
        ...

    @property
    def fence(self) -> int:
        """How often it changed hands."""
        ...

    @property
    def owner(self) -> str:
        """Who holds it, or held it last."""
        ...

    @property
    def expires_ns(self) -> int:
        """By the store's clock; 0 once released."""
        ...


class Leases(Protocol):
    """The part of the trading store that says who may trade. Synchronous; raises `StoreError`."""

    def leases(self) -> Sequence[LeaseRow]:
        """Every lease there ever was."""
        ...

    def seize_lease(self, name: str, owner: str, ttl_ns: int, now_ns: int) -> Seizure:
        """Take a lease from whoever holds it."""
        ...

    def renew_leases(self, names: Sequence[str], ttl_ns: int, now_ns: int) -> list[str]:
        """Hold on to leases; returns those that somebody else took."""
        ...

    def release_lease(self, name: str) -> None:
        """Let others in at once; raises `StaleFenceError` if somebody took it."""
        ...


class HeartbeatSource(Protocol):
    """Somewhere to read signs of life from."""

    name: str
    authoritative: bool
    """Whether a node that it no longer lists has signed off (the database), or is merely not seen there."""

    async def read(self) -> Sequence[Beat]:
        """The last sign of life of every node there; raises a `MrMarketError` if it cannot be read."""
        ...


class AngelDesk(Protocol):
    """The part of the operations store that the Angel writes to. Synchronous; raises `StoreError`."""

    def beat(self, beat: Beat) -> None:
        """Write a sign of life."""
        ...

    def sign_off(self, node: str) -> None:
        """A node is not to be missed any more."""
        ...

    def log_action(self, action: AngelAction) -> None:
        """Append to the Angel's log; the same id again changes nothing."""
        ...

    def restrict(self, restriction: Restriction) -> None:
        """Write a restriction."""
        ...
