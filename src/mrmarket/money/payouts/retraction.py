"""When a rail takes back what it had called final: the owner's reserve pays, never a user."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from mrmarket.money.ledger.draft import Draft
from mrmarket.money.ledger.group import Group, Transfer, TransferKind, reversal_of
from mrmarket.money.payouts.errors import ClaimMismatchError, SettlementRefusedError
from mrmarket.money.payouts.outbox import Outbox, may_cancel, post
from mrmarket.money.payouts.payment import RESERVE, Incident, Payment, Releaser, Standing
from mrmarket.money.payouts.payout import rail_account
from mrmarket.money.payouts.port import clean_text
from mrmarket.money.payouts.repository import PaymentRepository


class Retraction:
    """Undoes receipts. Money that is still in suspense, or that its claimer gives back, is simply reversed.

    What is spent is charged to `owner:reserve`; while the reserve cannot pay, the incident stays open and the
    books hold more than the rail does, which reconciliation shows.
    """

    def __init__(self, outbox: Outbox, releasers: Mapping[str, Releaser]) -> None:
        self._outbox = outbox
        self._releasers = releasers

    def retract(self, draft: Draft, payment: Payment, at_ms: int) -> Payment:
        """Follow the rail's word of a time that a payment never happened, unless a younger word stands."""
        if at_ms < payment.rail_ms or payment.standing is Standing.RETRACTED:
            return payment
        if not payment.booked:
            if payment.standing in {Standing.SEEN, Standing.PARKED}:
                return _retracted(replace(payment, rail_ms=at_ms), draft.at_ms)
            return payment  # told before
        payment = replace(payment, rail_ms=at_ms)
        if payment.standing in {Standing.RECEIVED, Standing.PARKED} or self._gives_back(draft, payment):
            return self._reverse(draft, payment)
        return self._charge(draft, payment)

    def restore(self, draft: Draft, payment: Payment, at_ms: int) -> Payment:
        """The rail confirms after all what it had taken back and the reserve had to stand in for."""
        repository = PaymentRepository(draft.sql)
        incident = repository.incident(_incident_id(payment))
        if incident is not None and incident.state == "closed":
            rail = rail_account(payment.rail).id
            transfer = Transfer(rail, RESERVE.id, payment.asset, payment.units, TransferKind.ADJUSTMENT)
            post(draft, f"payment {payment.name}", Group(f"restore:{incident.id}", (transfer,)))
        elif incident is not None:
            reason = "the payment came back"
            repository.put_incident(replace(incident, state="closed", reason=reason, closed_ms=draft.at_ms))
        return replace(payment, booked=True, rail_ms=at_ms, reason="")

    def take_back_refund(self, draft: Draft, payment: Payment) -> Payment:
        """The refund of a retracted payment was refused, so that its money is in suspense again."""
        repository = PaymentRepository(draft.sql)
        incident = repository.incident(_incident_id(payment))
        if incident is None or incident.state == "open":
            if incident is not None:
                reason = "its refund was refused, so nothing was lost"
                repository.put_incident(
                    replace(incident, state="closed", reason=reason, closed_ms=draft.at_ms)
                )
            return self._reverse(draft, payment)
        transfer = Transfer(
            payment.suspense, RESERVE.id, payment.asset, payment.units, TransferKind.ADJUSTMENT
        )
        post(draft, f"payment {payment.name}", Group(f"repay:{incident.id}", (transfer,)))
        return _retracted(payment, draft.at_ms)

    def cover(self, draft: Draft, incident_id: str) -> bool:
        """Let the reserve pay for an open incident, if it can; whether the incident is closed now."""
        repository = PaymentRepository(draft.sql)
        incident = repository.incident(incident_id)
        if incident is None or incident.kind != "retraction" or incident.state == "closed":
            return True
        transfer = Transfer(
            RESERVE.id,
            rail_account(incident.rail).id,
            incident.asset,
            incident.units,
            TransferKind.ADJUSTMENT,
        )
        group = Group(f"charge:{incident.id}", (transfer,), accounts=(RESERVE,))
        refusal = draft.preview(group)
        if refusal is not None:
            reason = clean_text(f"the reserve cannot pay: {refusal.message}")
            if reason != incident.reason:
                repository.put_incident(replace(incident, reason=reason))
            return False
        post(draft, f"incident {incident.id}", group)
        repository.put_incident(
            replace(incident, state="closed", reason="charged to the owner's reserve", closed_ms=draft.at_ms)
        )
        return True

    def report_contradiction(self, draft: Draft, payment: Payment, contradiction: str) -> None:
        """Tell a person that the rail changed its story; what is posted stays."""
        repository = PaymentRepository(draft.sql)
        incident_id = f"contradiction:{payment.rail}:{payment.id}"
        if repository.incident(incident_id) is None:
            repository.put_incident(
                _opened(payment, incident_id, "contradiction", contradiction, draft.at_ms)
            )

    def _gives_back(self, draft: Draft, payment: Payment) -> bool:
        """Whether the payment's units could be brought back to suspense."""
        if payment.standing is Standing.REFUNDING:
            payout = self._outbox.payout(draft, payment.ref)
            if payout is None or not may_cancel(payout):
                return False
            self._outbox.cancel(draft, payment.ref)
            return True
        releaser = self._releasers.get(payment.claim)
        if payment.standing is not Standing.CLAIMED or releaser is None:
            return False
        before = draft.balance(payment.suspense, payment.asset)
        given = releaser(draft, payment)
        returned = draft.balance(payment.suspense, payment.asset) - before
        if returned != (payment.units if given else 0):
            raise ClaimMismatchError(payment.rail, payment.id, payment.units if given else 0, returned)
        return given

    def _reverse(self, draft: Draft, payment: Payment) -> Payment:
        receipt = draft.record(f"receive:{payment.name}")
        if receipt is None:
            raise SettlementRefusedError(
                f"payment {payment.name}", "nothing_to_reverse", "its receipt is missing"
            )
        post(draft, f"payment {payment.name}", reversal_of(receipt, f"retract:{payment.name}"))
        return _retracted(payment, draft.at_ms)

    def _charge(self, draft: Draft, payment: Payment) -> Payment:
        reason = "the rail took the payment back"
        incident_id = _incident_id(payment)
        PaymentRepository(draft.sql).put_incident(
            _opened(payment, incident_id, "retraction", reason, draft.at_ms)
        )
        self.cover(draft, incident_id)
        return replace(payment, booked=False, reason=reason)


def _incident_id(payment: Payment) -> str:
    # The time tells one retraction of a payment from the next; it stands still while the payment is away.
    return f"retraction:{payment.name}:{payment.rail_ms}"


def _opened(payment: Payment, incident_id: str, kind: str, reason: str, at_ms: int) -> Incident:
    return Incident(
        id=incident_id,
        kind=kind,
        rail=payment.rail,
        payment_id=payment.id,
        asset=payment.asset,
        units=payment.units,
        state="open",
        reason=clean_text(reason),
        opened_ms=at_ms,
        closed_ms=0,
    )


def _retracted(payment: Payment, at_ms: int) -> Payment:
    return replace(
        payment,
        standing=Standing.RETRACTED,
        booked=False,
        reason="the rail took the payment back",
        settled_ms=at_ms,
    )
