"""Who is who in a sandbox world. The keys are those that every local node has: everybody knows them."""

from __future__ import annotations

from typing import Final
from uuid import NAMESPACE_URL, uuid5

from mrmarket.partners.chains.signer import LocalSigner, signer_from_environment
from mrmarket.partners.mixin.sandbox.config import ASSETS, POLYGON, SandboxAsset

TOKEN_CODE: Final = "HMT"  # noqa: S105 - a token of money
TOKEN_DECIMALS: Final = 18
TOKEN_CHAIN: Final = POLYGON
"""Which of Mixin's chains the world's chain plays."""
TOKEN_ASSET: Final = str(uuid5(NAMESPACE_URL, "mrmarket:sandbox:HMT"))
"""Mixin's id of the token."""
BOT: Final = str(uuid5(NAMESPACE_URL, "mrmarket:sandbox:bot"))
BOT_NAME: Final = "Mr. Market"
WALLET_KEY: Final = "0x2a871d0798f97d79848a013d4936a73bf4cc922c825d33c1cf7073dff6d409c6"
"""Of the node's tenth account: the vault's."""
BRIDGE_WALLET: Final = 4
"""The deployment's fifth free account, the node's ninth, sends what leaves Mixin."""
_BRIDGE_KEY: Final = "0xdbda1821b80551c9d65939329250298aa3472ba22feea921c0cf5d620ea67b97"
_FEE_UNITS: Final = 10_000_000


def mixin_assets() -> tuple[SandboxAsset, ...]:
    """What Mixin carries in this world."""
    token = SandboxAsset(TOKEN_ASSET, TOKEN_CODE, TOKEN_CHAIN, TOKEN_ASSET, _FEE_UNITS, TOKEN_DECIMALS)
    return (*ASSETS, token)


def person_id(name: str) -> str:
    """A person's Mixin id; the same in every life of every world."""
    return str(uuid5(NAMESPACE_URL, f"mrmarket:sandbox:{name}"))


def wallet_signer() -> LocalSigner:
    """Signs for the vault's account."""
    return signer_from_environment({"KEY": WALLET_KEY}, "KEY")


def bridge_signer() -> LocalSigner:
    """Signs for the account that withdrawals from Mixin come from."""
    return signer_from_environment({"KEY": _BRIDGE_KEY}, "KEY")
