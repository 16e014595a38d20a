"""What rebalancing asks of whoever moves money between venues and wallets."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from mrmarket.core.errors import MrMarketError
from mrmarket.trading.strategy.rebalance.plan import Terms


class TransferFate(StrEnum):
    """What is known of a transfer."""

    ABSENT = "absent"
    """Nobody has heard of it."""
    PENDING = "pending"
    ARRIVED = "arrived"
    FAILED = "failed"
    """It came to nothing; the money is where it was."""


@dataclass(frozen=True, slots=True)
class TransferOrder:
    """One transfer to be made. The same key is the same transfer, however often it is asked for."""

    key: str
    asset: str
    source: str
    target: str
    units: int
    """Sent; the fee is taken off on the way."""
    fee_units: int = 0
    """By the terms it was planned with: what arrives does not depend on who finishes it."""


class TransferError(MrMarketError):
    """A transfer was not made as asked."""

    code = "transfer"

    def __init__(self, key: str, detail: str) -> None:
        self.key = key
        self.detail = detail
        super().__init__(f"transfer {key}: {detail}")


class TransferRefusedError(TransferError):
    """The answer was no; no money moves."""

    code = "transfer_refused"


class TransferUnknownError(TransferError):
    """No answer came: it may have been begun or not."""

    code = "transfer_unknown"
    retryable = True


class TransferPort(Protocol):
    """Moves assets between named places. Every method raises a `TransferError`, or nothing."""

    def terms(self, asset: str, source: str, target: str) -> Terms | None:
        """What a transfer would cost; None where there is no way."""
        ...

    async def held(self, asset: str) -> dict[str, int]:
        """Units free at each place."""
        ...

    async def request(self, order: TransferOrder) -> None:
        """Begin a transfer; asking again with a known key begins nothing."""
        ...

    async def fate(self, order: TransferOrder) -> TransferFate:
        """What has become of one; raises `TransferUnknownError` without an answer."""
        ...
