"""Rewards as people look at them: by day, by allocation, by run. Plain figures, in units."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from mrmarket.money.payouts.payout import PayoutState
from mrmarket.money.payouts.repository import PayoutRepository
from mrmarket.money.rewards.allocator import chunk_key
from mrmarket.money.rewards.attribution import Ratio
from mrmarket.money.rewards.delivery_repository import DeliveryRepository
from mrmarket.money.rewards.errors import UnknownRunError
from mrmarket.money.rewards.inputs import decode_judgement
from mrmarket.money.rewards.receipts import entry_key
from mrmarket.money.rewards.repository import RewardRepository, allocation_row
from mrmarket.money.rewards.rows import (
    AllocationRow,
    Disposition,
    EntryRow,
    RunRow,
    allocation_id,
    split_allocation_id,
)
from mrmarket.store.sql import Sql


class RewardState(StrEnum):
    """How far an allocation has come."""

    PENDING = "pending"
    """Recorded, not yet on the balance."""
    CREDITED = "credited"
    PAYING = "paying"
    PAID = "paid"
    DUST = "dust"
    EXCLUDED = "excluded"
    NOTHING = "nothing"
    """It came to no whole unit, or everything had been given before."""


@dataclass(frozen=True, slots=True)
class RewardDay:
    """What one run gave an account for a day of a campaign."""

    allocation: str
    run: str
    campaign: str
    day: int
    start_ms: int
    end_ms: int
    asset: str
    units: int
    state: RewardState
    at_ms: int
    """When it was allocated."""


@dataclass(frozen=True, slots=True)
class RewardTotals:
    """An account's rewards in one asset."""

    asset: str
    pending: int
    credited: int
    """On the balance or paid out."""
    paid: int
    """Of that, paid out and confirmed."""


@dataclass(frozen=True, slots=True)
class ChainStep:
    """One step on the way of a reward."""

    name: str
    state: str
    """`done`, `waiting` or `not needed`."""
    id: str
    at_ms: int | None


@dataclass(frozen=True, slots=True)
class RewardTrace:
    """One allocation with the formula's own numbers: `due = pot × weight / total_weight`, in whole units."""

    allocation: str
    run: RunRow
    row: AllocationRow
    integral: int
    """Times `integral_scale`: share units × ms × lock-tier weight."""
    integral_scale: int
    weight: int
    """Times `weight_scale`: the integral × multiplier; 0 for whoever is excluded."""
    total_weight: int
    weight_scale: int
    pot: int
    """The day's rewards less the owner's fee."""
    fee: int
    reason: str
    """Why the account is excluded; else empty."""
    steps: tuple[ChainStep, ...]


def reward_days(sql: Sql, account: str, start_ms: int, end_ms: int) -> list[RewardDay]:
    """Allocations of an account for days that begin in the half-open window, oldest first."""
    rows = sql.rows(
        "SELECT r.run, r.account, r.due_units, r.units, r.kept_units, r.disposition, r.integral, r.multiplier"
        " FROM reward_rows r JOIN reward_runs q ON q.id = r.run"
        " WHERE r.account = ? AND q.start_ms >= ? AND q.start_ms < ?",
        account,
        start_ms,
        end_ms,
    )
    repository = RewardRepository(sql)
    days: list[RewardDay] = []
    for row in rows:
        run = run_of(repository, row[0])
        part = allocation_row(row[1:])
        days.append(
            RewardDay(
                allocation=allocation_id(run.id, account),
                run=run.id,
                campaign=run.campaign,
                day=run.day,
                start_ms=run.start_ms,
                end_ms=run.end_ms,
                asset=run.asset,
                units=part.units,
                state=_state(sql, run, part),
                at_ms=run.at_ms,
            )
        )
    return sorted(days, key=lambda day: (day.start_ms, day.campaign, day.asset, day.at_ms, day.run))


def reward_totals(sql: Sql, account: str) -> list[RewardTotals]:
    """What an account was ever given, by asset."""
    sums: dict[str, tuple[int, int, int]] = {}
    for day in reward_days(sql, account, 0, 2**62):
        pending, credited, paid = sums.get(day.asset, (0, 0, 0))
        if day.state is RewardState.PENDING:
            pending += day.units
        elif day.state in {RewardState.CREDITED, RewardState.PAYING, RewardState.PAID}:
            credited += day.units
        if day.state is RewardState.PAID:
            paid += day.units
        sums[day.asset] = (pending, credited, paid)
    return [RewardTotals(asset, *sums[asset]) for asset in sorted(sums)]


