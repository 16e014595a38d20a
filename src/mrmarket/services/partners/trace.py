"""A reward's whole way, from a transaction on a chain to a receipt in somebody's wallet.

    transaction -> reward entry -> transfer out of the vault -> allocation -> credit -> receipt

Everything is read from what the rooms have written down: the ledger's database, and the vault's where there
is one. A reward that came in over a payment rail takes the same way without a chain and a vault.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mrmarket.campaigns.board import PayoutTrace, trace_of_entry
from mrmarket.campaigns.repository import CampaignRepository
from mrmarket.campaigns.rows import PayoutStep, PayoutStepRow
from mrmarket.core.decimals import format_units
from mrmarket.money.rewards.errors import UnknownEntryError, UnknownRunError
from mrmarket.money.rewards.receipts import entry_key
from mrmarket.money.rewards.repository import RewardRepository
from mrmarket.money.rewards.rows import EntryRow, Reduction, RunRow, split_allocation_id
from mrmarket.partners.chains.payment import Payment, PaymentState
from mrmarket.services.api import partner_schema as schema
from mrmarket.services.money.mapping import decimal_sum
from mrmarket.services.money.reward_views import decimals_of
from mrmarket.services.partners.trace_shares import Share, least, share_steps
from mrmarket.services.partners.vault_reading import VaultBook
from mrmarket.store.sql import Sql

_CHAIN = "chain:"


@dataclass(frozen=True, slots=True)
class _Reward:
    """What is traced: entries of one day and asset, and the runs that gave them away."""

    id: str
    campaign: str
    day: int
    asset: str
    entries: Sequence[EntryRow]
    runs: Sequence[RunRow]


def trace_entry(
    sql: Sql, entry: str, vault: VaultBook | None = None, account: str | None = None
) -> schema.RewardTraceView:
    """The way of one reward entry.

    Args:
        sql: of the ledger's database.
        entry: id of the entry.
        vault: what the vault knows; left out, the transfer is told by the campaign's own rows.
        account: such as `user:alice`: whose part the last three steps tell of; None for all accounts.

    Raises:
        UnknownEntryError: if there is no such entry.
    """
    return trace_entries(sql, [entry], vault, account)


def trace_entries(
    sql: Sql, entries: Sequence[str], vault: VaultBook | None = None, account: str | None = None
) -> schema.RewardTraceView:
    """The common way of entries of one campaign's day and asset, such as of one transaction.

    Of entries of several days only those of the first one's are followed. Raises `UnknownEntryError`.
    """
    repository = RewardRepository(sql)
    rows = [_known(repository, entry) for entry in entries]
    first = rows[0]
    rows = [
        row for row in rows if (row.campaign, row.day, row.asset) == (first.campaign, first.day, first.asset)
    ]
    last = max(row.seq for row in rows)
    # What came in is given away by the first run that saw it; later ones only adjust.
    runs = repository.runs(first.campaign, first.day, first.asset)
    seen = [run for run in runs if run.entries >= last][:1]
    return _trace(sql, _Reward(first.id, first.campaign, first.day, first.asset, rows, seen), vault, account)


def _known(repository: RewardRepository, entry: str) -> EntryRow:
    row = repository.entry_by_id(entry)
    if row is None:
        raise UnknownEntryError("the reward ledger", entry)
    return row


def trace_allocation(sql: Sql, allocation: str, vault: VaultBook | None = None) -> schema.RewardTraceView:
    """The way of one account's part of a run, from everything that the run gave away for the first time.

    Raises:
        UnknownRunError: if there is no such allocation.
    """
    repository = RewardRepository(sql)
    run_id, account = split_allocation_id(allocation)
    run = repository.run(run_id)
    if run is None or repository.row(run_id, account) is None:
        raise UnknownRunError(allocation)
    entries = repository.entries(run.campaign, run.day, run.asset)[: run.entries]
    before = [one for one in repository.runs(run.campaign, run.day, run.asset) if one.ordinal < run.ordinal]
    known = max((one.entries for one in before), default=0)
    reward = _Reward(
        allocation, run.campaign, run.day, run.asset, entries[known:] or entries, [run]
    )  # an adjusting run may have seen nothing new but a reduction
    return _trace(sql, reward, vault, account)


def _trace(sql: Sql, reward: _Reward, vault: VaultBook | None, account: str | None) -> schema.RewardTraceView:
    repository = RewardRepository(sql)
    decimals = decimals_of(sql, reward.asset)
    ways = [_way(sql, entry, decimals, vault) for entry in reward.entries]
    share = Share(reward.asset, decimals, reward.runs, account, any(way.is_gone for way in ways))
    steps = [
        _joined("transaction", [way.transaction for way in ways]),
        _joined("entry", [way.entry for way in ways]),
        _joined("transfer", [way.transfer for way in ways]),
        *share_steps(sql, share),
    ]
    campaign = repository.campaign(reward.campaign)
    if campaign is None:  # an entry is only ever written for a campaign that is registered
        raise UnknownEntryError("the reward ledger", reward.id)
    span = campaign.window(reward.day)
    came_in = sum(entry.units for entry in reward.entries)
    return schema.RewardTraceView(
        id=reward.id,
        campaign=reward.campaign,
        cycle=reward.day,
        start_ms=span.start_ms,
        end_ms=span.end_ms,
        asset=reward.asset,
        amount=steps[3].amount or "0" if account else format_units(came_in, decimals),
        account=account or "",
        state=_overall(steps),
        steps=steps,
    )


@dataclass(frozen=True, slots=True)
class _Way:
    """The first three steps of one entry."""

    transaction: schema.TraceStep
    entry: schema.TraceStep
    transfer: schema.TraceStep
    is_gone: bool
    """The source took it back."""


def _way(sql: Sql, entry: EntryRow, decimals: int, vault: VaultBook | None) -> _Way:
    reductions = RewardRepository(sql).reductions_of(entry.id)
    is_gone = any(one.kind is Reduction.RETRACTED for one in reductions)
    cost = sum(one.units for one in reductions if one.kind is Reduction.NETWORK)
    posted = RewardRepository(sql).group_at(entry_key(entry.id))
    amount = format_units(entry.units, decimals)
    ids = [schema.TraceId(kind="entry", id=entry.id, amount=amount, asset=entry.asset, at_ms=entry.at_ms)]
    if posted is not None:
        ids.append(schema.TraceId(kind="group", id=str(posted[0]), at_ms=posted[1]))
    told = schema.TraceStep(
        name="entry",
        state="failed" if is_gone else "done",
        amount=amount,
        asset=entry.asset,
        at_ms=entry.at_ms,
        detail=f"of it {format_units(cost, decimals)} paid for the way" if cost else "",
        ids=ids,
    )
    payout = trace_of_entry(sql, entry.id) if entry.source.startswith(_CHAIN) else None
    first = _payment(entry, amount) if payout is None else _transaction(sql, payout)
    if is_gone:
        first.state, first.detail = "failed", "its source took it back"
    return _Way(first, told, _transfer(sql, payout, vault, is_gone=is_gone), is_gone)


def _payment(entry: EntryRow, amount: str) -> schema.TraceStep:
    name = schema.TraceId(
        kind="payment", id=entry.ref, amount=amount, asset=entry.asset, at_ms=entry.observed_ms
    )
    rail = entry.source.partition(":")[2]
    return schema.TraceStep(
        name="transaction",
        state="done",
        amount=amount,
        asset=entry.asset,
        at_ms=entry.observed_ms,
        detail=f"paid over the rail {rail}" if rail else "",
        ids=[name],
    )


def _transaction(sql: Sql, trace: PayoutTrace) -> schema.TraceStep:
    payout = trace.payout
    amount, token = token_amount(sql, payout.campaign, payout.units)
    name = schema.TraceId(
        kind="transaction",
        id=payout.tx,
        amount=amount,
        asset=token,
        at_ms=payout.block_ms,
        chain_id=payout.chain_id,
    )
    return schema.TraceStep(
        name="transaction", state="done", amount=amount, asset=token, at_ms=payout.block_ms, ids=[name]
    )


def _transfer(
    sql: Sql, trace: PayoutTrace | None, vault: VaultBook | None, *, is_gone: bool
) -> schema.TraceStep:
    if trace is None:
        detail = "it came in where it is paid out, so that no vault had to send it on"
        return schema.TraceStep(name="transfer", state="not needed", detail=detail)
    sweep = _last_sweep(trace.steps)
    if sweep is None:
        if is_gone:
            return schema.TraceStep(name="transfer", state="not needed")
        failed = any(step.step is PayoutStep.SWEEP_FAILED for step in trace.steps)
        detail = "the last transfer came to nothing; " if failed else ""
        return schema.TraceStep(
            name="transfer", state="waiting", detail=f"{detail}it leaves with the vault's next transfer"
        )
    amount, token = token_amount(sql, trace.payout.campaign, sweep.units)
    arrived = next(
        (step for step in trace.steps if step.step is PayoutStep.ARRIVED and step.ref == sweep.ref), None
    )
    payment = None if vault is None else vault.payment(sweep.ref)
    state: schema.StepState = "now" if arrived is None else "done"
    ids = [
        schema.TraceId(
            kind="transfer", id=sweep.ref, amount=amount, asset=token, state=state, at_ms=sweep.at_ms
        )
    ]
    if payment is not None and payment.tx_hash:
        ids.append(
            schema.TraceId(
                kind="transaction",
                id=payment.tx_hash,
                amount=token_amount(sql, trace.payout.campaign, payment.units)[0],
                asset=token,
                state="done" if payment.state is PaymentState.FINAL else "now",
                chain_id=payment.chain_id,
            )
        )
    if arrived is not None and arrived.why:
        ids.append(schema.TraceId(kind="payment", id=arrived.why, at_ms=arrived.at_ms))
    return schema.TraceStep(
        name="transfer",
        state=state,
        amount=amount,
        asset=token,
        at_ms=sweep.at_ms if arrived is None else arrived.at_ms,
        detail="" if arrived is not None else _under_way(payment),
        ids=ids,
    )


_SAID = {
    PaymentState.PREPARED: "it is being signed",
    PaymentState.BROADCAST: "it waits for a block",
    PaymentState.MINED: "it is in a block that may still be replaced",
    PaymentState.FINAL: "it has left the vault and has not arrived yet",
    PaymentState.FAILED: "the token's contract refused it; another transfer follows",
    PaymentState.REPLACED: "another transaction took its place; another transfer follows",
    PaymentState.UNKNOWN: "nobody can say yet whether it happened",
}


def _under_way(payment: Payment | None) -> str:
    if payment is None:
        return "the vault has not begun it yet"
    return payment.reason or _SAID[payment.state]


def _last_sweep(steps: Sequence[PayoutStepRow]) -> PayoutStepRow | None:
    """The newest transfer that did not come to nothing."""
    failed = {step.ref for step in steps if step.step is PayoutStep.SWEEP_FAILED}
    sweeps = [step for step in steps if step.step is PayoutStep.SWEEPING and step.ref not in failed]
    return sweeps[-1] if sweeps else None


def token_amount(sql: Sql, campaign: str, units: int) -> tuple[str, str]:
    """Base units of what a campaign pays in, and its symbol; as they are where the campaign is unknown."""
    known = CampaignRepository(sql).find(campaign)
    if known is None:
        return str(units), ""
    token = known.offer.token
    return format_units(units, token.decimals), token.symbol


def _joined(name: schema.StepName, parts: Sequence[schema.TraceStep]) -> schema.TraceStep:
    """One step of several entries: the least far of them says how far it is."""
    if len(parts) == 1:
        return parts[0]
    states = [part.state for part in parts]
    moved = [part for part in parts if part.amount]
    details = list(dict.fromkeys(part.detail for part in parts if part.detail))
    times = [part.at_ms for part in parts if part.at_ms is not None]
    return schema.TraceStep(
        name=name,
        state=least(states),
        amount=decimal_sum(part.amount for part in moved) if moved else "",
        asset=moved[0].asset if moved else "",
        at_ms=max(times, default=None),
        detail="; ".join(details),
        ids=[known for part in parts for known in part.ids],
    )


def _overall(steps: Sequence[schema.TraceStep]) -> schema.StepState:
    """Failed where any step is; else what the first step that is not over says; else done."""
    if any(step.state == "failed" for step in steps):
        return "failed"
    return next((step.state for step in steps if step.state in {"now", "waiting"}), "done")
