"""What the sandbox is made of."""

from __future__ import annotations

from typing import Final

import msgspec

from mrmarket.partners.mixin.transaction import DECIMALS

ETHEREUM: Final = "43d61dcd-e413-450d-80b8-101d5e903357"
BITCOIN: Final = "c6d0c728-2624-429b-8e0d-d9d19b6592fa"
POLYGON: Final = "b7938396-3f94-4e0a-9179-d3440718156f"
USDT_ETHEREUM: Final = "4d8c508b-91c5-375b-92b0-ee702ed2dac5"
USDT_POLYGON: Final = "218bc6f4-7927-3f8e-8568-3a3725b74361"
XIN: Final = "c94ac88f-4671-3976-b60a-09064f1811e8"


class SandboxAsset(msgspec.Struct, frozen=True):
    """An asset that the sandbox carries."""

    asset_id: str
    symbol: str
    chain_id: str
    fee_asset: str
    """What withdrawals are paid in."""
    fee_units: int
    """Of 10⁻⁸ of the fee's asset."""
    precision: int = DECIMALS
    price_usd: str = "1"


ASSETS: Final = (
    SandboxAsset(ETHEREUM, "ETH", ETHEREUM, ETHEREUM, 50_000, 18, "3000"),
    SandboxAsset(BITCOIN, "BTC", BITCOIN, BITCOIN, 10_000, 8, "60000"),
    SandboxAsset(POLYGON, "POL", POLYGON, POLYGON, 1_000_000, 18, "0.5"),
    SandboxAsset(USDT_ETHEREUM, "USDT", ETHEREUM, ETHEREUM, 100_000, 6),
    SandboxAsset(USDT_POLYGON, "USDT", POLYGON, USDT_POLYGON, 10_000_000, 6),
    SandboxAsset(XIN, "XIN", ETHEREUM, ETHEREUM, 100_000, 18, "100"),
)
"""A fee in the asset itself, and one in another."""


class SandboxConfig(msgspec.Struct, frozen=True):
    """How the sandbox behaves."""

    assets: tuple[SandboxAsset, ...] = ASSETS
    withdrawal_ms: int = 0
    """From a withdrawal to its hash on the chain; ms of the stamping clock."""
    waits_for_chain: bool = False
    """Whether a withdrawal has no hash until `settle_withdrawal` tells one; else one is made up."""
    inclusive_offset: bool = True
    """Whether a snapshot at the very offset is told; the documentation does not say."""
    microseconds: bool = False
    """Whether offsets are cut to microseconds, as a database may do."""
    max_page: int = 500
