"""What payments in and out can go wrong with."""

from __future__ import annotations

from mrmarket.core.errors import MrMarketError


class PayoutsError(MrMarketError):
    """A payment was not made or taken; no balance has changed."""

    code = "payouts_error"


class RailUnavailableError(PayoutsError):
    """A rail did not answer, or not clearly. What was asked of it may have happened."""

    code = "rail_unavailable"
    retryable = True

    def __init__(self, rail: str, reason: str) -> None:
        self.rail = rail
        self.reason = reason
        super().__init__(f"rail {rail!r}: {reason}; what was asked of it is looked up until it is known")


class PayoutConflictError(PayoutsError):
    """One cause asked for two different payouts."""

    code = "payout_conflict"

    def __init__(self, payout_id: str, cause: str, cause_key: str) -> None:
        self.payout_id = payout_id
        super().__init__(
            f"{cause} {cause_key!r} has a payout with other content ({payout_id}); take a new cause key"
        )


class UnknownPayoutError(PayoutsError):
    """There is no such payout."""

    code = "unknown_payout"

    def __init__(self, payout_id: str) -> None:
        self.payout_id = payout_id
        super().__init__(f"there is no payout {payout_id!r}; list the outbox for the ids")


class PayoutStateError(PayoutsError):
    """What was asked is not possible in the state that the payout is in."""

    code = "payout_state"

    def __init__(self, payout_id: str, state: str, wanted: str) -> None:
        self.payout_id = payout_id
        self.state = state
        super().__init__(f"payout {payout_id} is {state}; this is for payouts that are {wanted}")


class UnknownPaymentError(PayoutsError):
    """There is no such payment."""

    code = "unknown_payment"

    def __init__(self, rail: str, payment_id: str) -> None:
        self.rail = rail
        self.payment_id = payment_id
        super().__init__(f"rail {rail!r} told of no payment {payment_id!r}; list the payments for the ids")


class PaymentNotParkedError(PayoutsError):
    """Only a parked payment waits for the owner's word."""

    code = "payment_not_parked"

    def __init__(self, rail: str, payment_id: str, state: str) -> None:
        self.rail = rail
        self.payment_id = payment_id
        self.state = state
        super().__init__(f"payment {payment_id!r} is {state}, not parked; it needs nothing from you")


class ClaimMismatchError(PayoutsError):
    """A claimer took another amount out of suspense than the payment brought in."""

    code = "claim_mismatch"

    def __init__(self, rail: str, payment_id: str, wanted: int, taken: int) -> None:
        self.rail = rail
        self.payment_id = payment_id
        self.wanted = wanted
        self.taken = taken
        super().__init__(
            f"payment {payment_id!r} brought {wanted} units, its claimer took {taken}; nothing was posted"
        )


class InexactAmountError(PayoutsError):
    """An amount has digits that the place it should go to does not keep."""

    code = "inexact_amount"

    def __init__(self, units: int, from_decimals: int, to_decimals: int) -> None:
        self.units = units
        self.exact_units = units - units % 10 ** (from_decimals - to_decimals)
        super().__init__(
            f"{units} units of {from_decimals} decimals do not fit {to_decimals}; move {self.exact_units}"
        )


class SettlementRefusedError(PayoutsError):
    """The books refused what a rail's answer asks for."""

    code = "settlement_refused"

    def __init__(self, subject: str, rule: str, message: str) -> None:
        self.subject = subject
        self.rule = rule
        super().__init__(f"{subject}: the books refused it ({rule}: {message}); look at the ledger and retry")
