"""A process that pays once from a vault, for a test that ends it at a labelled point."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import msgspec

from mrmarket.core.clock import SystemClock
from mrmarket.partners.chains.book import ChainBook
from mrmarket.partners.chains.node import EvmNode
from mrmarket.partners.chains.payment import PaymentRequest
from mrmarket.partners.chains.settings import ChainSettings, VaultSettings
from mrmarket.partners.chains.signer import signer_from_environment
from mrmarket.partners.chains.vault import Vault


class Order(msgspec.Struct):
    """What the child is to do."""

    chain: ChainSettings
    vault: VaultSettings
    path: str
    key: str
    token: str
    destination: str
    units: int


async def pay(order: Order) -> None:
    """Take the vault and begin the payment."""
    node = EvmNode(order.chain)
    book = ChainBook.open(Path(order.path))
    signer = signer_from_environment(os.environ, "VAULT_KEY")
    vault = Vault(order.chain, order.vault, node, signer, book, SystemClock(), "child")
    await vault.open()
    await vault.submit(PaymentRequest(order.key, order.token, order.destination, order.units))
    await vault.close()
    await node.close()
    book.close()


if __name__ == "__main__":
    asyncio.run(pay(msgspec.json.decode(sys.stdin.buffer.read(), type=Order)))
