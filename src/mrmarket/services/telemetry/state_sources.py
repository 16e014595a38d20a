"""What the databases that roles share say: leases, signs of life, restrictions, differences."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final, Protocol

from mrmarket.core.clock import NS_PER_MS, NS_PER_S, Clock
from mrmarket.services.notify.notifier import Notifier
from mrmarket.services.telemetry.reading import Reading, Source
from mrmarket.store.operations import DesiredState, OperationsStore

_MS_PER_S: Final = 1_000
_HOUR_MS: Final = 3_600_000
_SILENT_MS: Final = 60_000
_MANY: Final = 1_000


class LeaseLike(Protocol):
    """A lease as the trading store lists it."""

    @property
    def name(self) -> str:
        """Of the run."""
        ...

    @property
    def expires_ns(self) -> int:
        """UTC nanoseconds; 0 once released."""
        ...


def operations_source(store: OperationsStore, clock: Clock) -> Source:
    """What engines and Angels have written down; to be read in a thread."""

    def read() -> Iterator[Reading]:
        now_ms = clock.now_ns() // NS_PER_MS
        for beat in store.beats():
            at_s = beat.at_ms / _MS_PER_S
            yield Reading("mm_node_heartbeat_timestamp_seconds", at_s, (beat.node, beat.role))
            if beat.role == "angel":
                yield Reading("mm_angel_heartbeat_timestamp_seconds", at_s, (beat.node,))
        wanted = {spec.id for spec in store.run_specs() if spec.desired is not DesiredState.STOPPED}
        heard = {row.run for row in store.reports() if now_ms - row.at_ms < _SILENT_MS}
        yield Reading("mm_runs_wanted", len(wanted))
        yield Reading("mm_runs_unheld", len(wanted - heard))
        restrictions = Counter((_scope_kind(row.scope), row.state) for row in store.restrictions())
        for scope in ("instance", "venue", "run"):
            for state in ("reduce", "cancel_only", "halt"):
                yield Reading("mm_restrictions", restrictions[scope, state], (scope, state))
        differences = Counter((row.run, row.kind) for row in store.findings(open_only=True, limit=_MANY))
        for key, count in differences.items():
            yield Reading("mm_differences_open", count, key)
        actions = Counter(row.action for row in store.actions(_MANY) if now_ms - row.at_ms < _HOUR_MS)
        for action, count in actions.items():
            yield Reading("mm_angel_actions", count, (action,))

    return read


def leases_source(leases: Callable[[], Iterable[LeaseLike]], clock: Clock) -> Source:
    """How long each run's lease has to go; negative once it has lapsed. To be read in a thread."""

    def read() -> Iterator[Reading]:
        now_ns = clock.now_ns()
        for lease in leases():
            if lease.expires_ns:
                left_s = (lease.expires_ns - now_ns) / NS_PER_S
                yield Reading("mm_lease_seconds_left", left_s, (lease.name,))

    return read


def disk_source(folder: Path) -> Source:
    """Free space where a folder is; to be read in a thread."""

    def read() -> Iterator[Reading]:
        yield Reading("mm_disk_free_bytes", shutil.disk_usage(folder).free)

    return read


def notices_source(notifier: Notifier) -> Source:
    """How notices have fared; to be read on the event loop."""

    def read() -> Iterator[Reading]:
        gate = notifier.gate
        for outcome, count in (("repeat", gate.repeats), ("held", gate.held), ("dropped", notifier.dropped)):
            yield Reading("mm_notices_total", count, ("all", outcome))
        for way, figures in notifier.figures.items():
            for outcome, count in (
                ("delivered", figures.delivered),
                ("failed", figures.failed),
                ("retried", figures.retried),
                ("dropped", figures.dropped),
            ):
                yield Reading("mm_notices_total", count, (way, outcome))

    return read


def _scope_kind(scope: str) -> str:
    return scope.partition(":")[0]
