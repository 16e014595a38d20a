"""What goes over the wire between the rail and those who use it. Amounts are texts, never numbers."""

from __future__ import annotations

from typing import Final

import msgspec

from mrmarket.services.rail.config import RailAsset
from mrmarket.services.rail.payment import FeedEntry, Payment, PaymentKind, Stage


class RailEndpoints(msgspec.Struct, frozen=True, kw_only=True):
    """The line that `mrmarket rail --json` prints when it is ready, and what a client must know."""

    url: str
    token: str
    """Opens the platform's side."""
    wallet_token: str
    """Opens the wallets' side: whoever has it moves the money of every wallet."""
    name: str
    treasury: str
    """The platform's own address."""
    assets: list[RailAsset]
    settle_ms: int
    required: int

    def __repr__(self) -> str:
        return f"RailEndpoints({self.url})"


class SendBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`POST /v1/sends` and `POST /v1/withdrawals`."""

    key: str
    asset: str
    units: str
    """Base units, digits only."""
    destination: str
    memo: str = ""


class FundBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`POST /v1/wallets/{address}/faucet`."""

    key: str
    asset: str
    amount: str
    """An exact decimal."""


class PayBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`POST /v1/wallets/{address}/payments`."""

    key: str
    destination: str
    asset: str
    amount: str
    memo: str = ""


class SendAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a payment or withdrawal of the platform."""

    state: str
    """absent, sending, sent, confirmed or refused."""
    reference: str = ""
    reason: str = ""
    fee_units: str = "0"
    at_ms: int = 0


class IncomingItem(msgspec.Struct, frozen=True, kw_only=True):
    """One update of the feed."""

    id: str
    asset: str
    units: str
    sender: str
    memo: str
    state: str
    confirmations: int
    required: int
    at_ms: int


class IncomingAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """`GET /v1/incoming`."""

    updates: list[IncomingItem]
    next_cursor: str


class InstructionsAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """`GET /v1/instructions`."""

    address: str
    memo: str
    uri: str


class WalletPayment(msgspec.Struct, frozen=True, kw_only=True):
    """A payment as a wallet sees it."""

    id: str
    kind: PaymentKind
    sender: str
    destination: str
    asset: str
    amount: str
    fee: str
    memo: str
    stage: Stage
    confirmations: int
    required: int
    reason: str
    created_ms: int
    changed_ms: int


class WalletAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """`GET /v1/wallets/{address}`."""

    address: str
    balances: dict[str, str]
    """Exact decimals by asset."""
    payments: list[WalletPayment]
    """Newest first."""


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """The body of every answer that is not 200."""

    code: str
    message: str


_STATES: Final = {
    Stage.ASKED: "sending",
    Stage.ACCEPTED: "sending",
    Stage.SEEN: "sent",
    Stage.CREDITING: "sent",
    Stage.CONFIRMED: "confirmed",
    Stage.RETRACTED: "refused",
    Stage.REFUSED: "refused",
}


def send_answer(payment: Payment | None) -> SendAnswer:
    """A payment of the platform in the words of its port."""
    if payment is None:
        return SendAnswer(state="absent")
    return SendAnswer(
        state=_STATES[payment.stage],
        reference=payment.id,
        reason=payment.reason,
        fee_units="0" if payment.stage is Stage.REFUSED else str(payment.fee),
        at_ms=payment.changed_ms,
    )


def incoming_item(entry: FeedEntry) -> IncomingItem:
    """An update of the feed."""
    payment = entry.payment
    return IncomingItem(
        id=payment.id,
        asset=payment.asset,
        units=str(payment.units),
        sender=payment.sender,
        memo=payment.memo,
        state=entry.state,
        confirmations=entry.confirmations,
        required=payment.required,
        at_ms=entry.at_ms,
    )
