"""Orders, fills and balances of an account as events, to everyone who subscribed to it."""

from __future__ import annotations

from typing import Any, Final, Protocol

import msgspec

from mrmarket.trading.venue.front.gateway import Gateway
from mrmarket.trading.venue.front.orders import account_position, balance_update, execution_report
from mrmarket.trading.venue.simulated.records import (
    BalanceChanged,
    ExternalTransfer,
    OrderChanged,
    Publication,
)

_NANOSECONDS_PER_MICROSECOND: Final = 1_000


class UserSubscriber(Protocol):
    """A connection with a subscription to an account."""

    def send_event(self, subscription_id: int, event: dict[str, Any]) -> None:
        """Take one event; must not block and must not lose it."""
        ...


class UserStreams:
    """Renders an account's events and hands them to its subscribers."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._subscribers: dict[str, dict[tuple[UserSubscriber, int], None]] = {}
        # Rises over restarts too, for clients that de-duplicate by it.
        self._last_execution_id = gateway.now_ns() // _NANOSECONDS_PER_MICROSECOND
        gateway.listen(self.publish)

    def subscribe(self, account: str, subscriber: UserSubscriber, subscription_id: int) -> None:
        """Start telling a connection of an account."""
        self._subscribers.setdefault(account, {})[subscriber, subscription_id] = None

    def unsubscribe(self, account: str, subscriber: UserSubscriber, subscription_id: int) -> None:
        """Stop telling it."""
        self._subscribers.get(account, {}).pop((subscriber, subscription_id), None)

    def publish(self, published: list[Publication], now_ns: int) -> None:
        """Tell what concerns an account."""
        for change in published:
            if isinstance(change, OrderChanged):
                self._last_execution_id += 1
                listening = self._subscribers.get(change.order.account)
                if listening:
                    self._tell(listening, self._report(change, now_ns))
            elif isinstance(change, BalanceChanged):
                listening = self._subscribers.get(change.account)
                if listening:
                    self._tell(listening, account_position(change, now_ns))
            elif isinstance(change, ExternalTransfer):
                listening = self._subscribers.get(change.account)
                if listening:
                    self._tell(listening, balance_update(change, now_ns))

    def _report(self, change: OrderChanged, now_ns: int) -> dict[str, Any]:
        order = change.order
        cancelled = change.execution == "CANCELED"
        return execution_report(
            self._gateway.grid_of(order.symbol),
            change,
            now_ns=now_ns,
            execution_id=self._last_execution_id,
            cancel_client_id=self._gateway.cancel_id(order.order_id) if cancelled else "",
            quote_order_units=self._gateway.quote_sizes.get(order.order_id, 0),
        )

    @staticmethod
    def _tell(listening: dict[tuple[UserSubscriber, int], None], event: dict[str, Any]) -> None:
        for subscriber, subscription_id in tuple(listening):
            subscriber.send_event(subscription_id, event)


def wrapped(subscription_id: int, event: dict[str, Any]) -> bytes:
    """An event as the WebSocket API sends it."""
    return msgspec.json.encode({"subscriptionId": subscription_id, "event": event})
