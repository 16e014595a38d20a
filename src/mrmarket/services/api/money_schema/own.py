"""What a person is told of his own money, and what he asks for."""

from __future__ import annotations

from typing import Literal

import msgspec

from mrmarket.services.api.money_schema.pools import LockTierView
from mrmarket.services.api.money_schema.words import Amount, Name


class Position(msgspec.Struct, kw_only=True):
    """What a user has in one pool."""

    pool: str
    quote: str
    shares: str
    share: float
    value: str
    """What a withdrawal of everything would bring now, before exit fees."""
    paid_in: str
    earned: str
    """Value less what the present shares have cost."""
    tier: str
    weight: str
    locked_until_ms: int | None
    held_shares: str
    """Under withdrawals that are under way."""


class Balance(msgspec.Struct, kw_only=True):
    """Money of a user that is in no pool."""

    asset: str
    amount: str
    held: str


class PositionsView(msgspec.Struct, kw_only=True):
    """Everything a user owns here."""

    at_ms: int
    ledger_seq: int
    positions: list[Position]
    balances: list[Balance]
    value: str
    earned_trading: str
    earned_rewards: str
    fees_paid: str


class PortfolioPoint(msgspec.Struct, kw_only=True):
    """A user's worth at one moment."""

    at_ms: int
    value: str
    paid_in: str


class DepositRequest(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What a user wants to bring."""

    pool: Name
    asset: Name
    amount: Amount
    tier: Name = ""
    """Empty: the pool's first."""
    terms_version: int | None = None
    """Which terms were shown; refused if they have changed since."""
    key: Name = ""
    """Chosen by the caller; repeating the request with the same key is harmless."""


class DepositPreview(msgspec.Struct, kw_only=True):
    """What a deposit would come to at today's prices."""

    shares: str
    share_price: str
    value: str
    fee: str
    tier: LockTierView
    locked_until_ms: int | None
    terms_version: int
    refusal: str | None
    """Why it would be refused; null where it would not."""


class Step(msgspec.Struct, kw_only=True):
    """One step of something that takes time."""

    name: str
    state: Literal["done", "now", "waiting", "failed", "not needed"]
    at_ms: int | None = None
    detail: str = ""
    reference: str | None = None
    """A ledger key, payment or receipt that shows it."""


class PaymentRequest(msgspec.Struct, kw_only=True):
    """How to pay."""

    rail: str
    address: str
    memo: str
    uri: str
    asset: str
    amount: str
    expires_at_ms: int


class DepositView(msgspec.Struct, kw_only=True):
    """A deposit on its way, or arrived."""

    id: str
    pool: str
    asset: str
    amount: str
    tier: str
    state: str
    reason: str
    created_at_ms: int
    expires_at_ms: int
    shares: str | None
    pay: PaymentRequest | None
    """While it waits for the payment."""
    steps: list[Step]


class WithdrawalRequest(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What a user wants to take out."""

    pool: Name
    shares: Amount
    """A decimal number, or `all`."""
    destination: Name = ""
    """Empty: the wallet that signed in."""
    key: Name = ""


class BalanceWithdrawalRequest(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Money that is in no pool, such as rewards, to be paid out."""

    asset: Name
    amount: Amount
    destination: Name = ""
    key: Name = ""


class WithdrawalPreview(msgspec.Struct, kw_only=True):
    """What a withdrawal would come to at today's prices."""

    shares: str
    value: str
    fee: str
    available_at_ms: int
    """Now, or when a lock or redeem period ends."""
    queued: bool
    """Money must first come back from the venue."""
    refusal: str | None


class WithdrawalView(msgspec.Struct, kw_only=True):
    """A withdrawal on its way, or paid."""

    id: str
    pool: str | None
    asset: str | None
    shares: str
    amount: str | None
    """Known once the shares are burned."""
    destination: str
    state: str
    reason: str
    created_at_ms: int
    cancellable: bool
    steps: list[Step]


class RewardDay(msgspec.Struct, kw_only=True):
    """What one cycle paid a user."""

    allocation: str
    campaign: str
    start_ms: int
    end_ms: int
    asset: str
    amount: str
    state: str


class RewardTotals(msgspec.Struct, kw_only=True):
    """By asset."""

    asset: str
    pending: str
    credited: str
    paid: str


class RewardsView(msgspec.Struct, kw_only=True):
    """A user's rewards."""

    totals: list[RewardTotals]
    days: list[RewardDay]


class RewardTrace(msgspec.Struct, kw_only=True):
    """One allocation, with the formula's own numbers and every step on its way."""

    allocation: str
    run: str
    campaign: str
    start_ms: int
    end_ms: int
    asset: str
    pool_reward: str
    own_weight: str
    """Integral of shares × weight over the window, in share units × ms × weight."""
    total_weight: str
    amount: str
    inputs_hash: str
    steps: list[Step]


class StatementLine(msgspec.Struct, kw_only=True):
    """One movement of a user's account."""

    seq: int
    at_ms: int
    kind: str
    asset: str
    amount: str
    """Signed."""
    balance: str
    key: str
    memo: str
    hash: str


class TradeView(msgspec.Struct, kw_only=True):
    """A trade of the pool."""

    at_ms: int
    pool: str
    symbol: str
    side: Literal["buy", "sell"]
    price: str
    size: str
    quote_size: str
    fee: str
    fee_asset: str
    own_share: float | None
    """The user's part of the pool at that moment; null for the instance's own view."""
    trade_id: str


class WalletView(msgspec.Struct, kw_only=True):
    """The signed-in wallet on the simulated rail."""

    address: str
    balances: list[Balance]
