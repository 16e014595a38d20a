"""Opens each account of a venue once, when the first run of this process trades on it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from mrmarket.services.engine.shared_venue import SharedFeed, SharedVenue
from mrmarket.store.operations import RunSpec
from mrmarket.trading.venue.port import Venue

Opener = Callable[[str, str], Awaitable[Venue]]
"""(venue, account) to an open venue."""


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
    """Venues by account; public feeds are shared by all accounts of a venue."""

    def __init__(self, opener: Opener) -> None:
        self._opener = opener
        self._suites: dict[tuple[str, str], _Suite] = {}
        self._feeds: dict[str, dict[str, SharedFeed]] = {}

    @property
    def venues(self) -> list[Venue]:
        """Those that are open."""
        return [suite.shared.venue for suite in self._suites.values() if suite.shared is not None]

    def keep(self, venue: str, account: str, opened: Venue) -> SharedVenue:
        """Use a venue that is open already and stays so."""
        shared = SharedVenue(opened, self._feeds.setdefault(venue, {}))
        self._suites[venue, account] = _Suite(shared=shared, kept=True)
        return shared

    async def enter(self, spec: RunSpec, prefix: str) -> Venue:
        """The run's view of its account; opens the account if it is the first run there."""
        suite = self._suites.setdefault((spec.venue, spec.account), _Suite())
        async with suite.opening:
            if suite.shared is None:
                opened = await self._opener(spec.venue, spec.account)
                suite.shared = SharedVenue(opened, self._feeds.setdefault(spec.venue, {}))
            shared = suite.shared
            view = shared.for_run(spec.pair, prefix)
            view.instrument(spec.pair)
            shared.runs += 1
        return view

    async def leave(self, spec: RunSpec) -> None:
        """The account stays open: other accounts' runs may follow the feeds that come through it."""
        suite = self._suites.get((spec.venue, spec.account))
        if suite is not None and suite.shared is not None:
            suite.shared.runs -= 1

    async def close(self) -> None:
        """Close every account."""
        for suite in self._suites.values():
            shared, suite.shared = suite.shared, None
            if shared is not None and not suite.kept:
                await shared.venue.close()
