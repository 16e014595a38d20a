"""What Mixin answers, as far as we read it. Unknown fields are ignored, missing optional ones are empty."""

from __future__ import annotations

import msgspec


class Me(msgspec.Struct, frozen=True):
    """Who a keystore belongs to."""

    user_id: str
    full_name: str = ""
    identity_number: str = ""
    has_safe: bool = False
    app_id: str = ""


class SafeOutput(msgspec.Struct, frozen=True):
    """Coins of ours. `sequence` grows from one output to the next."""

    output_id: str
    transaction_hash: str
    output_index: int
    asset_id: str
    amount: str
    state: str
    """`unspent`, `signed` or `spent`."""
    sequence: int
    keys: list[str] = []
    mask: str = ""
    receivers: list[str] = []
    receivers_threshold: int = 1
    signed_by: str = ""
    """Hash of the transaction that spends it."""
    extra: str = ""


class SnapshotDeposit(msgspec.Struct, frozen=True):
    """Where a snapshot came from on its chain."""

    deposit_hash: str = ""
    deposit_index: int = 0
    sender: str = ""


class SnapshotWithdrawal(msgspec.Struct, frozen=True):
    """Where a snapshot went on its chain; the hash is empty until it did."""

    withdrawal_hash: str = ""
    receiver: str = ""


class Snapshot(msgspec.Struct, frozen=True):
    """One transfer of ours, in (above zero) or out."""

    snapshot_id: str
    asset_id: str
    amount: str
    """Decimal text with a sign."""
    created_at: str
    """RFC 3339 with up to nine digits of a second."""
    user_id: str = ""
    opponent_id: str = ""
    transaction_hash: str = ""
    memo: str = ""
    """Hex."""
    request_id: str | None = None
    deposit: SnapshotDeposit | None = None
    withdrawal: SnapshotWithdrawal | None = None


class GhostKeys(msgspec.Struct, frozen=True):
    """One-time keys of an output, hex."""

    mask: str
    keys: list[str]


class RequestView(msgspec.Struct, frozen=True):
    """A transaction as the sequencer knows it."""

    request_id: str
    transaction_hash: str
    state: str = ""
    """`unspent` or empty while it is only checked, `signed` when accepted, `spent` when final."""
    raw_transaction: str = ""
    snapshot_id: str = ""
    snapshot_at: str = ""
    views: list[str] | None = None

    @property
    def is_accepted(self) -> bool:
        """Whether it was signed and taken: it will be, or is, final."""
        return self.state in {"signed", "spent"}

    @property
    def is_final(self) -> bool:
        """Whether it is on the ledger."""
        return self.state == "spent"


class SafeAsset(msgspec.Struct, frozen=True):
    """An asset of the network."""

    asset_id: str
    chain_id: str
    symbol: str
    name: str = ""
    precision: int = 8
    """Digits on its own chain; inside of Mixin there are 8."""
    dust: str = "0"
    confirmations: int = 0
    kernel_asset_id: str = ""
    price_usd: str = "0"


class WithdrawalFee(msgspec.Struct, frozen=True):
    """What a withdrawal costs, in one of the assets that it can be paid in."""

    asset_id: str
    amount: str
    priority: int = 0


class DepositEntry(msgspec.Struct, frozen=True):
    """An address on a chain that credits us."""

    entry_id: str
    chain_id: str
    destination: str
    tag: str = ""
    is_primary: bool = True


class PendingDeposit(msgspec.Struct, frozen=True):
    """A deposit without its confirmations yet."""

    deposit_id: str
    transaction_hash: str
    amount: str
    confirmations: int
    threshold: int
    created_at: str


class GrantedScope(msgspec.Struct, frozen=True):
    """What a user granted."""

    authorization_id: str
    scope: str
    ed25519: str = ""


class ApiFault(msgspec.Struct, frozen=True):
    """Mixin's word for no."""

    code: int
    description: str = ""
    status: int = 0


class Envelope(msgspec.Struct, frozen=True):
    """What every answer comes in."""

    data: msgspec.Raw = msgspec.Raw()
    error: ApiFault | None = None
