"""What the engine decided to send, written down before it is sent."""

from __future__ import annotations

from typing import Any, Final

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


def new_order(intent: OrderIntent) -> OrderRecord:
    """An intent of which nothing is known yet."""
    return OrderRecord(
        **msgspec.structs.asdict(intent),
        venue_order_id="",
        state=NEW_STATE,
        filled_lots=0,
        updated_ns=intent.created_ns,
    )


def read_order(row: tuple[Any, ...]) -> OrderRecord:
    """An order from its row: the table's columns in the table's order."""
    return OrderRecord(
        client_order_id=row[0],
        stream=row[1],
        symbol=row[2],
        slot=row[3],
        side=Side(row[4]),
        kind=row[5],
        price_ticks=row[6],
        size_lots=row[7],
        created_ns=row[8],
        venue_order_id=row[9],
        state=row[10],
        filled_lots=row[11],
        updated_ns=row[12],
    )
