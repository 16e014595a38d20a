"""HUMAN Protocol's real contracts on a real node: from an escrow's payout to money that has moved on."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from mrmarket.core.clock import ManualClock
from mrmarket.partners.chains.book import ChainBook
from mrmarket.partners.chains.errors import ChainAnswerRefusedError
from mrmarket.partners.chains.human.bulk_transfer import (
    BULK_TRANSFER_TOPIC,
    BulkTransfer,
    bulk_transfer_of,
    payout_id_of,
)
from mrmarket.partners.chains.human.deployment import (
    ContractRevertedError,
    ContractsMissingError,
    HumanDeployment,
    read_artifact,
)
from mrmarket.partners.chains.human.payout import EscrowTerms, Parked, ParkedTransfer, Payout
from mrmarket.partners.chains.human.payout_receiver import PayoutReceiver, batch_of
from mrmarket.partners.chains.local_node import LocalNode
from mrmarket.partners.chains.node import EvmNode
from mrmarket.partners.chains.observations import Observation, Observations
from mrmarket.partners.chains.payment import PaymentState
from mrmarket.partners.chains.settings import ChainSettings, SpendingLimit, VaultSettings
from mrmarket.partners.chains.signer import signer_from_environment
from mrmarket.partners.chains.sweep import Sweep
from mrmarket.partners.chains.transfer import Transfer, TransferKey
from mrmarket.partners.chains.vault import Vault
from mrmarket.partners.chains.watch import Status
from mrmarket.partners.chains.watcher import Watcher
from partners.chains.local_chain import KEYS, anvil_settings, mine, needs_anvil

MANIFEST = json.dumps({"type": "MARKET_MAKING", "exchange": "sim", "pair": "BTC/USDT"})


@dataclass
class Campaigns:
    """Escrows that are ours, and results documents whose hash was checked."""

    escrows: dict[str, EscrowTerms] = field(default_factory=dict)
    cycles: dict[str, int] = field(default_factory=dict)

    def terms(self, chain_id: int, escrow: str) -> EscrowTerms | None:
        """By address."""
        return self.escrows.get(escrow) if chain_id == 1338 else None

    async def cycle(self, escrow: str, payout_id: str, results_url: str, results_hash: str) -> int | None:
        """By the document's hash."""
        return self.cycles.get(results_hash)


@dataclass
class World:
    """A node with the contracts, a watcher, a receiver, a vault."""

    human: HumanDeployment
    node: EvmNode
    chain: ChainSettings
    book: ChainBook
    watcher: Watcher
    campaigns: Campaigns
    receiver: PayoutReceiver
    vault: Vault

    @property
    def ours(self) -> str:
        """The wallet that joined the campaigns."""
        return self.human.wallets[0].lower()

    async def campaign(self, name: str, units: int = 10_000, reputation: str | None = None) -> str:
        """A funded escrow that is ours to join."""
        escrow = await self.human.create_escrow(units, MANIFEST, "manifest", reputation=reputation)
        self.campaigns.escrows[escrow] = EscrowTerms(name, self.human.token, dust_units=2)
        return escrow

    async def final(self) -> list[Transfer]:
        """Everything final, after enough blocks."""
        await mine(self.node, 3)
        while not (await self.watcher.step()).is_caught_up:
            pass
        return [
            one.transfer for one in Observations(self.book).with_status(self.chain.chain_id, Status.FINAL)
        ]

    async def received(self) -> list[Payout | ParkedTransfer]:
        """What they are."""
        return await self.receiver.receive(await self.final())


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """All of it, started."""
    async with await LocalNode.start() as local:
        human = await HumanDeployment.deploy(local.url)
        chain = anvil_settings(local, human.token)
        node = EvmNode(chain)
        await mine(node, 3)
        book = ChainBook.open(tmp_path / "chains.db")
        clock = ManualClock()
        campaigns = Campaigns()
        watcher = Watcher(chain, node, Observations(book), [human.wallets[0]], clock)
        settings = VaultSettings(
            destinations=[human.wallets[2]], limits=[SpendingLimit(token=human.token, units=10**9)]
        )
        signer = signer_from_environment({"KEY": KEYS[4]}, "KEY")
        vault = Vault(chain, settings, node, signer, book, clock, "one")
        await vault.open()
        await watcher.step()
        receiver = PayoutReceiver(node, campaigns, campaigns)
        yield World(human, node, chain, book, watcher, campaigns, receiver, vault)
        await node.close()
        await human.close()
        book.close()


