"""Carries allocations out: computed beside the writer, recorded in one transaction, credited in parts."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Sequence
from functools import partial
from typing import Final

import msgspec

from mrmarket.core.crash import reach
from mrmarket.money.ledger.account import Account, AccountKind
from mrmarket.money.ledger.draft import Draft
from mrmarket.money.ledger.group import Group, Transfer, TransferKind
from mrmarket.money.ledger.writer import LedgerWriter
from mrmarket.money.payouts.payment import RESERVE
from mrmarket.money.rewards.errors import InputsMovedError, RewardsError, WindowOpenError
from mrmarket.money.rewards.inputs import (
    FEE_ACCOUNT,
    Draught,
    Sources,
    campaign_of,
    draw_up,
    encode_judgement,
)
from mrmarket.money.rewards.receipts import account_named, post, rewards_account, unopened
from mrmarket.money.rewards.repository import DayKey, RewardRepository
from mrmarket.money.rewards.rows import AllocationRow, Disposition, RunRow
from mrmarket.store.sql import SqlReader

CREDITS: Final = 1_000
"""Most transfers that one group of credits has."""

_TRIES: Final = 5


class Allocator:
    """Gives rewards to whom they belong. Safe to repeat, to stop anywhere, and to run from a thread.

    Everything durable is in the tables: an allocator can be dropped and built again at any time.
    """

    def __init__(
        self, writer: LedgerWriter, reader: SqlReader, sources: Sources, *, credits_a_group: int = CREDITS
    ) -> None:
        self._writer = writer
        self._reader = reader
        self._sources = sources
        self._size = credits_a_group

    def preview(self, campaign: str, day: int) -> list[Draught]:
        """What an allocation of a day would give now, one a asset; writes nothing. The day may be running.

        Raises:
            UnknownCampaignError, UnknownDayError: if there is no such day.
        """
        with self._reader.snapshot() as sql:
            campaign_of(sql, campaign).window(day)
            keys = [(campaign, day, asset) for asset in RewardRepository(sql).assets(campaign, day)]
            draughts = [draw_up(sql, self._sources, key) for key in keys]
        return [draught for draught in draughts if draught is not None]

    def allocate(self, campaign: str, day: int, *, reconsider: bool = False) -> list[RunRow]:
        """Give what has come in for a day and is not given yet; the runs that this took, one a asset at most.

        `reconsider` asks for multipliers and exclusions anew.

        Raises:
            UnknownCampaignError, UnknownDayError: if there is no such day.
            WindowOpenError: if the day is not over.
        """
        with self._reader.snapshot() as sql:
            span = campaign_of(sql, campaign).window(day)
        # From here on every transaction is later than the window: its share history is complete.
        now_ms = self._writer.perform(_now).result()
        if now_ms < span.end_ms:
            raise WindowOpenError(campaign, day, span.end_ms, now_ms)
        with self._reader.snapshot() as sql:
            assets = RewardRepository(sql).assets(campaign, day)
        runs = [self._allocate((campaign, day, asset), reconsider=reconsider) for asset in assets]
        return [run for run in runs if run is not None]

    def allocate_due(self, without: Container[str] = ()) -> list[RunRow]:
        """Finish what was begun, then allocate every day that is over and has something to give; these runs.

        `without` are campaigns whose days somebody else allocates, when their money has arrived.

        Raises:
            RewardsError: the first, once every other day had its turn; its notes name the rest.
        """
        now_ms = self._writer.perform(_now).result()
        with self._reader.snapshot() as sql:
            repository = RewardRepository(sql)
            unfinished = repository.open_runs()
            keys = [key for key in repository.unfinished_days() if key[0] not in without]
            over = [key for key in keys if campaign_of(sql, key[0]).window(key[1]).end_ms <= now_ms]
        credits_ = [partial(self._credit, run) for run in unfinished]
        return _each([*credits_, *(partial(self._allocate, key, reconsider=False) for key in over)])

    def resume(self) -> list[RunRow]:
        """Credit what is left of runs that were recorded and not finished; these runs.

        Raises:
            RewardsError: as `allocate_due`.
        """
        with self._reader.snapshot() as sql:
            unfinished = RewardRepository(sql).open_runs()
        return _each([partial(self._credit, run) for run in unfinished])

    def _allocate(self, key: DayKey, *, reconsider: bool) -> RunRow | None:
        for left in reversed(range(_TRIES)):
            with self._reader.snapshot() as sql:
                draught = draw_up(sql, self._sources, key, reconsider=reconsider)
            if draught is None:
                return None
            reach("rewards.planned")
            try:
                run = self._writer.perform(partial(self._record, draught)).result()
            except InputsMovedError:
                if not left:
                    raise
                continue
            reach("rewards.recorded")
            return self._credit(run)
        return None  # pragma: no cover - the last try returns or raises

    def _record(self, draught: Draught, draft: Draft) -> RunRow:
        """Write a run and its rows, and post everything but the credits; one transaction."""
        repository = RewardRepository(draft.sql)
        seen = (len(draught.entries), len(draught.reductions), draught.ordinal)
        if (
            seen
            != tuple(
                len(found)
                for found in (
                    repository.entries(*draught.key),
                    repository.reductions(*draught.key),
                    repository.runs(*draught.key),
                )
            )
            or draft.available(RESERVE.id, draught.key[2]) < draught.plan.reserve
        ):
            raise InputsMovedError(draught.key[0], draught.key[1])
        rows = list(_numbered(draught.plan.rows, self._size))
        run = _run_row(draught, draft.at_ms, chunks=1 + max((chunk for chunk, _ in rows), default=-1))
        transfers = _frame(draught)
        if transfers:
            memo = _memo(run)
            accounts = unopened(draft, *_accounts(run.pool))
            post(draft, Group(frame_key(run.id), transfers, accounts=accounts, memo=memo))
        repository.add_run(run)
        repository.add_rows(run.id, rows)
        return run

    def _credit(self, run: RunRow) -> RunRow:
        for chunk in range(run.chunks):
            self._writer.perform(partial(_credit, run, chunk)).result()
            reach("rewards.chunk_credited" if chunk < run.chunks - 1 else "rewards.closed")
        return run


def frame_key(run: str) -> str:
    """Key of the group that posts everything of a run but the credits."""
    return f"reward:{run}:frame"


def chunk_key(run: str, chunk: int) -> str:
    """Key of one of a run's groups of credits."""
    return f"reward:{run}:{chunk}"