def reward_trace(sql: Sql, allocation: str) -> RewardTrace:
    """Everything about one allocation. Raises `UnknownRunError`."""
    repository = RewardRepository(sql)
    run_id, account = split_allocation_id(allocation)
    run = run_of(repository, run_id)
    row = repository.row(run.id, account)
    if row is None:
        raise UnknownRunError(allocation)
    fee = -(-run.total_units * run.fee_bps // 10_000)
    is_excluded = row.disposition is Disposition.EXCLUDED
    common = int(run.weight_scale) // int(run.integral_scale)
    num, den = _ratio(row.multiplier)
    return RewardTrace(
        allocation=allocation,
        run=run,
        row=row,
        integral=int(row.integral),
        integral_scale=int(run.integral_scale),
        weight=0 if is_excluded else int(row.integral) * num * common // den,
        total_weight=int(run.weight),
        weight_scale=int(run.weight_scale),
        pot=run.total_units - fee,
        fee=fee,
        reason=_reason(run, account) if is_excluded else "",
        steps=tuple(_steps(sql, repository, run, row)),
    )


def run_of(repository: RewardRepository, run: str) -> RunRow:
    """A run. Raises `UnknownRunError`."""
    known = repository.run(run)
    if known is None:
        raise UnknownRunError(run)
    return known


def run_state(sql: Sql, run: RunRow) -> str:
    """`done`, or `crediting` while some of its credits are not posted."""
    is_open = sql.rows("SELECT 1 FROM reward_open_runs WHERE run = ?", run.id)
    return "crediting" if is_open else "done"


def _state(sql: Sql, run: RunRow, row: AllocationRow) -> RewardState:
    if row.disposition in {Disposition.DUST, Disposition.EXCLUDED}:
        return RewardState(row.disposition.value)
    if not row.units:
        return RewardState.NOTHING
    if _credit(sql, run, row) is None:
        return RewardState.PENDING
    delivery = DeliveryRepository(sql).delivery_of(run.id, row.account)
    payout = PayoutRepository(sql).find(delivery.id) if delivery else None
    if payout is None or payout.state in {PayoutState.REFUSED, PayoutState.CANCELLED}:
        return RewardState.CREDITED
    return RewardState.PAID if payout.state is PayoutState.CONFIRMED else RewardState.PAYING


def _credit(sql: Sql, run: RunRow, row: AllocationRow) -> tuple[int, int] | None:
    repository = RewardRepository(sql)
    return repository.group_at(chunk_key(run.id, repository.chunk_of(run.id, row.account)))


def _steps(sql: Sql, repository: RewardRepository, run: RunRow, row: AllocationRow) -> list[ChainStep]:
    entries = repository.entries(run.campaign, run.day, run.asset)[: run.entries]
    steps: list[ChainStep] = []
    for entry in entries:
        steps += _receipt_steps(repository, entry)
    steps.append(ChainStep("allocation", "done", allocation_id(run.id, row.account), run.at_ms))
    if row.disposition is not Disposition.CREDITED or not row.units:
        steps.append(ChainStep("credit", "not needed", "", None))
        steps.append(ChainStep("receipt", "not needed", "", None))
        return steps
    credit = _credit(sql, run, row)
    steps.append(
        ChainStep("credit", "waiting", "", None)
        if credit is None
        else ChainStep("credit", "done", f"group {credit[0]}", credit[1])
    )
    steps.append(_delivery_step(sql, run, row))
    return steps


def _receipt_steps(repository: RewardRepository, entry: EntryRow) -> list[ChainStep]:
    posted = repository.group_at(entry_key(entry.id))
    group = f"group {posted[0]}" if posted else ""
    return [
        ChainStep("deposit observed", "done", f"{entry.source} {entry.ref}", entry.observed_ms),
        ChainStep("entry", "done", f"{entry.id} {group}".strip(), entry.at_ms),
        # It came in where it is paid out, so that no vault had to send it on.
        ChainStep("vault transfer", "not needed", "", None),
    ]


def _delivery_step(sql: Sql, run: RunRow, row: AllocationRow) -> ChainStep:
    delivery = DeliveryRepository(sql).delivery_of(run.id, row.account)
    if delivery is None:
        return ChainStep("receipt", "not needed", "", None)
    receipt = PayoutRepository(sql).receipt(delivery.id)
    if receipt is None:
        return ChainStep("receipt", "waiting", delivery.id, delivery.at_ms)
    return ChainStep("receipt", "done", f"{delivery.id} {receipt.reference}".strip(), receipt.at_ms)


def _reason(run: RunRow, account: str) -> str:
    return decode_judgement(run.given).excluded.get(account, "")


def _ratio(text: str) -> Ratio:
    num, _, den = text.partition("/")
    return (int(num), int(den or "1"))
