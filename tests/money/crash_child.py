"""A process that posts or settles and kills itself at a labelled point, as SIGKILL would.

Started by the crash tests: `crash_child.py MODE FOLDER LABEL NTH`. It prints every acknowledged key.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from money.ledger_samples import OPENING, deposit
from money.pool_samples import PLAN
from mrmarket.core.clock import ManualClock
from mrmarket.money.ledger.chain import Record
from mrmarket.money.ledger.ledger import Ledger
from mrmarket.money.ledger.rules import Holding
from mrmarket.money.ledger.sqlite_store import SqliteStore
from mrmarket.money.ledger.writer import LedgerWriter
from mrmarket.money.pool.treasury import Treasury
from mrmarket.store.sql import SqliteReader
from mrmarket.store.trading_store import TradingStore

LABELS: Final = {
    "fence_checked": "SELECT fence",
    "first_group_written": "INSERT INTO transfers",
    "cursor_written": "INSERT INTO settlement_cursors",
    "balances_written": "COMMIT",
    "committed": None,
}
"""Label → the statement before which the process dies; None: after the commit, before the answer."""

POSTINGS: Final = 40


def die() -> None:
    """As if somebody had pulled the plug on this process."""
    sys.stdout.flush()
    os.kill(os.getpid(), signal.SIGKILL)


class DoomedStore(SqliteStore):
    """Dies at the n-th passing of a label."""

    label = ""
    left = 0

    def doom(self, label: str, nth: int) -> None:
        """Choose where to die."""
        self.label, self.left = label, nth
        self.connection.set_trace_callback(self.watch)

    def watch(self, statement: str) -> None:
        """Called by SQLite before each statement."""
        beginning = LABELS[self.label]
        if beginning is not None and statement.startswith(beginning):
            self.pass_label()

    def pass_label(self) -> None:
        """Count down."""
        self.left -= 1
        if self.left == 0:
            die()

    def commit(self, records: Sequence[Record], balances: Mapping[Holding, int]) -> None:
        """Commit, and perhaps never tell."""
        super().commit(records, balances)
        if self.label == "committed":
            self.pass_label()


async def post_all(writer: LedgerWriter) -> None:
    """Eight callers share the postings."""

    async def caller(numbers: range) -> None:
        for number in numbers:
            answer = await writer.post(deposit(f"k{number}", number + 1))
            sys.stdout.write(f"{answer.key}\n")
            sys.stdout.flush()

    await writer.post(OPENING)
    await asyncio.gather(*(caller(range(first, POSTINGS, 8)) for first in range(8)))


def main(mode: str, folder: Path, label: str, nth: int) -> None:
    """Work until the label is passed."""
    store = DoomedStore.open(folder / "money.db", "doomed")
    store.doom(label, nth)
    if mode == "post":
        asyncio.run(post_all(LedgerWriter(Ledger(store, ManualClock()))))
    else:
        facts = TradingStore.open(folder / "trading.db")
        Treasury([PLAN], facts, store, SqliteReader.open(store.path), ManualClock()).settle()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
