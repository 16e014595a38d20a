"""What HuFi's two APIs say and are told, field by field. Everything is snake_case on the wire."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import Any

import msgspec


class CampaignItem(msgspec.Struct, frozen=True, kw_only=True):
    """A campaign as the launcher lists it. Amounts are base units of the fund's token, as text."""

    chain_id: int
    address: str
    type: str
    exchange_name: str
    symbol: str
    """The pair of traded types, the symbol of the others."""
    details: dict[str, Any]
    start_date: str
    end_date: str
    fund_amount: str
    fund_token: str
    fund_token_symbol: str
    fund_token_decimals: int
    status: str
    launcher: str
    exchange_oracle: str
    recording_oracle: str
    reputation_oracle: str
    balance: str
    amount_paid: str
    intermediate_results_url: str | None = None
    final_results_url: str | None = None
    created_at: str | int
    cancellation_requested_at: str | int | None = None
    finalized_at: str | int | None = None


class CampaignDetail(CampaignItem, frozen=True, kw_only=True):
    """One campaign as the launcher shows it by itself."""

    exchange_oracle_fee_percent: Decimal
    recording_oracle_fee_percent: Decimal
    reputation_oracle_fee_percent: Decimal
    reserved_funds: str


class Page(msgspec.Struct, frozen=True):
    """A page of campaigns; each is read by itself, so that a strange one does not hide the others."""

    has_more: bool
    results: list[dict[str, Any]]


class PaidAmount(msgspec.Struct, frozen=True):
    """What a campaign paid on a day."""

    date: str
    amount: str


class PaidAmounts(msgspec.Struct, frozen=True):
    """What a campaign paid, by day."""

    results: list[PaidAmount]


class Exchange(msgspec.Struct, frozen=True):
    """An exchange that HuFi knows."""

    name: str
    enabled: bool
    display_name: str = ""
    url: str = ""
    logo: str = ""
    type: str = ""


class OracleFees(msgspec.Struct, frozen=True):
    """Per cent of a fund that each oracle takes on a chain."""

    exchange_oracle_fee: Decimal
    recording_oracle_fee: Decimal
    reputation_oracle_fee: Decimal


class NonceBody(msgspec.Struct, frozen=True):
    """Who wants to sign in."""

    address: str


class NonceAnswer(msgspec.Struct, frozen=True):
    """What is to be signed."""

    nonce: str


class LoginBody(msgspec.Struct, frozen=True):
    """A signature over the nonce."""

    address: str
    signature: str


class RefreshBody(msgspec.Struct, frozen=True):
    """What new tokens are asked for with."""

    refresh_token: str

    def __repr__(self) -> str:
        return "RefreshBody(…)"


class Tokens(msgspec.Struct, frozen=True):
    """What a wallet shows from then on."""

    access_token: str
    refresh_token: str

    def __repr__(self) -> str:
        return "Tokens(…)"


class KeyBody(msgspec.Struct, frozen=True, omit_defaults=True):
    """An exchange key that is given to HuFi."""

    exchange_name: str
    api_key: str
    secret_key: str
    extras: dict[str, str] | None = None

    def __repr__(self) -> str:
        return f"KeyBody({self.exchange_name!r}, …)"


class KeyItem(msgspec.Struct, frozen=True):
    """A key that HuFi has of us; never the secret."""

    exchange_name: str
    api_key: str
    is_valid: bool = True
    missing_permissions: list[str] = []

    def __repr__(self) -> str:
        return f"KeyItem({self.exchange_name!r}, …)"


class KeyCheck(msgspec.Struct, frozen=True):
    """What HuFi says of a key."""

    is_valid: bool
    missing_permissions: list[str] = []


class CampaignRef(msgspec.Struct, frozen=True):
    """A campaign by its chain and escrow."""

    chain_id: int
    address: str


class JoinAnswer(msgspec.Struct, frozen=True):
    """The campaign's id at the recording oracle."""

    id: str


class JoinWord(StrEnum):
    """Whether we are in."""

    ALREADY_JOINED = "already_joined"
    CAN_JOIN = "can_join"
    JOIN_CLOSED = "join_closed"
    NOT_AVAILABLE = "not_available"


class JoinStatusAnswer(msgspec.Struct, frozen=True):
    """Whether we are in, since when, or why not."""

    status: str
    joined_at: str | None = None
    reason: str | None = None


class JoinedItem(msgspec.Struct, frozen=True, kw_only=True):
    """A campaign that we are in, as the recording oracle lists it."""

    chain_id: int
    address: str
    type: str
    exchange_name: str
    symbol: str
    details: dict[str, Any]
    start_date: str
    end_date: str
    fund_amount: str
    fund_amount_net: str = ""
    fund_token: str = ""
    fund_token_symbol: str
    fund_token_decimals: int
    status: str
    processing_status: str = ""


class LeaderboardRow(msgspec.Struct, frozen=True):
    """One participant's standing in the running cycle."""

    address: str
    score: Decimal
    result: Decimal
    """Volume or balance."""
    estimated_reward: Decimal
    estimated_reward_gross: Decimal | None = None


class Leaderboard(msgspec.Struct, frozen=True):
    """The standing of the running cycle; refreshed every ten minutes."""

    data: list[LeaderboardRow]
    total: int
    updated_at: str | None = None


class AutoJoin(msgspec.Struct, frozen=True):
    """HuFi's own wish list by which it joins us."""

    enabled: bool
    exchanges: list[str] = []
    campaign_types: list[str] = []
    tokens: list[str] = []


class Notifications(msgspec.Struct, frozen=True):
    """What HuFi tells a wallet about."""

    campaigns_autojoin: bool = False


class Preferences(msgspec.Struct, frozen=True):
    """A wallet's wishes at the recording oracle."""

    campaigns_autojoin: AutoJoin
    notifications: Notifications = Notifications()


class Fault(msgspec.Struct, frozen=True):
    """How HuFi says no."""

    message: str | list[str] = ""
    timestamp: str = ""
    path: str = ""
