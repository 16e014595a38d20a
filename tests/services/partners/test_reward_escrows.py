"""What a payout belongs to: an escrow that we know, and a document that is what its hash says."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from aiohttp import web

from campaigns.campaign_stage import CHAIN, CYCLE_MS, START_MS, TOKEN, CampaignStage, offer
from mrmarket.core.clock import ManualClock
from mrmarket.money.rewards.campaign import Span
from mrmarket.partners.chains.human.bulk_transfer import payout_id_of
from mrmarket.partners.chains.human.payout import EscrowTerms
from mrmarket.partners.hufi.manifest import write_date
from mrmarket.partners.hufi.results import (
    BatchRow,
    CycleRow,
    ResultsDocument,
    competitive_batch,
    write_results,
)
from mrmarket.services.partners.escrows import (
    Documents,
    DocumentUnreachableError,
    KnownEscrows,
    ResultCycles,
)
from mrmarket.services.partners.troubles import Troubles
from services.partners.partner_samples import partners

ESCROW = offer().address
ID = offer().id


@dataclass
class Files:
    """A server of documents."""

    url: str = ""
    content: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.Response:
        """A document, a detour, or nothing."""
        name = request.match_info["name"]
        self.asked.append(name)
        if name == "elsewhere":
            raise web.HTTPFound(f"{self.url}/good")
        if name not in self.content:
            raise web.HTTPNotFound
        return web.Response(body=self.content[name])

    def publish(self, name: str, address: str = ESCROW) -> str:
        """A document of two cycles; its hash."""
        rows = [
            CycleRow(
                start=write_date(START_MS + number * CYCLE_MS),
                end=write_date(START_MS + (number + 1) * CYCLE_MS),
                reserved_funds="3",
                participants_outcomes_batches=[BatchRow(f"batch-{number}", [])],
            )
            for number in range(2)
        ]
        document = ResultsDocument(CHAIN, address, "mexc", "ETH/USDT", rows)
        self.content[name], digest = write_results(document)
        return digest


@pytest.fixture
async def files() -> AsyncIterator[Files]:
    """On loopback."""
    held = Files()
    app = web.Application()
    app.router.add_get("/{name}", held.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    held.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield held
    await runner.cleanup()


@pytest.fixture
async def known(stage: CampaignStage) -> CampaignStage:
    """One campaign is in the books."""
    await stage.rounds.step()
    return stage


async def test_an_escrow_is_known_from_when_its_campaign_is(stage: CampaignStage) -> None:
    """Before that it is a stranger's."""
    escrows = KnownEscrows(stage.reader, partners())
    assert escrows.terms(CHAIN, ESCROW) is None
    await stage.rounds.step()
    assert escrows.terms(CHAIN, ESCROW) == EscrowTerms(ID, TOKEN, 0)
    assert escrows.terms(CHAIN, "0xcc") is None
    assert escrows.terms(CHAIN, ESCROW) is escrows.terms(CHAIN, ESCROW)


async def test_a_batch_is_of_the_cycle_that_its_document_says(known: CampaignStage, files: Files) -> None:
    """By the batch's own id, or by the hash of its cycle; the document is fetched once."""
    digest, troubles, documents = files.publish("good"), Troubles(ManualClock()), Documents(plain_http=True)
    cycles = ResultCycles(CHAIN, known.reader, documents, troubles)
    url = f"{files.url}/good"
    ranked = competitive_batch(Span(START_MS, START_MS + CYCLE_MS))
    assert await cycles.cycle(ESCROW, payout_id_of("batch-1"), url, digest) == 1
    assert await cycles.cycle(ESCROW, payout_id_of(ranked), url, digest) == 0
    assert await cycles.cycle(ESCROW, payout_id_of("batch-9"), url, digest) is None
    assert await cycles.cycle("0xcc", payout_id_of("batch-1"), url, digest) is None
    assert (files.asked, troubles.standing()) == (["good"], {})
    await documents.close()


async def test_a_document_that_is_not_what_it_should_be_says_nothing(
    known: CampaignStage, files: Files
) -> None:
    """Its payouts wait, and the trouble is shown until a good one comes."""
    digest, troubles, documents = files.publish("good"), Troubles(ManualClock()), Documents(plain_http=True)
    cycles = ResultCycles(CHAIN, known.reader, documents, troubles)
    wrong = hashlib.sha256(b"other").hexdigest()
    strange = files.publish("strange", "0xcc")
    for url, document_hash in (
        (f"{files.url}/good", wrong),
        (f"{files.url}/strange", strange),
        (f"{files.url}/missing", digest),
        (f"{files.url}/elsewhere", digest),
    ):
        assert await cycles.cycle(ESCROW, payout_id_of("batch-1"), url, document_hash) is None
        assert troubles.of(f"results of {ID}")
    assert await cycles.cycle(ESCROW, payout_id_of("batch-1"), f"{files.url}/good", digest) == 1
    assert troubles.standing() == {}
    await documents.close()


async def test_only_encrypted_addresses_are_asked_outside_of_a_sandbox(files: Files) -> None:
    """A chain may say anything."""
    documents = Documents()
    for url in (f"{files.url}/good", "file:///etc/passwd", ""):
        with pytest.raises(DocumentUnreachableError, match="https"):
            await documents.fetch(url)
    await documents.close()


async def test_a_server_that_is_not_there_is_asked_again_later() -> None:
    """One error, with what comes next."""
    documents = Documents(plain_http=True)
    with pytest.raises(DocumentUnreachableError, match="asked for again"):
        await documents.fetch("http://127.0.0.1:1/document")
    await documents.close()
    await documents.close()
