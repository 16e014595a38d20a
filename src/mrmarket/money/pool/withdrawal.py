"""Withdrawals, from the request to the payment, inside a unit of work.

The price is fixed when the shares are burned, not when they are asked back. Until then the user keeps both
their gain and their loss, and their vote on it: a request may be cancelled. The shares are burned only when
the payment rail already has the money, and the payment is put into the outbox by the same transaction, so
nothing lies between price and payment that either side could bear or gain by. What must first come back from
the venue is fetched beforehand (`unwinding`).

A payment whose outcome is not known stays `sending` until the rail knows it; a time-out gives nothing back.
One that the rail refuses for good becomes the user's free balance, to be sent elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from msgspec.structs import replace

from mrmarket.core.decimals import format_units
from mrmarket.core.errors import InvalidInputError
from mrmarket.core.money import Asset
from mrmarket.money.ledger.draft import Draft
from mrmarket.money.ledger.group import (
    Group,
    Hold,
    Phase,
    Transfer,
    TransferKind,
    hold_id,
    post_hold,
    void_hold,
)
from mrmarket.money.ledger.rules import Rejection
from mrmarket.money.payouts.outbox import Outbox
from mrmarket.money.payouts.payout import Ending, Payout, PayoutRow
from mrmarket.money.pool.accrual import FeeMeter
from mrmarket.money.pool.appraisal import Appraisal, narrowed, widened
from mrmarket.money.pool.book import PoolBook
from mrmarket.money.pool.books_view import BooksView
from mrmarket.money.pool.errors import (
    PostingRefusedError,
    RequestConflictError,
    RequestStateError,
    UnknownRequestError,
    WithdrawalRefusedError,
)
from mrmarket.money.pool.lots import Choice, Leaving, choose, decode_parts, divide, encode_parts, free_units
from mrmarket.money.pool.nav_point import waiting_for
from mrmarket.money.pool.plan import OWNER_FEES, SHARE_DECIMALS
from mrmarket.money.pool.request_repository import RequestRepository
from mrmarket.money.pool.rows import WithdrawalRow, WithdrawalState
from mrmarket.money.pool.share_repository import ShareRepository
from mrmarket.money.pool.shares import payout_for
from mrmarket.money.pool.stakes import stake_memo
from mrmarket.money.pool.valuation import Basis

CAUSES: Final = ("withdrawal", "fee")
"""Causes of payouts that this room answers for; the second is the owner's."""

QUEUED: Final = (WithdrawalState.HELD, WithdrawalState.UNWINDING)
"""States in which the shares are held and may be had back."""


@dataclass(frozen=True, slots=True)
class WithdrawalAsk:
    """What somebody wants to take out of a pool."""

    account: str
    """`user:…`, or `owner:fees` for the owner."""
    pool: str
    destination: str
    """Where the rail shall pay; checked with the rail by whoever asks."""
    share_units: int | None = None
    """None: all that are free to go."""


