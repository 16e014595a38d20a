"""What a simulated payment network is told before it starts."""

from __future__ import annotations

import msgspec

from mrmarket.core.decimals import parse_units
from mrmarket.core.errors import InvalidInputError
from mrmarket.services.rail.address import canonical_address
from mrmarket.services.rail.faults import RailFaults


class RailAsset(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One asset of the network. Amounts are exact decimal strings."""

    code: str
    decimals: int = 8
    fee: str = "0"
    """What the network charges the sender on top of each payment."""
    faucet_a_day: str = "0"
    """The most that one wallet is given within 24 hours."""
    listed: bool = True
    """Whether the rail tells the platform of it; one that is not can still be paid by mistake."""

    def __post_init__(self) -> None:
        if not (self.code.isascii() and self.code.isalnum() and self.code == self.code.upper()):
            raise InvalidInputError("asset code", self.code, "capital letters and digits")
        if not 0 <= self.decimals <= 18:  # noqa: PLR2004 - said in words beside it
            raise InvalidInputError("decimals", self.decimals, "a whole number from 0 to 18")
        parse_units(self.fee, self.decimals, field=f"fee of {self.code}")
        parse_units(self.faucet_a_day, self.decimals, field=f"faucet of {self.code}")

    @property
    def fee_units(self) -> int:
        """The fee in base units."""
        return parse_units(self.fee, self.decimals)

    @property
    def faucet_units(self) -> int:
        """The most a wallet is given a day, in base units."""
        return parse_units(self.faucet_a_day, self.decimals)


def default_assets() -> list[RailAsset]:
    """What the demo's network carries, as the embedded exchange counts it: eight decimals each."""
    return [
        RailAsset(code="USDT", faucet_a_day="100000"),
        RailAsset(code="BTC", faucet_a_day="2"),
        RailAsset(code="ETH", faucet_a_day="40"),
    ]


class VenueLink(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where deposits and withdrawals of a trading account go through."""

    url: str
    """Base of the exchange's REST API."""
    token: str
    """Its funding token."""
    account: str = "default"
    """The account behind the destination `venue:<account>`."""

    def __repr__(self) -> str:
        return f"VenueLink({self.url}, account={self.account!r})"


class RailConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything about one rail process."""

    host: str = "127.0.0.1"
    port: int = 0
    """0 picks a free one."""
    state_dir: str
    """Where its journal and tokens live."""
    name: str = "rail"
    """Namespace of its assets."""
    assets: list[RailAsset] = msgspec.field(default_factory=default_assets)
    treasury: str = ""
    """The platform's own address; empty draws one at the first start. Kept from then on."""
    seen_ms: int = 500
    """From a payment's acceptance until everybody can see it."""
    block_ms: int = 500
    """Between two confirmations."""
    required: int = 3
    """Confirmations that make a payment final."""
    settle_ms: int = 2_000
    """No request has an effect later than this after it came in."""
    venue: VenueLink | None = None
    venue_timeout_ms: int = 3_000
    """How long the venue's answer is waited for before it is asked again."""
    faults: RailFaults = msgspec.field(default_factory=RailFaults)
    exit_with_parent: bool = False
    """Whether the end of standard input ends the rail."""

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65_535:  # noqa: PLR2004 - the largest port there is
            raise InvalidInputError("port", self.port, "0 for any free port, or 1 to 65535")
        codes = [asset.code for asset in self.assets]
        if not codes or len(set(codes)) < len(codes):
            raise InvalidInputError("assets", codes, "at least one asset, each once")
        for name, value in (("seen_ms", self.seen_ms), ("block_ms", self.block_ms)):
            if not 0 <= value <= 3_600_000:  # noqa: PLR2004 - said in words beside it
                raise InvalidInputError(name, value, "0 to 3,600,000 milliseconds")
        if not 1 <= self.required <= 100:  # noqa: PLR2004 - said in words beside it
            raise InvalidInputError("required", self.required, "1 to 100 confirmations")
        if not 100 <= self.settle_ms <= 60_000:  # noqa: PLR2004 - said in words beside it
            raise InvalidInputError("settle_ms", self.settle_ms, "100 to 60,000 milliseconds")
        if self.treasury and canonical_address(self.treasury) != self.treasury:
            raise InvalidInputError("treasury", self.treasury, "0x and 40 hex digits in lower case")
