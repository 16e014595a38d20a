"""What must be true of books and rail once everything has settled, whatever happened on the way."""

from __future__ import annotations

import json
import sqlite3
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from e2e.running import command
from mrmarket.money.payouts import audit as payouts_audit
from mrmarket.money.payouts.move import MOVES_PENDING, MoveState
from mrmarket.money.payouts.payment import Standing
from mrmarket.money.payouts.payout import PENDING, PayoutState
from mrmarket.money.payouts.repository import MoveRepository, PaymentRepository, PayoutRepository
from mrmarket.money.pool.rows import DepositState, WithdrawalState
from mrmarket.money.rewards import audit as rewards_audit
from mrmarket.money.rewards.invariant import reward_balances
from mrmarket.money.solvency import audit as solvency_audit
from mrmarket.money.solvency.repository import SolvencyRepository
from mrmarket.services.rail.journal import Journal
from mrmarket.store.sql import Sql, SqliteReader

_ENDS = frozenset({Standing.CLAIMED, Standing.REFUNDED, Standing.RETRACTED})
_ENDED_DEPOSITS = frozenset(
    {DepositState.MINTED, DepositState.EXPIRED, DepositState.REFUNDED, DepositState.CANCELLED}
)
_ENDED_WITHDRAWALS = frozenset(
    {WithdrawalState.CONFIRMED, WithdrawalState.REFUSED, WithdrawalState.CANCELLED}
)
_OUTSIDE = frozenset({"rail", "network"})
"""Kinds of accounts that are not ours to hold: the world, and what its networks took."""


@dataclass(frozen=True, slots=True)
class RailPayment:
    """A payment as the rail's own journal has it."""

    id: str
    kind: str
    destination: str
    sender: str
    asset: str
    units: int
    memo: str
    stage: str


@dataclass(frozen=True, slots=True)
class RailBooks:
    """The rail's own journal, read from its file."""

    treasury: str
    payments: list[RailPayment]
    balances: dict[tuple[str, str], int]
    """(account, asset) to units."""

    @classmethod
    def read(cls, folder: Path) -> RailBooks:
        """Read it beside whoever writes it."""
        address = f"file:{folder / 'rail.db'}?mode=ro"
        with closing(sqlite3.connect(address, uri=True, timeout=10)) as journal:
            journal.execute("BEGIN")
            ((treasury,),) = journal.execute("SELECT value FROM meta WHERE name = 'treasury'")
            rows = journal.execute(
                "SELECT id, kind, destination, sender, asset, units, memo, stage FROM payments ORDER BY seq"
            ).fetchall()
            held = journal.execute("SELECT account, asset, units FROM balances").fetchall()
        payments = [
            RailPayment(name, kind, destination, sender, asset, int(units), memo, stage)
            for name, kind, destination, sender, asset, units, memo, stage in rows
        ]
        return cls(treasury, payments, {(account, asset): int(units) for account, asset, units in held})

    def sends(self) -> list[RailPayment]:
        """What left the treasury for good."""
        return [row for row in self.payments if row.kind == "send" and row.stage == "confirmed"]

    def received(self) -> list[RailPayment]:
        """What reached the treasury for good."""
        return [row for row in self.payments if row.destination == self.treasury and row.stage == "confirmed"]


def unsettled(sql: Sql) -> Iterator[str]:
    """What has not come to its end; nothing once everything has."""
    yield from (
        f"payout {row.id} of a {row.cause} is {row.state}: {row.reason}"
        for row in PayoutRepository(sql).every()
        if row.state in PENDING
    )
    yield from (
        f"payment {row.id} is {row.standing}: {row.reason}"
        for row in PaymentRepository(sql).every()
        if row.standing not in _ENDS
    )
    yield from (
        f"move {row.id} {row.direction} is {row.state}: {row.reason}"
        for row in MoveRepository(sql).every()
        if row.state in MOVES_PENDING
    )
    waits = {DepositState.WAITING}
    yield from (
        f"deposit {row[0]} is {row[1]}: {row[2]}"
        for row in sql.rows("SELECT id, state, reason FROM pool_deposits")
        if row[1] not in _ENDED_DEPOSITS | waits
    )
    yield from (
        f"withdrawal {row[0]} is {row[1]}: {row[2]}"
        for row in sql.rows("SELECT id, state, reason FROM pool_withdrawals")
        if row[1] not in _ENDED_WITHDRAWALS
    )
    yield from (f"incident {row.id}: {row.why}" for row in SolvencyRepository(sql).open_incidents())
    yield from (f"{block.asset_code} is blocked: {block.reason}" for block in PayoutRepository(sql).blocks())


