"""What a vault may do, and what follows from what a chain says. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from mrmarket.partners.chains.errors import (
    DestinationRefusedError,
    GasCeilingError,
    SpendingLimitError,
    TokenRefusedError,
)
from mrmarket.partners.chains.payment import Attempt, Payment, PaymentRequest, PaymentState
from mrmarket.partners.chains.port import GasPrice, Receipt
from mrmarket.partners.chains.settings import ChainSettings, VaultSettings
from mrmarket.partners.chains.transfer import Transfer, transfer_of

_MS: Final = 1_000
_BUMP_NUMERATOR: Final = 9
_BUMP_DENOMINATOR: Final = 8
"""A node takes a replacement only for at least a tenth more; an eighth leaves room for rounding."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What a transaction offers, in wei per gas."""

    max_fee_wei: int
    tip_wei: int


class Step(StrEnum):
    """What to do about a payment now."""

    WAIT = "wait"
    SIGN = "sign"
    OFFER = "offer"
    RAISE = "raise"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The next step, and for `NOTE` what is to be written."""

    step: Step
    state: PaymentState | None = None
    receipt: Receipt | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the chain says of a payment, all of it asked after `head` was."""

    head: int
    receipts: tuple[Receipt, ...]
    """Of its transactions, only those whose block is on the chain; one at most, as they share a nonce."""
    used: int
    """Transactions of the account in blocks."""
    used_deep: int
    """The same as of the newest block that is final."""


def check_request(
    request: PaymentRequest, chain: ChainSettings, vault: VaultSettings, spent_units: int
) -> None:
    """Refuse what the configuration does not allow.

    Args:
        request: what is asked for.
        chain: knows the tokens.
        vault: knows destinations and limits.
        spent_units: of the token within the window, without this payment.

    Raises:
        TokenRefusedError, DestinationRefusedError, SpendingLimitError: by what is not allowed.
    """
    if chain.token(request.token) is None:
        raise TokenRefusedError(request.key, request.token)
    if request.destination not in vault.destinations:
        raise DestinationRefusedError(request.key, request.destination)
    left = vault.limit(request.token) - spent_units
    if request.units > left:
        raise SpendingLimitError(request.key, request.units, max(left, 0))


def gas_limit(key: str, estimate: int, chain: ChainSettings, vault: VaultSettings) -> int:
    """The estimate with its margin. Raises `GasCeilingError` if that is above the ceiling."""
    limit = estimate + estimate * vault.gas_margin_percent // 100
    if limit > chain.max_gas:
        raise GasCeilingError(key, "gas", limit, chain.max_gas)
    return limit


def first_offer(price: GasPrice, chain: ChainSettings) -> Offer:
    """Twice the base fee and the tip, so that it holds for six full blocks; never above the ceiling."""
    ceiling = chain.max_fee_per_gas_wei
    max_fee = min(2 * price.base_wei + price.tip_wei, ceiling)
    return Offer(max_fee, min(price.tip_wei, max_fee))


def check_price(key: str, price: GasPrice, chain: ChainSettings) -> None:
    """Refuse to begin a payment while gas costs more than the ceiling. Raises `GasCeilingError`."""
    wanted = price.base_wei + price.tip_wei
    if wanted > chain.max_fee_per_gas_wei:
        raise GasCeilingError(key, "wei per gas", wanted, chain.max_fee_per_gas_wei)


def raised_offer(last: Attempt, price: GasPrice, chain: ChainSettings) -> Offer | None:
    """More than the last offer by what nodes demand, and at least today's price; None above the ceiling."""
    today = first_offer(price, chain)
    tip = max(today.tip_wei, _bumped(last.tip_wei))
    max_fee = max(today.max_fee_wei, _bumped(last.max_fee_wei), tip)
    return Offer(max_fee, tip) if max_fee <= chain.max_fee_per_gas_wei else None


def judge(  # noqa: PLR0911 - one answer a row of the table in docs/chains.md
    payment: Payment,
    attempts: Sequence[Attempt],
    evidence: Evidence,
    chain: ChainSettings,
    vault: VaultSettings,
    now_ms: int,
) -> Verdict:
    """What to do about a payment that is not over."""
    if evidence.receipts:
        return _judge_receipt(payment, evidence.receipts[0], evidence.head, chain)
    if evidence.used_deep > payment.nonce:
        return Verdict(Step.NOTE, PaymentState.REPLACED, reason="another transaction took its nonce")
    if evidence.used > payment.nonce:
        reason = "its nonce is used, and none of its transactions is in a block"
        return _noted(payment, PaymentState.UNKNOWN, None, reason)
    if payment.state in {PaymentState.MINED, PaymentState.UNKNOWN}:
        return Verdict(Step.NOTE, PaymentState.BROADCAST, reason="the block it was in is gone")
    if not attempts:
        return Verdict(Step.SIGN)
    last = attempts[-1]
    if last.offered_ms == 0:
        return Verdict(Step.OFFER)
    # One that a reorganisation threw out is offered as it is before it is offered more.
    waited_ms = now_ms - max(last.signed_ms, payment.changed_ms)
    if waited_ms >= vault.stuck_s * _MS and len(attempts) <= vault.max_replacements:
        return Verdict(Step.RAISE)
    return Verdict(Step.OFFER if is_offer_due(last, vault, now_ms) else Step.WAIT)


def is_offer_due(last: Attempt, vault: VaultSettings, now_ms: int) -> bool:
    """Whether a transaction that is in no block should be offered again."""
    return now_ms - last.offered_ms >= vault.rebroadcast_s * _MS


def _judge_receipt(payment: Payment, receipt: Receipt, head: int, chain: ChainSettings) -> Verdict:
    if head - receipt.block_number < chain.confirmations:
        return _noted(payment, PaymentState.MINED, receipt, "")
    if not receipt.succeeded:
        return Verdict(Step.NOTE, PaymentState.FAILED, receipt, "the token's contract refused it")
    moved = [
        transfer
        for transfer in _transfers(payment.chain_id, receipt)
        if transfer.token == payment.token and transfer.sender == payment.account
    ]
    if not moved:
        return Verdict(Step.NOTE, PaymentState.FAILED, receipt, "the token's contract moved nothing")
    if any((one.recipient, one.units) == (payment.destination, payment.units) for one in moved):
        return Verdict(Step.NOTE, PaymentState.FINAL, receipt)
    reason = "the token's contract moved something else than was asked for; a person must look"
    return _noted(payment, PaymentState.UNKNOWN, receipt, reason)


def _noted(payment: Payment, state: PaymentState, receipt: Receipt | None, reason: str) -> Verdict:
    """What is written already need not be written again."""
    tx_hash, block_hash = (receipt.tx_hash, receipt.block_hash) if receipt else ("", "")
    if (payment.state, payment.tx_hash, payment.block_hash) == (state, tx_hash, block_hash):
        return Verdict(Step.WAIT)
    return Verdict(Step.NOTE, state, receipt, reason)


def _transfers(chain_id: int, receipt: Receipt) -> list[Transfer]:
    read = [transfer_of(chain_id, entry) for entry in receipt.logs]
    return [transfer for transfer in read if transfer is not None]


def _bumped(wei: int) -> int:
    return -(-wei * _BUMP_NUMERATOR // _BUMP_DENOMINATOR) + 1
