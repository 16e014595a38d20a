"""Orders and trades by account and pair: all that live, and the latest that ended."""

from __future__ import annotations

from collections import deque
from typing import Final

from mrmarket.trading.venue.simulated.records import ExchangeOrder, ExchangeTrade

CLOSED_KEPT: Final = 10_000
"""Ended orders remembered for an account and pair; live ones are never forgotten."""
TRADES_KEPT: Final = 20_000
"""Trades remembered for an account and pair."""


class PairRecords:
    """What one account did on one pair."""

    __slots__ = ("_by_client_id", "_closed_kept", "closed", "live", "trades")

    def __init__(self, closed_kept: int = CLOSED_KEPT, trades_kept: int = TRADES_KEPT) -> None:
        self.live: dict[int, ExchangeOrder] = {}
        self.closed: dict[int, ExchangeOrder] = {}
        """In the order they ended."""
        self.trades: deque[ExchangeTrade] = deque(maxlen=trades_kept)
        self._by_client_id: dict[str, int] = {}
        self._closed_kept = closed_kept

    def put(self, order: ExchangeOrder) -> None:
        """File an order by its status; the newest holder of a client id answers to it."""
        if not order.status.is_final:
            self.live[order.order_id] = order
            self._by_client_id[order.client_order_id] = order.order_id
            return
        self.live.pop(order.order_id, None)
        self.closed[order.order_id] = order
        if self._by_client_id.get(order.client_order_id, 0) <= order.order_id:
            self._by_client_id[order.client_order_id] = order.order_id
        if len(self.closed) > self._closed_kept:
            oldest = self.closed.pop(next(iter(self.closed)))
            if self._by_client_id.get(oldest.client_order_id) == oldest.order_id:
                del self._by_client_id[oldest.client_order_id]

    def find(self, order_id: int, client_order_id: str) -> ExchangeOrder | None:
        """By either id; given both, both must fit."""
        number = order_id or self._by_client_id.get(client_order_id, 0)
        order = self.live.get(number) or self.closed.get(number)
        if order is not None and client_order_id and order.client_order_id != client_order_id:
            return None
        return order

    def is_live(self, client_order_id: str) -> bool:
        """Whether an open order answers to the id."""
        return self._by_client_id.get(client_order_id, 0) in self.live

    def all(self) -> list[ExchangeOrder]:
        """Live and remembered, oldest first."""
        return sorted([*self.live.values(), *self.closed.values()], key=lambda order: order.order_id)


class OrderRecords:
    """The records of every account and pair."""

    def __init__(self) -> None:
        self._pairs: dict[tuple[str, str], PairRecords] = {}
        self.by_id: dict[int, ExchangeOrder] = {}
        """Live orders of everybody."""
        self._tracking = False
        self._changed: dict[int, ExchangeOrder] = {}
        self._new_trades: list[ExchangeTrade] = []

    def pair(self, account: str, symbol: str) -> PairRecords:
        """The records of one account on one pair."""
        key = (account, symbol)
        found = self._pairs.get(key)
        if found is None:
            found = self._pairs[key] = PairRecords()
        return found

    def put(self, order: ExchangeOrder) -> None:
        """File an order after any change; an order filed again replaces its earlier state."""
        if order.status.is_final:
            self.by_id.pop(order.order_id, None)
        else:
            self.by_id[order.order_id] = order
        self.pair(order.account, order.symbol).put(order)
        if self._tracking:
            self._changed[order.order_id] = order

    def add_trade(self, trade: ExchangeTrade) -> None:
        """Remember one half of a trade."""
        self.pair(trade.account, trade.symbol).trades.append(trade)
        if self._tracking:
            self._new_trades.append(trade)

    def take_changes(self) -> tuple[list[ExchangeOrder], list[ExchangeTrade]]:
        """Orders and trades touched since the last taking; tracking starts with the first one."""
        changed, trades = list(self._changed.values()), self._new_trades
        self._tracking = True
        self._changed = {}
        self._new_trades = []
        return changed, trades

    def take_all(self) -> tuple[list[ExchangeOrder], list[ExchangeTrade]]:
        """Everything remembered; it also counts as a taking of changes."""
        self.take_changes()
        pairs = self._pairs.values()
        orders = [order for pair in pairs for order in pair.all()]
        return orders, [trade for pair in pairs for trade in pair.trades]