class Withdrawals:
    """The state machine of withdrawals over every pool. Stateless: everything is in the tables."""

    def __init__(self, books: Mapping[str, PoolBook], outbox: Outbox) -> None:
        self._books = books
        self._outbox = outbox

    def request(self, draft: Draft, withdrawal_id: str, ask: WithdrawalAsk) -> WithdrawalRow:
        """Hold shares until they can be burned and paid.

        Asking again under the same id is harmless.

        Raises:
            RequestConflictError: if the id was used for another withdrawal.
            WithdrawalRefusedError: by the rule that keeps the shares in.
        """
        known = RequestRepository(draft.sql).withdrawal(withdrawal_id)
        if known is not None:
            if (known.account, known.pool, known.destination) != (
                ask.account,
                ask.pool,
                ask.destination,
            ) or ask.share_units not in {None, known.share_units}:
                raise RequestConflictError("withdrawal", withdrawal_id)
            return known
        book = self._books[ask.pool]
        self.require_open(draft, book, ask)
        parts = select_parts(draft, ask).parts
        units = sum(part.share_units for part in parts)
        hold = Transfer(
            ask.account,
            book.plan.issuer.id,
            book.plan.share.id,
            units,
            TransferKind.BURN_SHARES,
            phase=Phase.PENDING,
        )
        group = Group(hold_key(withdrawal_id), (hold,))
        refusal = draft.preview(group)
        if refusal is not None:
            raise WithdrawalRefusedError(ask.pool, refusal.code, refusal.message)
        book.require(draft, group)
        version = book.terms(draft)
        row = WithdrawalRow(
            id=withdrawal_id,
            account=ask.account,
            pool=ask.pool,
            share_units=units,
            parts=encode_parts(parts),
            asset=rail_asset(draft, book).id,
            units=0,
            rail=book.plan.rail or "",
            destination=ask.destination,
            state=WithdrawalState.HELD,
            reason="",
            terms_version=version.version,
            created_ms=draft.at_ms,
            ready_ms=draft.at_ms + version.terms.redeem_period_s * 1_000,
            burned_ms=0,
            changed_ms=draft.at_ms,
            ended_ms=0,
            payout="",
            attempt=0,
            value_units=0,
            fee_units=0,
            priced="",
        )
        self._reserve(draft, row, 1)
        RequestRepository(draft.sql).put_withdrawal(row)
        return row

    def request_balance(  # an asset, an amount, a place
        self, draft: Draft, withdrawal_id: str, account: str, asset: str, units: int, destination: str
    ) -> WithdrawalRow:
        """Pay out money that is in no pool.

        Raises:
            RequestConflictError: if the id was used for another withdrawal.
            WithdrawalRefusedError: if the account has not as much free.
        """
        repository = RequestRepository(draft.sql)
        known = repository.withdrawal(withdrawal_id)
        if known is not None:
            if (known.account, known.pool, known.asset, known.units) != (account, "", asset, units):
                raise RequestConflictError("withdrawal", withdrawal_id)
            return known
        places = {"pool"}.union(book.plan.venue for book in self._books.values())
        if draft.asset(asset) is None or asset.partition(":")[0] in places:
            raise WithdrawalRefusedError(asset, "asset", "no payment rail carries it")
        row = WithdrawalRow(
            id=withdrawal_id,
            account=account,
            pool="",
            share_units=0,
            parts="[]",
            asset=asset,
            units=units,
            rail=asset.partition(":")[0],
            destination=destination,
            state=WithdrawalState.SENDING,
            reason="",
            terms_version=0,
            created_ms=draft.at_ms,
            ready_ms=draft.at_ms,
            burned_ms=0,
            changed_ms=draft.at_ms,
            ended_ms=0,
            payout="",
            attempt=0,
            value_units=0,
            fee_units=0,
            priced="",
        )
        return self._send(draft, row)

    def cancel(self, draft: Draft, withdrawal_id: str, account: str) -> WithdrawalRow:
        """Have the shares back that are still held.

        Raises:
            UnknownRequestError: if the account has no such withdrawal.
            RequestStateError: once the shares are burned.
        """
        row = self._own(draft, withdrawal_id, account)
        if row.state is WithdrawalState.CANCELLED:
            return row
        if row.state not in QUEUED:
            raise RequestStateError("withdrawal", withdrawal_id, row.state, "held or unwinding")
        book = self._books[row.pool]
        book.require(draft, Group(f"cancel:withdrawal:{row.id}", (void_hold(_hold(draft, row)),)))
        self._reserve(draft, row, -1)
        return self._keep(
            draft, replace(row, state=WithdrawalState.CANCELLED, reason="", ended_ms=draft.at_ms)
        )

    def resend(self, draft: Draft, withdrawal_id: str, account: str, destination: str) -> WithdrawalRow:
        """Send what a rail refused to another destination.

        Raises:
            UnknownRequestError: if the account has no such withdrawal.
            RequestStateError: if it was not refused.
            WithdrawalRefusedError: if the money was spent otherwise meanwhile.
        """
        row = self._own(draft, withdrawal_id, account)
        if row.state is not WithdrawalState.REFUSED:
            raise RequestStateError("withdrawal", withdrawal_id, row.state, "refused")
        return self._send(
            draft, replace(row, state=WithdrawalState.SENDING, destination=destination, ended_ms=0)
        )

    def settle(self, draft: Draft, withdrawal_id: str) -> WithdrawalRow:
        """Burn the shares and put the payment into the outbox, if the pool can deal and has the money.

        The row comes back sending, or held as it was with what it waits for.
        """
        row = RequestRepository(draft.sql).withdrawal(withdrawal_id)
        if row is None:
            raise UnknownRequestError("withdrawal", withdrawal_id)
        if row.state not in QUEUED or draft.at_ms < row.ready_ms:
            return row
        book = self._books[row.pool]
        now = book.appraise(draft)
        paused = ShareRepository(draft.sql).flags(row.pool).withdrawals_paused
        reason = (
            f"withdrawals are paused: {paused}"
            if paused
            else waiting_for(draft, book.plan, now, max(row.created_ms, row.ready_ms - 1))
        )
        if reason is not None:
            return self._wait(draft, row, row.state, reason)
        # Before the owner's fees, so at most a trifle too much: they are charged when shares do leave, and
        # not with every look at a request that waits for its money.
        if draft.available(book.plan.pool.id, row.asset) < self.estimate(draft, row):
            reason = "waits for money to come back from the venue"
            return self._wait(draft, row, WithdrawalState.UNWINDING, reason)
        FeeMeter(book).accrue(draft, fresh=True)
        return self._burn(draft, book, row, book.appraise(draft))

    def estimate(self, view: BooksView, row: WithdrawalRow) -> int:
        """What a queued withdrawal would be paid at the last known prices, in units of its asset."""
        book = self._books[row.pool]
        asset = rail_asset(view, book)
        return narrowed(net_units(_worth(row, book.appraise(view))), asset.decimals)

    def settle_payout(self, draft: Draft, payout: PayoutRow, ending: Ending) -> None:
        """Follow the end of a payment, in the transaction that ends it.

        Raises:
            RequestStateError: if a payment is to be retried whose money went elsewhere meanwhile.
        """
        row = RequestRepository(draft.sql).withdrawal_of_payout(payout.id)
        if row is None or (ending is Ending.REVIVED and row.state is not WithdrawalState.REFUSED):
            state = "paid otherwise" if row is None else row.state
            raise RequestStateError("withdrawal", payout.cause_key, state, "refused and not sent elsewhere")
        if ending is Ending.CONFIRMED:
            row = replace(row, state=WithdrawalState.CONFIRMED, reason="", ended_ms=draft.at_ms)
        elif ending is Ending.REFUSED:
            row = replace(row, state=WithdrawalState.REFUSED, reason=payout.reason, ended_ms=draft.at_ms)
        else:
            row = replace(row, state=WithdrawalState.SENDING, reason="", ended_ms=0)
        self._keep(draft, row)

    def _burn(self, draft: Draft, book: PoolBook, row: WithdrawalRow, now: Appraisal) -> WithdrawalRow:
        plan = book.plan
        asset = rail_asset(draft, book)
        leaving = _worth(row, now)
        units = narrowed(net_units(leaving), asset.decimals)
        nav = now.nav(Basis.LOW)
        transfers = [post_hold(_hold(draft, row))]
        if units:
            transfers.append(Transfer(plan.pool.id, row.account, asset.id, units, TransferKind.UNLOCK))
        priced = f"{nav} {now.supply}"
        cost = (
            {}
            if row.account == OWNER_FEES.id
            else {row.account: -book.cost_of(draft, row.account, row.share_units)}
        )
        memo = stake_memo(plan, cost, now, priced)
        book.require(draft, Group(f"burn:withdrawal:{row.id}", tuple(transfers), memo=memo))
        paid = {each.part: (each.gross_units - each.fee_units, each.fee_units) for each in leaving}
        book.note_burn(draft, row.account, paid, held=True)
        book.renew_equity_point(draft)
        row = replace(
            row,
            state=WithdrawalState.SENDING,
            reason="",
            units=units,
            burned_ms=draft.at_ms,
            value_units=widened(units, asset.decimals),
            fee_units=sum(each.fee_units for each in leaving),
            priced=priced,
        )
        if not units:
            return self._keep(draft, replace(row, state=WithdrawalState.CONFIRMED, ended_ms=draft.at_ms))
        return self._send(draft, row)

    def _send(self, draft: Draft, row: WithdrawalRow) -> WithdrawalRow:
        cause = "fee" if row.account == OWNER_FEES.id else "withdrawal"
        attempt = row.attempt + 1
        key = row.id if attempt == 1 else f"{row.id}~{attempt}"
        payout = Payout(cause, key, row.rail, row.account, row.asset, row.units, row.destination)
        queued = self._outbox.enqueue(draft, payout)
        if isinstance(queued, Rejection):
            raise WithdrawalRefusedError(row.pool or row.rail, queued.code, queued.message)
        return self._keep(draft, replace(row, payout=payout.id, attempt=attempt, reason=""))

    def _reserve(self, draft: Draft, row: WithdrawalRow, sign: int) -> None:
        shares = ShareRepository(draft.sql)
        for part in decode_parts(row.parts):
            lot = shares.lot(part.lot)
            if lot is None:
                raise LookupError(part.lot)
            shares.put_lot(replace(lot, held_units=lot.held_units + sign * part.share_units))

    def _wait(self, draft: Draft, row: WithdrawalRow, state: WithdrawalState, reason: str) -> WithdrawalRow:
        if (row.state, row.reason) == (state, reason):
            return row
        return self._keep(draft, replace(row, state=state, reason=reason))

    def _keep(self, draft: Draft, row: WithdrawalRow) -> WithdrawalRow:
        row = replace(row, changed_ms=draft.at_ms)
        RequestRepository(draft.sql).put_withdrawal(row)
        return row

    def _own(self, draft: Draft, withdrawal_id: str, account: str) -> WithdrawalRow:
        row = RequestRepository(draft.sql).withdrawal(withdrawal_id)
        if row is None or row.account != account:
            raise UnknownRequestError("withdrawal", withdrawal_id)
        return row

    def require_open(self, view: BooksView, book: PoolBook, ask: WithdrawalAsk) -> None:
        """Raise WithdrawalRefusedError where nobody may leave now."""
        if book.plan.rail is None:
            raise WithdrawalRefusedError(ask.pool, "no_rail", "it has no payment rail to pay through")
        paused = ShareRepository(view.sql).flags(ask.pool).withdrawals_paused
        if paused:
            raise WithdrawalRefusedError(ask.pool, "paused", f"withdrawals are paused: {paused}")
        if not ask.destination:
            raise InvalidInputError("destination", ask.destination, "where the rail shall pay")