@needs_anvil
async def test_a_reward_goes_from_the_escrow_to_where_users_are_paid(world: World) -> None:
    """Two cycles of a real escrow; to the unit, what was received is what was swept, parked and left."""
    human = world.human
    escrow = await world.campaign("alpha")
    assert await human.status(escrow) == 1
    for cycle, ours in enumerate((3_000, 1_500)):
        results = f"hash-{cycle}"
        await human.store_results(escrow, "http://results", results, ours + 500)
        world.campaigns.cycles[results] = cycle
        await human.bulk_pay_out(
            escrow, [human.wallets[1], world.ours], [500, ours], "http://results", results, f"cycle-{cycle}"
        )
    await human.complete(escrow)
    assert await human.status(escrow) == 4
    other = await human.new_token("FAKE", 6)
    await human.transfer(other, human.launcher, world.ours, 77)
    await human.transfer(human.token, human.launcher, world.ours, 11)

    payouts: list[Payout] = []
    parked: list[ParkedTransfer] = []
    for one in await world.received():
        if isinstance(one, Payout):
            payouts.append(one)
        else:
            parked.append(one)
    assert [(p.campaign, p.cycle, p.transfer.units, p.escrow) for p in payouts] == [
        ("alpha", 0, 3_000, escrow),
        ("alpha", 1, 1_500, escrow),
    ]
    assert payouts[0].payout_id == payout_id_of("cycle-0")
    assert [(p.why, p.transfer.units) for p in parked] == [
        (Parked.UNKNOWN_SENDER, 77),
        (Parked.UNKNOWN_SENDER, 11),
    ]

    wanted = {payout.transfer.key for payout in payouts}

    def assigned(one: Observation) -> bool:
        return one.transfer.key in wanted

    sweep = Sweep(world.chain, world.book, world.vault)
    begun = await sweep.run(0, human.token, human.wallets[2], assigned)
    assert begun is not None
    await mine(world.node, 3)
    [done] = await world.vault.step()
    assert (done.state, done.units) == (PaymentState.FINAL, 4_500)
    assert await human.units(human.token, human.wallets[2]) == 4_500
    assert await human.units(human.token, world.ours) == 11
    assert await sweep.run(1, human.token, human.wallets[2], assigned) is None


@needs_anvil
async def test_several_batches_of_one_transaction_are_told_apart(world: World) -> None:
    """Two escrows and two batches of one of them, paid by a contract in a single transaction."""
    human = world.human
    caller = "0x" + "c0" * 20
    await world.node.call("anvil_setCode", caller, _multicaller())
    set_fee = human._store.functions.set("fee", "1")._encode_transaction_data()
    await _call_all(world, caller, [(human._store.address, set_fee)])
    first = await world.campaign("alpha", reputation=caller)
    second = await world.campaign("beta", reputation=caller)
    for escrow in (first, second):
        await human.store_results(escrow, "http://results", "r", 5_000)
    calls = []
    for escrow, units, name in ((first, 100, "a"), (second, 200, "b"), (first, 100, "c"), (first, 300, "d")):
        world.campaigns.cycles[f"hash-{name}"] = ord(name) - ord("a")
        call = human.pay_out_call(escrow, [world.ours, world.ours], [units] * 2, "u", f"hash-{name}", name)
        calls.append((escrow, call._encode_transaction_data()))
    await _call_all(world, caller, calls)

    found = await world.received()
    assert all(isinstance(one, Payout) for one in found), found
    told = [
        (one.campaign, one.cycle, one.transfer.units, one.payout_id)
        for one in found
        if isinstance(one, Payout)
    ]
    assert len({one.transfer.key.tx_hash for one in found}) == 1
    assert told == [
        (campaign, cycle, units, payout_id_of(name))
        for campaign, cycle, units, name in (
            ("alpha", 0, 100, "a"),
            ("beta", 1, 200, "b"),
            ("alpha", 2, 100, "c"),
            ("alpha", 3, 300, "d"),
        )
        for _ in range(2)
    ]


@needs_anvil
async def test_what_is_late_twice_wrong_or_dust_has_its_code(world: World) -> None:
    """A batch whose results are not known yet waits and is assigned later; nothing else is a payout."""
    human = world.human
    escrow = await world.campaign("alpha")
    await human.store_results(escrow, "http://results", "r", 5_000)
    await human.bulk_pay_out(escrow, [world.ours], [1], "u", "known", "dust")
    await human.bulk_pay_out(escrow, [world.ours], [900], "u", "late", "late")
    with pytest.raises(ContractRevertedError):
        await human.bulk_pay_out(escrow, [world.ours], [900], "u", "late", "late")
    world.campaigns.cycles["known"] = 0
    dust, late = await world.received()
    assert isinstance(dust, ParkedTransfer)
    assert dust.why is Parked.DUST
    assert isinstance(late, ParkedTransfer)
    assert (late.why, late.payout_id, late.results_hash) == (
        Parked.UNKNOWN_CYCLE,
        payout_id_of("late"),
        "late",
    )

    world.campaigns.cycles["late"] = 4
    _, assigned = await world.received()
    assert isinstance(assigned, Payout)
    assert assigned.cycle == 4
    assert (await world.received())[1] == assigned

    world.campaigns.escrows[escrow] = EscrowTerms("alpha", "0x" + "ee" * 20)
    wrong = await world.received()
    assert [one.why for one in wrong if isinstance(one, ParkedTransfer)] == [Parked.WRONG_ASSET] * 2


