"""The launcher's routes."""

from __future__ import annotations

from decimal import Decimal
from http import HTTPStatus
from typing import Any

from aiohttp import web

from mrmarket.core.clock import NS_PER_MS, Clock
from mrmarket.partners.hufi import launcher
from mrmarket.partners.hufi.line import Route
from mrmarket.partners.hufi.manifest import DEXES, write_date
from mrmarket.partners.hufi.registration import EXCHANGES
from mrmarket.partners.hufi.sandbox.answers import Refusal, date, day, page_of, whole, yes
from mrmarket.partners.hufi.sandbox.book import FeeTerms, LaunchedCampaign, SandboxBook, made_up_address
from mrmarket.partners.hufi.sandbox.faults import Handler


class LauncherSide:
    """Answers what anybody may ask."""

    def __init__(self, book: SandboxBook, fees: FeeTerms, chain_id: int, clock: Clock) -> None:
        self._book = book
        self._fees = fees
        self._chain_id = chain_id
        self._clock = clock

    def routes(self) -> dict[Route, Handler]:
        """What it serves."""
        return {
            launcher.CAMPAIGNS: self._campaigns,
            launcher.CAMPAIGN: self._campaign,
            launcher.PAID: self._paid,
            launcher.FEES: self._oracle_fees,
            launcher.EXCHANGES: self._exchanges,
            launcher.PAIRS: self._pairs,
            launcher.CURRENCIES: self._currencies,
            launcher.PING: self._ping,
        }

    async def _campaigns(self, request: web.Request) -> web.Response:
        chain_id = whole(request, "chain_id")
        wanted = {name: set(request.query.getall(f"{name}[]", [])) for name in ("status", "type", "exchange")}
        found = [
            one
            for one in self._book.campaigns.values()
            if one.offer.chain_id == chain_id
            and (not wanted["status"] or one.status.value in wanted["status"])
            and (not wanted["type"] or one.manifest.type.value in wanted["type"])
            and (not wanted["exchange"] or one.offer.exchange in wanted["exchange"])
        ]
        found.sort(key=lambda one: (-one.created_ms, one.offer.address))
        return page_of(request, [self._item(one) for one in found])

    async def _campaign(self, request: web.Request) -> web.Response:
        campaign = find_campaign(self._book, self._chain_id, request)
        return yes(
            {
                **self._item(campaign),
                "exchange_oracle_fee_percent": self._fees.exchange,
                "recording_oracle_fee_percent": self._fees.recording,
                "reputation_oracle_fee_percent": self._fees.reputation,
                "reserved_funds": str(campaign.reserved_units),
            }
        )

    async def _paid(self, request: web.Request) -> web.Response:
        campaign = find_campaign(self._book, self._chain_id, request)
        rows = [{"date": day(start_ms), "amount": str(units)} for start_ms, units in campaign.paid_by_day]
        return yes({"results": rows})

    async def _oracle_fees(self, request: web.Request) -> web.Response:
        whole(request, "chain_id")
        return yes(
            {
                "exchange_oracle_fee": self._fees.exchange,
                "recording_oracle_fee": self._fees.recording,
                "reputation_oracle_fee": self._fees.reputation,
            }
        )

    async def _exchanges(self, request: web.Request) -> web.Response:
        del request
        return yes(
            [
                {
                    "enabled": True,
                    "name": name,
                    "display_name": name.capitalize(),
                    "url": f"https://{name}.example",
                    "logo": "",
                    "type": "dex" if name in DEXES else "cex",
                }
                for name in sorted(EXCHANGES | DEXES)
            ]
        )

    async def _pairs(self, request: web.Request) -> web.Response:
        return yes(sorted(self._markets(request, is_traded=True)))

    async def _currencies(self, request: web.Request) -> web.Response:
        return yes(sorted(self._markets(request, is_traded=False)))

    async def _ping(self, request: web.Request) -> web.Response:
        del request
        return yes({"status": "ok"})

    def _markets(self, request: web.Request, *, is_traded: bool) -> set[str]:
        name = request.match_info["name"]
        return {
            one.offer.market
            for one in self._book.campaigns.values()
            if one.offer.exchange == name and one.offer.measure.is_traded is is_traded
        }

    def _item(self, campaign: LaunchedCampaign) -> dict[str, Any]:
        base = campaign_fields(campaign)
        left = campaign.gross_units - campaign.paid_units
        return {
            **base,
            "status": campaign.status.value,
            "launcher": campaign.launcher,
            "exchange_oracle": made_up_address("oracle", "exchange"),
            "recording_oracle": made_up_address("oracle", "recording"),
            "reputation_oracle": made_up_address("oracle", "reputation"),
            "balance": str(left),
            "amount_paid": str(campaign.paid_units),
            "intermediate_results_url": self._document(campaign),
            "final_results_url": self._document(campaign) if campaign.finalized_ms else None,
            "created_at": write_date(campaign.created_ms),
            "cancellation_requested_at": date(campaign.cancel_ms),
            "finalized_at": date(campaign.finalized_ms),
        }

    def _document(self, campaign: LaunchedCampaign) -> str | None:
        if not campaign.document_hash:
            return None
        return f"/files/{campaign.offer.address}/{campaign.document_hash}.json"


def campaign_fields(campaign: LaunchedCampaign) -> dict[str, Any]:
    """What both APIs say of a campaign."""
    offer = campaign.offer
    return {
        "chain_id": offer.chain_id,
        "address": offer.address,
        "type": campaign.manifest.type.value,
        "exchange_name": offer.exchange,
        "symbol": offer.market,
        "details": campaign.details,
        "start_date": write_date(offer.start_ms),
        "end_date": write_date(offer.end_ms),
        "fund_amount": str(campaign.gross_units),
        "fund_token": offer.token.address,
        "fund_token_symbol": offer.token.symbol,
        "fund_token_decimals": offer.token.decimals,
    }


def find_campaign(book: SandboxBook, chain_id: int, request: web.Request) -> LaunchedCampaign:
    """The campaign of a path, `{chain_id}-{address}`; 404 for a stranger."""
    chain, _, address = request.match_info["campaign"].partition("-")
    found = book.campaigns.get(address.lower()) if chain == str(chain_id) else None
    if found is None:
        raise Refusal(HTTPStatus.NOT_FOUND, "Campaign not found")
    return found


def now_ms(clock: Clock) -> int:
    """The world's time."""
    return clock.now_ns() // NS_PER_MS


def token_text(units: int, decimals: int) -> Decimal:
    """Base units as a number of whole tokens."""
    return Decimal(units).scaleb(-decimals)
