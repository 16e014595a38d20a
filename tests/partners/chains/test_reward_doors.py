"""What campaigns see of a chain: a feed that loses nothing, a vault that is asked by key."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from eth_abi.abi import encode

from mrmarket.campaigns.errors import PartnerUnclearError
from mrmarket.campaigns.ports import SweepState
from mrmarket.core.clock import ManualClock
from mrmarket.partners.chains.book import ChainBook
from mrmarket.partners.chains.errors import DeepReorganisationError
from mrmarket.partners.chains.human.bulk_transfer import BULK_TRANSFER_TOPIC
from mrmarket.partners.chains.human.payout import EscrowTerms
from mrmarket.partners.chains.human.payout_receiver import PayoutReceiver
from mrmarket.partners.chains.observations import Observations
from mrmarket.partners.chains.reward_feed import RewardFeed
from mrmarket.partners.chains.reward_vault import Arrival, ChainRewardVault
from mrmarket.partners.chains.vault import Vault
from mrmarket.partners.chains.watcher import Watcher
from partners.chains.chain_samples import (
    CHAIN_ID,
    DESTINATION,
    ESCROW,
    OTHER_TOKEN,
    TOKEN,
    WALLET,
    FakeChain,
    FakeSigner,
    Move,
    chain_settings,
    vault_settings,
)


@dataclass
class Partner:
    """Escrows, results, and the other end; also the events of a chain in memory."""

    chain: FakeChain
    escrows: dict[str, EscrowTerms] = field(default_factory=dict)
    cycles: dict[str, int] = field(default_factory=dict)
    arrivals: dict[str, Arrival] = field(default_factory=dict)

    def terms(self, chain_id: int, escrow: str) -> EscrowTerms | None:
        """By address."""
        return self.escrows.get(escrow)

    async def cycle(self, escrow: str, payout_id: str, results_url: str, results_hash: str) -> int | None:
        """By the document's hash."""
        return self.cycles.get(results_hash)

    async def address(self, chain_id: int, token: str) -> str:
        """Where to."""
        return DESTINATION

    async def find(self, chain_id: int, tx_hash: str, token: str) -> Arrival | None:
        """What arrived."""
        return self.arrivals.get(tx_hash)

    async def logs(self, block_hash: str, topics: object, address: str | None = None) -> list[dict[str, Any]]:
        """An event after each transfer of the escrow; its document is named after the transaction."""
        [block] = [one for one in self.chain.blocks if one.header.hash == block_hash]
        return [
            {
                "address": move.sender,
                "topics": [BULK_TRANSFER_TOPIC, "0x" + "07" * 32],
                "data": "0x"
                + encode(
                    ("address[]", "uint256[]", "bool", "string", "string"),
                    ([move.recipient], [move.units], True, "u", move.tx_hash),
                ).hex(),
                "transactionHash": move.tx_hash,
                "logIndex": hex(index + 100),
            }
            for index, move in enumerate(block.moves)
        ]


@dataclass
class Bench:
    """A chain, and both doors to it."""

    chain: FakeChain
    partner: Partner
    watcher: Watcher
    feed: RewardFeed
    vault: Vault
    door: ChainRewardVault

    async def watch(self) -> None:
        """Read all there is."""
        while not (await self.watcher.step()).is_caught_up:
            pass


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    """Both doors open, one escrow known."""
    chain, clock, settings = FakeChain(), ManualClock(), chain_settings(start_block=1)
    book = ChainBook.open(tmp_path / "chains.db")
    observations = Observations(book)
    partner = Partner(chain, {ESCROW: EscrowTerms("alpha", TOKEN)})
    watcher = Watcher(settings, chain, observations, [WALLET], clock)
    feed = RewardFeed(settings, chain, observations, PayoutReceiver(partner, partner, partner))
    vault = Vault(settings, vault_settings(), chain, FakeSigner(chain), book, clock, "one")
    await vault.open()
    door = ChainRewardVault(book, {CHAIN_ID: vault}, partner, partner)
    yield Bench(chain, partner, watcher, feed, vault, door)
    book.close()


async def test_a_payout_is_told_when_it_is_final_and_can_be_assigned(bench: Bench) -> None:
    """What waits for its document is in the cursor, however many pages come in between."""
    bench.partner.cycles["0x01"] = 3
    bench.chain.mine(Move("0x01", 50), Move("0x02", 60), Move("0x03", 70, token=OTHER_TOKEN), Move("0x04", 9))
    bench.chain.mine(count=2)
    await bench.watch()
    early = await bench.feed.payouts("", 100)
    assert early.final == early.retracted == []

    bench.chain.mine()
    await bench.watch()
    page = await bench.feed.payouts(early.next_cursor, 100)
    [payout] = page.final
    assert (payout.campaign, payout.cycle, payout.units, payout.is_final) == ("alpha", 3, 50, True)
    assert (payout.tx, payout.log, payout.batch, payout.block_ms) == ("0x01", 0, "0x" + "07" * 32, 1_000)
    assert "0x02" in page.next_cursor
    assert "0x03" not in page.next_cursor
    assert "0x04" not in page.next_cursor

    again = await bench.feed.payouts(page.next_cursor, 100)
    assert (again.final, again.next_cursor) == ([], page.next_cursor)
    bench.partner.cycles["0x02"] = 4
    [late] = (await bench.feed.payouts(page.next_cursor, 100)).final
    assert (late.tx, late.cycle, late.units) == ("0x02", 4, 60)


