"""What the engine decided to send, written down before it is sent."""

from __future__ import annotations

from typing import Final

import msgspec

from mrmarket.core.side import Side

FINAL_STATES: Final = frozenset({"filled", "cancelled", "rejected", "expired"})
"""States in which an order no longer stands at the venue. Any other text counts as open."""

NEW_STATE: Final = "new"
"""Written, not yet sent."""


class OrderIntent(msgspec.Struct, frozen=True, kw_only=True):
    """An order that is about to be sent."""

    stream: str
    """The strategy run that owns the order."""
    client_order_id: str
    """Unique in one trading database."""
    symbol: str
    slot: str
    side: Side
    kind: str
    """How it meets the book, in the venue port's words."""
    price_ticks: int
    size_lots: int
    created_ns: int


class OrderRecord(OrderIntent, frozen=True, kw_only=True):
    """An intent and what is known of its fate."""

    venue_order_id: str
    """Empty until the venue named one."""
    state: str
    filled_lots: int
    updated_ns: int

    @property
    def is_open(self) -> bool:
        """Whether the order may still stand at the venue."""
        return self.state not in FINAL_STATES
