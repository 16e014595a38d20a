"""What is configured of chains, tokens and the vault."""

from __future__ import annotations

import re
from typing import Final

import msgspec

from mrmarket.partners.chains.errors import ChainSettingsError

_ADDRESS: Final = re.compile(r"0x[0-9a-fA-F]{40}", re.ASCII)
_NAME: Final = re.compile(r"[a-z][a-z0-9_-]{0,31}", re.ASCII)
_MAX_DECIMALS: Final = 36


def address_of(field: str, text: str) -> str:
    """An address in the form this room keeps: 0x and 40 hexadecimal digits in lower case.

    Raises:
        ChainSettingsError: if it is none, or mixes cases with a wrong checksum (EIP-55).
    """
    from eth_utils.address import is_checksum_address  # noqa: PLC0415 - half the settings never need it

    if not _ADDRESS.fullmatch(text):
        raise ChainSettingsError(field, f"{text!r} is no address of 0x and 40 hexadecimal digits")
    digits = text[2:]
    if digits not in {digits.lower(), digits.upper()} and not is_checksum_address(text):
        raise ChainSettingsError(field, f"{text} fails its checksum, so a digit is mistyped")
    return text.lower()


class TokenSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An ERC-20 token that is taken in and moved on."""

    code: str
    """Asset code, such as `USDT`."""
    address: str
    decimals: int
    dust_units: int = 0
    """Transfers below this many base units are dust: kept and shown, never swept."""
    minimum_sweep_units: int = 1
    """A sweep waits until at least this many base units are there."""

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "address", address_of(f"token {self.code}", self.address))
        if not self.code or not self.code.isprintable():
            raise ChainSettingsError("token", f"{self.code!r} is no asset code")
        if not 0 <= self.decimals <= _MAX_DECIMALS:
            raise ChainSettingsError(f"token {self.code}", f"decimals must be 0 to {_MAX_DECIMALS}")
        if self.dust_units < 0 or self.minimum_sweep_units < 1:
            raise ChainSettingsError(f"token {self.code}", "dust and minimum sweep cannot be negative")


class ChainSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One EVM chain: where its nodes are and how much of it is believed."""

    name: str
    chain_id: int
    urls: list[str]
    """HTTP addresses of nodes; the next is asked when one fails. They may hold keys and are never logged."""
    confirmations: int = 12
    """A block is final when this many follow it."""
    poll_ms: int = 2_000
    timeout_ms: int = 10_000
    """For each call."""
    batch_blocks: int = 64
    """Blocks read at once while catching up."""
    remembered_blocks: int = 1_024
    """How far back block hashes are kept; more than `confirmations`."""
    start_block: int | None = None
    """Where to begin when the chain was never watched; left out: now."""
    tokens: list[TokenSettings] = []
    max_fee_per_gas_wei: int = 200 * 10**9
    """Ceiling: no transaction ever offers more."""
    max_gas: int = 300_000
    """Ceiling of a single transaction."""
    websocket_url: str = ""
    """Where new blocks are announced; a hint only, polling goes on without it."""
    explorer: str = ""
    """Where people look transactions up: an address that ends where the hash begins. Shown, never asked."""

    def __post_init__(self) -> None:
        where = f"chain {self.name}"
        if not _NAME.fullmatch(self.name):
            raise ChainSettingsError("chain", f"{self.name!r} is no name of small letters, digits, - or _")
        if not self.urls or not all(url.startswith(("http://", "https://")) for url in self.urls):
            raise ChainSettingsError(where, "give at least one http or https address of a node")
        if self.explorer and not self.explorer.startswith("https://"):
            raise ChainSettingsError(where, "the explorer's address begins with https://")
        if not 0 < self.chain_id < 2**63:
            raise ChainSettingsError(where, "the chain id must be positive")
        if min(self.poll_ms, self.timeout_ms, self.batch_blocks, self.max_gas, self.max_fee_per_gas_wei) < 1:
            raise ChainSettingsError(where, "times, sizes and ceilings must be positive")
        if not 0 <= self.confirmations < self.remembered_blocks - 1:
            raise ChainSettingsError(where, "remember more blocks than the confirmations that are waited for")
        if len({token.address for token in self.tokens}) < len(self.tokens):
            raise ChainSettingsError(where, "a token is named twice")

    def __repr__(self) -> str:
        # Addresses of nodes often hold a key.
        return f"ChainSettings({self.name}, chain_id={self.chain_id}, {len(self.urls)} nodes)"

    def token(self, address: str) -> TokenSettings | None:
        """The token at an address; None for one that is not configured."""
        return next((token for token in self.tokens if token.address == address), None)


class SpendingLimit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much of a token may leave within any window."""

    token: str
    """Address of the token."""
    units: int
    """Base units."""

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "token", address_of("limit", self.token))
        if self.units < 1:
            raise ChainSettingsError("limit", "a limit is at least one unit")


class VaultSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a vault may do. A token without a limit is not moved at all."""

    destinations: list[str] = []
    """Allow-list; every other address is refused."""
    limits: list[SpendingLimit] = []
    limit_window_s: int = 86_400
    lease_s: int = 60
    rebroadcast_s: int = 15
    stuck_s: int = 120
    """After how long a transaction that is not in a block is offered again with a higher fee."""
    max_replacements: int = 5
    gas_margin_percent: int = 20

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(
            self, "destinations", [address_of("destination", one) for one in self.destinations]
        )
        if min(self.limit_window_s, self.lease_s, self.rebroadcast_s, self.stuck_s) < 1:
            raise ChainSettingsError("vault", "times must be positive")
        if min(self.max_replacements, self.gas_margin_percent) < 0:
            raise ChainSettingsError("vault", "replacements and margin cannot be negative")

    def limit(self, token: str) -> int:
        """Base units of a token that may leave within a window."""
        return next((limit.units for limit in self.limits if limit.token == token), 0)
