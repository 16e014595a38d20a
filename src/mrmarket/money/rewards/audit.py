"""Checking the reward tables against their seals, each other, and the ledger's log."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from mrmarket.money.ledger.verification import Derived, Fault
from mrmarket.money.rewards.allocator import chunk_key
from mrmarket.money.rewards.delivery_repository import altered_deliveries
from mrmarket.money.rewards.invariant import reward_balances
from mrmarket.money.rewards.job_repository import altered_windows
from mrmarket.money.rewards.plan import hash_of_rows
from mrmarket.money.rewards.receipts import entry_key
from mrmarket.money.rewards.repository import RewardRepository, altered_rows
from mrmarket.money.rewards.rows import RunRow
from mrmarket.store.sql import Sql


def faults(sql: Sql) -> Iterator[str]:
    """Sentences about everything that does not hold; none where all is well. Reads every row.

    Seals first; then that entries are posted, that a run's rows are those it recorded, that its groups
    credited exactly these, that it is open while one of them is missing, and the equation of `invariant`.
    """
    yield from chain(altered_rows(sql), altered_deliveries(sql), altered_windows(sql))
    repository = RewardRepository(sql)
    for entry in repository.all_entries():
        posted = _credits(sql, entry_key(entry.id))
        if [units for _, asset, units in posted if asset == entry.asset] != [entry.units]:
            yield f"reward_entries: {entry.id} is not posted with its units"
    unfinished = {run.id for run in repository.open_runs()}
    for run in repository.all_runs():
        yield from _audit_run(sql, repository, run, is_open=run.id in unfinished)
    known = {row[0] for row in sql.rows("SELECT DISTINCT run FROM reward_rows")}
    for stray in sorted(known - {run.id for run in repository.all_runs()}):
        yield f"reward_rows: {stray} is no run"
    yield from _audit_deliveries(sql)
    for balance in reward_balances(sql):
        if not balance.ok:
            yield f"rewards of {balance.pool} in {balance.asset} miss {balance.difference} units"


def check_rewards(sql: Sql, derived: Derived) -> None:  # noqa: ARG001 - the shape of a side check
    """The same, as a side check of `verify_ledger`. Raises `Fault`."""
    for sentence in faults(sql):
        raise Fault(None, sentence)


def _audit_run(sql: Sql, repository: RewardRepository, run: RunRow, *, is_open: bool) -> Iterator[str]:
    if hash_of_rows(repository.rows(run.id)) != run.rows_hash:
        yield f"reward_rows: the rows of {run.id} are not those that were recorded"
    missing = False
    for chunk in range(run.chunks):
        posted = _credits(sql, chunk_key(run.id, chunk))
        missing = missing or not posted
        wanted = [(account, run.asset, units) for account, units in repository.chunk(run.id, chunk)]
        if posted and sorted(posted) != wanted:
            yield f"reward_rows: group {chunk} of {run.id} credits something else"
    if missing is not is_open:
        yield f"reward_open_runs: {run.id} is {'' if is_open else 'not '}listed, against the ledger"


def _audit_deliveries(sql: Sql) -> Iterator[str]:
    carried: dict[str, int] = {}
    for delivery, units in sql.rows(
        "SELECT d.delivery, r.units FROM reward_delivery_rows d"
        " JOIN reward_rows r ON r.run = d.run AND r.account = d.account"
    ):
        carried[delivery] = carried.get(delivery, 0) + int(units)
    delivered = {row[0]: int(row[1]) for row in sql.rows("SELECT id, units FROM reward_deliveries")}
    owed = {row[0]: int(row[1]) for row in sql.rows("SELECT id, units FROM payouts WHERE cause = 'reward'")}
    for delivery in sorted(carried.keys() | delivered.keys() | owed.keys()):
        if not carried.get(delivery) == delivered.get(delivery) == owed.get(delivery):
            yield f"reward_deliveries: {delivery} is not what its allocations come to and what is paid"


def _credits(sql: Sql, key: str) -> list[tuple[str, str, int]]:
    rows = sql.rows(
        "SELECT t.credit, t.asset, t.units FROM groups g JOIN transfers t ON t.group_seq = g.seq"
        " WHERE g.key = ? AND g.outcome = 'posted'",
        key,
    )
    return [(credit, asset, int(units)) for credit, asset, units in rows]
