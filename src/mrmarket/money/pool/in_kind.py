"""Deposits and withdrawals through the venue account, at once and at the last known prices."""

from __future__ import annotations

from collections.abc import Mapping

from mrmarket.money.ledger.draft import Draft
from mrmarket.money.ledger.errors import IdempotencyConflictError
from mrmarket.money.ledger.group import Answer, Posted, TransferKind
from mrmarket.money.pool.accrual import FeeMeter
from mrmarket.money.pool.book import PoolBook, plain_lot
from mrmarket.money.pool.errors import NoPriceError, UnknownDepositorError, WithdrawalRefusedError
from mrmarket.money.pool.lots import choose, divide
from mrmarket.money.pool.repository import PoolRepository
from mrmarket.money.pool.rows import EntryKind
from mrmarket.money.pool.share_repository import ShareRepository
from mrmarket.money.pool.shares import payout_for
from mrmarket.money.pool.stakes import deposit_group, minted_value, withdrawal_group
from mrmarket.money.pool.valuation import Basis


class InKind:
    """The owner's own way into a pool and out of it, inside a unit of work."""

    def __init__(self, book: PoolBook) -> None:
        self._book = book

    def deposit(self, draft: Draft, *, user: str, brought: Mapping[str, int], key: str) -> Answer:
        """Post what was brought and mint shares for it. See `Treasury.deposit`."""
        plan = self._book.plan
        key = f"deposit:{key}"
        account = plan.depositor(user)
        wanted = {plan.asset(code).id: units for code, units in brought.items()}
        known = _repeat(draft, key, account.id, TransferKind.DEPOSIT, wanted)
        if known is not None:
            return known
        unpriced = self._book.appraise(draft).unpriced(brought)
        if unpriced:
            raise NoPriceError(unpriced)
        self._book.open_accounts(draft, sorted(brought), [account])
        FeeMeter(self._book).accrue(draft, fresh=True)
        now = self._book.appraise(draft)
        group = deposit_group(plan, key, user, brought, now)
        answer = self._book.post(draft, group)
        shares, value = minted_value(plan, group)
        if isinstance(answer, Posted) and shares:
            lot = plain_lot(f"{plan.name}:{key}", plan, account.id, shares, draft.at_ms)
            self._book.note_mint(draft, lot, EntryKind.MINT, value=value)
        return answer

    def withdraw(self, draft: Draft, *, user: str, shares: int, key: str) -> Answer:
        """Burn shares and pay them. See `Treasury.withdraw`."""
        plan = self._book.plan
        key = f"withdraw:{key}"
        account = plan.depositor(user).id
        known = _repeat(draft, key, account, TransferKind.BURN_SHARES, {plan.share.id: shares})
        if known is not None:
            return known
        if PoolRepository(draft.sql).stake(plan.name, account) is None:
            raise UnknownDepositorError(user)
        choice = choose(ShareRepository(draft.sql).lots(plan.name, account), shares, draft.at_ms)
        if choice.locked:
            raise WithdrawalRefusedError(
                plan.name,
                "locked",
                f"shares are locked until {choice.locked_until_ms} (UTC ms)",
                choice.locked_until_ms,
            )
        FeeMeter(self._book).accrue(draft, fresh=True)
        now = self._book.appraise(draft)
        total = payout_for(shares, now.supply, now.nav(Basis.LOW))
        # Shares that are not there are for the ledger to refuse, and to remember that it did.
        leaving = [] if choice.short else divide(total, choice.parts)
        value = total - sum(each.fee_units for each in leaving)
        cost = self._book.cost_of(draft, account, shares)
        answer = self._book.post(draft, withdrawal_group(plan, key, user, shares, cost, value, now))
        if isinstance(answer, Posted):
            paid = {each.part: (each.gross_units - each.fee_units, each.fee_units) for each in leaving}
            self._book.note_burn(draft, account, paid, held=False)
        return answer


def _repeat(
    draft: Draft, key: str, account: str, kind: TransferKind, wanted: Mapping[str, int]
) -> Answer | None:
    """The answer a request got before, if it is the same request: prices may have moved since.

    Raises:
        IdempotencyConflictError: if the key belongs to another request.
    """
    known = draft.record(key)
    if known is None:
        return None
    asked = {
        transfer.asset: transfer.units
        for transfer in known.transfers
        if transfer.kind is kind and account in (transfer.debit, transfer.credit)
    }
    if known.transfers and asked != wanted:
        raise IdempotencyConflictError(key, known.seq)
    return known.answer
