"""A process that posts and tells which keys were acknowledged; the crash tests end it at a labelled point.

Started as `ledger_child.py ADDRESS`, where the address is the path of a SQLite file or a PostgreSQL URL.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from money.ledger_samples import ALICE, BOB, OPENING, USD, deposit
from mrmarket.core.clock import ManualClock
from mrmarket.money.ledger.group import Group, Phase, Transfer, TransferKind
from mrmarket.money.ledger.ledger import Ledger
from mrmarket.money.ledger.port import LedgerStore
from mrmarket.money.ledger.postgres_store import PostgresStore
from mrmarket.money.ledger.sqlite_store import SqliteStore
from mrmarket.money.ledger.writer import LedgerWriter

POSTINGS: Final = 40


def posting(number: int) -> Group:
    """A deposit, of which a unit is set aside for Bob."""
    hold = Transfer(ALICE.id, BOB.id, USD.id, 1, TransferKind.DEBIT_WITHDRAW, Phase.PENDING)
    group = deposit(f"k{number}", number + 1)
    return Group(group.key, (*group.transfers, hold))


def open_store(address: str) -> LedgerStore:
    """The store at an address."""
    if address.startswith("/"):
        return SqliteStore.open(Path(address), "child")
    return PostgresStore.open(address, "child")


async def post_all(writer: LedgerWriter) -> None:
    """Eight callers share the postings."""

    async def caller(numbers: range) -> None:
        for number in numbers:
            answer = await writer.post(posting(number))
            sys.stdout.write(f"{answer.key}\n")
            sys.stdout.flush()

    await writer.post(OPENING)
    await asyncio.gather(*(caller(range(first, POSTINGS, 8)) for first in range(8)))


if __name__ == "__main__":
    asyncio.run(post_all(LedgerWriter(Ledger(open_store(sys.argv[1]), ManualClock()))))
