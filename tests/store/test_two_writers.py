"""Two processes that fight for one stream, in every order of events that a machine can think of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from mrmarket.core.events import Fact
from mrmarket.store.errors import DuplicateIntentError, LeaseHeldError, StaleFenceError
from mrmarket.store.trading_port import TradingLog
from store.conftest import OpenLog
from store.trading_samples import fill, intent, mark

HOUR_NS = 3_600 * 10**9
WRITERS = st.integers(0, 1)


def accepted(call: Callable[[], object], *refusals: type[Exception]) -> bool:
    """Whether a call went through; what it may be refused with is named."""
    try:
        call()
    except refusals:
        return False
    return True


class TwoWriters(RuleBasedStateMachine):
    """The model: who holds which fence, and what has therefore been written."""

    logs: tuple[TradingLog, TradingLog]
    examples = 0

    def __init__(self) -> None:
        super().__init__()
        type(self).examples += 1
        self.stream = f"run/{type(self).examples}"
        self.fence = 0
        self.running: int | None = None
        self.held = [0, 0]
        self.facts: list[tuple[int, int]] = []
        self.trades: set[str] = set()
        self.orders: set[str] = set()
        self.tick = 0

    def may_write(self, writer: int) -> bool:
        """Whether a writer's fence is the newest."""
        return self.held[writer] == self.fence

    @rule(writer=WRITERS)
    def acquire(self, writer: int) -> None:
        """A lease that runs is not taken by another; whoever gets it has the next fence."""
        log, owner = self.logs[writer], f"writer-{writer}"
        taken = accepted(lambda: log.acquire_lease(self.stream, owner, HOUR_NS, 0), LeaseHeldError)
        assert taken == (self.running in {None, writer})
        if taken:
            self._take(writer)

    @rule(writer=WRITERS)
    def seize(self, writer: int) -> None:
        """A seizure always succeeds and always raises the fence."""
        fence = self.logs[writer].seize_lease(self.stream, f"writer-{writer}", HOUR_NS, 0).fence
        assert fence == self.fence + 1
        self._take(writer)

    @rule(writer=WRITERS)
    def release(self, writer: int) -> None:
        """Only the holder of the newest fence gives a lease back."""
        released = accepted(lambda: self.logs[writer].release_lease(self.stream), StaleFenceError)
        assert released == (self.may_write(writer) and self.fence > 0)
        if released:
            self.running = None

    @rule(writer=WRITERS)
    def renew(self, writer: int) -> None:
        """Only the holder of the newest fence keeps its lease."""
        lost = self.logs[writer].renew_leases([self.stream], HOUR_NS, 0)
        kept = self.may_write(writer) and self.fence > 0
        assert lost == ([] if kept else [self.stream])
        if kept:
            self.running = writer

    @rule(writer=WRITERS, trade=st.integers(0, 3))
    def append(self, writer: int, trade: int) -> None:
        """The newest fence appends, known trades excepted; any other writes nothing."""
        self.tick += 1
        name = f"{self.stream}:{trade}"
        batch: list[Fact] = [mark(self.tick), fill(name, at_ns=self.tick)]
        written = accepted(lambda: self.logs[writer].append_facts(self.stream, batch), StaleFenceError)
        assert written == self.may_write(writer)
        if written:
            self.facts += [(self.fence, self.tick)] * (1 + (name not in self.trades))
            self.trades.add(name)

    @rule(writer=WRITERS, number=st.integers(0, 5))
    def order(self, writer: int, number: int) -> None:
        """An order is written once, and by the newest fence only."""
        name = f"{self.stream}-{number}"
        order = intent(name, stream=self.stream)
        refusals = (StaleFenceError, DuplicateIntentError)
        written = accepted(lambda: self.logs[writer].record_intent(order), *refusals)
        assert written == (self.may_write(writer) and name not in self.orders)
        if written:
            self.orders.add(name)

    @invariant()
    def everybody_reads_the_same(self) -> None:
        """Both processes see what the model says, in order, with the fence that wrote it."""
        for log in self.logs:
            rows = log.read_facts(self.stream, 0, 1_000)
            assert [(row.epoch, row.at_ns) for row in rows] == self.facts
            assert {order.client_order_id for order in log.orders(self.stream)} == self.orders

    def teardown(self) -> None:
        """The chain holds over every change of owner."""
        assert self.logs[0].verify_log().ok

    def _take(self, writer: int) -> None:
        self.fence += 1
        self.held[writer] = self.fence
        self.running = writer


def test_of_two_writers_one_writes(open_log: OpenLog) -> None:
    """Whatever the order of acquisitions, seizures, releases and writes, the log follows the fence."""
    machine: Any = type("Fight", (TwoWriters,), {"logs": (open_log(), open_log())})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=15,
            stateful_step_count=20,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    assert machine.examples > 0


def test_an_unknown_stream_belongs_to_nobody(open_log: OpenLog) -> None:
    """The machine's starting point: without any lease, everybody writes with fence 0."""
    assert [log.append_facts("run/0", [mark(1)])[0].epoch for log in (open_log(), open_log())] == [0, 0]
    with pytest.raises(StaleFenceError):
        open_log().release_lease("run/0")