def _transfer(sender: str, index: int, units: int = 5) -> Transfer:
    key = TransferKey(1338, "0x01", index)
    return Transfer(key, 1, "0xaa", "0x" + "aa" * 20, sender, "0x" + "11" * 20, units)


def _bulk(escrow: str, index: int, units: int = 5, tx_hash: str = "0x01") -> BulkTransfer:
    return BulkTransfer(escrow, tx_hash, index, "0x02", ("0x" + "11" * 20,), (units,), False, "u", "h")


def test_a_transfer_belongs_to_the_next_event_of_its_escrow_and_to_no_other() -> None:
    """Another escrow's, another transaction's, an earlier one, or one that names another amount is not it."""
    ours = _transfer("0xe1", 3)
    wanted = _bulk("0xe1", 5)
    others = [_bulk("0xe2", 4), _bulk("0xe1", 2), _bulk("0xe1", 4, tx_hash="0x03"), _bulk("0xe1", 7)]
    assert batch_of(ours, [*others, wanted]) == wanted
    assert batch_of(ours, [*others, _bulk("0xe1", 5, units=6)]) is None
    assert batch_of(ours, others[:3]) is None


async def test_a_transfer_of_an_escrow_outside_a_batch_is_parked() -> None:
    """A refund or a fee is no reward; and an answer that cannot be read is no answer."""

    class Logs:
        def __init__(self, *entries: dict[str, Any]) -> None:
            self.entries = list(entries)

        async def logs(self, block_hash: str, topics: object, address: str | None = None) -> Any:
            return self.entries

    campaigns = Campaigns({"0xe1": EscrowTerms("alpha", "0x" + "aa" * 20)})
    receiver = PayoutReceiver(Logs(), campaigns, campaigns)
    [found] = await receiver.receive([_transfer("0xe1", 1)])
    assert isinstance(found, ParkedTransfer)
    assert (found.why, found.campaign) == (Parked.NO_BATCH, "alpha")
    receiver = PayoutReceiver(Logs({}), campaigns, campaigns)
    with pytest.raises(ChainAnswerRefusedError):
        await receiver.receive([_transfer("0xe1", 1)])


@pytest.mark.parametrize(
    ("topics", "data"),
    [
        ([BULK_TRANSFER_TOPIC], "0x"),
        (["0x00", "0x01"], "0x"),
        ([BULK_TRANSFER_TOPIC, "0x01"], "0x"),
        ([BULK_TRANSFER_TOPIC, "0x01"], "0x" + "ff" * 320),
        ([BULK_TRANSFER_TOPIC, "0x01"], "0xzz"),
    ],
)
def test_what_only_looks_like_a_batch_is_none(topics: list[str], data: str) -> None:
    """Anybody can emit anything; what cannot be read stops nobody."""
    entry = {"topics": topics, "data": data, "address": "0xE1", "transactionHash": "0x1", "logIndex": "0x1"}
    assert bulk_transfer_of(entry) is None


def test_contracts_that_are_not_installed_are_named(tmp_path: Path) -> None:
    """With the command that installs them."""
    with pytest.raises(ContractsMissingError, match="pip install human-protocol-sdk"):
        read_artifact("contracts/Escrow.sol/Escrow.json", tmp_path)


async def _call_all(world: World, caller: str, calls: list[tuple[str, str]]) -> None:
    """Send one transaction that makes all the calls, or none."""
    data = "".join(
        f"{int(target, 16):064x}{len(code) // 2 - 1:064x}{code.removeprefix('0x')}" for target, code in calls
    )
    tx_hash = await world.node.call(
        "eth_sendTransaction",
        {"from": world.human.reputation, "to": caller, "data": "0x" + data, "gas": hex(8_000_000)},
    )
    await mine(world.node)
    receipt = await world.node.receipt(tx_hash)
    assert receipt is not None
    assert receipt.succeeded


def _multicaller() -> str:
    """Code that makes the calls in its data: target, length, bytes, and again; all of them or none."""
    start = "5f5b36811015602c57"  # where we are in the data, from 0; at its end: stop
    head = "8035816020013580"  # target, length, length
    copy = "836040015f37"  # the bytes after them go to memory
    call = "5f5f825f5f865af1"  # call the target with all the gas and no value
    check = "15602e57"  # refused: revert everything
    onward = "9050016040016001565b00"  # go on after the bytes
    return f"0x{start}{head}{copy}{call}{check}{onward}5b5f5ffd"
