"""What the sandbox knows: campaigns, who takes part, which keys it has, and what was recorded."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from hashlib import sha256

from mrmarket.campaigns.offer import Offer, RewardToken
from mrmarket.partners.hufi.errors import SandboxError
from mrmarket.partners.hufi.manifest import DEXES, Manifest
from mrmarket.partners.hufi.messages import KeyBody
from mrmarket.partners.hufi.results import CycleRow
from mrmarket.partners.hufi.sandbox.feed import Payment


class Status(StrEnum):
    """A campaign's public status."""

    ACTIVE = "active"
    TO_CANCEL = "to_cancel"
    CANCELLED = "cancelled"
    COMPLETED = "completed"

    @property
    def is_over(self) -> bool:
        """Whether nothing more is recorded."""
        return self in {Status.CANCELLED, Status.COMPLETED}


@dataclass
class Participant:
    """A wallet in a campaign."""

    wallet: str
    joined_ms: int


@dataclass(frozen=True, slots=True)
class Settling:
    """Cycles that were computed and are not wholly on the chain yet: written down before anything is sent."""

    name: str
    """Of the document of results; empty where nothing new was recorded."""
    reserved_units: int
    """What the new cycles can cost."""
    cycles: int
    """How many are new."""
    payments: tuple[Payment, ...]
    by_day: tuple[tuple[int, int], ...]
    """Start of each new cycle, and what it pays in units."""
    is_over: bool
    """Whether the campaign ends with it."""


@dataclass
class LaunchedCampaign:
    """A campaign in the sandbox. Amounts in base units of its token."""

    id: str
    text: str
    """The manifest as it was given."""
    manifest: Manifest
    details: Mapping[str, object]
    offer: Offer
    """The same terms as the participants' side reads them; `fund_units` is net."""
    gross_units: int
    launcher: str = ""
    created_ms: int = 0
    status: Status = Status.ACTIVE
    cancel_ms: int = 0
    finalized_ms: int = 0
    participants: list[Participant] = field(default_factory=list)
    recorded: int = 0
    """Cycles that are recorded."""
    reserved_units: int = 0
    paid_units: int = 0
    paid_by_day: list[tuple[int, int]] = field(default_factory=list)
    """Start of the cycle and units."""
    rows: list[CycleRow] = field(default_factory=list)
    """Of the document: every cycle that was computed."""
    document: bytes = b""
    document_hash: str = ""
    settling: Settling | None = None

    @property
    def ends_ms(self) -> int:
        """Where work stops to count."""
        return min(self.cancel_ms, self.offer.end_ms) if self.cancel_ms else self.offer.end_ms

    def participant(self, wallet: str) -> Participant | None:
        """A wallet that takes part."""
        return next((one for one in self.participants if one.wallet == wallet), None)


@dataclass(frozen=True, slots=True)
class FeeTerms:
    """Per cent of a fund that the three oracles take."""

    exchange: Decimal = Decimal(1)
    recording: Decimal = Decimal(1)
    reputation: Decimal = Decimal(1)

    @property
    def all(self) -> Sequence[Decimal]:
        """In the order of the wire."""
        return (self.exchange, self.recording, self.reputation)


@dataclass
class SandboxBook:
    """Everything; `memory` keeps it."""

    campaigns: dict[str, LaunchedCampaign] = field(default_factory=dict)
    """By escrow, lower case."""
    keys: dict[tuple[str, str], KeyBody] = field(default_factory=dict)
    """By wallet and exchange."""
    preferences: dict[str, object] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    """Documents of results by `{address}/{sha256}.json`."""
    changed: Callable[[], None] = field(default=lambda: None, compare=False)
    """Called after every change that must outlive the process, before anybody hears of it."""

    def campaign(self, escrow: str) -> LaunchedCampaign:
        """A campaign. Raises `SandboxError`."""
        found = self.campaigns.get(escrow.lower())
        if found is None:
            raise SandboxError(f"there is no campaign {escrow}")
        return found

    def identity(self, wallet: str, exchange: str) -> str | None:
        """What stands for a wallet on an exchange; None where it has no key there."""
        if exchange in DEXES:
            return wallet
        key = self.keys.get((wallet, exchange))
        return None if key is None else key.api_key


def made_up_address(*parts: str) -> str:
    """An address that nobody has, the same for the same words."""
    return "0x" + sha256("\x1f".join(parts).encode()).hexdigest()[:40]


def sandbox_token(chain_id: int, symbol: str = "HMT", decimals: int = 18, address: str = "") -> RewardToken:
    """A token to pay in; its contract is made up unless it is given."""
    return RewardToken(chain_id, (address or made_up_address("token", symbol)).lower(), symbol, decimals)