async def test_small_pages_give_the_same_payouts(bench: Bench) -> None:
    """One change at a time, from the beginning to where nothing changes any more."""
    for number in range(4):
        bench.partner.cycles[f"0x0{number}"] = number
        bench.chain.mine(Move(f"0x0{number}", 50))
    bench.chain.mine(count=3)
    await bench.watch()
    cursor = ""
    told: list[int] = []
    while True:
        page = await bench.feed.payouts(cursor, 1)
        told.extend(payout.cycle for payout in page.final)
        if page.next_cursor == cursor:
            break
        cursor = page.next_cursor
    assert told == [0, 1, 2, 3]


async def test_a_final_payout_that_is_gone_is_told_as_retracted(bench: Bench) -> None:
    """By its name, after somebody accepted it; a taker who comes later hears only that."""
    bench.partner.cycles["0x01"] = 3
    bench.chain.mine(Move("0x01", 50), count=4)
    await bench.watch()
    page = await bench.feed.payouts("", 100)
    assert len(page.final) == 1
    bench.chain.drop(4)
    bench.chain.mine(count=6)
    with pytest.raises(DeepReorganisationError):
        await bench.watch()
    await bench.watcher.accept("owner")
    for cursor in (page.next_cursor, ""):
        after = await bench.feed.payouts(cursor, 100)
        assert after.final == []
        assert [(one.tx, one.log, one.is_final) for one in after.retracted] == [("0x01", 0, False)]


async def test_a_payout_that_comes_back_is_told_again_after_its_retraction(bench: Bench) -> None:
    """A taker who was away for all of it gets them in that order: never both in one page the wrong way."""
    bench.partner.cycles["0x01"] = 3
    bench.chain.mine(Move("0x01", 50), count=4)
    await bench.watch()
    bench.chain.drop(4)
    bench.chain.mine(count=2)
    bench.chain.mine(Move("0x01", 50), count=4)
    with pytest.raises(DeepReorganisationError):
        await bench.watch()
    await bench.watcher.accept("owner")
    await bench.watch()
    first = await bench.feed.payouts("", 100)
    assert (len(first.final), len(first.retracted)) == (1, 1)
    second = await bench.feed.payouts(first.next_cursor, 100)
    assert (len(second.final), len(second.retracted)) == (1, 0)
    assert second.final[0].block_ms == 3_000


async def test_what_cannot_be_known_now_is_unclear(bench: Bench) -> None:
    """A node that is down, a block that is not there, a cursor of somebody else: nothing is taken."""
    bench.partner.cycles["0x01"] = 3
    bench.chain.mine(Move("0x01", 50), count=4)
    await bench.watch()
    bench.chain.down = True
    with pytest.raises(PartnerUnclearError):
        await bench.feed.payouts("", 100)
    bench.chain.down = False
    bench.chain.at_call = {bench.chain.calls + 1: lambda: bench.chain.drop(4)}
    with pytest.raises(PartnerUnclearError):
        await bench.feed.payouts("", 100)
    with pytest.raises(PartnerUnclearError, match="cursor"):
        await bench.feed.payouts("nonsense", 100)


async def test_a_sweep_is_sent_once_and_settled_when_it_arrived(bench: Bench) -> None:
    """Asked again and again under its key; what was taken off on the way is its cost."""
    assert await bench.door.find("s1") is None
    sent = await bench.door.sweep("s1", CHAIN_ID, TOKEN, 100)
    assert sent.state is SweepState.SENT
    bench.chain.mine(count=4)
    await bench.vault.step()
    on_chain = await bench.door.sweep("s1", CHAIN_ID, TOKEN, 100)
    assert on_chain.state is SweepState.SENT
    assert on_chain.tx
    bench.partner.arrivals[on_chain.tx] = Arrival("deposit-1", 98, 5)
    done = await bench.door.find("s1")
    assert done is not None
    assert (done.state, done.arrival, done.cost_units, done.at_ms) == (SweepState.SETTLED, "deposit-1", 2, 5)
    assert len(bench.chain.paid(WALLET)) == 1


async def test_a_sweep_that_failed_is_told_and_one_that_is_refused_is_unclear(bench: Bench) -> None:
    """The money is in the vault then; nothing was begun that could still happen."""
    bench.chain.reverting = True
    await bench.door.sweep("s1", CHAIN_ID, TOKEN, 100)
    bench.chain.mine(count=4)
    await bench.vault.step()
    assert (await bench.door.sweep("s1", CHAIN_ID, TOKEN, 100)).state is SweepState.FAILED
    for chain_id, token, units in ((CHAIN_ID, TOKEN, 101), (CHAIN_ID, OTHER_TOKEN, 100)):
        with pytest.raises(PartnerUnclearError, match="another payment"):
            await bench.door.sweep("s1", chain_id, token, units)
    with pytest.raises(PartnerUnclearError, match="no vault"):
        await bench.door.sweep("s2", 1, TOKEN, 100)
    with pytest.raises(PartnerUnclearError, match="limit"):
        await bench.door.sweep("s2", CHAIN_ID, TOKEN, 10_000)
    assert await bench.door.find("s2") is None
