"""Watches a run for the screen: remembers candles, and publishes what changed at a bearable pace."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from mrmarket.services.api.schema import Topic
from mrmarket.services.candles import CandleStore
from mrmarket.services.hub import UpdateHub
from mrmarket.trading.execution.order import Order
from mrmarket.trading.execution.targets import TargetQuotes
from mrmarket.trading.market.event import EventKind, MarketEvent
from mrmarket.trading.strategy.observer import FillRecord, RunState

_PACE_S: Final = 0.1
_SLOW_EVERY: Final = 10
CANDLE_S: Final = 5
"""Length of the candles on the stream."""

Reader = Callable[[], object]


class RunWatch:
    """A RunObserver. The run only sets marks here; a task of our own reads and publishes."""

    def __init__(
        self, hub: UpdateHub, candles: CandleStore, fill_row: Callable[[FillRecord], object]
    ) -> None:
        self._hub = hub
        self._candles = candles
        self._fill_row = fill_row
        self._changed: set[Topic] = set()

    def on_market(self, event: MarketEvent) -> None:
        """Remember a trade; the book is read when it is published."""
        if event.kind is EventKind.TRADE:
            self._candles.add(event)
            self._changed.add("candle")
        self._changed.add("market")

    def on_book(self) -> None:
        """The best bid or ask changed."""
        self._changed.add("market")

    def on_quotes(self, targets: TargetQuotes) -> None:  # noqa: ARG002 - read when published
        """The strategy wants other quotes."""
        self._changed.add("quotes")

    def on_order(self, order: Order) -> None:  # noqa: ARG002 - read when published
        """An order of ours changed."""
        self._changed.update(("orders", "quotes", "market"))

    def on_fill(self, record: FillRecord) -> None:
        """A trade of ours is durable."""
        self._hub.publish("fill", self._fill_row(record))
        self._changed.add("performance")

    def on_state(self, state: RunState, reason: str) -> None:  # noqa: ARG002 - read when published
        """The run changed its state."""
        self._changed.update(("status", "quotes"))

    def on_report(self) -> None:
        """The engine that holds the run has said how it is."""
        self._changed.update(("status", "market", "quotes", "orders", "performance"))

    async def publish(self, readers: dict[Topic, Reader]) -> None:
        """Ten times a second what changed; status and performance at least once a second. Runs for ever."""
        beat = 0
        while True:
            await asyncio.sleep(_PACE_S)
            beat += 1
            if beat % _SLOW_EVERY == 0:
                self._changed.update(("status", "performance"))
            changed, self._changed = self._changed, set()
            for topic in changed:
                if self._hub.wants(topic) and topic in readers:
                    self._hub.publish(topic, readers[topic]())
            if "candle" in changed and self._hub.wants("candle"):
                for candle in self._candles.candles(CANDLE_S, 2):
                    self._hub.publish("candle", candle)
