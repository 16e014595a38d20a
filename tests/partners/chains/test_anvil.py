"""Watcher and vault against a real node: reorganisations, reverts, stuck transactions, outages."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mrmarket.core.clock import NS_PER_S, ManualClock
from mrmarket.partners.chains import payments
from mrmarket.partners.chains.book import ChainBook
from mrmarket.partners.chains.errors import (
    ChainUnreachableError,
    DeepReorganisationError,
    ShortOfFundsError,
    VaultHaltedError,
    VaultHeldError,
    WouldRevertError,
)
from mrmarket.partners.chains.human.deployment import HumanDeployment
from mrmarket.partners.chains.local_node import LocalNode
from mrmarket.partners.chains.node import EvmNode
from mrmarket.partners.chains.observations import Observations
from mrmarket.partners.chains.payment import Payment, PaymentRequest, PaymentState
from mrmarket.partners.chains.settings import ChainSettings, SpendingLimit, VaultSettings
from mrmarket.partners.chains.signer import signer_from_environment
from mrmarket.partners.chains.vault import Vault
from mrmarket.partners.chains.watch import Status
from mrmarket.partners.chains.watcher import Watcher
from partners.chains.local_chain import KEYS, anvil_settings, mine, needs_anvil

pytestmark = needs_anvil
OURS = 4
"""Which of the node's accounts is the vault's."""


@dataclass
class Bench:
    """A node with one token, half of it the vault's; a watcher and a vault on one file."""

    local: LocalNode
    human: HumanDeployment
    node: EvmNode
    chain: ChainSettings
    book: ChainBook
    clock: ManualClock
    watcher: Watcher
    vault: Vault

    @property
    def token(self) -> str:
        """The token."""
        return self.human.token

    @property
    def away(self) -> str:
        """Where the vault may send."""
        return self.human.wallets[2].lower()

    async def watch(self) -> list[tuple[str, str]]:
        """Step until there is nothing to read; transactions and what became of them."""
        found: list[tuple[str, str]] = []
        while True:
            report = await self.watcher.step()
            found.extend((one.transfer.key.tx_hash, one.status.value) for one in report.records)
            if report.is_caught_up:
                return found

    def second_vault(self) -> Vault:
        """Another process with the same key."""
        return vault_of(self.chain, self.node, self.book, self.clock, self.away, "second")

    async def until_over(self, key: str) -> Payment:
        """Blocks come and the vault looks until the payment is over."""
        for _ in range(10):
            await mine(self.node)
            self.clock.advance(20 * NS_PER_S)
            for payment in await self.vault.step():
                if payment.key == key and payment.state.is_over:
                    return payment
        raise AssertionError(key)


def vault_of(
    chain: ChainSettings, node: EvmNode, book: ChainBook, clock: ManualClock, away: str, owner: str
) -> Vault:
    """A vault with the fifth account's key."""
    settings = VaultSettings(
        destinations=[away],
        limits=[SpendingLimit(token=token.address, units=10**6) for token in chain.tokens],
        rebroadcast_s=10,
        stuck_s=60,
    )
    signer = signer_from_environment({"KEY": KEYS[OURS]}, "KEY")
    return Vault(chain, settings, node, signer, book, clock, owner)


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    """All of it, started."""
    async with await LocalNode.start(state=tmp_path / "state.json") as local:
        human = await HumanDeployment.deploy(local.url)
        chain = anvil_settings(local, human.token)
        node = EvmNode(chain)
        await node.open()
        await human.transfer(human.token, human.launcher, human.wallets[0], 5_000)
        await mine(node, 5)
        book = ChainBook.open(tmp_path / "chains.db")
        clock = ManualClock()
        ours = human.wallets[0]
        watcher = Watcher(chain, node, Observations(book), [ours], clock)
        vault = vault_of(chain, node, book, clock, human.wallets[2], "first")
        assert vault.account == ours.lower()
        await vault.open()
        made = Bench(local, human, node, chain, book, clock, watcher, vault)
        await made.watch()
        yield made
        await node.close()
        await human.close()
        book.close()


def request(bench: Bench, key: str = "p1", units: int = 1_000) -> PaymentRequest:
    """A payment the vault may make."""
    return PaymentRequest(key, bench.token, bench.away, units)


