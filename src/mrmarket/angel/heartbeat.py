"""Who is alive, by the watcher's own clock: a node lives while its sequence advances. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from mrmarket.core.clock import NS_PER_S
from mrmarket.store.operations import Beat

_FROZEN_POLLS: Final = 4
_LEAST_GAP_NS: Final = NS_PER_S
TRADING_ROLES: Final = frozenset({"engine", "all"})
"""Nodes of these roles hold runs; only their silence leaves orders without an owner."""


class Life(StrEnum):
    """What the watcher believes of a node."""

    ALIVE = "alive"
    SUSPECT = "suspect"
    """Silent for half the threshold."""
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Pulse:
    """A node and when it last moved."""

    node: str
    role: str
    started_ms: int
    seq: int
    advanced_ns: int
    """The watcher's monotonic clock when the sequence was first seen at this value."""
    pid: int = 0
    host: str = ""

    @property
    def trades(self) -> bool:
        """Whether it may hold runs."""
        return self.role in TRADING_ROLES


class PulseMonitor:
    """Decides who is missing. Told the time; never looks at a wall clock.

    A node first seen counts as having just moved. While the watcher itself was not running it saw
    nothing, so after a gap of its own every node is given one more full interval.
    """

    def __init__(self, threshold_ns: int, poll_ns: int) -> None:
        self.threshold_ns = threshold_ns
        self.own_gaps = 0
        """How often the watcher found that it had been frozen."""
        self._gap_ns = max(_LEAST_GAP_NS, _FROZEN_POLLS * poll_ns)
        self._pulses: dict[str, Pulse] = {}
        self._ticked_ns: int | None = None

    @property
    def pulses(self) -> list[Pulse]:
        """Every node that has not signed off, by name."""
        return [self._pulses[node] for node in sorted(self._pulses)]

    def tick(self, now_ns: int) -> bool:
        """Say that the watcher runs; True if it had not for so long that it must look again first."""
        last_ns, self._ticked_ns = self._ticked_ns, now_ns
        if last_ns is None or now_ns - last_ns <= self._gap_ns:
            return False
        self.own_gaps += 1
        self.forgive(now_ns)
        return True

    def forgive(self, now_ns: int) -> None:
        """Give every node a full interval from now on."""
        for node in self._pulses:
            self.forgive_node(node, now_ns)

    def forgive_node(self, node: str, now_ns: int) -> None:
        """Give one node a full interval from now on."""
        self._pulses[node] = replace(self._pulses[node], advanced_ns=now_ns)

    def observe(self, beats: Sequence[Beat], now_ns: int, *, authoritative: bool) -> list[str]:
        """Take in what a source said; returns nodes that have signed off.

        Args:
            beats: what the source listed.
            now_ns: the watcher's monotonic clock.
            authoritative: whether a node that is not listed has signed off.
        """
        for beat in beats:
            known = self._pulses.get(beat.node)
            if known is not None and beat.started_ms == known.started_ms and beat.seq <= known.seq:
                continue
            if known is not None and beat.started_ms < known.started_ms:
                continue  # an earlier life, from a source that lags
            self._pulses[beat.node] = Pulse(
                beat.node, beat.role, beat.started_ms, beat.seq, now_ns, beat.pid, beat.host
            )
        if not authoritative:
            return []
        listed = {beat.node for beat in beats}
        gone = [node for node in self._pulses if node not in listed]
        for node in gone:
            del self._pulses[node]
        return gone

    def forget(self, node: str) -> None:
        """Miss a node no longer."""
        self._pulses.pop(node, None)

    def life(self, node: str, now_ns: int) -> Life:
        """What to believe of a node; one that is not known is not missed."""
        pulse = self._pulses.get(node)
        silent_ns = 0 if pulse is None else now_ns - pulse.advanced_ns
        if silent_ns >= self.threshold_ns:
            return Life.MISSING
        return Life.SUSPECT if silent_ns * 2 >= self.threshold_ns else Life.ALIVE

    def missing(self, now_ns: int) -> list[Pulse]:
        """Every node that has been silent for the threshold."""
        return [pulse for pulse in self.pulses if self.life(pulse.node, now_ns) is Life.MISSING]

    def others_trade(self, node: str, now_ns: int) -> bool:
        """Whether another node that may hold runs is not missing."""
        return any(
            pulse.trades and pulse.node != node and self.life(pulse.node, now_ns) is not Life.MISSING
            for pulse in self.pulses
        )
