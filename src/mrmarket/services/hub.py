"""Hands changes to everybody who watches, without ever waiting for a slow one."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Final

from mrmarket.services.api.face import Update
from mrmarket.services.api.schema import Topic

ROW_TOPICS: Final[frozenset[Topic]] = frozenset({"fill", "event", "equity", "candle"})
"""Topics whose every message counts; of the others only the latest does."""

_MAX_ROWS: Final = 2000


class UpdateHub:
    """Publishes to any number of subscribers on one event loop."""

    def __init__(self) -> None:
        self._subscribers: set[_Subscriber] = set()
        self._wanted: dict[Topic, int] = {}

    def wants(self, topic: Topic) -> bool:
        """Whether anybody watches a topic, so that nobody computes what no one sees."""
        return self._wanted.get(topic, 0) > 0

    def publish(self, topic: Topic, data: object) -> None:
        """Hand a new value or row to everybody who watches the topic."""
        for subscriber in self._subscribers:
            if topic in subscriber.topics:
                subscriber.take(Update(topic, data))

    def close(self) -> None:
        """End every subscription."""
        for subscriber in self._subscribers:
            subscriber.end()

    def subscribe(self, topics: frozenset[Topic]) -> Subscription:
        """Changes from now on. A subscriber more than 2,000 rows behind is ended: it must fetch again."""
        subscriber = _Subscriber(topics)
        self._subscribers.add(subscriber)
        for topic in topics:
            self._wanted[topic] = self._wanted.get(topic, 0) + 1
        return Subscription(subscriber, self._leave)

    def _leave(self, subscriber: _Subscriber) -> None:
        if subscriber in self._subscribers:
            self._subscribers.discard(subscriber)
            for topic in subscriber.topics:
                self._wanted[topic] -= 1


class Subscription(AsyncIterator[Update]):
    """What is published from the moment this is made, not only once somebody reads; to be closed."""

    def __init__(self, subscriber: _Subscriber, leave: Callable[[_Subscriber], None]) -> None:
        self._subscriber = subscriber
        self._leave = leave
        self._batch: deque[Update] = deque()

    async def __anext__(self) -> Update:
        while not self._batch:
            if self._subscriber.ended and not self._subscriber.has_more:
                await self.aclose()
                raise StopAsyncIteration
            self._batch.extend(await self._subscriber.next())
        return self._batch.popleft()

    async def aclose(self) -> None:
        """Hear no more; closing twice is harmless."""
        self._leave(self._subscriber)


class _Subscriber:
    def __init__(self, topics: frozenset[Topic]) -> None:
        self.topics = topics
        self.ended = False
        self._values: dict[Topic, Update] = {}
        self._rows: deque[Update] = deque()
        self._something = asyncio.Event()

    def take(self, update: Update) -> None:
        if update.topic in ROW_TOPICS:
            self._rows.append(update)
            self.ended = self.ended or len(self._rows) > _MAX_ROWS
        else:
            self._values[update.topic] = update
        self._something.set()

    @property
    def has_more(self) -> bool:
        return bool(self._rows or self._values)

    def end(self) -> None:
        self.ended = True
        self._something.set()

    async def next(self) -> list[Update]:
        await self._something.wait()
        self._something.clear()
        batch = [*self._rows, *self._values.values()]
        self._rows.clear()
        self._values.clear()
        return batch
