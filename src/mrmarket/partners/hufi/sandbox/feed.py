"""Where the sandbox learns what participants did on an exchange, and who pays in the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from mrmarket.partners.hufi.score import TradeMade


class ExchangeFeed(Protocol):
    """An exchange as a recording oracle sees it with somebody's read-only key.

    `identity` is the key of an exchange with accounts, the wallet's address of one without.
    """

    async def trades(
        self, exchange: str, identity: str, pair: str, start_ms: int, end_ms: int
    ) -> Sequence[TradeMade]:
        """Trades in `[start, end)`; costs in units of 10⁻¹⁸ of the quote asset."""
        ...

    async def balance(self, exchange: str, identity: str, symbol: str) -> int:
        """Free and used together, now; in units of 10⁻¹⁸."""
        ...

    async def deposit_address(self, exchange: str, identity: str) -> str:
        """The account's own; two participants with the same are one person."""
        ...

    async def permissions(self, exchange: str, identity: str) -> frozenset[str] | None:
        """What the key may see; None where the exchange does not know it."""
        ...


@dataclass(frozen=True, slots=True)
class Payment:
    """What one batch of a recorded cycle pays. Amounts in base units of the fund's token."""

    chain_id: int
    escrow: str
    cycle: int
    batch: str
    parts: Mapping[str, int]
    is_last: bool
    """Whether the campaign is completed with it."""


class Settlement(Protocol):
    """The chain, as the oracles write to it."""

    async def store(self, chain_id: int, escrow: str, url: str, document_hash: str, reserved: int) -> None:
        """The recording oracle stores results; `reserved` is what the new cycles can cost."""
        ...

    async def pay(self, payment: Payment) -> None:
        """The reputation oracle pays a batch; the same batch again pays nothing."""
        ...


@dataclass
class WrittenFeed:
    """An exchange out of lists: for tests and for figures that were computed beforehand."""

    made: dict[tuple[str, str], list[TradeMade]] = field(default_factory=dict)
    """By identity and pair."""
    balances: dict[tuple[str, str], int] = field(default_factory=dict)
    """By identity and symbol."""
    addresses: dict[str, str] = field(default_factory=dict)
    allowed: dict[str, frozenset[str] | None] = field(default_factory=dict)
    """By identity; who is not mentioned may see everything."""

    async def trades(
        self, exchange: str, identity: str, pair: str, start_ms: int, end_ms: int
    ) -> Sequence[TradeMade]:
        """Trades in the half-open window."""
        del exchange
        return [made for made in self.made.get((identity, pair), []) if start_ms <= made.at_ms < end_ms]

    async def balance(self, exchange: str, identity: str, symbol: str) -> int:
        """As it stands in the list."""
        del exchange
        return self.balances.get((identity, symbol), 0)

    async def deposit_address(self, exchange: str, identity: str) -> str:
        """As it stands in the list; else one of its own."""
        return self.addresses.get(identity, f"{exchange}:{identity}")

    async def permissions(self, exchange: str, identity: str) -> frozenset[str] | None:
        """As it stands in the list; else everything that HuFi asks for."""
        del exchange
        everything = frozenset({"VIEW_SPOT_TRADING_HISTORY", "VIEW_ACCOUNT_BALANCE", "VIEW_DEPOSIT_ADDRESS"})
        return self.allowed.get(identity, everything)


@dataclass
class WrittenSettlement:
    """A chain out of lists: keeps what it was told, and pays each batch once."""

    stored: list[tuple[str, str, int]] = field(default_factory=list)
    """Escrow, hash and reserved units."""
    paid: dict[tuple[str, str], Payment] = field(default_factory=dict)
    """By escrow and batch."""

    async def store(self, chain_id: int, escrow: str, url: str, document_hash: str, reserved: int) -> None:
        """Keep it."""
        del chain_id, url
        self.stored.append((escrow, document_hash, reserved))

    async def pay(self, payment: Payment) -> None:
        """Keep it, once."""
        self.paid.setdefault((payment.escrow, payment.batch), payment)
