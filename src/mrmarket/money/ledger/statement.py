"""What moved in and out of an account in a period, with the balances before, between and after."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

import msgspec

from mrmarket.core.decimals import format_units
from mrmarket.core.errors import InvalidInputError
from mrmarket.money.ledger.errors import LedgerError
from mrmarket.money.ledger.history import Entry, balance_after, entries, seq_at
from mrmarket.store.sql import Sql

_PAGE: Final = 1_000
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


class StatementError(LedgerError):
    """The movements do not lead from one balance to the other."""

    code = "statement_differs"

    def __init__(self, account: str, asset: str) -> None:
        self.account = account
        self.asset = asset
        super().__init__(f"the movements of {account} in {asset} do not add up; run: mrmarket ledger verify")


class StatementLine(msgspec.Struct, frozen=True, kw_only=True):
    """One movement."""

    seq: int
    position: int
    at_ms: int
    kind: str
    counterparty: str
    amount: str
    """Signed, in whole units of the asset."""
    balance: str
    """After the movement."""
    key: str
    memo: str
    hash: str
    """Of the group, hexadecimal."""


class AssetStatement(msgspec.Struct, frozen=True, kw_only=True):
    """One asset of an account."""

    asset: str
    decimals: int
    opening: str
    received: str
    given: str
    closing: str
    """Opening, plus what was received, less what was given."""
    lines: list[StatementLine]


class Statement(msgspec.Struct, frozen=True, kw_only=True):
    """An account over a half-open period `[start_ms, end_ms)`."""

    account: str
    start_ms: int
    end_ms: int
    first_seq: int
    """First group of the period."""
    last_seq: int
    """Last group of the period; below `first_seq` where it has none."""
    head: str
    """Hash of the last group; it fixes everything before it."""
    assets: list[AssetStatement]


def draw_statement(sql: Sql, account: str, start_ms: int, end_ms: int, asset: str | None = None) -> Statement:
    """Put a statement together and check its sums. What is only set aside has not moved and is not in it.

    Raises:
        InvalidInputError: if there is no such account, or the period ends before it begins.
        StatementError: if the movements do not lead from the opening to the closing balance.
    """
    if start_ms > end_ms:
        raise InvalidInputError("end", end_ms, "a time that is not before the start")
    if not sql.rows("SELECT 1 FROM accounts WHERE id = ?", account):
        raise InvalidInputError("account", account, "an account of this ledger, such as user:alice")
    first, last = seq_at(sql, start_ms - 1) + 1, seq_at(sql, end_ms - 1)
    head = sql.rows("SELECT hash FROM groups WHERE seq = ?", last)
    held = sql.rows(
        "SELECT b.asset, a.decimals FROM balances AS b JOIN assets AS a ON a.id = b.asset"
        " WHERE b.account = ? ORDER BY b.asset",
        account,
    )
    return Statement(
        account=account,
        start_ms=start_ms,
        end_ms=end_ms,
        first_seq=first,
        last_seq=last,
        head=bytes(head[0][0]).hex() if head else "",
        assets=[
            _asset_statement(sql, account, code, decimals, first, last)
            for code, decimals in held
            if asset in {None, code}
        ],
    )


def statement_csv(statement: Statement) -> str:
    """The same as a table, one line a movement, with a line for each opening and closing balance.

    Text that a spreadsheet would take for a formula is quoted with an apostrophe.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(
        ("asset", "at", "at_ms", "seq", "kind", "counterparty", "amount", "balance", "key", "memo", "hash")
    )
    for part in statement.assets:
        writer.writerow(
            (part.asset, utc(statement.start_ms), statement.start_ms, "", "OPENING", "", "", part.opening)
            + ("",) * 3
        )
        for line in part.lines:
            writer.writerow(
                (
                    part.asset,
                    utc(line.at_ms),
                    line.at_ms,
                    line.seq,
                    line.kind,
                    line.counterparty,
                    line.amount,
                    line.balance,
                    no_formula(line.key),
                    no_formula(line.memo),
                    line.hash,
                )
            )
        writer.writerow(
            (part.asset, utc(statement.end_ms), statement.end_ms, "", "CLOSING", "", "", part.closing)
            + ("",) * 3
        )
    return out.getvalue()


def utc(at_ms: int) -> str:
    """A time as ISO 8601 text with milliseconds."""
    return (
        datetime.fromtimestamp(at_ms / 1_000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    )


def no_formula(text: str) -> str:
    """Text that no spreadsheet computes."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def _asset_statement(
    sql: Sql, account: str, asset: str, decimals: int, first: int, last: int
) -> AssetStatement:
    opening = balance_after(sql, account, asset, first - 1)
    closing = balance_after(sql, account, asset, last)
    lines: list[StatementLine] = []
    received = given = 0
    for entry in _entries(sql, account, asset, first, last):
        if entry.units > 0:
            received += entry.units
        else:
            given -= entry.units
        if entry.balance_after != opening + received - given:
            raise StatementError(account, asset)
        lines.append(_line(entry, decimals))
    if opening + received - given != closing:
        raise StatementError(account, asset)
    return AssetStatement(
        asset=asset,
        decimals=decimals,
        opening=format_units(opening, decimals),
        received=format_units(received, decimals),
        given=format_units(given, decimals),
        closing=format_units(closing, decimals),
        lines=lines,
    )


def _entries(sql: Sql, account: str, asset: str, first: int, last: int) -> Iterator[Entry]:
    after = first - 1
    while page := entries(sql, account, asset, after, _PAGE, before_seq=last + 1):
        yield from page
        after = page[-1].seq


def _line(entry: Entry, decimals: int) -> StatementLine:
    return StatementLine(
        seq=entry.seq,
        position=entry.position,
        at_ms=entry.at_ms,
        kind=entry.kind.value,
        counterparty=entry.counterparty,
        amount=format_units(entry.units, decimals),
        balance=format_units(entry.balance_after, decimals),
        key=entry.key,
        memo=entry.memo,
        hash=bytes(entry.hash).hex(),
    )
