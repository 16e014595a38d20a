"""One event type for every feed: tape, generator, live stream."""

from __future__ import annotations

from enum import IntEnum

import msgspec


class EventKind(IntEnum):
    """What a market event carries."""

    SNAPSHOT = 1
    """The whole visible book; replaces what was known."""
    DEPTH = 2
    """Changed levels; a size of 0 removes a level."""
    TRADE = 3
    """One public trade."""
    TOP = 4
    """Best bid and ask only."""


Level = tuple[int, int]
"""(price in ticks, size in lots)."""


class MarketEvent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something the market did, in ints of one instrument's grid.

    Sequence numbers follow Binance's terms: `first_id` is `U`, `last_id` is `u` (or
    `lastUpdateId`, or a trade id), `prev_id` is `pu`. 0 stands for "the feed does not say".
    """

    kind: EventKind
    exchange_ns: int
    """By the exchange's clock; 0 where the frame carries none."""
    local_ns: int
    """By the clock of whoever received it."""
    first_id: int = 0
    last_id: int = 0
    prev_id: int = 0
    bids: list[Level] = msgspec.field(default_factory=list)
    """SNAPSHOT: descending; DEPTH: changed levels; TOP: one level."""
    asks: list[Level] = msgspec.field(default_factory=list)
    """SNAPSHOT: ascending; DEPTH: changed levels; TOP: one level."""
    price_ticks: int = 0
    """TRADE only."""
    size_lots: int = 0
    """TRADE only."""
    taker_buys: bool = False
    """TRADE only: whether the aggressor bought."""
