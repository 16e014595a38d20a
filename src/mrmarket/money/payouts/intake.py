"""What a rail's word on an incoming payment does to the books, and how each payment finds its one end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from msgspec.structs import replace

from mrmarket.core.money import MAX_UNITS, Asset
from mrmarket.money.ledger.draft import Draft
from mrmarket.money.ledger.group import Group, Transfer, TransferKind
from mrmarket.money.ledger.rules import Rejection
from mrmarket.money.payouts.errors import (
    ClaimMismatchError,
    PaymentNotParkedError,
    PayoutStateError,
    SettlementRefusedError,
    UnknownPaymentError,
)
from mrmarket.money.payouts.outbox import Outbox, post
from mrmarket.money.payouts.payment import (
    Claim,
    Claimer,
    Decline,
    Observer,
    Park,
    Payment,
    Releaser,
    Standing,
    Verdict,
    Wait,
    suspense_account,
)
from mrmarket.money.payouts.payout import Ending, Payout, PayoutRow, PayoutState, rail_account
from mrmarket.money.payouts.port import IncomingPayment, PaymentRail, PaymentState, clean_text
from mrmarket.money.payouts.repository import PaymentRepository
from mrmarket.money.payouts.retraction import Retraction

REFUND_MEMO: Final = "refund:"
"""Beginning of the memo of everything that is sent back. What comes in with it is never sent back again, so
that two instances cannot play ball with a payment."""


class Intake:
    """Books payments and decides on them, inside the ledger writer's transaction.

    A payment is posted from the rail into suspense when it is final, exactly once, and leaves suspense in
    exactly one way: a room claims it, it is sent back in full, or the rail takes it back. What can do none
    of these is parked in suspense until the owner says what to do.
    """

    def __init__(
        self,
        rails: Mapping[str, PaymentRail],
        outbox: Outbox,
        claimers: Sequence[Claimer] = (),
        releasers: Mapping[str, Releaser] | None = None,
        observers: Sequence[Observer] = (),
    ) -> None:
        self._rails = rails
        self._outbox = outbox
        self._claimers = claimers
        self._observers = observers
        self._retraction = Retraction(outbox, releasers or {})

    def book(self, draft: Draft, update: IncomingPayment) -> Payment:
        """Take a rail's word, which may be old, repeated or contradict an earlier one."""
        repository = PaymentRepository(draft.sql)
        known = repository.find(update.rail, update.id)
        before = known or _new_payment(update, draft.at_ms)
        after = self._follow(draft, before, update)
        if after != known:
            repository.put(after)
            if known is None or known.standing is not after.standing or known.booked is not after.booked:
                self._tell(draft, after)
        return after

    def decide(self, draft: Draft, rail: str, payment_id: str, due_ms: int) -> Payment:
        """Ask the claimers in order; send back what nobody expects. A payment decided on stays as it is.

        `due_ms` is when to ask again, should a claimer want to wait.

        Raises:
            ClaimMismatchError: if a claimer took another amount than came in.
        """
        payment = self._required(draft, rail, payment_id)
        if payment.standing is not Standing.RECEIVED:
            return payment
        for claimer in self._claimers:
            verdict = self._ask(draft, payment, claimer)
            if verdict is not None:
                return self._carry_out(draft, payment, verdict, due_ms)
        return self._carry_out(draft, payment, Decline("it fits nothing that we expect"), due_ms)

    def stumble(self, draft: Draft, rail: str, payment_id: str, reason: str, due_ms: int) -> None:
        """Note why deciding failed; it is tried again later."""
        payment = self._required(draft, rail, payment_id)
        if payment.standing is Standing.RECEIVED:
            waiting = replace(payment, reason=reason, due_ms=due_ms, attempts=payment.attempts + 1)
            PaymentRepository(draft.sql).put(waiting)

    def reconsider(self, draft: Draft, rail: str, payment_id: str) -> Payment:
        """The owner lets a parked payment go through the claimers again.

        Raises:
            UnknownPaymentError, PaymentNotParkedError: if there is nothing to reconsider.
        """
        payment = self._parked(draft, rail, payment_id)
        if payment.booked:
            after = replace(payment, standing=Standing.RECEIVED, reason="", settled_ms=0, due_ms=draft.at_ms)
        else:
            after = self._receive(draft, payment)
        return self._keep(draft, after)

    def send_back(self, draft: Draft, rail: str, payment_id: str, destination: str | None = None) -> Payment:
        """The owner sends a parked payment back, to its sender or to a better address.

        Raises:
            UnknownPaymentError, PaymentNotParkedError: if there is nothing to send back.
            PayoutStateError: if its refund to the sender was refused; retry that payout, or name an address.
        """
        payment = self._parked(draft, rail, payment_id)
        if not payment.booked:
            raise PaymentNotParkedError(rail, payment_id, "not in the books")
        return self._keep(draft, self._refund(draft, payment, "sent back by the owner", destination))

    def cover(self, draft: Draft, incident_id: str) -> bool:
        """Let the owner's reserve pay for a retracted payment, if it can by now."""
        return self._retraction.cover(draft, incident_id)

    def settle_refund(self, draft: Draft, payout: PayoutRow, ending: Ending) -> None:
        """Settler of the cause `refund`."""
        payment = PaymentRepository(draft.sql).of_payout(payout.id)
        if payment is None:
            return  # somebody else's refund
        if ending is Ending.CONFIRMED:
            after = replace(payment, standing=Standing.REFUNDED, settled_ms=draft.at_ms)
        elif ending is Ending.REVIVED:
            if payment.standing is not Standing.PARKED or not payment.booked:
                raise PayoutStateError(payout.id, payout.state, "refused and whose payment is parked")
            after = replace(payment, standing=Standing.REFUNDING, reason="tried again by the owner")
        elif not payment.booked:
            after = self._retraction.take_back_refund(draft, payment)
        else:
            reason = clean_text(f"the refund was refused: {payout.reason}")
            after = _parked(payment, reason, draft.at_ms)
        self._keep(draft, after)

    def _follow(self, draft: Draft, payment: Payment, update: IncomingPayment) -> Payment:
        contradiction = _contradiction(payment, update)
        if contradiction is not None:
            self._retraction.report_contradiction(draft, payment, contradiction)
            if payment.booked or payment.standing is not Standing.SEEN:
                return payment
            return _parked(payment, f"the rail contradicts itself: {contradiction}", draft.at_ms)
        payment = _filled_in(payment, update)
        if update.state is PaymentState.RETRACTED:
            return self._retraction.retract(draft, payment, update.at_ms)
        is_final = update.state is PaymentState.CONFIRMED
        if payment.standing is Standing.SEEN:
            payment = replace(payment, rail_ms=max(payment.rail_ms, update.at_ms))
            return self._receive(draft, payment) if is_final else payment
        if update.at_ms <= payment.rail_ms:
            return payment  # told before, or overtaken by what was told since
        return self._come_back(draft, payment, update.at_ms, is_final=is_final)

    def _come_back(self, draft: Draft, payment: Payment, at_ms: int, *, is_final: bool) -> Payment:
        """A younger word than the last one: of a retracted payment it means that it exists after all."""
        if payment.standing is Standing.RETRACTED:
            back = replace(payment, standing=Standing.SEEN, rail_ms=at_ms, reason="", settled_ms=0)
            return self._receive(draft, back) if is_final else back
        if is_final and payment.receipts and not payment.booked:
            return self._retraction.restore(draft, payment, at_ms)
        return payment

    def _receive(self, draft: Draft, payment: Payment) -> Payment:
        """Post a final payment from the rail into suspense, or park it where the books cannot hold it."""
        listed = {asset.code: asset for asset in self._rails[payment.rail].assets()}
        asset = listed.get(payment.asset_code)
        if asset is None:
            return _parked(payment, "unknown_asset: the rail does not list this asset", draft.at_ms)
        if not 0 < payment.units < MAX_UNITS:
            return _parked(payment, "unbookable_amount: the books cannot hold this amount", draft.at_ms)
        received = replace(
            payment,
            standing=Standing.RECEIVED,
            reason="",
            receipts=payment.receipts + 1,
            booked=True,
            received_ms=draft.at_ms,
            settled_ms=0,
            due_ms=draft.at_ms,
        )
        group = _receipt_group(received, asset)
        refusal = draft.preview(group)
        if refusal is not None:
            return _parked(payment, f"{refusal.code}: {refusal.message}", draft.at_ms)
        post(draft, f"payment {received.name}", group)
        return received

    def _ask(self, draft: Draft, payment: Payment, claimer: Claimer) -> Verdict:
        before = draft.balance(payment.suspense, payment.asset)
        verdict = claimer(draft, payment)
        taken = before - draft.balance(payment.suspense, payment.asset)
        wanted = payment.units if isinstance(verdict, Claim) else 0
        if taken != wanted:
            raise ClaimMismatchError(payment.rail, payment.id, wanted, taken)
        return verdict

    def _carry_out(
        self, draft: Draft, payment: Payment, verdict: Claim | Decline | Park | Wait, due_ms: int
    ) -> Payment:
        if isinstance(verdict, Claim):
            after = replace(
                payment,
                standing=Standing.CLAIMED,
                claim=verdict.kind,
                ref=verdict.ref,
                reason="",
                settled_ms=draft.at_ms,
            )
        elif isinstance(verdict, Decline):
            after = self._refund(draft, payment, verdict.reason)
        elif isinstance(verdict, Park):
            after = _parked(payment, verdict.reason, draft.at_ms)
        else:
            after = replace(
                payment, reason=clean_text(verdict.reason), due_ms=due_ms, attempts=payment.attempts + 1
            )
        return self._keep(draft, after)

    def _refund(self, draft: Draft, payment: Payment, reason: str, destination: str | None = None) -> Payment:
        rail = self._rails[payment.rail]
        sender = rail.valid_destination(destination or payment.sender)
        if sender is None:
            return _parked(payment, f"unknown_sender: {reason}", draft.at_ms)
        if destination is None and payment.memo.startswith(REFUND_MEMO):
            return _parked(payment, "a refund came back to us; name an address to send it to", draft.at_ms)
        payout = Payout(
            cause="refund",
            cause_key=payment.name if destination is None else f"{payment.name}>{sender}",
            rail=payment.rail,
            account=payment.suspense,
            asset=payment.asset,
            units=payment.units,
            destination=sender,
            memo=REFUND_MEMO + payment.id,
        )
        row = self._outbox.enqueue(draft, payout)
        if isinstance(row, Rejection):
            raise SettlementRefusedError(f"refund of {payment.name}", row.code, row.message)
        if row.state is not PayoutState.QUEUED:
            raise PayoutStateError(row.id, row.state, "new; retry it instead")
        return replace(
            payment,
            standing=Standing.REFUNDING,
            claim="refund",
            ref=row.id,
            reason=clean_text(reason),
            settled_ms=0,
        )

    def _required(self, draft: Draft, rail: str, payment_id: str) -> Payment:
        payment = PaymentRepository(draft.sql).find(rail, payment_id)
        if payment is None:
            raise UnknownPaymentError(rail, payment_id)
        return payment

    def _parked(self, draft: Draft, rail: str, payment_id: str) -> Payment:
        payment = self._required(draft, rail, payment_id)
        if payment.standing is not Standing.PARKED:
            raise PaymentNotParkedError(rail, payment_id, payment.standing)
        return payment

    def _keep(self, draft: Draft, payment: Payment) -> Payment:
        PaymentRepository(draft.sql).put(payment)
        self._tell(draft, payment)
        return payment

    def _tell(self, draft: Draft, payment: Payment) -> None:
        for observer in self._observers:
            observer(draft, payment)