def hold_key(withdrawal_id: str) -> str:
    """Key of the group that holds a withdrawal's shares."""
    return f"hold:withdrawal:{withdrawal_id}"


def _hold(draft: Draft, row: WithdrawalRow) -> Hold:
    name = hold_id(hold_key(row.id), 0)
    hold = draft.hold(name)
    if hold is None:
        raise PostingRefusedError(name, "unknown_hold", "the hold of a withdrawal is gone")
    return hold


def net_units(leaving: Iterable[Leaving]) -> int:
    """What is left of the worth of shares after exit fees, in quote units."""
    return sum(each.gross_units - each.fee_units for each in leaving)


def _worth(row: WithdrawalRow, now: Appraisal) -> list[Leaving]:
    return divide(payout_for(row.share_units, now.supply, now.nav(Basis.LOW)), decode_parts(row.parts))


def select_parts(view: BooksView, ask: WithdrawalAsk) -> Choice:
    """The shares that a request takes.

    Raises:
        WithdrawalRefusedError: if they are locked, or not there.
    """
    lots = ShareRepository(view.sql).lots(ask.pool, ask.account)
    if ask.share_units is None:
        choice = choose(lots, free_units(lots), view.at_ms)
        if choice.parts:
            units = sum(part.share_units for part in choice.parts)
            return choose(lots, units, view.at_ms)
        _require_free(ask.pool, choice)
        raise WithdrawalRefusedError(ask.pool, "insufficient_funds", "no shares are free to leave")
    if type(ask.share_units) is not int or ask.share_units <= 0:
        raise InvalidInputError("shares", ask.share_units, "a number above zero")
    choice = choose(lots, ask.share_units, view.at_ms)
    _require_free(ask.pool, choice)
    return choice


def _require_free(pool: str, choice: Choice) -> None:
    if choice.locked:
        raise WithdrawalRefusedError(
            pool,
            "locked",
            f"{_shares(choice.locked)} shares are locked until {choice.locked_until_ms} (UTC ms)",
            choice.locked_until_ms,
        )
    if choice.short:
        raise WithdrawalRefusedError(
            pool,
            "insufficient_funds",
            f"{_shares(choice.short)} shares are not there to leave",
        )


def rail_asset(view: BooksView, book: PoolBook) -> Asset:
    """The quote asset on the rail, in which withdrawals are paid.

    Raises:
        WithdrawalRefusedError: if the pool has no rail, or the rail no such asset.
    """
    asset = view.asset(f"{book.plan.rail}:{book.plan.quote}")
    if asset is None:
        raise WithdrawalRefusedError(
            book.plan.name, "no_rail", f"the payment rail has told of no {book.plan.quote} yet"
        )
    return asset


def _shares(units: int) -> str:
    return format_units(units, SHARE_DECIMALS)
