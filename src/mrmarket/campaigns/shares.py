"""Whether every user has exactly what the allocations gave: nobody twice, nobody missing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final

from mrmarket.money.ledger.transfer import TransferKind
from mrmarket.money.rewards.allocator import chunk_key
from mrmarket.money.rewards.repository import RewardRepository
from mrmarket.money.rewards.rows import AllocationRow, Disposition, RunRow
from mrmarket.store.sql import Sql

_SUMS: Final = (
    (Disposition.CREDITED, "credited_units"),
    (Disposition.FEE, "fee_units"),
    (Disposition.DUST, "dust_units"),
    (Disposition.UNALLOCATED, "unallocated_units"),
)


def credited_by_asset(sql: Sql) -> dict[str, int]:
    """Units by asset id that the ledger itself has posted to users as rewards."""
    found: dict[str, int] = {}
    for (asset, _), units in _credited(sql).items():
        found[asset] = found.get(asset, 0) + units
    return found


def share_faults(sql: Sql) -> Iterator[str]:
    """Sentences about shares that do not add up; none where all is well. Reads every row of every run.

    A run's rows come to its total and to each of its sums; the last run of a day leaves everybody with their
    due, and with what they keep; and each account was credited in the ledger what its rows say, once.
    """
    repository = RewardRepository(sql)
    recorded: Counter[tuple[str, str]] = Counter()
    days: dict[tuple[str, int, str], list[RunRow]] = {}
    for run in repository.all_runs():
        days.setdefault((run.campaign, run.day, run.asset), []).append(run)
    for runs in days.values():
        runs.sort(key=lambda one: one.ordinal)
        given: Counter[str] = Counter()
        rows: list[AllocationRow] = []
        for run in runs:
            rows = repository.rows(run.id)
            yield from _run_faults(run, rows)
            given.update({row.account: row.units for row in rows})
            for chunk in range(run.chunks):
                if repository.group_at(chunk_key(run.id, chunk)) is not None:
                    parts = {(run.asset, one): units for one, units in repository.chunk(run.id, chunk)}
                    recorded.update(parts)
        yield from _day_faults(runs[-1], rows, given)
    credited = _credited(sql)
    for asset, account in sorted(credited.keys() | recorded.keys()):
        had, due = credited.get((asset, account), 0), recorded[asset, account]
        if had != due:
            yield f"{account} was credited {had} units of {asset}, and {due} were allocated"


def _run_faults(run: RunRow, rows: list[AllocationRow]) -> Iterator[str]:
    total = sum(row.due_units for row in rows)
    if total != run.total_units:
        yield f"the shares of {run.id} come to {total}, and {run.total_units} were to be divided"
    for disposition, column in _SUMS:
        units = sum(row.units for row in rows if row.disposition is disposition)
        recorded = getattr(run, column)
        if units != recorded:
            yield f"{run.id}: what is {disposition.value} comes to {units}, and {recorded} is recorded"


def _day_faults(last: RunRow, rows: list[AllocationRow], given: Counter[str]) -> Iterator[str]:
    """After the last run everybody has their due, unless the owner's reserve could not put it in yet."""
    if last.short_units:
        return
    owed = {row.account: row.due_units + row.kept_units for row in rows}
    for account in sorted(given.keys() | owed.keys()):
        if given[account] != owed.get(account, 0):
            yield (
                f"day {last.day} of {last.campaign}: {account} has {given[account]} units of {last.asset}"
                f" and is due {owed.get(account, 0)}"
            )


def _credited(sql: Sql) -> dict[tuple[str, str], int]:
    found: dict[tuple[str, str], int] = {}
    for asset, account, units in sql.rows(
        "SELECT asset, credit, units FROM transfers WHERE kind = ?", TransferKind.CREDIT_REWARD.value
    ):
        found[asset, account] = found.get((asset, account), 0) + int(units)
    return found
