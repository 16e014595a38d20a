"""Leases and fences: of two writers, only the newer one writes. What every trading log does alike."""

from __future__ import annotations

import time

import pytest

from mrmarket.store.errors import LeaseHeldError, StaleFenceError
from mrmarket.store.lease_row import LeaseRow
from mrmarket.store.trading_port import TradingLog
from store.conftest import OpenLog
from store.trading_samples import STREAM, intent, mark

HOUR_NS = 3_600 * 10**9
MOMENT_NS = 1
"""A lease that has run out by the time that anybody asks."""


def now() -> int:
    """The wall's clock, which the server's is too."""
    return time.time_ns()


@pytest.fixture
def other(open_log: OpenLog, log: TradingLog) -> TradingLog:
    """A second process on the same database."""
    return open_log()


def test_fences_only_rise(log: TradingLog, other: TradingLog) -> None:
    """Every acquisition has a number of its own, whoever takes it and however often it changes hands."""
    fences = [
        log.acquire_lease(STREAM, "a", MOMENT_NS, now()),
        log.acquire_lease(STREAM, "a", MOMENT_NS, now()),
        other.acquire_lease(STREAM, "b", MOMENT_NS, now()),
        log.acquire_lease(STREAM, "a", HOUR_NS, now()),
        other.seize_lease(STREAM, "b", HOUR_NS, now()).fence,
    ]
    assert fences == [1, 2, 3, 4, 5]


def test_a_running_lease_keeps_others_out(log: TradingLog, other: TradingLog) -> None:
    """Another owner waits until the lease has run out, and the error says whose it is."""
    log.acquire_lease(STREAM, "a", HOUR_NS, now())
    with pytest.raises(LeaseHeldError) as caught:
        other.acquire_lease(STREAM, "b", HOUR_NS, now())
    assert (caught.value.name, caught.value.owner, caught.value.retryable) == (STREAM, "a", True)
    assert caught.value.expires_ns > now()


def test_a_seized_lease_is_taken_whoever_holds_it(log: TradingLog, other: TradingLog) -> None:
    """The Angel waits for nobody; the engine that held the lease writes nothing from then on."""
    log.acquire_lease(STREAM, "engine", HOUR_NS, now())
    seizure = other.seize_lease(STREAM, "angel", HOUR_NS, now())
    assert seizure.fence == 2
    assert HOUR_NS * 9 // 10 < seizure.left_ns <= HOUR_NS
    with pytest.raises(StaleFenceError):
        log.record_intent(intent("a"))
    with pytest.raises(LeaseHeldError):
        log.acquire_lease(STREAM, "engine", HOUR_NS, now())


def test_a_renewed_lease_runs_on_and_a_released_one_ends(log: TradingLog, other: TradingLog) -> None:
    """Renewing keeps others out, releasing lets them in at once."""
    log.acquire_lease(STREAM, "a", MOMENT_NS, now())
    log.renew_lease(STREAM, HOUR_NS, now())
    with pytest.raises(LeaseHeldError):
        other.acquire_lease(STREAM, "b", HOUR_NS, now())
    log.release_lease(STREAM)
    assert other.acquire_lease(STREAM, "b", HOUR_NS, now()) == 2


def test_several_leases_are_renewed_at_once_and_lost_ones_named(log: TradingLog, other: TradingLog) -> None:
    """An engine renews all of its runs in one go and learns which of them it has lost."""
    names = [f"run/{number}" for number in range(5)]
    for name in names:
        log.acquire_lease(name, "a", MOMENT_NS, now())
    other.seize_lease("run/1", "b", HOUR_NS, now())
    assert log.renew_leases([*names, "never"], HOUR_NS, now()) == ["run/1", "never"]
    assert log.renew_leases([], HOUR_NS, now()) == []
    with pytest.raises(LeaseHeldError):
        other.acquire_lease("run/2", "b", HOUR_NS, now())


