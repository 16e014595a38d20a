"""A real node for the tests, or a reason to skip where it is not installed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

import pytest

from mrmarket.partners.chains.local_node import HUMAN_CHAIN_ID, LocalNode, find_anvil
from mrmarket.partners.chains.node import EvmNode
from mrmarket.partners.chains.settings import ChainSettings, TokenSettings

needs_anvil: Final = pytest.mark.skipif(
    find_anvil(os.environ, Path(__file__)) is None, reason="anvil is not installed: make sandbox"
)
KEYS: Final = (
    "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80",
    "59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d",
    "5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a",
    "7c852118294e51e653712a81e05800f419141751be58f605c371e15141b007a6",
    "47e179ec197488593b187f80a00eb0da91f1b9d0b13f8733639f19c30a34926a",
)
"""Of the accounts that every such node has; everybody knows them."""


def anvil_settings(node: LocalNode, *tokens: str, **changes: Any) -> ChainSettings:
    """The chain that a local node plays, with two confirmations."""
    values: dict[str, Any] = {
        "name": "local",
        "chain_id": HUMAN_CHAIN_ID,
        "urls": [node.url],
        "confirmations": 2,
        "poll_ms": 20,
        "timeout_ms": 20_000,
        "tokens": [
            TokenSettings(code=f"T{number}", address=token, decimals=6) for number, token in enumerate(tokens)
        ],
    }
    return ChainSettings(**(values | changes))


async def mine(node: EvmNode, count: int = 1) -> None:
    """Add blocks at once."""
    await node.call("anvil_mine", hex(count))
