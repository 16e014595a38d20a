"""Opens each account of a venue once, when the first run of this process trades on it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from mrmarket.services.engine.shared_venue import Feeds, SharedFeed, SharedVenue
from mrmarket.store.operations import RunSpec
from mrmarket.trading.venue.port import Venue

Opener = Callable[[str, str], Awaitable[Venue]]
"""(venue, account) to an open venue."""

PublicOpener = Callable[[str], Awaitable[Venue]]
"""(venue) to an open venue that has no account."""


class LoneRoom:
    """The one venue of a process with one run: no stream takes a detour."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue

    async def enter(self, spec: RunSpec, prefix: str) -> Venue:  # noqa: ARG002 - the port's
        """The venue itself."""
        return self._venue

    async def leave(self, spec: RunSpec) -> None:
        """Whoever opened the venue closes it."""

    async def close(self) -> None:
        """As `leave`."""


@dataclass(slots=True)
class _Suite:
    opening: asyncio.Lock = field(default_factory=asyncio.Lock)
    shared: SharedVenue | None = None
    kept: bool = False
    """Opened by somebody else, who closes it."""


class VenueRoom:
    """Venues by account.

    Public feeds come through a connection of their own, so that no account's end
    ends another's feed.
    """

    def __init__(self, opener: Opener, public: PublicOpener | None = None) -> None:
        """`public` opens a venue without an account; without it feeds come through the kept venue."""
        self._opener = opener
        self._public = public
        self._suites: dict[tuple[str, str], _Suite] = {}
        self._feeds: dict[str, Feeds] = {}
        self._opening = asyncio.Lock()

    def keep(self, venue: str, account: str, opened: Venue) -> SharedVenue:
        """Use a venue that is open already and stays so; its connection serves the feeds."""
        feeds = self._feeds.setdefault(venue, Feeds(opened))
        shared = SharedVenue(opened, feeds)
        self._suites[venue, account] = _Suite(shared=shared, kept=True)
        return shared

    def feed(self, venue: str, symbol: str) -> SharedFeed | None:
        """The pair's public feed, which runs follow, too; None before anything of that venue is open."""
        feeds = self._feeds.get(venue)
        return None if feeds is None else feeds.of(symbol)

    async def enter(self, spec: RunSpec, prefix: str) -> Venue:
        """The run's view of its account; opens the account if it is the first run there."""
        suite = self._suites.setdefault((spec.venue, spec.account), _Suite())
        async with suite.opening:
            if suite.shared is None:
                feeds = await self._feeds_of(spec.venue)
                suite.shared = SharedVenue(await self._opener(spec.venue, spec.account), feeds)
            shared = suite.shared
            shared.runs += 1
            try:
                view = shared.for_run(spec.pair, prefix)
                view.instrument(spec.pair)
            except BaseException:
                await self._left(suite)
                raise
        return view

    async def leave(self, spec: RunSpec) -> None:
        """Close the account after its last run."""
        suite = self._suites.get((spec.venue, spec.account))
        if suite is not None:
            async with suite.opening:
                await self._left(suite)

    async def close(self) -> None:
        """Close everything that was opened here."""
        for suite in self._suites.values():
            shared, suite.shared = suite.shared, None
            if shared is not None and not suite.kept:
                await shared.venue.close()
        if self._public is not None:
            for feeds in self._feeds.values():
                await feeds.venue.close()

    async def _left(self, suite: _Suite) -> None:
        shared = suite.shared
        if shared is None:
            return
        shared.runs -= 1
        if shared.runs == 0 and not suite.kept:
            suite.shared = None
            await shared.venue.close()

    async def _feeds_of(self, venue: str) -> Feeds | None:
        async with self._opening:
            if venue not in self._feeds and self._public is not None:
                self._feeds[venue] = Feeds(await self._public(venue))
        return self._feeds.get(venue)