def test_several_leases_are_taken_at_once_where_they_are_to_be_had(
    log: TradingLog, other: TradingLog
) -> None:
    """An heir takes everything of a dead engine in one go; what another holds is left out, not refused."""
    log.acquire_lease("run/0", "a", MOMENT_NS, now())
    log.acquire_lease("run/1", "a", HOUR_NS, now())
    other.acquire_lease("run/2", "b", HOUR_NS, now())
    names = ["run/3", "run/2", "run/1", "run/0"]
    assert other.acquire_leases(names, "b", HOUR_NS, now()) == {"run/0": 2, "run/2": 2, "run/3": 1}
    assert other.acquire_leases([], "b", HOUR_NS, now()) == {}
    assert log.acquire_leases(["run/0", "run/2"], "a", HOUR_NS, now()) == {}
    held = {lease.name: (lease.owner, lease.fence) for lease in log.leases()}
    assert held == {"run/0": ("b", 2), "run/1": ("a", 1), "run/2": ("b", 2), "run/3": ("b", 1)}
    with pytest.raises(StaleFenceError):
        log.append_facts("run/0", [mark(1)])
    other.append_facts("run/0", [mark(2)])
    other.release_lease("run/3")
    assert log.acquire_leases(["run/3"], "a", HOUR_NS, now()) == {"run/3": 2}


def test_leases_can_be_looked_at(log: TradingLog, other: TradingLog) -> None:
    """Everybody sees who holds what, with which fence and how long."""
    assert (other.lease(STREAM), other.leases()) == (None, [])
    before = now()
    log.acquire_lease("run/2", "a", HOUR_NS, now())
    log.acquire_lease(STREAM, "a", HOUR_NS, now())
    row = other.lease(STREAM)
    assert row is not None
    assert row == LeaseRow(name=STREAM, fence=1, owner="a", expires_ns=row.expires_ns)
    assert before + HOUR_NS <= row.expires_ns + 10**9
    assert [lease.name for lease in other.leases()] == [STREAM, "run/2"]
    log.release_lease(STREAM)
    assert [lease.expires_ns for lease in other.leases() if lease.name == STREAM] == [0]


def test_a_deposed_owner_can_write_nothing(log: TradingLog, other: TradingLog) -> None:
    """Facts, intents, reports, renewals and releases of the older epoch all fail whole."""
    log.acquire_lease(STREAM, "a", MOMENT_NS, now())
    log.record_intent(intent("a"))
    other.acquire_lease(STREAM, "b", HOUR_NS, now())
    with pytest.raises(StaleFenceError) as caught:
        log.append_facts(STREAM, [mark(1), mark(2)])
    assert (caught.value.name, caught.value.held) == (STREAM, 1)
    with pytest.raises(StaleFenceError):
        log.record_intents([intent("b"), intent("c")])
    with pytest.raises(StaleFenceError):
        log.record_report("a", state="acked", at_ns=2)
    with pytest.raises(StaleFenceError):
        log.renew_lease(STREAM, HOUR_NS, now())
    with pytest.raises(StaleFenceError):
        log.release_lease(STREAM)
    other.append_facts(STREAM, [mark(3)])
    assert [(row.seq, row.epoch, row.at_ns) for row in other.read_facts(STREAM, 0, 9)] == [(1, 2, 3)]
    assert [(order.client_order_id, order.state) for order in other.orders(STREAM)] == [("a", "new")]


def test_a_leased_stream_takes_nothing_from_strangers(log: TradingLog, other: TradingLog) -> None:
    """Whoever never took the lease cannot write once somebody has; other streams are free."""
    other.append_facts(STREAM, [mark(1)])
    log.acquire_lease(STREAM, "a", HOUR_NS, now())
    with pytest.raises(StaleFenceError):
        other.append_facts(STREAM, [mark(2)])
    assert other.append_facts("run/2", [mark(2)])[0].epoch == 0


def test_a_lease_that_was_never_taken_cannot_be_renewed(log: TradingLog) -> None:
    """Renewing needs an acquisition first."""
    with pytest.raises(StaleFenceError):
        log.renew_lease(STREAM, HOUR_NS, now())
