"""Carries out what an intervention asks for, and tells what came of it as the next event."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from mrmarket.angel.intervention import Cancelled, Polled, PollFailed, Seized, SeizeFailed
from mrmarket.angel.port import Leases, WatchedVenue
from mrmarket.angel.sweep import Pace
from mrmarket.core.clock import NS_PER_S, Clock
from mrmarket.core.errors import MrMarketError
from mrmarket.store.errors import StaleFenceError, StoreError
from mrmarket.trading.venue.port import (
    OrderReport,
    RateLimitedError,
    UnknownOrderError,
    VenueError,
    VenueUnavailableError,
)

_CALL_S: Final = 8.0
_STORE_S: Final = 5.0
_AT_ONCE: Final = 16


class KeyMayWithdrawError(MrMarketError):
    """The Angel was given a key that can move money out."""

    code = "key_may_withdraw"

    def __init__(self, venue: str) -> None:
        self.venue = venue
        super().__init__(
            f"{venue}: the Angel's key may withdraw; give it one that cannot,"
            " or set allow_withdraw_key = true in [angel]"
        )


class NoLeasesError(MrMarketError):
    """There is no database in which leases could be looked up or taken."""

    code = "no_leases"
    retryable = True

    def __init__(self) -> None:
        super().__init__("no database can be reached from here; give --store to fence engines off")


class VenueHand:
    """One venue: opened when it first answers, its key looked at before its first use."""

    def __init__(self, venue: WatchedVenue, clock: Clock, *, allow_withdraw_key: bool) -> None:
        self.venue = venue
        self.is_open = False
        self._clock = clock
        self._allow_withdraw_key = allow_withdraw_key
        self._opening = asyncio.Lock()

    async def open(self) -> None:
        """Make it usable; a second call does nothing.

        Raises:
            VenueError: it does not answer.
            KeyMayWithdrawError: the key can do too much.
        """
        async with self._opening:
            if self.is_open:
                return
            await self.venue.open()
            try:
                rights = await self.venue.permissions()
            except BaseException:
                await self.venue.close()
                raise
            if rights.withdraw and not self._allow_withdraw_key:
                await self.venue.close()
                raise KeyMayWithdrawError(self.venue.name)
            self.is_open = True

    async def open_orders(self) -> list[OrderReport]:
        """Everything that stands; raises a MrMarketError."""
        try:
            async with asyncio.timeout(_CALL_S):
                await self.open()
                return await self.venue.open_orders_everywhere()
        except TimeoutError:
            raise VenueUnavailableError(self.venue.name, "list open orders", "no answer in time") from None

    async def poll(self) -> Polled | PollFailed:
        """List what stands."""
        asked_ns = self._clock.monotonic_ns()
        name = self.venue.name
        try:
            orders = await self.open_orders()
        except MrMarketError as error:
            wait_ns = _retry_ns(error)
            return PollFailed(
                at_ns=self._clock.monotonic_ns(), venue=name, reason=str(error), retry_after_ns=wait_ns
            )
        return Polled(at_ns=self._clock.monotonic_ns(), asked_ns=asked_ns, venue=name, orders=tuple(orders))

    async def cancel(self, orders: Sequence[OrderReport]) -> Cancelled:
        """Cancel all of them, as many at a time as is fair; an order unknown to the venue is done."""
        gate = asyncio.Semaphore(_AT_ONCE)
        faults: list[MrMarketError] = []

        async def one(order: OrderReport) -> bool:
            async with gate:
                if any(isinstance(fault, RateLimitedError) for fault in faults):
                    return False  # the venue wants a pause; the next round takes this one up
                try:
                    async with asyncio.timeout(_CALL_S):
                        await self.venue.cancel(order.symbol, order.client_order_id, order.venue_order_id)
                except UnknownOrderError:
                    return True
                except TimeoutError:
                    faults.append(VenueUnavailableError(self.venue.name, "cancel", "no answer in time"))
                except VenueError as error:
                    faults.append(error)
                else:
                    return True
                return False

        answers = await asyncio.gather(*(one(order) for order in orders))
        done = sum(answers)
        return Cancelled(
            at_ns=self._clock.monotonic_ns(),
            venue=self.venue.name,
            done=done,
            failed=len(answers) - done,
            reason=str(faults[0]) if faults else "",
            retry_after_ns=max((_retry_ns(fault) for fault in faults), default=0),
        )


class LeaseHand:
    """The leases: seized whoever holds them, held while we work, released when nothing is left."""

    def __init__(self, leases: Leases | None, owner: str, clock: Clock, pace: Pace) -> None:
        """None where no database can be reached from here."""
        self.owner = owner
        self._leases = leases
        self._clock = clock
        self._pace = pace

    async def owned_by(self, nodes: Sequence[str], *, anybody: bool = False) -> list[str]:
        """Runs whose lease such a node holds, or held last and nobody took since.

        Raises:
            StoreError: the database does not answer.
            TimeoutError: not in time.
            NoLeasesError: there is none.
        """
        if self._leases is None:
            raise NoLeasesError
        async with asyncio.timeout(_STORE_S):
            rows = await asyncio.to_thread(self._leases.leases)
        # A lease that was given back has no owner.
        return [row.name for row in rows if row.expires_ns and (anybody or row.owner in nodes)]

    async def seize(self, runs: Sequence[str]) -> Seized | SeizeFailed:
        """Take every lease that can be had."""
        leases = self._leases
        if leases is None:
            return SeizeFailed(
                at_ns=self._clock.monotonic_ns(), reason="no database can be reached from here"
            )
        try:
            async with asyncio.timeout(_STORE_S):
                return await asyncio.to_thread(self._seize, leases, tuple(runs))
        except (StoreError, TimeoutError) as error:
            reason = str(error) or "the database does not answer in time"
            return SeizeFailed(at_ns=self._clock.monotonic_ns(), reason=reason)

    async def hold(self, runs: Sequence[str]) -> list[str]:
        """Renew them; returns those that somebody else took. A store that does not answer is asked later."""
        if self._leases is None or not runs:
            return []
        try:
            async with asyncio.timeout(_STORE_S):
                return await asyncio.to_thread(
                    self._leases.renew_leases, list(runs), self._pace.lease_ttl_ns, self._clock.now_ns()
                )
        except (StoreError, TimeoutError):
            return []

    async def release(self, runs: Sequence[str]) -> list[str]:
        """Let engines in; returns runs whose lease will only run out by itself."""
        left = []
        for run in runs:
            assert self._leases is not None  # noqa: S101 - only what was seized is released
            try:
                async with asyncio.timeout(_STORE_S):
                    await asyncio.to_thread(self._leases.release_lease, run)
            except StaleFenceError:
                continue  # somebody has it already
            except (StoreError, TimeoutError):
                left.append(run)
        return left

    def _seize(self, leases: Leases, runs: tuple[str, ...]) -> Seized:
        """In a thread. A holder sends until a fifth of its lease is left; we count on all of it."""
        fences = []
        last_send_ns = self._clock.monotonic_ns()
        for run in runs:
            seizure = leases.seize_lease(run, self.owner, self._pace.lease_ttl_ns, self._clock.now_ns())
            fences.append((run, seizure.fence))
            last_send_ns = max(last_send_ns, self._clock.monotonic_ns() + seizure.left_ns)
        return Seized(at_ns=self._clock.monotonic_ns(), fences=tuple(fences), last_send_ns=last_send_ns)


def _retry_ns(error: MrMarketError) -> int:
    return int(error.retry_after_s * NS_PER_S) if isinstance(error, RateLimitedError) else 0
