"""Do the updates of a book follow each other without a hole?

Source: Binance, "How to manage a local order book correctly", spot (`U`, `u`) and USD-M (`pu`).
"""

from __future__ import annotations

from mrmarket.trading.market.errors import SequenceGapError
from mrmarket.trading.market.event import MarketEvent


class DepthSequence:
    """Follows the ids of one book from a snapshot on.

    A feed without ids (all 0) is taken as it comes.
    """

    __slots__ = ("last_id", "symbol", "synced")

    def __init__(self, symbol: str) -> None:
        self.symbol = symbol
        self.last_id = 0
        """`lastUpdateId` of the snapshot or `u` of the last update taken."""
        self.synced = False
        """Whether a snapshot was seen and no update is missing since."""

    def restart(self, last_id: int) -> None:
        """Start over from a snapshot."""
        self.last_id = last_id
        self.synced = True

    def admit(self, event: MarketEvent) -> bool:
        """Whether an update is to be applied: false before a snapshot and for what is known already.

        Raises:
            SequenceGapError: if updates between the last one and this are missing; from then on
                nothing is admitted until `restart`.
        """
        if not self.synced:
            return False
        last_id = event.last_id
        if last_id == 0:
            return True
        known = self.last_id
        if known:
            if event.prev_id:
                # USD-M: ids are shared by all pairs, so only the link to the update before counts.
                if last_id < known or (last_id == known and event.prev_id != known):
                    return False
                found, expected = event.prev_id, known
            else:
                if last_id <= known:
                    return False
                found, expected = event.first_id or last_id, known + 1
            if found > expected:
                self.synced = False
                raise SequenceGapError(self.symbol, expected, found)
        self.last_id = last_id
        return True
