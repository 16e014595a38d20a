"""World time: a line that every process computes alike, whatever the speed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mrmarket.core.clock import ManualClock
from mrmarket.services.sandbox.world_time import WorldClock, WorldHistory, WorldTime

_NS = st.integers(min_value=1_600_000_000_000_000_000, max_value=2_000_000_000_000_000_000)
_SPEED = st.sampled_from([0.1, 0.5, 1.0, 3.7, 4.0, 20.0, 100.0])


@given(origin=_NS, at=_NS, speed=_SPEED)
def test_the_way_back_is_exact(origin: int, at: int, speed: float) -> None:
    """The wall time of a world time is the last one at which that time had not passed."""
    time = WorldTime(origin, origin, speed)
    wall = time.wall_ns(at)
    assert time.world_ns(wall) <= at < time.world_ns(wall + 1) + max(1, int(speed))
    assert time.world_ns(wall + 1) >= at


@given(origin=_NS, later=st.integers(min_value=0, max_value=10**15), speed=_SPEED, other=_SPEED)
def test_another_speed_makes_no_jump(origin: int, later: int, speed: float, other: float) -> None:
    """At the moment of the change both lines agree, and the later one goes on at its own speed."""
    time = WorldTime(origin, origin, speed)
    changed = time.at_speed(other, origin + later)
    assert changed.world_ns(origin + later) == time.world_ns(origin + later)
    assert changed.at_speed(other, origin) is changed


def test_each_stretch_has_its_own_speed() -> None:
    """What was stamped before a change is where it was; world time of every stretch finds its wall time."""
    first = WorldTime(1_000, 1_000, 4.0)
    second = first.at_speed(10.0, 1_100)
    history = WorldHistory([first, second])
    assert [history.world_ns(wall) for wall in (990, 1_000, 1_050, 1_100, 1_110)] == [
        960,
        1_000,
        1_200,
        1_400,
        1_500,
    ]
    for wall in (990, 1_000, 1_050, 1_100, 1_110):
        assert history.wall_ns(history.world_ns(wall)) == wall


def test_the_clock_runs_with_the_wall() -> None:
    """Both of its readings move by the speed's multiple."""
    wall = ManualClock(1_700_000_000_000_000_000)
    time = WorldTime(wall.now_ns() - 10, 5, 4.0)
    clock = WorldClock(time, wall)
    assert (clock.now_ns(), clock.monotonic_ns()) == (45, 0)
    wall.advance(100)
    assert (clock.now_ns(), clock.monotonic_ns()) == (445, 400)
    assert clock.time is time
