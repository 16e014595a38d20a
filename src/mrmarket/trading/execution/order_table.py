"""Every order that is not proven closed, the recently closed ones, and who answers to which id."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Final

from mrmarket.core.clock import Clock
from mrmarket.core.side import Side
from mrmarket.trading.execution.differ import LiveOrder
from mrmarket.trading.execution.order import Order

_CLOSED_KEPT: Final = 5_000


class OrderTable:
    """Orders by client order id and by the venue's id. Ages run by the strategy's clock."""

    def __init__(self, world: Clock, *, closed_kept: int = _CLOSED_KEPT) -> None:
        self._world = world
        self._closed_kept = closed_kept
        self._open: dict[str, Order] = {}
        self._listed: list[Order] | None = None
        self._two_sided: bool | None = None
        self._calm: bool | None = None
        self._closed: OrderedDict[str, Order] = OrderedDict()
        self._by_venue_id: dict[str, str] = {}
        self._placed_ns: dict[str, int] = {}
        self._cancelled_ns: dict[str, int] = {}
        self._short: set[str] = set()

    def __len__(self) -> int:
        return len(self._open)

    def put(self, order: Order, *, age_ns: int = 0) -> None:
        """Take over what is now known of an order; `age_ns` counts for a new one only."""
        key = order.client_order_id
        self._listed = self._two_sided = self._calm = None
        if order.venue_order_id:
            self._by_venue_id[order.venue_order_id] = key
        if order.missing_lots:
            self._short.add(key)
        else:
            self._short.discard(key)
        if order.is_final:
            self._open.pop(key, None)
            self._placed_ns.pop(key, None)
            self._cancelled_ns.pop(key, None)
            self._closed[key] = order
            self._forget()
            return
        self._open[key] = order
        self._placed_ns.setdefault(key, self._world.monotonic_ns() - age_ns)

    def cancelling(self, client_order_id: str) -> None:
        """A cancel of this order is on its way."""
        self._cancelled_ns[client_order_id] = self._world.monotonic_ns()

    def find(self, client_order_id: str, venue_order_id: str = "") -> Order | None:
        """By our id, else by the venue's."""
        key = client_order_id or self._by_venue_id.get(venue_order_id, "")
        return self._open.get(key) or self._closed.get(key)

    def open(self) -> Sequence[Order]:
        """Orders that stand at the venue or might, oldest first; the same list until one of them changes."""
        listed = self._listed
        if listed is None:
            listed = self._listed = list(self._open.values())
        return listed

    @property
    def rests_on_both_sides(self) -> bool:
        """Whether a buy and a sell are known to stand in the book."""
        if self._two_sided is None:
            sides = {order.side for order in self._open.values() if order.is_resting}
            self._two_sided = len(sides) == len(Side)
        return self._two_sided

    def live(self) -> list[LiveOrder]:
        """The same with their ages."""
        now_ns = self._world.monotonic_ns()
        return [
            LiveOrder(order, now_ns - self._placed_ns[key], now_ns - self._cancelled_ns.get(key, 0))
            for key, order in self._open.items()
        ]

    @property
    def is_calm(self) -> bool:
        """Whether every order is known to stand in the book, in no doubt, and every fill of it is known."""
        if self._calm is None:
            self._calm = not self._short and all(
                order.is_resting and not order.is_doubted for order in self._open.values()
            )
        return self._calm

    def recently_closed(self) -> Iterable[Order]:
        """Closed orders that are still remembered, newest first."""
        return reversed(self._closed.values())

    def short_of_fills(self) -> list[Order]:
        """Orders of which the venue counted more than the fills we have seen."""
        return [order for key in self._short if (order := self.find(key)) is not None]

    def _forget(self) -> None:
        while len(self._closed) > self._closed_kept:
            key, order = self._closed.popitem(last=False)
            self._short.discard(key)
            self._by_venue_id.pop(order.venue_order_id, None)
