"""A vault that is killed on a real node, and what its next life finds."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import msgspec

from mrmarket.core.clock import SystemClock
from mrmarket.core.crash import VARIABLE
from mrmarket.partners.chains.book import ChainBook
from mrmarket.partners.chains.hints import listen_for_blocks
from mrmarket.partners.chains.human.deployment import HumanDeployment
from mrmarket.partners.chains.local_node import LocalNode
from mrmarket.partners.chains.node import EvmNode
from mrmarket.partners.chains.payment import PaymentRequest, PaymentState
from mrmarket.partners.chains.settings import SpendingLimit, VaultSettings
from mrmarket.partners.chains.signer import signer_from_environment
from mrmarket.partners.chains.vault import Vault
from partners.chains.chain_child import Order
from partners.chains.local_chain import KEYS, anvil_settings, mine, needs_anvil

pytestmark = needs_anvil
KILLED_AT = ("vault-stored", "vault-offered")
"""The two that matter most here; the chain in memory is judged at all of them."""


async def run_child(order: Order, label: str) -> int:
    """Let a process pay, and end it at a label; its status."""
    tests = Path(__file__).parents[2]
    environ = {**os.environ, "VAULT_KEY": KEYS[4], "PYTHONPATH": str(tests), VARIABLE: label}
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "partners.chains.chain_child"), stdin=asyncio.subprocess.PIPE, env=environ
    )
    await child.communicate(msgspec.json.encode(order))
    assert child.returncode is not None
    return child.returncode


async def test_a_payment_survives_kill_9_before_and_after_a_node_was_told(tmp_path: Path) -> None:
    """Each is begun by a process that dies there, and made once by who comes after."""
    async with await LocalNode.start() as local:
        human = await HumanDeployment.deploy(local.url)
        chain = anvil_settings(local, human.token)
        ours, away = human.wallets[0].lower(), human.wallets[2].lower()
        await human.transfer(human.token, human.launcher, ours, 100_000)
        settings = VaultSettings(
            destinations=[away], limits=[SpendingLimit(token=human.token, units=100_000)], lease_s=1
        )
        orders = [
            Order(chain, settings, str(tmp_path / "chains.db"), label, human.token, away, units)
            for units, label in enumerate(KILLED_AT, 1_000)
        ]
        for order, label in zip(orders, KILLED_AT, strict=True):
            assert await run_child(order, label) == -signal.SIGKILL, label

        node = EvmNode(chain)
        book = ChainBook.open(tmp_path / "chains.db")
        signer = signer_from_environment({"KEY": KEYS[4]}, "KEY")
        vault = Vault(chain, settings, node, signer, book, SystemClock(), "child")
        await vault.open()
        for order in orders:
            await vault.submit(_request(order))
        await mine(node, 3)
        await vault.step()
        states = {order.key: (await vault.submit(_request(order))).state for order in orders}
        assert set(states.values()) == {PaymentState.FINAL}, states
        assert await human.units(human.token, away) == sum(order.units for order in orders)
        await node.close()
        await human.close()
        book.close()


async def test_new_blocks_wake_whoever_listens_and_a_lost_line_is_survived() -> None:
    """A hint for each block; with the node gone it waits quietly until it is told to stop."""
    stop, woken = asyncio.Event(), asyncio.Event()
    local = await LocalNode.start()
    chain = anvil_settings(local, websocket_url=local.websocket_url)
    node = EvmNode(chain)
    listening = asyncio.create_task(listen_for_blocks(chain, woken.set, stop))
    await woken.wait()
    woken.clear()
    await mine(node)
    await woken.wait()
    await node.close()
    await local.stop()
    stop.set()
    await listening


async def test_a_line_that_cannot_be_made_is_no_reason_to_end() -> None:
    """It is tried again later, and told to stop it stops at once."""
    stop = asyncio.Event()
    local = await LocalNode.start()
    chain = anvil_settings(local, websocket_url=local.websocket_url)
    await local.stop()
    listening = asyncio.create_task(listen_for_blocks(chain, stop.set, stop))
    done, _ = await asyncio.wait({listening}, timeout=0.5)
    assert done == set()
    stop.set()
    await listening


def _request(order: Order) -> PaymentRequest:
    return PaymentRequest(order.key, order.token, order.destination, order.units)