def _each(works: Sequence[Callable[[], RunRow | None]]) -> list[RunRow]:
    """Do all of it, and only then raise what the first refusal was: nobody waits for another's trouble."""
    runs: list[RunRow | None] = []
    refusals: list[RewardsError] = []
    for work in works:
        try:
            runs.append(work())
        except RewardsError as error:
            refusals.append(error)
    if refusals:
        for other in refusals[1:]:
            refusals[0].add_note(str(other))
        raise refusals[0]
    return [run for run in runs if run is not None]


def _now(draft: Draft) -> int:
    return draft.at_ms


def _credit(run: RunRow, chunk: int, draft: Draft) -> None:
    repository = RewardRepository(draft.sql)
    key = chunk_key(run.id, chunk)
    # Asked in this order because a record comes with all its transfers, and that costs.
    if repository.group_at(key) is None and draft.record(key) is None:
        rewards = rewards_account(run.pool)
        credits_ = repository.chunk(run.id, chunk)
        users = [account_named(draft, account) for account, _ in credits_]
        transfers = tuple(
            Transfer(rewards.id, account, run.asset, units, TransferKind.CREDIT_REWARD)
            for account, units in credits_
        )
        post(draft, Group(key, transfers, accounts=unopened(draft, *users), memo=_memo(run)))
        reach("rewards.chunk_posted")
    if chunk == run.chunks - 1:
        repository.close_run(run.id)


def _numbered(rows: Sequence[AllocationRow], size: int) -> Iterator[tuple[int, AllocationRow]]:
    """Each row with the number of its group of credits; -1 for what is not credited."""
    count = 0
    for row in rows:
        if row.disposition is Disposition.CREDITED and row.units > 0:
            yield count // size, row
            count += 1
        else:
            yield -1, row


def _frame(draught: Draught) -> tuple[Transfer, ...]:
    plan, asset, pool = draught.plan, draught.key[2], draught.campaign.pool
    rewards = rewards_account(pool).id
    moves = (
        (RESERVE.id, rewards, plan.reserve, TransferKind.ADJUSTMENT),
        (rewards, draught.terms.unallocated_account, plan.unallocated, TransferKind.ALLOCATION_RELEASE),
        (rewards, f"{AccountKind.DUST}:{pool}", plan.dust, TransferKind.ALLOCATION_RELEASE),
        (rewards, FEE_ACCOUNT, plan.fee, TransferKind.FEE),
    )
    return tuple(
        Transfer(giver, taker, asset, units, kind)
        if units > 0
        else Transfer(taker, giver, asset, -units, kind)
        for giver, taker, units, kind in moves
        if units
    )


def _accounts(pool: str) -> tuple[Account, ...]:
    return (
        rewards_account(pool),
        RESERVE,
        Account.of(AccountKind.UNALLOCATED, pool),
        Account.of(AccountKind.DUST, pool),
        Account.of(AccountKind.OWNER, "fees"),
    )


def _memo(run: RunRow) -> str:
    """Chains what a run was computed from and what came out to the ledger."""
    return msgspec.json.encode(
        {"run": run.id, "inputs": run.input_hash.hex(), "rows": run.rows_hash.hex()}
    ).decode()


def _run_row(draught: Draught, at_ms: int, *, chunks: int) -> RunRow:
    plan = draught.plan
    return RunRow(
        id=draught.id,
        campaign=draught.key[0],
        day=draught.key[1],
        asset=draught.key[2],
        ordinal=draught.ordinal,
        kind=draught.kind,
        pool=draught.campaign.pool,
        start_ms=draught.span.start_ms,
        end_ms=draught.span.end_ms,
        attribution=draught.campaign.attribution,
        salt=draught.terms.salt,
        entries=len(draught.entries),
        reductions=len(draught.reductions),
        total_units=draught.money.total,
        credited_units=plan.credited,
        fee_units=plan.fee,
        dust_units=plan.dust,
        unallocated_units=plan.unallocated,
        kept_units=plan.kept,
        reserve_units=plan.reserve,
        short_units=plan.short,
        dust_below_units=draught.terms.dust_below,
        fee_bps=draught.terms.fee_bps,
        weight=str(draught.weighing.total),
        weight_scale=str(draught.weighing.weight_scale),
        integral_scale=str(draught.weighing.scale),
        changes=draught.weighing.changes,
        rows=len(plan.rows),
        chunks=chunks,
        given=encode_judgement(draught.weighing.judgement),
        input_hash=draught.input_hash,
        rows_hash=plan.rows_hash,
        at_ms=at_ms,
    )
