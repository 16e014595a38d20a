"""The live book of one pair, and whether it may be trusted."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from mrmarket.core.clock import NS_PER_S, Clock
from mrmarket.core.instrument import Instrument
from mrmarket.trading.market.book import OrderBook
from mrmarket.trading.market.errors import SequenceGapError
from mrmarket.trading.market.event import EventKind, Level, MarketEvent

_MID_HISTORY: Final = 4096


class StaleReason(StrEnum):
    """Why a book must not be quoted on."""

    NO_BOOK = "no_book"
    """No snapshot was seen yet, or the feed was lost."""
    SEQUENCE_GAP = "sequence_gap"
    """Updates are missing; a snapshot is on its way."""
    ONE_SIDED = "one_sided"
    """There is no bid or no ask."""
    CROSSED = "crossed"
    """The best bid has reached the best ask for longer than the limit."""
    OLD = "old"
    """No update of the book for longer than the limit."""
    SILENT = "silent"
    """Nothing at all was heard for longer than the limit: the feed may be dead."""


@dataclass(frozen=True, slots=True)
class LastTrade:
    """The latest public trade."""

    price_ticks: int
    size_lots: int
    taker_buys: bool
    exchange_ns: int
    local_ns: int


class BookTracker:
    """Follows one pair's market events and says at any moment whether its book is fresh.

    Events go in by `apply`, which never raises on what a feed can send: a sequence gap makes the
    book stale until the next SNAPSHOT. An empty SNAPSHOT, which a venue sends when it loses its
    feed, leaves no book. All ages are measured by the clock's monotonic reading at `apply`.
    """

    __slots__ = (
        "_book_at_ns",
        "_clock",
        "_crossed_at_ns",
        "_gapped",
        "_message_at_ns",
        "book",
        "events",
        "gaps",
        "instrument",
        "last_trade",
        "max_age_ns",
        "max_crossed_ns",
        "max_silence_ns",
        "mids",
    )

    def __init__(
        self,
        instrument: Instrument,
        clock: Clock,
        *,
        max_age_ns: int = 10 * NS_PER_S,
        max_crossed_ns: int = NS_PER_S,
        max_silence_ns: int = 10 * NS_PER_S,
        mid_history: int = _MID_HISTORY,
    ) -> None:
        """How long a book may go without an update, be crossed, or hear nothing of its feed."""
        self.instrument = instrument
        self.book = OrderBook(instrument)
        self.max_age_ns = max_age_ns
        self.max_crossed_ns = max_crossed_ns
        self.max_silence_ns = max_silence_ns
        self.events = 0
        """Events taken in so far."""
        self.gaps = 0
        """Sequence gaps met so far."""
        self.last_trade: LastTrade | None = None
        self.mids: deque[tuple[int, int]] = deque(maxlen=mid_history)
        """(monotonic ns, best bid + best ask in ticks), one for each change; half of it is the mid."""
        self._clock = clock
        self._gapped = False
        self._book_at_ns: int | None = None
        self._message_at_ns: int | None = None
        self._crossed_at_ns: int | None = None

    def apply(self, event: MarketEvent) -> bool:
        """Take an event in; say whether the book changed."""
        now_ns = self._clock.monotonic_ns()
        self.events += 1
        self._message_at_ns = now_ns
        if event.kind is EventKind.TRADE:
            self.last_trade = LastTrade(
                event.price_ticks, event.size_lots, event.taker_buys, event.exchange_ns, event.local_ns
            )
            return False
        try:
            changed = self.book.apply(event)
        except SequenceGapError:
            self.gaps += 1
            self._gapped = True
            return True
        if event.kind is EventKind.SNAPSHOT:
            self._gapped = False
        if changed:
            self._book_at_ns = now_ns
            self._observe_mid(now_ns)
        return changed

    @property
    def best_bid(self) -> Level | None:
        """Highest bid; None where there is none."""
        return self.book.best_bid

    @property
    def best_ask(self) -> Level | None:
        """Lowest ask; None where there is none."""
        return self.book.best_ask

    @property
    def mid_double_ticks(self) -> int | None:
        """Best bid plus best ask in ticks, so that half of it is the mid; None without both."""
        bid, ask = self.book.best_bid, self.book.best_ask
        return bid[0] + ask[0] if bid and ask else None

    @property
    def age_ns(self) -> int | None:
        """Time since the last book update; None before the first."""
        return None if self._book_at_ns is None else self._clock.monotonic_ns() - self._book_at_ns

    @property
    def message_age_ns(self) -> int | None:
        """Time since the last event of any kind; None before the first."""
        return None if self._message_at_ns is None else self._clock.monotonic_ns() - self._message_at_ns

    @property
    def stale(self) -> StaleReason | None:
        """Why the book must not be quoted on, or None if it may."""
        if self._gapped:
            return StaleReason.SEQUENCE_GAP
        bid, ask = self.book.best_bid, self.book.best_ask
        if self._book_at_ns is None or (bid is None and ask is None):
            return StaleReason.NO_BOOK
        if bid is None or ask is None:
            return StaleReason.ONE_SIDED
        return self._too_long(self._clock.monotonic_ns(), self._book_at_ns)

    def _too_long(self, now_ns: int, book_at_ns: int) -> StaleReason | None:
        """What has gone on for longer than its limit."""
        if self._crossed_at_ns is not None and now_ns - self._crossed_at_ns > self.max_crossed_ns:
            return StaleReason.CROSSED
        if self._message_at_ns is not None and now_ns - self._message_at_ns > self.max_silence_ns:
            return StaleReason.SILENT
        if now_ns - book_at_ns > self.max_age_ns:
            return StaleReason.OLD
        return None

    def _observe_mid(self, now_ns: int) -> None:
        bid, ask = self.book.best_bid, self.book.best_ask
        if bid is None or ask is None:
            self._crossed_at_ns = None
            return
        if bid[0] >= ask[0]:
            if self._crossed_at_ns is None:
                self._crossed_at_ns = now_ns
        else:
            self._crossed_at_ns = None
        double = bid[0] + ask[0]
        mids = self.mids
        if not mids or mids[-1][1] != double:
            mids.append((now_ns, double))