async def call(bench: Bench, method: str, *params: Any) -> Any:
    """Tell the node to do something."""
    return await bench.node.call(method, *params)


async def test_a_reorganisation_retracts_and_what_replaces_it_becomes_final(bench: Bench) -> None:
    """Anvil tells subscribers nothing of it; walking the hashes finds it."""
    human = bench.human
    lost = await human.transfer(human.token, human.launcher, human.wallets[0], 7)
    assert await bench.watch() == [(lost, "seen")]
    await call(bench, "anvil_reorg", 1, [])
    await mine(bench.node)
    assert await bench.watch() == [(lost, "retracted")]
    kept = await human.transfer(human.token, human.launcher, human.wallets[0], 8)
    await mine(bench.node, 2)
    assert await bench.watch() == [(kept, "seen"), (kept, "final")]


async def test_a_head_that_falls_silently_is_noticed(bench: Bench) -> None:
    """After a revert to a snapshot the node has no event at all to tell."""
    human = bench.human
    snapshot = await call(bench, "evm_snapshot")
    lost = await human.transfer(human.token, human.launcher, human.wallets[0], 7)
    assert await bench.watch() == [(lost, "seen")]
    assert await call(bench, "evm_revert", snapshot)
    assert await bench.watch() == [(lost, "retracted")]
    assert await bench.watch() == []


async def test_a_reorganisation_below_the_confirmations_halts(bench: Bench) -> None:
    """Of a final transfer: loud, kept as it is, and no payment begins."""
    human = bench.human
    final = await human.transfer(human.token, human.launcher, human.wallets[0], 7)
    await mine(bench.node, 2)
    assert await bench.watch() == [(final, "seen"), (final, "final")]
    await call(bench, "anvil_reorg", 3, [])
    with pytest.raises(DeepReorganisationError):
        await bench.watch()
    with pytest.raises(VaultHaltedError):
        await bench.vault.submit(request(bench))
    records = await bench.watcher.accept("owner")
    assert [(one.transfer.key.tx_hash, one.was_final) for one in records] == [(final, True)]
    assert await bench.watch() == []


async def test_a_payment_arrives_exactly(bench: Bench) -> None:
    """The units at the destination, the cost in the row, the hash on the chain."""
    begun = await bench.vault.submit(request(bench))
    assert begun.state is PaymentState.BROADCAST
    done = await bench.until_over("p1")
    assert done.state is PaymentState.FINAL
    assert await bench.human.units(bench.token, bench.away) == 1_000
    receipt = await bench.node.receipt(done.tx_hash)
    assert receipt is not None
    assert receipt.cost_wei == done.cost_wei > 0


async def test_a_payment_that_reverts_is_failed_and_one_that_would_is_refused(bench: Bench) -> None:
    """The tokens are gone before the block comes that holds our transaction."""
    await call(bench, "evm_setAutomine", False)
    await bench.vault.submit(request(bench))
    await call(bench, "anvil_setStorageAt", bench.token, await _balance_slot(bench), "0x" + "0" * 64)
    done = await bench.until_over("p1")
    assert (done.state, done.succeeded) == (PaymentState.FAILED, False)
    assert done.cost_wei > 0
    with pytest.raises(ShortOfFundsError):
        await bench.vault.submit(request(bench, "p2"))


async def test_a_stuck_payment_is_replaced_and_arrives_once(bench: Bench) -> None:
    """The base fee rises above the first offer; the second has the same nonce and a higher fee."""
    await call(bench, "evm_setAutomine", False)
    await bench.vault.submit(request(bench))
    await call(bench, "anvil_setNextBlockBaseFeePerGas", hex(50 * 10**9))
    await mine(bench.node)
    bench.clock.advance(61 * NS_PER_S)
    await bench.vault.step()
    with bench.book.reading() as sql:
        attempts = payments.attempts_of(sql, "p1")
    assert len(attempts) == 2
    assert attempts[1].max_fee_wei > attempts[0].max_fee_wei
    done = await bench.until_over("p1")
    assert (done.state, done.tx_hash) == (PaymentState.FINAL, attempts[1].tx_hash)
    assert await bench.human.units(bench.token, bench.away) == 1_000


