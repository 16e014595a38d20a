"""Buy and sell."""

from __future__ import annotations

from enum import StrEnum


class Side(StrEnum):
    """The direction of an order, seen from its owner."""

    BUY = "buy"
    SELL = "sell"

    sign: int
    """+1 for a buy, -1 for a sell."""

    @property
    def opposite(self) -> Side:
        """The other side."""
        return Side.SELL if self is Side.BUY else Side.BUY


# Looked up thousands of times a second: an attribute costs a tenth of a property. Set here and not in `__init__`,
# where type checkers would no longer know which words the values are.
Side.BUY.sign = 1
Side.SELL.sign = -1
