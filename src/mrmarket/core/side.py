"""Buy and sell."""

from __future__ import annotations

from enum import StrEnum


class Side(StrEnum):
    """The direction of an order, seen from its owner."""

    BUY = "buy"
    SELL = "sell"

    @property
    def sign(self) -> int:
        """+1 for a buy, -1 for a sell."""
        return 1 if self == "buy" else -1  # looked up often: a member asked for by name costs more

    @property
    def opposite(self) -> Side:
        """The other side."""
        return Side.SELL if self is Side.BUY else Side.BUY