async def test_a_reorganisation_drops_a_payment_and_the_same_bytes_bring_it_back(bench: Bench) -> None:
    """Anvil does not return it to its pool; the vault offers it again."""
    await bench.vault.submit(request(bench))
    [mined] = await bench.vault.step()
    assert mined.state is PaymentState.MINED
    await call(bench, "anvil_reorg", 1, [])
    [back] = await bench.vault.step()
    assert back.state is PaymentState.BROADCAST
    done = await bench.until_over("p1")
    assert (done.state, done.tx_hash) == (PaymentState.FINAL, mined.tx_hash)
    assert await bench.human.units(bench.token, bench.away) == 1_000


async def test_a_node_that_went_down_and_forgot_is_offered_it_again(bench: Bench, tmp_path: Path) -> None:
    """Nothing is lost while it is away, and nothing is paid twice when it is back."""
    await call(bench, "evm_setAutomine", False)
    await bench.vault.submit(request(bench))
    await call(bench, "anvil_dropAllTransactions")
    port = bench.local.port
    await bench.local.stop()
    for asked in (bench.vault.step(), bench.watcher.step()):
        with pytest.raises(ChainUnreachableError):
            await asked
    async with await LocalNode.start(port=port, state=tmp_path / "state.json"):
        done = await bench.until_over("p1")
        assert done.state is PaymentState.FINAL
        assert await bench.human.units(bench.token, bench.away) == 1_000
        await bench.watch()
        cursor = Observations(bench.book).cursor(bench.chain)
        assert cursor is not None
        assert cursor.watch.tip.number == (await bench.node.head()).number


async def test_of_two_instances_one_spends(bench: Bench) -> None:
    """The second is refused while the first lives, and finds what it began when it is gone."""
    second = bench.second_vault()
    with pytest.raises(VaultHeldError):
        await second.open()
    await call(bench, "evm_setAutomine", False)
    first = await bench.vault.submit(request(bench))
    bench.clock.advance(61 * NS_PER_S)
    await second.open()
    again = await second.submit(request(bench))
    assert (again.key, again.nonce) == (first.key, first.nonce)
    bench.vault = second
    assert (await bench.until_over("p1")).state is PaymentState.FINAL
    assert await bench.human.units(bench.token, bench.away) == 1_000


async def test_a_contract_that_refuses_is_asked_before_a_nonce_is_used(bench: Bench) -> None:
    """A token that never pays, at an address whose every call reverts."""
    liar = bench.token
    await call(bench, "anvil_setCode", liar, _reverting_above_balance())
    with pytest.raises(WouldRevertError):
        await bench.vault.submit(request(bench))
    with bench.book.reading() as sql:
        assert payments.latest_payments(sql, bench.chain.chain_id, 1) == []


async def test_transfers_of_any_token_to_us_are_observed(bench: Bench) -> None:
    """Also of one that is not configured: it is seen, and what it is worth is for others to say."""
    other = await bench.human.new_token("FAKE", 18)
    tx_hash = await bench.human.transfer(other, bench.human.launcher, bench.human.wallets[0], 10**24)
    await mine(bench.node, 3)
    await bench.watch()
    [found] = Observations(bench.book).with_status(bench.chain.chain_id, Status.FINAL)[-1:]
    assert (found.transfer.key.tx_hash, found.transfer.token, found.transfer.units) == (
        tx_hash,
        other,
        10**24,
    )


async def _balance_slot(bench: Bench) -> str:
    """Where the token keeps the vault's balance, found by asking which words its call reads."""
    data = "0x70a08231" + "0" * 24 + bench.vault.account[2:]
    found = await call(bench, "eth_createAccessList", {"to": bench.token, "data": data}, "latest")
    [entry] = found["accessList"]
    return str(entry["storageKeys"][-1])


def _reverting_above_balance() -> str:
    """Code that answers a short call with a great number and reverts on a longer one, as `transfer` is."""
    long_call = "36602510600f57"  # CALLDATASIZE, PUSH1 37, LT, PUSH1 15, JUMPI
    answer = "5f195f5260205ff3"  # PUSH0, NOT, PUSH0, MSTORE, PUSH1 32, PUSH0, RETURN
    return f"0x{long_call}{answer}5b5f5ffd"  # JUMPDEST, PUSH0, PUSH0, REVERT
