"""The launcher's API: which campaigns there are, and what they have paid. Public: nobody signs in."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

import msgspec

from mrmarket.partners.hufi.drift import DriftKind
from mrmarket.partners.hufi.line import HufiLine, Route
from mrmarket.partners.hufi.manifest import CampaignType
from mrmarket.partners.hufi.messages import (
    CampaignDetail,
    CampaignItem,
    Exchange,
    OracleFees,
    Page,
    PaidAmounts,
)

CAMPAIGNS: Final = Route("GET", "/campaigns", is_safe=True)
CAMPAIGN: Final = Route("GET", "/campaigns/{campaign}", is_safe=True)
PAID: Final = Route("GET", "/campaigns/{campaign}/daily-paid-amounts", is_safe=True)
FEES: Final = Route("GET", "/web3/oracle-fees", is_safe=True)
EXCHANGES: Final = Route("GET", "/exchanges", is_safe=True)
PAIRS: Final = Route("GET", "/exchanges/{name}/trading-pairs", is_safe=True)
CURRENCIES: Final = Route("GET", "/exchanges/{name}/currencies", is_safe=True)
PING: Final = Route("GET", "/health/ping", is_safe=True)

STATUSES: Final = frozenset({"active", "to_cancel", "cancelled", "completed"})
_PAGE: Final = 100
_MOST_PAGES: Final = 1_000


class LauncherClient:
    """What anybody can ask the launcher. Built over a line that somebody else closes."""

    def __init__(self, line: HufiLine) -> None:
        self._line = line

    async def campaigns(
        self, chain_id: int, *, status: str = "", exchange: str = "", page: int = _PAGE
    ) -> AsyncIterator[CampaignItem]:
        """Campaigns of a chain, all pages. A strange one is noted as drift and left out.

        Raises:
            HufiError: as of any question.
        """
        query: dict[str, str | int | list[str]] = {"chain_id": chain_id, "limit": page}
        if status:
            query["status"] = [status]
        if exchange:
            query["exchange"] = [exchange]
        skip = 0
        for _ in range(_MOST_PAGES):
            query["skip"] = skip
            answer = await self._line.ask(CAMPAIGNS, Page, query=query)
            for raw in answer.results:
                item = self._item(raw)
                if item is not None:
                    yield item
            skip += len(answer.results)
            if not answer.has_more or not answer.results:
                return

    async def campaign(self, chain_id: int, address: str) -> CampaignDetail:
        """One campaign with its fees and reserved funds."""
        return await self._line.ask(CAMPAIGN, CampaignDetail, names={"campaign": f"{chain_id}-{address}"})

    async def paid(self, chain_id: int, address: str) -> PaidAmounts:
        """What a campaign has paid, by day."""
        return await self._line.ask(PAID, PaidAmounts, names={"campaign": f"{chain_id}-{address}"})

    async def oracle_fees(self, chain_id: int) -> OracleFees:
        """Per cent of a fund that the three oracles take."""
        return await self._line.ask(FEES, OracleFees, query={"chain_id": chain_id})

    async def exchanges(self) -> list[Exchange]:
        """Exchanges that HuFi knows; those that are not enabled cannot be joined."""
        return await self._line.ask(EXCHANGES, list[Exchange])

    async def trading_pairs(self, exchange: str) -> list[str]:
        """Pairs of an exchange."""
        return await self._line.ask(PAIRS, list[str], names={"name": exchange})

    async def currencies(self, exchange: str) -> list[str]:
        """Currencies of an exchange."""
        return await self._line.ask(CURRENCIES, list[str], names={"name": exchange})

    async def ping(self) -> None:
        """Whether it is there. Raises `HufiError` where it is not."""
        await self._line.fetch(PING)

    def _item(self, raw: dict[str, object]) -> CampaignItem | None:
        drift, route = self._line.drift, str(CAMPAIGNS)
        try:
            item = msgspec.convert(raw, CampaignItem)
        except msgspec.ValidationError as strange:
            drift.note(DriftKind.UNREADABLE, route, str(strange))
            return None
        drift.compare(route, raw, CampaignItem)
        if item.type not in CampaignType.__members__:
            drift.note(DriftKind.UNKNOWN_VALUE, route, f"type={item.type}")
        if item.status not in STATUSES:
            drift.note(DriftKind.UNKNOWN_VALUE, route, f"status={item.status}")
        return item
