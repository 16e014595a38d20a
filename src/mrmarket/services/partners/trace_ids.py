"""Which rewards somebody means who has one name from anywhere on their way."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Protocol

from mrmarket.campaigns.repository import CampaignRepository
from mrmarket.campaigns.rows import PayoutStep
from mrmarket.core.errors import MrMarketError
from mrmarket.money.rewards.repository import RewardRepository
from mrmarket.money.rewards.rows import RunRow, allocation_id, split_allocation_id
from mrmarket.partners.chains.payment import Payment
from mrmarket.services.partners.trace_withdrawals import allocations_withdrawn
from mrmarket.store.sql import Sql

_HASH_DIGITS: Final = 64
_HEX: Final = frozenset("0123456789abcdef")


class UnknownTraceError(MrMarketError):
    """A name that stands nowhere on the way of a reward."""

    code = "trace_unknown"

    def __init__(self, name: str, why: str = "") -> None:
        self.name = name
        self.why = why
        super().__init__(
            f"nothing here is named {name!r}{why and f' ({why})'}; give the hash of a transaction, a reward"
            " entry, a sweep key, an allocation, a payout or a receipt"
        )


@dataclass(frozen=True, slots=True)
class TraceTarget:
    """What a name stands for."""

    kind: str
    """`transaction`, `payout`, `entry`, `transfer`, `run`, `allocation` or `receipt`."""
    entries: tuple[str, ...]
    """Ids of the reward entries it belongs to, the oldest first."""
    account: str | None = None
    """Whose it is, where the name is one person's."""
    allocations: tuple[str, ...] = ()
    """Where it is one person's: the allocations it belongs to, the oldest first."""


class SweptBy(Protocol):
    """What the vault's own file knows of its transfers."""

    def payment(self, key: str) -> Payment | None:
        """The payment with a key."""
        ...


def target_of(sql: Sql, name: str, vault: SweptBy | None = None) -> TraceTarget:
    """The rewards behind a name: looked for from the chain to the receipt.

    Args:
        sql: the books.
        name: hash of a payout's or of a sweep's transaction (with or without `0x`), id of a payout, reward
            entry, allocation run, allocation (`run:account`) or delivery, a sweep's key or its arrival on
            the rail, or a receipt's reference.
        vault: the vault's file, to know a sweep by the hash of its transaction.

    Raises:
        UnknownTraceError: if there is no such thing, or it carries no reward.
    """
    text = name.strip()
    found = (
        _by_transaction(sql, text)
        or _by_payout(sql, text)
        or _by_entry(sql, text)
        or _by_transfer(sql, text, vault)
        or _by_run(sql, text)
        or _by_delivery(sql, text)
    )
    if found is None:
        raise UnknownTraceError(name)
    if not found.entries:
        raise UnknownTraceError(name, f"a {found.kind} that became no reward")
    return found


def _by_transaction(sql: Sql, text: str) -> TraceTarget | None:
    digits = text.lower().removeprefix("0x").partition(":")[0]
    log = text.partition(":")[2]
    if log and not (log.isascii() and log.isdigit()):
        return None
    rows = sql.rows(
        "SELECT id, log FROM campaign_payouts WHERE tx IN (?, ?) ORDER BY log", f"0x{digits}", digits
    )
    payouts = [row[0] for row in rows if not log or row[1] == int(log)]
    return TraceTarget("transaction", _entered(sql, payouts)) if payouts else None


def _by_payout(sql: Sql, text: str) -> TraceTarget | None:
    if CampaignRepository(sql).payout(text) is None:
        return None
    return TraceTarget("payout", _entered(sql, [text]))


def _by_entry(sql: Sql, text: str) -> TraceTarget | None:
    return None if RewardRepository(sql).entry_by_id(text) is None else TraceTarget("entry", (text,))


def _by_transfer(sql: Sql, text: str, vault: SweptBy | None) -> TraceTarget | None:
    keys = {text}
    keys |= {row[0] for row in sql.rows("SELECT DISTINCT ref FROM campaign_payout_steps WHERE why = ?", text)}
    if vault is not None and _is_hash(text):
        wanted = "0x" + text.lower().removeprefix("0x")
        keys |= {key for key in _sweeps(sql) if _tx_of(vault.payment(key)) == wanted}
    repository = CampaignRepository(sql)
    swept = [
        step.payout for key in sorted(keys) for step in repository.steps_of_ref(PayoutStep.SWEEPING, key)
    ]
    return TraceTarget("transfer", _entered(sql, swept)) if swept else None


def _by_run(sql: Sql, text: str) -> TraceTarget | None:
    run_id, account = split_allocation_id(text)
    repository = RewardRepository(sql)
    run = repository.run(run_id)
    if run is None:
        return None
    if not account:
        return TraceTarget("run", _seen(repository, run))
    if repository.row(run_id, account) is None:
        return None
    return TraceTarget("allocation", _seen(repository, run), account, (text,))


def _by_delivery(sql: Sql, text: str) -> TraceTarget | None:
    rows = sql.rows(
        "SELECT id, account, cause, asset FROM payouts WHERE id = ? OR key = ? OR id IN"
        " (SELECT payout_id FROM receipts WHERE reference = ? OR posting = ?)",
        *(text, text, text, text),
    )
    if not rows:
        return None
    payout, account, cause, asset = rows[0]
    delivered = sql.rows(
        "SELECT d.run FROM reward_delivery_rows d JOIN reward_runs q ON q.id = d.run"
        " WHERE d.delivery = ? ORDER BY q.at_ms, q.id",
        payout,
    )
    allocations = [allocation_id(row[0], account) for row in delivered]
    allocations = allocations or allocations_withdrawn(sql, account, asset, payout)
    if not allocations:
        raise UnknownTraceError(text, f"a payment for another cause: {cause}")
    repository = RewardRepository(sql)
    runs = [repository.run(split_allocation_id(one)[0]) for one in allocations]
    entries = [entry for run in runs if run is not None for entry in _seen(repository, run)]
    return TraceTarget("receipt", _in_time(repository, entries), account, tuple(allocations))


def _seen(repository: RewardRepository, run: RunRow) -> tuple[str, ...]:
    """Entries that a run divided."""
    return tuple(
        entry.id for entry in repository.entries(run.campaign, run.day, run.asset) if entry.seq <= run.entries
    )


def _entered(sql: Sql, payouts: Iterable[str]) -> tuple[str, ...]:
    campaigns = CampaignRepository(sql)
    entries = [
        step.ref
        for payout in payouts
        for step in campaigns.payout_steps(payout)
        if step.step is PayoutStep.ENTERED
    ]
    return _in_time(RewardRepository(sql), entries)


def _in_time(repository: RewardRepository, entries: Iterable[str]) -> tuple[str, ...]:
    rows = [repository.entry_by_id(entry) for entry in set(entries)]
    return tuple(row.id for row in sorted((r for r in rows if r is not None), key=lambda r: (r.at_ms, r.id)))


def _sweeps(sql: Sql) -> list[str]:
    return [
        row[0] for row in sql.rows("SELECT DISTINCT ref FROM campaign_payout_steps WHERE step = 'sweeping'")
    ]


def _tx_of(payment: Payment | None) -> str:
    return "" if payment is None else payment.tx_hash.lower()


def _is_hash(text: str) -> bool:
    digits = text.lower().removeprefix("0x")
    return len(digits) == _HASH_DIGITS and set(digits) <= _HEX
