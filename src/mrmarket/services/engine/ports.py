"""What a host of runs asks of a store, of a run, and of whoever puts runs together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from mrmarket.store.operations import RunSpec
from mrmarket.trading.execution.lease_guard import LeaseGuard
from mrmarket.trading.strategy.observer import RunState


class LeaseLine(Protocol):
    """Who holds a run, by the store."""

    @property
    def name(self) -> str:
        """The run's id."""
        ...

    @property
    def fence(self) -> int:
        """Rises with every holder."""
        ...

    @property
    def owner(self) -> str:
        """The holder's node."""
        ...

    @property
    def expires_ns(self) -> int:
        """By the store's clock; 0 where it was given back."""
        ...


class LeaseStore(Protocol):
    """The trading store as a host sees it. Synchronous, from any thread; raises StoreErrors."""

    def acquire_leases(self, names: Sequence[str], owner: str, ttl_ns: int, now_ns: int) -> dict[str, int]:
        """Take those that are free, have run out, or are the owner's, in one transaction; fences by name."""
        ...

    def renew_leases(self, names: Sequence[str], ttl_ns: int, now_ns: int) -> list[str]:
        """Extend several leases of ours in one transaction; returns those that were lost."""
        ...

    def release_lease(self, name: str) -> None:
        """Let others in at once; raises `StaleFenceError` if somebody already is."""
        ...

    def leases(self) -> Sequence[LeaseLine]:
        """Every lease."""
        ...


class Hosted(Protocol):
    """A strategy run as its host sees it."""

    @property
    def state(self) -> RunState:
        """Where it is in its life."""
        ...

    @property
    def failure(self) -> Exception | None:
        """What made it fail."""
        ...

    async def start(self) -> None:
        """Recover, then quote."""
        ...

    async def pause(self, reason: str) -> object:
        """Cancel every quote and stay."""
        ...

    def resume(self) -> None:
        """Quote again."""
        ...

    async def stop(self, reason: str = ...) -> object:
        """Cancel everything, prove it, end."""
        ...

    async def abandon(self) -> None:
        """Drop everything where it is."""
        ...

    async def wait(self) -> None:
        """Return when it has ended or failed."""
        ...


class Workshop(Protocol):
    """Puts runs together and takes them apart: venues, shared feeds, history."""

    def check(self, spec: RunSpec) -> None:
        """Raise a MrMarketError where a specification cannot be run."""
        ...

    async def make(self, spec: RunSpec, fence: int, guard: LeaseGuard) -> Hosted:
        """A run that has not begun."""
        ...

    async def clear(self, spec: RunSpec, run: Hosted) -> None:
        """The run has ended: release what was opened for it."""
        ...

    def view(self, spec: RunSpec, run: Hosted) -> dict[str, Any]:
        """What the run's report carries; plain values that JSON can hold."""
        ...

    async def command(self, run: Hosted, kind: str, arguments: dict[str, Any], asked_by: str) -> str:
        """Carry out what is not for the host itself, such as `flatten`; returns what came of it.

        Raises:
            MrMarketError: it was refused.
        """
        ...
