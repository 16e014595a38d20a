"""All SQL of rewards; the jobs have their own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from mrmarket.money.payouts.sealed_table import SealedTable
from mrmarket.money.rewards.campaign import Campaign
from mrmarket.money.rewards.rows import AllocationRow, Disposition, EntryRow, ReductionRow, RunRow
from mrmarket.store.sql import Sql

_CAMPAIGNS: Final = SealedTable("reward_campaigns", Campaign, ("id",))
_ENTRIES: Final = SealedTable("reward_entries", EntryRow, ("id",))
_REDUCTIONS: Final = SealedTable("reward_reductions", ReductionRow, ("id",))
_RUNS: Final = SealedTable("reward_runs", RunRow, ("id",))

_DAY: Final = "WHERE campaign = ? AND day = ? AND asset = ? ORDER BY"
_ROW: Final = "account, due_units, units, kept_units, disposition, integral, multiplier"

DayKey = tuple[str, int, str]
"""Campaign, day, asset id."""


class RewardRepository:
    """Campaigns, what came in for them, and who was given what."""

    def __init__(self, sql: Sql) -> None:
        self._sql = sql

    def campaign(self, campaign: str) -> Campaign | None:
        """A campaign."""
        return _CAMPAIGNS.find(self._sql, campaign)

    def campaigns(self, pool: str | None = None) -> list[Campaign]:
        """Campaigns of a pool or of all, by start."""
        if pool is None:
            return _CAMPAIGNS.select(self._sql, "ORDER BY start_ms, id")
        return _CAMPAIGNS.select(self._sql, "WHERE pool = ? ORDER BY start_ms, id", pool)

    def add_campaign(self, campaign: Campaign) -> None:
        """Keep a campaign."""
        _CAMPAIGNS.add(self._sql, campaign)

    def entry(self, source: str, ref: str) -> EntryRow | None:
        """An entry by its name in the world."""
        rows = _ENTRIES.select(self._sql, "WHERE source = ? AND ref = ?", source, ref)
        return rows[0] if rows else None

    def entry_by_id(self, entry: str) -> EntryRow | None:
        """An entry."""
        return _ENTRIES.find(self._sql, entry)

    def entries(self, campaign: str, day: int, asset: str) -> list[EntryRow]:
        """Entries of a day and asset, in order."""
        return _ENTRIES.select(self._sql, f"{_DAY} seq", campaign, day, asset)

    def newest_entries(self, limit: int) -> list[EntryRow]:
        """What came in last."""
        return _ENTRIES.select(self._sql, "ORDER BY at_ms DESC, id LIMIT ?", limit)

    def all_entries(self) -> list[EntryRow]:
        """Everything that ever came in, for an audit."""
        return _ENTRIES.select(self._sql, "ORDER BY at_ms, id")

    def add_entry(self, entry: EntryRow) -> None:
        """Keep an entry."""
        _ENTRIES.add(self._sql, entry)

    def assets(self, campaign: str, day: int) -> list[str]:
        """Asset ids in which rewards for a day came in."""
        rows = self._sql.rows(
            "SELECT DISTINCT asset FROM reward_entries WHERE campaign = ? AND day = ? ORDER BY asset",
            campaign,
            day,
        )
        return [row[0] for row in rows]

    def reduction(self, reduction: str) -> ReductionRow | None:
        """A reduction."""
        return _REDUCTIONS.find(self._sql, reduction)

    def reductions(self, campaign: str, day: int, asset: str) -> list[ReductionRow]:
        """Reductions of a day and asset, in order."""
        return _REDUCTIONS.select(self._sql, f"{_DAY} seq", campaign, day, asset)

    def reductions_of(self, entry: str) -> list[ReductionRow]:
        """What an entry lost."""
        return _REDUCTIONS.select(self._sql, "WHERE entry = ? ORDER BY seq", entry)

    def all_reductions(self) -> list[ReductionRow]:
        """Everything that was ever lost, for an audit."""
        return _REDUCTIONS.select(self._sql, "ORDER BY at_ms, id")

    def unpaid_reductions(self) -> list[ReductionRow]:
        """Those that the reserve has not paid, oldest first."""
        return _REDUCTIONS.select(
            self._sql,
            "WHERE payer = 'reserve' AND NOT EXISTS (SELECT 1 FROM groups"
            " WHERE groups.key = 'reward-charge:' || reward_reductions.id AND groups.outcome = 'posted')"
            " ORDER BY at_ms, id",
        )

    def add_reduction(self, reduction: ReductionRow) -> None:
        """Keep a reduction."""
        _REDUCTIONS.add(self._sql, reduction)

    def run(self, run: str) -> RunRow | None:
        """A run."""
        return _RUNS.find(self._sql, run)

    def runs(self, campaign: str, day: int, asset: str) -> list[RunRow]:
        """Runs of a day and asset, in order."""
        return _RUNS.select(self._sql, f"{_DAY} ordinal", campaign, day, asset)

    def newest_runs(self, limit: int) -> list[RunRow]:
        """The newest runs."""
        return _RUNS.select(self._sql, "ORDER BY at_ms DESC, campaign, day, asset, ordinal LIMIT ?", limit)

    def all_runs(self) -> list[RunRow]:
        """Every run, for an audit."""
        return _RUNS.select(self._sql, "ORDER BY at_ms, campaign, day, asset, ordinal")

    def add_run(self, run: RunRow) -> None:
        """Keep a run, open until its credits are posted."""
        _RUNS.add(self._sql, run)
        if run.chunks:
            self._sql.run("INSERT INTO reward_open_runs (run) VALUES (?)", run.id)

    def open_runs(self) -> list[RunRow]:
        """Runs that are not credited to the end, oldest first."""
        return _RUNS.select(
            self._sql, "WHERE id IN (SELECT run FROM reward_open_runs) ORDER BY at_ms, campaign, day, asset"
        )

    def close_run(self, run: str) -> None:
        """A run is credited to the end."""
        self._sql.run("DELETE FROM reward_open_runs WHERE run = ?", run)

    def add_rows(self, run: str, rows: Iterable[tuple[int, AllocationRow]]) -> None:
        """Keep a run's rows, each with the number of its group of credits."""
        self._sql.run_many(
            f"INSERT INTO reward_rows (run, chunk, {_ROW}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 - constants
            (
                (
                    run,
                    chunk,
                    row.account,
                    str(row.due_units),
                    str(row.units),
                    str(row.kept_units),
                    row.disposition.value,
                    row.integral,
                    row.multiplier,
                )
                for chunk, row in rows
            ),
        )

    def rows(self, run: str) -> list[AllocationRow]:
        """A run's rows by account."""
        found = self._sql.rows(f"SELECT {_ROW} FROM reward_rows WHERE run = ?", run)  # noqa: S608 - constants
        return sorted((allocation_row(row) for row in found), key=lambda row: row.account)

    def row(self, run: str, account: str) -> AllocationRow | None:
        """One account's part of a run."""
        found = self._sql.rows(
            f"SELECT {_ROW} FROM reward_rows WHERE run = ? AND account = ?",  # noqa: S608 - constants
            run,
            account,
        )
        return allocation_row(found[0]) if found else None

    def chunk_of(self, run: str, account: str) -> int:
        """Number of the group that credits an account; -1 where none does."""
        found = self._sql.rows("SELECT chunk FROM reward_rows WHERE run = ? AND account = ?", run, account)
        return found[0][0] if found else -1

    def chunk(self, run: str, chunk: int) -> list[tuple[str, int]]:
        """Accounts and units that one group credits, by account."""
        found = self._sql.rows(
            "SELECT account, units FROM reward_rows WHERE run = ? AND chunk = ?", run, chunk
        )
        return sorted((account, int(units)) for account, units in found)

    def given(self, runs: Sequence[RunRow]) -> dict[str, int]:
        """What accounts were given by all of some runs."""
        given: dict[str, int] = {}
        for run in runs:
            found = self._sql.rows("SELECT account, units FROM reward_rows WHERE run = ?", run.id)
            for account, units in found:
                given[account] = given.get(account, 0) + int(units)
        return given

    def unfinished_days(self) -> list[DayKey]:
        """Days with entries or reductions that no run has seen, or whose last run fell short; in order."""
        last: dict[DayKey, tuple[int, int, int]] = {}
        for campaign, day, asset, entries, reductions, short in self._sql.rows(
            "SELECT campaign, day, asset, entries, reductions, short_units FROM reward_runs ORDER BY ordinal"
        ):
            last[campaign, day, asset] = (entries, reductions, int(short))
        reduced = self._counts("reward_reductions")
        received = self._counts("reward_entries")
        return sorted(
            key
            for key, entries in received.items()
            if last.get(key, (0, 0, 0)) != (entries, reduced.get(key, 0), 0)
        )

    def _counts(self, table: str) -> dict[DayKey, int]:
        rows = self._sql.rows(
            f"SELECT campaign, day, asset, max(seq) FROM {table} GROUP BY campaign, day, asset"  # noqa: S608 - constants
        )
        return {(row[0], row[1], row[2]): row[3] for row in rows}

    def group_at(self, key: str) -> tuple[int, int] | None:
        """Sequence number and time of a posted ledger group."""
        found = self._sql.rows("SELECT seq, at_ms FROM groups WHERE key = ? AND outcome = 'posted'", key)
        return (found[0][0], found[0][1]) if found else None


def available(sql: Sql, account: str, asset: str) -> int:
    """What an account can spend: its balance less what is held."""
    posted = sql.rows("SELECT units FROM balances WHERE account = ? AND asset = ?", account, asset)
    held = sql.rows(
        "SELECT t.units FROM holds h"
        " JOIN transfers t ON t.group_seq = h.group_seq AND t.position = h.position"
        " WHERE h.state = 'pending' AND t.debit = ? AND t.asset = ?",
        account,
        asset,
    )
    return sum(int(row[0]) for row in posted) - sum(int(row[0]) for row in held)


def allocation_row(row: Sequence[str]) -> AllocationRow:
    """A row as it was read."""
    return AllocationRow(row[0], int(row[1]), int(row[2]), int(row[3]), Disposition(row[4]), row[5], row[6])


def altered_rows(sql: Sql) -> Iterator[str]:
    """Sentences about sealed rows that are not what was written."""
    for table in (_CAMPAIGNS, _ENTRIES, _REDUCTIONS, _RUNS):
        yield from table.altered(sql)
