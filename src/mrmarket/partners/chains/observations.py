"""What was seen of chains, in the tables: the cursor and what it found change in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from mrmarket.core.crash import reach
from mrmarket.partners.chains import payments
from mrmarket.partners.chains.book import ChainBook
from mrmarket.partners.chains.errors import CursorMovedError
from mrmarket.partners.chains.settings import ChainSettings
from mrmarket.partners.chains.transfer import Block, Transfer, TransferKey
from mrmarket.partners.chains.watch import Record, Status, Watch
from mrmarket.store.sql import Sql

CRASH_POINTS: Final = ("chain-before-commit", "chain-after-commit")

_COLUMNS: Final = (
    "chain_id, tx_hash, log_index, block_number, block_hash, token, sender, recipient, units, status,"
    " first_ms, changed_ms"
)
_PUT: Final = (
    f"INSERT INTO chain_transfers ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608 - a constant
    " ON CONFLICT (chain_id, tx_hash, log_index) DO UPDATE SET block_number = excluded.block_number,"
    " block_hash = excluded.block_hash, token = excluded.token, sender = excluded.sender,"
    " recipient = excluded.recipient, units = excluded.units, status = excluded.status,"
    " changed_ms = excluded.changed_ms"
)
_CHANGE: Final = (
    "UPDATE chain_transfers SET status = ?, changed_ms = ?"
    " WHERE chain_id = ? AND tx_hash = ? AND log_index = ?"
)
_RECORD: Final = (
    "INSERT INTO chain_records"
    " (chain_id, tx_hash, log_index, status, was_final, block_number, block_hash, at_ms)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far a chain is known, as it was stored."""

    watch: Watch
    revision: int
    """Rises with every change; a writer that knew another one is refused."""
    halted: str
    """Why payouts on the chain stand still; empty where they do not."""


@dataclass(frozen=True, slots=True)
class Observation:
    """A transfer as it stands."""

    transfer: Transfer
    status: Status
    first_ms: int
    changed_ms: int


@dataclass(frozen=True, slots=True)
class FeedEntry:
    """One change of one transfer, for whoever follows with a cursor of his own."""

    seq: int
    observation: Observation
    """The transfer as it stands now, which may be further on."""
    status: Status
    """What it came to then."""
    was_final: bool
    at_ms: int


