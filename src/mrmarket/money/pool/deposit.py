"""Deposits, from the intent to the shares, inside a unit of work."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from msgspec.structs import replace

from mrmarket.core.errors import InvalidInputError
from mrmarket.core.money import MAX_UNITS
from mrmarket.money.ledger.account import Account, AccountKind
from mrmarket.money.ledger.draft import Draft
from mrmarket.money.ledger.group import (
    Group,
    Phase,
    Transfer,
    TransferKind,
    hold_id,
    post_hold,
    void_hold,
)
from mrmarket.money.payouts.payment import Claim, Decline, Payment, Standing, Verdict
from mrmarket.money.pool.accrual import FeeMeter
from mrmarket.money.pool.admission import Admission
from mrmarket.money.pool.appraisal import Appraisal, widened
from mrmarket.money.pool.book import PoolBook, tier_lot
from mrmarket.money.pool.books_view import BooksView
from mrmarket.money.pool.errors import (
    DepositRefusedError,
    PostingRefusedError,
    RequestConflictError,
    RequestStateError,
    TermsChangedError,
    UnknownRequestError,
)
from mrmarket.money.pool.nav_point import waiting_for
from mrmarket.money.pool.plan import OWNER_FEES
from mrmarket.money.pool.request_repository import RequestRepository
from mrmarket.money.pool.rows import DepositRow, DepositState, EntryKind
from mrmarket.money.pool.share_repository import ShareRepository
from mrmarket.money.pool.shares import shares_for
from mrmarket.money.pool.stakes import stake_memo
from mrmarket.money.pool.terms import BPS
from mrmarket.money.pool.valuation import Basis, worth

INTENT_TTL_MS: Final = 15 * 60_000
MOST_INTENTS: Final = 20
"""That one user may have waiting for a payment at a time."""
CLAIM_KIND: Final = "deposit"
"""Of payments that this room took in."""

_PAYABLE: Final = frozenset({DepositState.WAITING, DepositState.SEEN, DepositState.EXPIRED})
_OPEN: Final = frozenset({DepositState.WAITING, DepositState.SEEN})
_MEMO_CHARS: Final = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
_MEMO_LENGTH: Final = 12


@dataclass(frozen=True, slots=True)
class DepositAsk:
    """What a user wants to bring."""

    account: str
    """Account id, such as `user:alice`."""
    pool: str
    asset: str
    """Asset id on the pool's payment rail."""
    units: int
    tier: str = ""
    """Empty: the pool's first."""
    terms_version: int | None = None
    """The terms that were shown; refused if others hold. None: those that hold."""


