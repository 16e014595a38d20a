"""The hand-written SQL of what streams add up to."""

from __future__ import annotations

from typing import Final

from mrmarket.store.database import Database
from mrmarket.store.errors import StaleFenceError
from mrmarket.store.leases import UNFENCED, Leases
from mrmarket.store.run_fold import RunFold

_SAVE: Final = (
    "INSERT INTO run_folds (stream, seq, hash, at_ns, fold) SELECT ?1, ?2, ?3, ?4, ?5"
    f" WHERE NOT {UNFENCED.format('?1')}"
    " ON CONFLICT (stream) DO UPDATE SET seq = excluded.seq, hash = excluded.hash, at_ns = excluded.at_ns,"
    " fold = excluded.fold WHERE excluded.seq >= run_folds.seq"
)
_LOAD: Final = "SELECT stream, seq, hash, at_ns, fold FROM run_folds WHERE stream = ?"


class SqliteRunFolds:
    """One fold a stream, written under the fence of the stream's lease."""

    def __init__(self, database: Database, leases: Leases) -> None:
        self._database = database
        self._leases = leases

    def save(self, fold: RunFold) -> None:
        """Keep a fold unless a newer one is there."""
        row = (fold.stream, fold.seq, fold.hash, fold.at_ns, fold.fold)
        if self._database.write_one(_SAVE, row):
            return
        lease = self._leases.row(fold.stream)
        if lease is not None and lease.fence != self._leases.held(fold.stream):
            raise StaleFenceError(self._database.path, fold.stream, self._leases.held(fold.stream))

    def load(self, stream: str) -> RunFold | None:
        """The fold of a stream."""
        rows = self._database.read(_LOAD, (stream,))
        if not rows:
            return None
        name, seq, digest, at_ns, fold = rows[0]
        return RunFold(stream=name, seq=seq, hash=digest, at_ns=at_ns, fold=fold)