def _new_payment(update: IncomingPayment, at_ms: int) -> Payment:
    return Payment(
        rail=update.rail,
        id=update.id,
        asset_code=clean_text(update.asset_code),
        units=update.units,
        sender=clean_text(update.sender),
        memo=clean_text(update.memo),
        standing=Standing.SEEN,
        claim="",
        ref="",
        reason="",
        receipts=0,
        booked=False,
        confirmations=0,
        required=update.required,
        first_ms=update.at_ms,
        rail_ms=0,
        seen_ms=at_ms,
        received_ms=0,
        settled_ms=0,
        due_ms=at_ms,
        attempts=0,
    )


def _receipt_group(payment: Payment, asset: Asset) -> Group:
    rail, suspense = rail_account(payment.rail), suspense_account(payment.rail)
    transfer = Transfer(rail.id, suspense.id, asset.id, payment.units, TransferKind.DEPOSIT)
    return Group(f"receive:{payment.name}", (transfer,), (asset,), (rail, suspense))


def _contradiction(payment: Payment, update: IncomingPayment) -> str | None:
    """In which word an update differs from what was said of the payment before."""
    said = (payment.asset_code, payment.units, payment.memo)
    says = (clean_text(update.asset_code), update.units, clean_text(update.memo))
    if said != says:
        return f"{update.units} {clean_text(update.asset_code)} after {payment.units} {payment.asset_code}"
    sender = clean_text(update.sender)
    if payment.sender and sender and sender != payment.sender:
        return f"from {sender} after {payment.sender}"
    return None


def _filled_in(payment: Payment, update: IncomingPayment) -> Payment:
    """Counts and times grow with what is told; a sender may become known."""
    return replace(
        payment,
        sender=payment.sender or clean_text(update.sender),
        confirmations=max(payment.confirmations, update.confirmations),
        required=update.required or payment.required,
        first_ms=min(payment.first_ms, update.at_ms),
    )


def _parked(payment: Payment, reason: str, at_ms: int) -> Payment:
    return replace(payment, standing=Standing.PARKED, reason=clean_text(reason), settled_ms=at_ms)