def wrongs(data: Path) -> list[str]:
    """Everything that is not as it must be in a folder whose instance is away; empty where all is well."""
    Journal(data / "rail").close()  # raises where the rail's own balances do not follow from its payments
    rail = RailBooks.read(data / "rail")
    reader = SqliteReader.open(data / "money.db")
    with reader.snapshot() as sql:
        found = [
            *unsettled(sql),
            *payouts_audit.faults(sql),
            *rewards_audit.faults(sql),
            *solvency_audit.faults(sql),
            *_incidents(sql),
            *_unlike_the_rail(sql, rail),
            *_wrong_ends(sql, rail),
            *_paid_otherwise(sql, rail),
            *_negative(sql),
            *(f"rewards: {line}" for line in reward_balances(sql) if not line.ok),
        ]
    return [*found, *_unverified(data)]


def forgotten_promises(data: Path, ids: list[str]) -> list[str]:
    """Requests that somebody was told of and that are not there."""
    with SqliteReader.open(data / "money.db").snapshot() as sql:
        rows = sql.rows("SELECT id FROM pool_deposits UNION ALL SELECT id FROM pool_withdrawals")
    known = {row[0] for row in rows}
    return [f"nobody knows {name} any more" for name in ids if name not in known]


def _unverified(data: Path) -> Iterator[str]:
    done = subprocess.run(
        command("ledger", "verify", "--data", str(data), "--json"),
        capture_output=True,
        timeout=120,
        check=False,
    )
    answer = json.loads(done.stdout)
    if done.returncode != 0 or answer["ok"] is not True:
        yield f"ledger verify: {answer}"
    yield from (f"Σ of {asset} is {units}" for asset, units in answer["assets"].items() if units != "0")


def _incidents(sql: Sql) -> Iterator[str]:
    for incident in PaymentRepository(sql).incidents("open", 1_000):
        yield f"incident about payment {incident.id}"


def _unlike_the_rail(sql: Sql, rail: RailBooks) -> Iterator[str]:
    """Σ of everything on the rail is zero, and the treasury holds what the books owe on the rail."""
    for asset in {asset for _, asset in rail.balances}:
        total = sum(units for (_, code), units in rail.balances.items() if code == asset)
        if total:
            yield f"the rail has {total} units of {asset} from nowhere"
    owed: Counter[str] = Counter()
    for account, asset, units in sql.rows("SELECT account, asset, units FROM balances"):
        if asset.startswith("rail:") and account.partition(":")[0] not in _OUTSIDE:
            owed[asset.partition(":")[2]] += int(units)
    held = {asset: units for (account, asset), units in rail.balances.items() if account == rail.treasury}
    for code in owed.keys() | held.keys():
        has = held.get(code, 0)
        if owed[code] != has:
            yield f"the books owe {owed[code]} units of {code} on the rail, the treasury has {has}"


def _wrong_ends(sql: Sql, rail: RailBooks) -> Iterator[str]:
    """Each payment to the treasury has one end: taken in, or sent back once, whole, to its sender."""
    sends = rail.sends()
    payments = {row.id: row for row in PaymentRepository(sql).every()}
    for row in rail.received():
        known = payments.get(row.id)
        back = [
            (send.destination, send.asset, send.units) for send in sends if send.memo == f"refund:{row.id}"
        ]
        if known is None:
            yield f"nobody noticed payment {row.id}"
        elif known.standing is Standing.CLAIMED and not back:
            continue
        elif known.standing is not Standing.REFUNDED or back != [(row.sender, row.asset, row.units)]:
            yield f"payment {row.id} is {known.standing} and went back {len(back)} times: {back}"


def _paid_otherwise(sql: Sql, rail: RailBooks) -> Iterator[str]:
    """What left the treasury is what the outbox confirmed, payment by payment, and no payment twice."""
    rows = [row for row in PayoutRepository(sql).every() if row.state is PayoutState.CONFIRMED]
    wanted = Counter((row.reference, row.destination, row.units) for row in rows)
    paid = Counter((row.id, row.destination, row.units) for row in rail.sends())
    if wanted != paid:
        yield f"owed and not paid: {wanted - paid}; paid and not owed: {paid - wanted}"
    moves = [row for row in MoveRepository(sql).every() if row.state is MoveState.DONE and not row.payout_id]
    came = [row for row in rail.received() if row.kind == "withdrawal"]
    if Counter(row.memo for row in moves) != Counter(row.memo for row in came):
        yield "what came from the venue is not what was moved"


def _negative(sql: Sql) -> Iterator[str]:
    kinds = {row[0]: row[1] for row in sql.rows("SELECT id, kind FROM accounts")}
    for account, asset, units in sql.rows("SELECT account, asset, units FROM balances"):
        if int(units) < 0 and kinds[account] in {"user", "pool", "owner", "rewards", "suspense", "transit"}:
            yield f"{account} has {units} of {asset}"
