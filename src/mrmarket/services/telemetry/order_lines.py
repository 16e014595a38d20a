"""Log lines about orders: who, which fence, what happened; never in the way of an order."""

from __future__ import annotations

import threading
from collections import deque
from typing import Any, Final

import msgspec
import structlog

from mrmarket.core.clock import NS_PER_MS
from mrmarket.core.events import (
    BalanceObserved,
    DifferenceFound,
    Fact,
    MarkObserved,
    OrderAccepted,
    OrderCancelled,
    OrderCreated,
    RiskChanged,
)
from mrmarket.trading.execution.order_id import parse_order_id

_MOST_WAITING: Final = 10_000
_ROUTINE: Final = (OrderCreated, OrderAccepted, OrderCancelled)
"""What an order goes through every time: the event log has them, and they may be left out here."""
_SILENT: Final = (MarkObserved, BalanceObserved)

_log = structlog.get_logger("mrmarket.orders")


class OrderLines:
    """Takes a run's facts as they are queued for the event log, and writes them down a little later.

    `take` is for `FactWriter.told`: it only appends. `write` is to be called now and then, best in a thread.
    """

    def __init__(self, run: str, fence: int, *, per_s: int) -> None:
        self.left_out = 0
        """Routine lines that were above the limit, since the start."""
        self._run = run
        self._fence = fence
        self._per_s = per_s
        self._waiting: deque[Fact] = deque()
        self._writing = threading.Lock()
        """The last lines are written while the thread that writes now and then may be at work."""

    def take(self, fact: Fact) -> None:
        """Remember a fact."""
        if isinstance(fact, _SILENT):
            return
        if len(self._waiting) >= _MOST_WAITING:
            self.left_out += 1
            return
        self._waiting.append(fact)

    def write(self, passed_s: float) -> int:
        """Log what has come in `passed_s` seconds; returns the number of lines."""
        with self._writing:
            return self._write(passed_s)

    def _write(self, passed_s: float) -> int:
        room, left_out, lines = int(self._per_s * passed_s), 0, 0
        for _ in range(len(self._waiting)):
            fact = self._waiting.popleft()
            if isinstance(fact, _ROUTINE):
                if room <= 0:
                    left_out += 1
                    continue
                room -= 1
            self._say(fact)
            lines += 1
        if left_out:
            self.left_out += left_out
            _log.info("lines about orders were left out", run=self._run, fence=self._fence, count=left_out)
        return lines

    def _say(self, fact: Fact) -> None:
        fields: dict[str, Any] = msgspec.to_builtins(fact)
        kind = fields.pop("type").replace("_", " ")
        order = fields.pop("client_order_id", "")
        fields["at_ms"] = fields.pop("at_ns") // NS_PER_MS
        fields["pair"] = fields.pop("symbol", "")
        fields["run"], fields["fence"] = self._run, self._fence
        if order:
            parsed = parse_order_id(order)
            fields["order"] = order
            # The fence under which it was placed; an heir reports on orders of the one before.
            fields["order_fence"] = parsed.fence if parsed else None
        serious = isinstance(fact, DifferenceFound) or (
            isinstance(fact, RiskChanged) and fact.state != "active"
        )
        (_log.warning if serious else _log.info)(kind, **fields)
