"""From an exchange's frames to market events, and the gate that keeps them in sequence."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any, Final, Protocol

from mrmarket.trading.market.errors import SequenceGapError
from mrmarket.trading.market.event import EventKind, MarketEvent
from mrmarket.trading.market.sequence import DepthSequence

_MAX_HELD: Final = 5000
"""Of more, the oldest are forgotten: the book that is coming is newer than they are."""


class SnapshotSource(Protocol):
    """Where a pair's book comes from when its stream does not begin with it."""

    async def fetch_snapshot(self, client: Any) -> Mapping[str, Any]:
        """Ask for the whole book."""
        ...

    def snapshot(self, answer: Mapping[str, Any], local_ns: int) -> MarketEvent:
        """The event of such an answer."""
        ...


class FrameReader(Protocol):
    """Reads one pair's frames of one exchange."""

    @property
    def snapshots(self) -> SnapshotSource | None:
        """Where the book's start must be asked for; None where the stream begins with it."""
        ...

    def read(self, frame: bytes, local_ns: int) -> Sequence[MarketEvent] | None:
        """Events of a frame; None for a frame that is not this pair's market data.

        Raises:
            BadFrameError: it is, but not as documented, or off the grid.
        """
        ...


class Wanted(Enum):
    """What a feed needs before its book is whole."""

    NOTHING = "nothing"
    SNAPSHOT = "snapshot"
    """A book by request."""
    RECONNECT = "reconnect"
    """A new subscription, which begins with the book."""


class BookGate:
    """Lets a pair's events through so that every update follows the one before it.

    After a gap the update that revealed it passes, so that whoever keeps the book learns of it at
    once; then nothing of the book passes until a snapshot. Pure.
    """

    __slots__ = ("_by_request", "_held", "_live", "_sequence", "gaps", "wanted")

    def __init__(self, symbol: str, *, snapshot_by_request: bool) -> None:
        self._by_request = snapshot_by_request
        self._sequence = DepthSequence(symbol)
        self._held: deque[MarketEvent] = deque(maxlen=_MAX_HELD)
        self._live = False
        self.wanted = Wanted.NOTHING
        self.gaps = 0

    @property
    def live(self) -> bool:
        """Whether the book is whole."""
        return self._live

    def admit(self, event: MarketEvent) -> Sequence[MarketEvent]:
        """Events to hand on for one that came in."""
        kind = event.kind
        if kind is EventKind.DEPTH:
            if self._live:
                try:
                    return (event,) if self._sequence.admit(event) else ()
                except SequenceGapError:
                    self.gaps += 1
                    self._live = False
                    self._held.clear()
                    if self._by_request:
                        self._held.append(event)
                    self.wanted = Wanted.SNAPSHOT if self._by_request else Wanted.RECONNECT
                    return (event,)
            if self._by_request:
                # Asked for only once an update is here, so that the book is never older than them.
                self.wanted = Wanted.SNAPSHOT
                self._held.append(event)
            return ()
        if kind is EventKind.SNAPSHOT:
            return self.start(event)
        return (event,)

    def start(self, snapshot: MarketEvent) -> Sequence[MarketEvent]:
        """Events to hand on for a book: itself and the held updates after it, if they connect."""
        self._sequence.restart(snapshot.last_id)
        passed = [snapshot]
        for held in self._held:
            try:
                if self._sequence.admit(held):
                    passed.append(held)
            except SequenceGapError:
                self.wanted = Wanted.SNAPSHOT
                return ()
        self._held.clear()
        self._live = True
        self.wanted = Wanted.NOTHING
        return passed

    def lose(self) -> None:
        """Forget everything: the connection is gone."""
        self._held.clear()
        self._live = False
        self.wanted = Wanted.NOTHING
