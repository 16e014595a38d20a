"""The sandbox's memory: everything comes back, and what was computed is what is paid."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mrmarket.core.clock import NS_PER_MS, ManualClock
from mrmarket.partners.hufi.errors import SandboxError
from mrmarket.partners.hufi.messages import KeyBody
from mrmarket.partners.hufi.sandbox.book import Participant, Status
from mrmarket.partners.hufi.sandbox.feed import Payment, WrittenFeed, WrittenSettlement
from mrmarket.partners.hufi.sandbox.server import HufiSandbox, SandboxTerms
from partners.hufi.hufi_stage import CYCLE_MS, ONE, START_MS, manifest, trade


class Killed(Exception):  # noqa: N818 - no error of ours
    """The process is gone."""


class MortalSettlement(WrittenSettlement):
    """Dies at a call, counted from 1, before or after it has an effect."""

    dies_at = 0
    after = False
    calls = 0

    def _count(self, *, after: bool) -> None:
        self.calls += not after
        if (self.calls, after) == (self.dies_at, self.after):
            raise Killed

    async def store(self, chain_id: int, escrow: str, url: str, document_hash: str, reserved: int) -> None:
        """Store once by hash."""
        self._count(after=False)
        if (escrow, document_hash, reserved) not in self.stored:
            await super().store(chain_id, escrow, url, document_hash, reserved)
        self._count(after=True)

    async def pay(self, payment: Payment) -> None:
        """Pay once by batch."""
        self._count(after=False)
        await super().pay(payment)
        self._count(after=True)


class Lives:
    """One folder, one chain and one exchange over several lives of a sandbox."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.world = ManualClock(START_MS * NS_PER_MS)
        self.feed = WrittenFeed()
        self.settlement = MortalSettlement()

    def born(self) -> HufiSandbox:
        """A process."""
        terms = SandboxTerms(cycle_ms=CYCLE_MS, batch_size=1)
        return HufiSandbox(
            self.feed, terms, self.settlement, self.world, self.world, memory=self.folder / "hufi"
        )

    def begin(self) -> None:
        """Two participants who traded in the first cycle."""
        sandbox = self.born()
        campaign = sandbox.launch(json.dumps(manifest()), 900 * ONE)
        for wallet in ("0xaa", "0xbb"):
            sandbox.book.keys[wallet, "mexc"] = KeyBody("mexc", f"key {wallet}", "secret")
            self.feed.made[f"key {wallet}", "ETH/USDT"] = [trade(1_000, "400.000000000000000001")]
            campaign.participants.append(Participant(wallet, START_MS))
        sandbox.book.changed()


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("dies_at", [1, 2, 3])
async def test_a_cycle_that_was_computed_is_paid_as_it_was(tmp_path: Path, dies_at: int, after: bool) -> None:
    """Killed before or after any step on the chain, each batch is paid once, with the figures of before."""
    lives = Lives(tmp_path)
    lives.begin()
    lives.world.advance(CYCLE_MS * NS_PER_MS)
    lives.settlement.dies_at, lives.settlement.after = dies_at, after
    with pytest.raises(Killed):
        await lives.born().record_due()
    for made in lives.feed.made.values():
        made.append(trade(2_000, "7"))  # the exchange tells another story now
    lives.settlement.dies_at = 0
    sandbox = lives.born()
    assert await sandbox.record_due() == 1
    (campaign,) = sandbox.book.campaigns.values()
    assert len(lives.settlement.stored) == 1
    assert len(lives.settlement.paid) == 2
    assert sum(sum(one.parts.values()) for one in lives.settlement.paid.values()) == campaign.paid_units
    document = json.loads(sandbox.book.files[f"{campaign.offer.address}/{campaign.document_hash}.json"])
    batches = {batch["id"] for row in document["results"] for batch in row["participants_outcomes_batches"]}
    assert batches == {batch for _, batch in lives.settlement.paid}
    assert await sandbox.record_due() == 0
    assert lives.born().book == sandbox.book


async def test_a_campaign_is_over_in_every_life(tmp_path: Path) -> None:
    """Cancelled, recorded to its end, known as such by the next process; the file is private."""
    lives = Lives(tmp_path)
    lives.begin()
    lives.world.advance(CYCLE_MS // 2 * NS_PER_MS)
    (address,) = lives.born().book.campaigns
    lives.born().cancel(address)
    assert await lives.born().record_due() == 1
    over = lives.born().book.campaign(address)
    assert (over.status, over.recorded, over.settling) == (Status.CANCELLED, 1, None)
    assert await lives.born().record_due() == 0
    file = tmp_path / "hufi" / "book.json"
    assert file.stat().st_mode & 0o077 == 0
    file.write_text("{")
    with pytest.raises(SandboxError, match="delete its folder"):
        lives.born()


async def test_a_campaign_in_which_nobody_took_part_ends(tmp_path: Path) -> None:
    """Its last cycle asks for the end although there is nobody to pay."""
    lives = Lives(tmp_path)
    lives.born().launch(json.dumps(manifest()), 900 * ONE)
    lives.world.advance(3 * CYCLE_MS * NS_PER_MS)
    assert await lives.born().record_due() == 3
    (last,) = lives.settlement.paid.values()
    assert (last.parts, last.is_last) == ({}, True)
