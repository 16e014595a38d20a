"""Who is alive and which runs are free, judged by this engine's own monotonic clock."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from mrmarket.core.clock import NS_PER_S
from mrmarket.services.engine.ports import LeaseLine
from mrmarket.services.engine.timing import EngineTiming
from mrmarket.store.operations import Beat

HOSTS = frozenset({"engine", "all"})
"""Roles that hold runs."""


@dataclass(slots=True)
class _Life:
    seq: int
    started_ms: int
    first_ns: int
    advanced_ns: int


@dataclass(slots=True)
class _Tenure:
    fence: int
    expires_ns: int
    since_ns: int
    """When this row was first seen as it is."""


class Census:
    """What the last look has shown. Wall clocks of other machines decide nothing here."""

    def __init__(self, me: str, timing: EngineTiming) -> None:
        self._me = me
        self._timing = timing
        self._lives: dict[str, _Life] = {}
        self._tenures: dict[str, _Tenure] = {}
        self._free_since: dict[str, int] = {}
        self.given: frozenset[str] = frozenset()
        """Free runs whose lease was given back, as of the last look; the others' have run out."""

    def see_beats(self, beats: Iterable[Beat], mono_ns: int) -> None:
        """Take in the signs of life; a node that has signed off is gone at once."""
        seen: dict[str, _Life] = {}
        for beat in beats:
            if beat.role not in HOSTS:
                continue
            life = self._lives.get(beat.node)
            if life is None or life.started_ms != beat.started_ms:
                life = _Life(beat.seq, beat.started_ms, mono_ns, mono_ns)
            elif beat.seq > life.seq:
                life.seq, life.advanced_ns = beat.seq, mono_ns
            seen[beat.node] = life
        self._lives = seen

    def live(self, mono_ns: int) -> frozenset[str]:
        """Engines whose sequence has advanced lately, and this one."""
        return self._heard_within(self._timing.dead_s, mono_ns) | {self._me}

    def late(self, mono_ns: int) -> frozenset[str]:
        """Engines that do not count as live, but whose sequence has advanced within a lease."""
        return self._heard_within(self._timing.lease_s, mono_ns) - self.live(mono_ns)

    def steady(self, mono_ns: int) -> frozenset[str]:
        """Live engines that have been there for long enough to be handed something."""
        needed_ns = self._timing.steady_s * NS_PER_S
        return frozenset(
            node
            for node in self.live(mono_ns)
            if node == self._me or mono_ns - self._lives[node].first_ns >= needed_ns
        )

    def holders(
        self,
        runs: Collection[str],
        mine: Collection[str],
        leases: Iterable[LeaseLine],
        *,
        now_ns: int,
        mono_ns: int,
    ) -> dict[str, str]:
        """Run to holder, empty for a free one.

        A lease has run out when its row says so, or when it was not renewed for longer than a lease by
        our own clock: a wall clock that is slow keeps nobody waiting. The store has the last word.
        """
        rows = {row.name: row for row in leases}
        tenures: dict[str, _Tenure] = {}
        holders: dict[str, str] = {}
        for run in runs:
            if run in mine:
                holders[run] = self._me
                continue
            row = rows.get(run)
            if row is None:
                holders[run] = ""
                continue
            tenure = self._tenures.get(run)
            if tenure is None or (tenure.fence, tenure.expires_ns) != (row.fence, row.expires_ns):
                tenure = _Tenure(row.fence, row.expires_ns, mono_ns)
            tenures[run] = tenure
            over = (
                row.expires_ns <= now_ns
                or mono_ns - tenure.since_ns > self._timing.lease_ns
                or row.owner == self._me  # of an earlier life of ours
            )
            holders[run] = "" if over else row.owner
        self._tenures = tenures
        self.given = frozenset(
            run for run, holder in holders.items() if not holder and run in rows and not rows[run].expires_ns
        )
        self._free_since = {
            run: self._free_since.get(run, mono_ns) for run, holder in holders.items() if not holder
        }
        return holders

    def overdue(self, patience_s: float, mono_ns: int) -> frozenset[str]:
        """Runs that nobody has taken for so long."""
        limit_ns = patience_s * NS_PER_S
        return frozenset(run for run, since_ns in self._free_since.items() if mono_ns - since_ns > limit_ns)

    def _heard_within(self, span_s: float, mono_ns: int) -> frozenset[str]:
        limit_ns = span_s * NS_PER_S
        return frozenset(node for node, life in self._lives.items() if mono_ns - life.advanced_ns < limit_ns)