class Observations:
    """Reads and writes them."""

    def __init__(self, book: ChainBook) -> None:
        self._book = book

    def cursor(self, chain: ChainSettings) -> Cursor | None:
        """Where a chain was left; None if it was never watched."""
        with self._book.reading() as sql:
            rows = sql.rows(
                "SELECT revision, final, halted FROM chain_cursors WHERE chain_id = ?", chain.chain_id
            )
            if not rows:
                return None
            revision, final, halted = rows[0]
            blocks = sql.rows(
                "SELECT number, hash, parent, time_s FROM chain_blocks WHERE chain_id = ? ORDER BY number",
                chain.chain_id,
            )
            seen = _select(
                sql, "WHERE chain_id = ? AND status = 'seen' ORDER BY block_number, log_index", chain.chain_id
            )
        watch = Watch(
            chain.name,
            chain.confirmations,
            chain.remembered_blocks,
            tuple(Block(*row) for row in blocks),
            final,
            tuple(one.transfer for one in seen),
        )
        return Cursor(watch, revision, halted)

    def store(
        self,
        chain: ChainSettings,
        before: Cursor | None,
        after: Watch,
        records: Sequence[Record],
        at_ms: int,
        halted: str = "",
        conceded: int | None = None,
    ) -> Cursor:
        """Write the cursor and what it found, all or nothing.

        `conceded` is the height above which final blocks were replaced, on a person's word: what the vault
        paid in them is looked at again.

        Raises:
            CursorMovedError: if the stored cursor is not the one before.
            StoreError: if the disk refuses; then nothing is written.
        """
        revision = 1 if before is None else before.revision + 1
        with self._book.transaction() as sql:
            self._move(sql, chain, before, revision, after.final, halted)
            _put_blocks(sql, chain.chain_id, None if before is None else before.watch, after)
            for record in records:
                _put_record(sql, record, at_ms)
            if conceded is not None:
                payments.reopen_above(sql, chain.chain_id, conceded, at_ms)
            reach("chain-before-commit")
        reach("chain-after-commit")
        return Cursor(after, revision, halted)

    def feed(self, after: int, limit: int) -> list[FeedEntry]:
        """Changes after a sequence number, oldest first."""
        with self._book.reading() as sql:
            rows = sql.rows(
                "SELECT r.seq, r.status, r.was_final, r.at_ms, t.chain_id, t.tx_hash, t.log_index,"
                " t.block_number, t.block_hash, t.token, t.sender, t.recipient, t.units, t.status,"
                " t.first_ms, t.changed_ms FROM chain_records r JOIN chain_transfers t"
                " ON t.chain_id = r.chain_id AND t.tx_hash = r.tx_hash AND t.log_index = r.log_index"
                " WHERE r.seq > ? ORDER BY r.seq LIMIT ?",
                after,
                limit,
            )
        return [
            FeedEntry(row[0], _observation(row[4:]), Status(row[1]), bool(row[2]), row[3]) for row in rows
        ]

    def find(self, key: TransferKey) -> Observation | None:
        """A transfer as it stands."""
        with self._book.reading() as sql:
            found = _select(
                sql,
                "WHERE chain_id = ? AND tx_hash = ? AND log_index = ?",
                key.chain_id,
                key.tx_hash,
                key.log_index,
            )
        return found[0] if found else None

    def with_status(self, chain_id: int, status: Status, above: int = -1) -> list[Observation]:
        """A chain's transfers of a status above a height, by height."""
        with self._book.reading() as sql:
            return _select(
                sql,
                "WHERE chain_id = ? AND status = ? AND block_number > ? ORDER BY block_number, log_index",
                chain_id,
                status.value,
                above,
            )

    def halted(self, chain_id: int) -> str:
        """Why payouts on a chain stand still; empty where they do not."""
        with self._book.reading() as sql:
            rows = sql.rows("SELECT halted FROM chain_cursors WHERE chain_id = ?", chain_id)
        return str(rows[0][0]) if rows else ""

    @staticmethod
    def _move(
        sql: Sql, chain: ChainSettings, before: Cursor | None, revision: int, final: int, halted: str
    ) -> None:
        if before is None:
            moved = sql.run(
                "INSERT INTO chain_cursors (chain_id, revision, final, halted) VALUES (?, ?, ?, ?)"
                " ON CONFLICT (chain_id) DO NOTHING",
                *(chain.chain_id, revision, final, halted),
            )
        else:
            moved = sql.run(
                "UPDATE chain_cursors SET revision = ?, final = ?, halted = ?"
                " WHERE chain_id = ? AND revision = ?",
                *(revision, final, halted, chain.chain_id, before.revision),
            )
        if not moved:
            raise CursorMovedError(chain.name)


def _put_blocks(sql: Sql, chain_id: int, before: Watch | None, after: Watch) -> None:
    kept = set() if before is None else set(before.blocks)
    sql.run(
        "DELETE FROM chain_blocks WHERE chain_id = ? AND (number < ? OR number > ?)",
        *(chain_id, after.blocks[0].number, after.tip.number),
    )
    sql.run_many(
        "INSERT INTO chain_blocks (chain_id, number, hash, parent, time_s) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (chain_id, number) DO UPDATE SET hash = excluded.hash, parent = excluded.parent,"
        " time_s = excluded.time_s",
        [
            (chain_id, block.number, block.hash, block.parent, block.time_s)
            for block in after.blocks
            if block not in kept
        ],
    )


def _put_record(sql: Sql, record: Record, at_ms: int) -> None:
    transfer = record.transfer
    key = transfer.key
    if record.status is Status.SEEN:
        sql.run(_PUT, *_row(transfer, record.status, at_ms))
    else:
        sql.run(_CHANGE, record.status.value, at_ms, key.chain_id, key.tx_hash, key.log_index)
    sql.run(
        _RECORD,
        *(key.chain_id, key.tx_hash, key.log_index, record.status.value, int(record.was_final)),
        *(transfer.block_number, transfer.block_hash, at_ms),
    )


def _row(transfer: Transfer, status: Status, at_ms: int) -> tuple[object, ...]:
    key = transfer.key
    return (
        *(key.chain_id, key.tx_hash, key.log_index, transfer.block_number, transfer.block_hash),
        *(transfer.token, transfer.sender, transfer.recipient, str(transfer.units)),
        *(status.value, at_ms, at_ms),
    )


def _select(sql: Sql, tail: str, *values: object) -> list[Observation]:
    return [_observation(row) for row in sql.rows(f"SELECT {_COLUMNS} FROM chain_transfers {tail}", *values)]  # noqa: S608 - names from the code


def _observation(row: Sequence[Any]) -> Observation:
    transfer = Transfer(
        TransferKey(row[0], row[1], row[2]), row[3], row[4], row[5], row[6], row[7], int(row[8])
    )
    return Observation(transfer, Status(row[9]), row[10], row[11])
