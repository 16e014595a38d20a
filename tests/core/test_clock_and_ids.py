"""Time and identifiers."""

from __future__ import annotations

import time

import pytest

from mrmarket.core.clock import NS_PER_S, ManualClock, ScaledClock, SystemClock
from mrmarket.core.ids import uuid7


def test_a_scaled_world_runs_faster_from_the_same_start() -> None:
    """At ×20, one wall second is twenty world seconds, for stamps and for durations."""
    wall = ManualClock()
    world = ScaledClock(wall, 20.0)
    assert world.now_ns() == wall.now_ns()
    wall.advance(NS_PER_S)
    assert world.monotonic_ns() == 20 * NS_PER_S
    assert world.now_ns() == wall.now_ns() + 19 * NS_PER_S


def test_a_manual_clock_never_goes_back() -> None:
    """Negative steps are refused."""
    clock = ManualClock()
    with pytest.raises(ValueError, match="cannot go back"):
        clock.advance(-1)


def test_the_system_clock_reads_the_machine() -> None:
    """It agrees with the standard library's reading taken around it."""
    clock = SystemClock()
    before = time.time_ns()
    assert before <= clock.now_ns() <= time.time_ns()
    assert clock.monotonic_ns() <= clock.monotonic_ns()


def test_ids_sort_by_time_and_are_version_7() -> None:
    """A later millisecond sorts later; version and variant bits are set."""
    clock = ManualClock()
    first = uuid7(clock, lambda bits: 2**bits - 1)
    clock.advance(1_000_000)
    second = uuid7(clock, lambda _: 0)
    assert str(first) < str(second)
    assert (first.version, second.version) == (7, 7)
    assert second.variant == "specified in RFC 4122"
    assert uuid7(clock) != uuid7(clock)
