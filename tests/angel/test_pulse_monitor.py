"""Who is alive, by the watcher's own clock."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mrmarket.angel.heartbeat import Life, PulseMonitor
from mrmarket.core.clock import NS_PER_S
from mrmarket.store.operations import Beat

S = NS_PER_S
QUARTER = NS_PER_S // 4


def beat(seq: int, *, node: str = "a", started_ms: int = 1, role: str = "engine", at_ms: int = 0) -> Beat:
    """A sign of life."""
    return Beat(node=node, role=role, seq=seq, started_ms=started_ms, at_ms=at_ms)


def watched(*beats: Beat, now_ns: int = 0) -> PulseMonitor:
    """A monitor with a threshold of five seconds that has seen these."""
    monitor = PulseMonitor(5 * S, QUARTER)
    monitor.observe(beats, now_ns, authoritative=True)
    return monitor


def test_a_node_is_missing_once_its_sequence_stood_still_for_the_threshold() -> None:
    """Not a nanosecond before, suspect from half of it, and whatever its wall clock says."""
    monitor = watched(beat(1, at_ms=10**15))
    monitor.observe([beat(1, at_ms=10**16)], 4 * S, authoritative=True)
    assert monitor.life("a", 2 * S) is Life.ALIVE
    assert monitor.life("a", 5 * S // 2) is Life.SUSPECT
    assert monitor.life("a", 5 * S - 1) is Life.SUSPECT
    assert [pulse.node for pulse in monitor.missing(5 * S)] == ["a"]


def test_an_older_sequence_or_an_earlier_life_is_no_sign_of_life() -> None:
    """A source that lags, or answers twice, revives nobody."""
    monitor = watched(beat(5, started_ms=2))
    monitor.observe([beat(4, started_ms=2), beat(99, started_ms=1)], 4 * S, authoritative=True)
    assert monitor.life("a", 5 * S) is Life.MISSING


def test_a_restarted_node_is_alive_although_its_sequence_begins_anew() -> None:
    """A later start counts, whatever the number."""
    monitor = watched(beat(50))
    monitor.observe([beat(1, started_ms=2)], 4 * S, authoritative=True)
    assert monitor.life("a", 6 * S) is Life.ALIVE


def test_who_signed_off_is_not_missed() -> None:
    """Only the source that would list it can say so."""
    monitor = watched(beat(1), beat(1, node="b"))
    assert monitor.observe([beat(2, node="b")], S, authoritative=False) == []
    assert monitor.observe([beat(3, node="b")], 2 * S, authoritative=True) == ["a"]
    assert [pulse.node for pulse in monitor.missing(60 * S)] == ["b"]
    assert monitor.life("a", 60 * S) is Life.ALIVE


def test_a_watcher_that_stood_still_looks_for_one_more_interval() -> None:
    """What it did not see says nothing."""
    monitor = watched(beat(1))
    assert not monitor.tick(0)
    assert not monitor.tick(QUARTER)
    assert monitor.tick(60 * S)
    assert monitor.own_gaps == 1
    assert monitor.missing(60 * S) == []
    assert monitor.missing(65 * S - 1) == []
    assert [pulse.node for pulse in monitor.missing(65 * S)] == ["a"]


def test_only_other_nodes_that_trade_and_live_are_heirs() -> None:
    """An API without runs, a dead engine and the node itself can take nothing over."""
    monitor = watched(beat(1), beat(1, node="api", role="api"), beat(1, node="dead"), beat(1, node="heir"))
    monitor.observe([beat(2, node="heir")], 4 * S, authoritative=False)
    assert monitor.others_trade("a", 6 * S)
    monitor.forget("heir")
    assert not monitor.others_trade("a", 6 * S)


@given(st.lists(st.integers(min_value=1, max_value=4 * S), min_size=1, max_size=40))
def test_a_node_that_beats_faster_than_the_threshold_is_never_missing(gaps_ns: list[int]) -> None:
    """Whatever the rhythm, and whatever its own clock."""
    monitor = watched(beat(1))
    now_ns = 0
    for seq, gap_ns in enumerate(gaps_ns, 2):
        assert monitor.missing(now_ns + gap_ns) == []
        now_ns += gap_ns
        monitor.observe([beat(seq, at_ms=-seq)], now_ns, authoritative=True)
