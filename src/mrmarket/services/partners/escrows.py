"""What a payout on a chain belongs to: escrows of our campaigns, and the documents of their cycles."""

from __future__ import annotations

import asyncio
from typing import Final
from urllib.parse import urlsplit

import aiohttp

from mrmarket.campaigns.offer import Offer, campaign_id
from mrmarket.campaigns.repository import CampaignRepository
from mrmarket.core.errors import MrMarketError
from mrmarket.money.payouts.calls import read
from mrmarket.partners.chains.human.bulk_transfer import payout_id_of
from mrmarket.partners.chains.human.payout import EscrowTerms
from mrmarket.partners.hufi.errors import ResultsError
from mrmarket.partners.hufi.offers import PARTNER
from mrmarket.partners.hufi.results import Recorded, competitive_batch, read_results
from mrmarket.services.partners.section import Partners
from mrmarket.services.partners.troubles import Troubles
from mrmarket.store.sql import SqlReader

_TIMEOUT_S: Final = 20.0
_MOST_BYTES: Final = 16_000_000
_REMEMBERED: Final = 64


class DocumentUnreachableError(MrMarketError):
    """A document of results did not come."""

    code = "partner_document_unreachable"
    retryable = True

    def __init__(self, url: str, why: str) -> None:
        self.url = url
        super().__init__(f"{url[:200]}: {why}; its payouts wait, and it is asked for again")


class KnownEscrows:
    """Implements `partners.chains.human.payout.Escrows` over our campaigns. Terms never change."""

    def __init__(self, reader: SqlReader, partners: Partners) -> None:
        self._reader = reader
        self._partners = partners
        self._known: dict[tuple[int, str], EscrowTerms] = {}

    def terms(self, chain_id: int, escrow: str) -> EscrowTerms | None:
        """What is known of an escrow by its address in lower case; None for another's."""
        found = self._known.get((chain_id, escrow))
        if found is None:
            with self._reader.snapshot() as sql:
                campaign = CampaignRepository(sql).find(campaign_id(PARTNER, chain_id, escrow))
            if campaign is None:
                return None
            token = self._partners.token(chain_id, campaign.offer.token.address)
            dust = 0 if token is None else token.dust_units
            found = EscrowTerms(campaign.id, campaign.offer.token.address, dust)
            self._known[chain_id, escrow] = found
        return found


class Documents:
    """Fetches documents of results. One that was read and checked is remembered."""

    def __init__(self, *, plain_http: bool = False) -> None:
        """`plain_http` lets addresses without encryption pass, as in a sandbox."""
        self._schemes = {"http", "https"} if plain_http else {"https"}
        self._session: aiohttp.ClientSession | None = None

    async def fetch(self, url: str) -> bytes:
        """The document. Raises `DocumentUnreachableError`."""
        if urlsplit(url).scheme not in self._schemes:
            raise DocumentUnreachableError(url, "its address does not begin with https")
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(_TIMEOUT_S))
        try:
            async with self._session.get(url, allow_redirects=False) as answer:
                content = await answer.content.read(_MOST_BYTES + 1)
                while not answer.content.at_eof() and len(content) <= _MOST_BYTES:
                    content += await answer.content.read(_MOST_BYTES + 1 - len(content))
                status = answer.status
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise DocumentUnreachableError(url, type(error).__name__) from error
        if status != 200 or len(content) > _MOST_BYTES:  # noqa: PLR2004 - OK
            raise DocumentUnreachableError(url, f"status {status}, {len(content)} bytes")
        return content

    async def close(self) -> None:
        """Hang up."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()


class ResultCycles:
    """Implements `partners.chains.human.payout.Cycles` for the escrows of one chain."""

    def __init__(self, chain_id: int, reader: SqlReader, documents: Documents, troubles: Troubles) -> None:
        self._chain_id = chain_id
        self._reader = reader
        self._documents = documents
        self._troubles = troubles
        self._read: dict[tuple[str, str], Recorded] = {}

    async def cycle(self, escrow: str, payout_id: str, results_url: str, results_hash: str) -> int | None:
        """Which cycle a batch is for; None while its document cannot be had, or does not name it."""
        name = campaign_id(PARTNER, self._chain_id, escrow)
        campaign = await read(self._reader, lambda sql: CampaignRepository(sql).find(name))
        if campaign is None:
            return None
        part = f"results of {name}"
        try:
            recorded = await self._document(results_url, results_hash, campaign.offer)
        except (DocumentUnreachableError, ResultsError) as error:
            self._troubles.note(part, error)
            return None
        self._troubles.over(part)
        return await asyncio.to_thread(cycle_of, recorded, payout_id, campaign.offer)

    async def _document(self, url: str, document_hash: str, offer: Offer) -> Recorded:
        found = self._read.get((url, document_hash))
        if found is None:
            content = await self._documents.fetch(url)
            found = await asyncio.to_thread(read_results, content, document_hash, offer.token.decimals)
            if (found.chain_id, found.address) != (offer.chain_id, offer.address):
                raise ResultsError("the document is another escrow's")
            while len(self._read) >= _REMEMBERED:
                del self._read[next(iter(self._read))]
            self._read[url, document_hash] = found
        return found


def cycle_of(recorded: Recorded, payout_id: str, offer: Offer) -> int | None:
    """The cycle of the batch whose text has this hash; None for a batch that the document does not have."""
    for cycle in reversed(recorded.cycles):
        names = (*cycle.batches, competitive_batch(cycle.span))
        if any(payout_id_of(name) == payout_id for name in names):
            return (cycle.span.start_ms - offer.start_ms) // offer.cycle_ms
    return None