def deposit_fee(units: int, bps: int) -> int:
    """Fee on a deposit, rounded up."""
    return -(-units * bps // BPS)


def memo_code(deposit_id: str) -> str:
    """What a payment must carry to be known: twelve characters that are not mistaken for each other."""
    number = int.from_bytes(sha256(deposit_id.encode()).digest()[:16], "big")
    code = ""
    for _ in range(_MEMO_LENGTH):
        number, place = divmod(number, len(_MEMO_CHARS))
        code += _MEMO_CHARS[place]
    return code


class Deposits:
    """The state machine of deposits over every pool. Stateless: everything is in the tables."""

    def __init__(self, books: Mapping[str, PoolBook], admission: Admission) -> None:
        self._books = books
        self._admission = admission

    def intend(self, draft: Draft, deposit_id: str, ask: DepositAsk) -> DepositRow:
        """Write down what somebody is about to pay; it waits for the payment for 15 minutes.

        Asking again under the same id is harmless.

        Raises:
            RequestConflictError: if the id was used for another deposit.
            TermsChangedError: if other terms hold than those agreed to.
            DepositRefusedError: by the rule that keeps it out.
        """
        repository = RequestRepository(draft.sql)
        known = repository.deposit(deposit_id)
        if known is not None:
            if not _is_same(known, ask):
                raise RequestConflictError("deposit", deposit_id)
            return known
        book = self._books[ask.pool]
        version = book.terms(draft)
        if ask.terms_version is not None and ask.terms_version != version.version:
            raise TermsChangedError(ask.pool, ask.terms_version, version.version)
        tier = version.terms.tier(ask.tier)
        account = user_account(ask.account)
        if type(ask.units) is not int or not 0 < ask.units < MAX_UNITS:
            raise InvalidInputError("units", ask.units, "a positive whole number below 2^127")
        self._admission.require(draft, book, ask.account, ask.asset, ask.units, intent=True)
        if repository.open_intents(ask.account) >= MOST_INTENTS:
            raise DepositRefusedError(
                ask.pool, "too_many", f"{MOST_INTENTS} deposits wait for a payment; pay or cancel one first"
            )
        book.open_accounts(draft, accounts=[account])
        row = DepositRow(
            id=deposit_id,
            pool=ask.pool,
            account=ask.account,
            rail=ask.asset.partition(":")[0],
            asset=ask.asset,
            units=ask.units,
            tier=tier.name,
            terms_version=version.version,
            memo=memo_code(deposit_id),
            state=DepositState.WAITING,
            reason="",
            created_ms=draft.at_ms,
            expires_ms=draft.at_ms + INTENT_TTL_MS,
            seen_ms=0,
            credited_ms=0,
            ended_ms=0,
            payment="",
            share_units=0,
            value_units=0,
            fee_units=0,
            locked_until_ms=0,
            priced="",
        )
        repository.put_deposit(row)
        return row

    def claim(self, draft: Draft, payment: Payment) -> Verdict:
        """Take a final payment in for the intent that its memo names: to the user, held for the pool.

        None where the memo names no deposit; `Decline` with the reason where it does not fit.
        """
        repository = RequestRepository(draft.sql)
        row = repository.deposit_by_memo(payment.memo.strip())
        if row is None:
            return None
        if row.pool not in self._books:
            return Decline(f"there is no pool {row.pool} any more")
        reason = _misfit(row, payment) or self._closed(draft, row)
        if reason is not None:
            return Decline(reason)
        self._books[row.pool].open_accounts(draft, accounts=[user_account(row.account)])
        group = Group(
            credit_key(row.id),
            (
                Transfer(payment.suspense, row.account, row.asset, row.units, TransferKind.DEPOSIT),
                Transfer(
                    row.account,
                    self._books[row.pool].plan.pool.id,
                    row.asset,
                    row.units,
                    TransferKind.LOCK,
                    phase=Phase.PENDING,
                ),
            ),
            memo=f"payment {payment.name}",
        )
        answer = draft.preview(group)
        if answer is not None:
            return Decline(answer.message)
        self._books[row.pool].require(draft, group)
        repository.put_deposit(
            replace(
                row,
                state=DepositState.CREDITED,
                reason="",
                payment=payment.name,
                seen_ms=row.seen_ms or payment.seen_ms,
                credited_ms=draft.at_ms,
                ended_ms=0,
            )
        )
        return Claim(CLAIM_KIND, row.id)

    def release(self, draft: Draft, payment: Payment) -> bool:
        """Give a credited payment back to suspense because the rail retracts it; False once it is minted."""
        if payment.claim != CLAIM_KIND:
            return False
        repository = RequestRepository(draft.sql)
        row = repository.deposit(payment.ref)
        if row is None or row.state is not DepositState.CREDITED:
            return False
        hold = draft.hold(_lock(row))
        if hold is None:
            return False
        back = Transfer(row.account, payment.suspense, row.asset, row.units, TransferKind.ADJUSTMENT)
        self._books[row.pool].require(
            draft, Group(f"retract:deposit:{row.id}:{payment.receipts}", (void_hold(hold), back))
        )
        reason = "the rail took the payment back"
        repository.put_deposit(
            replace(row, state=DepositState.CANCELLED, reason=reason, ended_ms=draft.at_ms)
        )
        return True

    def observe(self, draft: Draft, payment: Payment) -> None:
        """Follow what becomes of a payment before it is final, or when it is sent back."""
        repository = RequestRepository(draft.sql)
        row = repository.deposit_by_memo(payment.memo.strip())
        if row is None or row.state not in _OPEN:
            return
        if payment.standing is Standing.SEEN and _misfit(row, payment) is None:
            repository.put_deposit(replace(row, state=DepositState.SEEN, seen_ms=draft.at_ms))
        elif payment.standing in {Standing.REFUNDING, Standing.RETRACTED, Standing.PARKED}:
            reason = f"a payment of {payment.units} units of {payment.asset} was not taken: {payment.reason}"
            repository.put_deposit(replace(row, state=DepositState.WAITING, reason=reason))

    def expire(self, draft: Draft, limit: int) -> list[DepositRow]:
        """End intents whose time has run out."""
        repository = RequestRepository(draft.sql)
        ended = []
        for row in repository.overdue(draft.at_ms, limit):
            state = DepositState.REFUNDED if row.reason else DepositState.EXPIRED
            ended.append(replace(row, state=state, ended_ms=draft.at_ms))
            repository.put_deposit(ended[-1])
        return ended

    def cancel(self, draft: Draft, deposit_id: str, account: str) -> DepositRow:
        """Take a deposit back.

        Before the payment nothing moves, and what is paid all the same is sent back; after it the money is
        the user's free balance. Shares that are minted are there to be withdrawn.

        Raises:
            UnknownRequestError: if the user has no such deposit.
            RequestStateError: if it has ended.
        """
        repository = RequestRepository(draft.sql)
        row = repository.deposit(deposit_id)
        if row is None or row.account != account:
            raise UnknownRequestError("deposit", deposit_id)
        if row.state is DepositState.CANCELLED:
            return row
        if row.state not in _OPEN and row.state is not DepositState.CREDITED:
            raise RequestStateError("deposit", deposit_id, row.state, "waiting, seen or credited")
        return self._call_off(draft, row, "cancelled by its owner")

    def mint(self, draft: Draft, deposit_id: str) -> DepositRow:
        """Mint the shares of a credited deposit, if the pool has a net asset value to deal at.

        The row comes back minted, or credited as it was with what it waits for.
        """
        repository = RequestRepository(draft.sql)
        row = repository.deposit(deposit_id)
        if row is None:
            raise UnknownRequestError("deposit", deposit_id)
        if row.state is not DepositState.CREDITED:
            return row
        book = self._books[row.pool]
        now = book.appraise(draft)
        reason = self._waits(draft, book, row, now)
        if reason is not None:
            return self._say(draft, row, reason)
        FeeMeter(book).accrue(draft, fresh=True)
        return self._mint(draft, book, row, book.appraise(draft))

    def _mint(self, draft: Draft, book: PoolBook, row: DepositRow, now: Appraisal) -> DepositRow:
        terms = book.terms_of(draft, row.terms_version)
        fee = deposit_fee(row.units, terms.deposit_fee_bps)
        value = asset_value(draft, row.asset, row.units - fee, now)
        nav = now.nav(Basis.HIGH)
        shares = shares_for(value, now.supply, nav)
        hold = draft.hold(_lock(row))
        if hold is None:
            raise PostingRefusedError(_lock(row), "unknown_hold", "the hold of a credited deposit is gone")
        if shares == 0:
            return self._call_off(draft, row, "it is too small for a share")
        plan = book.plan
        transfers = [post_hold(hold, row.units - fee)]
        if fee:
            book.open_accounts(draft, accounts=[OWNER_FEES])
            transfers.append(Transfer(row.account, OWNER_FEES.id, row.asset, fee, TransferKind.DEPOSIT_FEE))
        transfers.append(
            Transfer(plan.issuer.id, row.account, plan.share.id, shares, TransferKind.MINT_SHARES)
        )
        priced = f"{nav} {now.supply}"
        memo = stake_memo(plan, {row.account: value}, now, priced)
        book.require(draft, Group(f"mint:deposit:{row.id}", tuple(transfers), memo=memo))
        fee_value = asset_value(draft, row.asset, fee, now)
        lot = tier_lot(f"deposit:{row.id}", plan, row.account, terms.tier(row.tier), shares, draft.at_ms)
        book.note_mint(draft, lot, EntryKind.MINT, value=value, fee=fee_value)
        book.renew_equity_point(draft)
        minted = replace(
            row,
            state=DepositState.MINTED,
            reason="",
            ended_ms=draft.at_ms,
            share_units=shares,
            value_units=value,
            fee_units=fee,
            locked_until_ms=lot.locked_until_ms,
            priced=priced,
        )
        RequestRepository(draft.sql).put_deposit(minted)
        return minted

    def _waits(self, draft: Draft, book: PoolBook, row: DepositRow, now: Appraisal) -> str | None:
        paused = ShareRepository(draft.sql).flags(row.pool).deposits_paused
        if paused:
            return f"deposits are paused: {paused}"
        code = row.asset.partition(":")[2]
        unpriced = now.unpriced([code])
        if unpriced:
            return f"waits for a first price of {', '.join(unpriced)}"
        return waiting_for(draft, book.plan, now, row.credited_ms, [code])

    def _closed(self, draft: Draft, row: DepositRow) -> str | None:
        try:
            self._admission.require(draft, self._books[row.pool], row.account, row.asset, row.units)
        except DepositRefusedError as error:
            return error.reason
        return None

    def _call_off(self, draft: Draft, row: DepositRow, reason: str) -> DepositRow:
        if row.state is DepositState.CREDITED:
            hold = draft.hold(_lock(row))
            if hold is None:
                raise PostingRefusedError(_lock(row), "unknown_hold", "the hold of a deposit is gone")
            self._books[row.pool].require(draft, Group(f"cancel:deposit:{row.id}", (void_hold(hold),)))
        off = replace(row, state=DepositState.CANCELLED, reason=reason, ended_ms=draft.at_ms)
        RequestRepository(draft.sql).put_deposit(off)
        return off

    def _say(self, draft: Draft, row: DepositRow, reason: str) -> DepositRow:
        if row.reason == reason:
            return row
        said = replace(row, reason=reason)
        RequestRepository(draft.sql).put_deposit(said)
        return said


def asset_value(view: BooksView, asset_id: str, units: int, now: Appraisal) -> int:
    """What units of an asset on the rail surely bring, in quote units."""
    asset = view.asset(asset_id)
    if asset is None or asset.code not in now.marks:
        return 0
    return worth(widened(units, asset.decimals), now.marks[asset.code], Basis.LOW)


def credit_key(deposit_id: str) -> str:
    """Key of the group that credits a deposit's payment."""
    return f"credit:deposit:{deposit_id}"


def user_account(account: str) -> Account:
    """The account of a user's id.

    Raises:
        InvalidInputError: if it is no user's.
    """
    kind, _, name = account.partition(":")
    if kind != AccountKind.USER:
        raise InvalidInputError("account", account, "a user's account, such as user:alice")
    return Account.of(AccountKind.USER, name)


def _lock(row: DepositRow) -> str:
    return hold_id(credit_key(row.id), 1)


def _misfit(row: DepositRow, payment: Payment) -> str | None:
    """Why a payment is not the one that an intent waits for."""
    if row.state in {DepositState.CREDITED, DepositState.MINTED}:
        return "the deposit was paid before"
    if row.state not in _PAYABLE:
        return f"the deposit is {row.state}"
    if payment.asset != row.asset:
        return f"the deposit is in {row.asset}, this payment in {payment.asset}"
    if payment.units != row.units:
        return f"the deposit is of {row.units} units, this payment of {payment.units}"
    if payment.first_ms > row.expires_ms:
        return "it came after the deposit had expired"
    return None


def _is_same(row: DepositRow, ask: DepositAsk) -> bool:
    return (row.account, row.pool, row.asset, row.units) == (
        ask.account,
        ask.pool,
        ask.asset,
        ask.units,
    ) and ask.tier in {"", row.tier}
