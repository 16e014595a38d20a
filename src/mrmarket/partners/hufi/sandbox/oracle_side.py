"""The recording oracle's routes."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from aiohttp import web

from mrmarket.core.clock import NS_PER_MS, Clock
from mrmarket.partners.hufi import login, recording_oracle
from mrmarket.partners.hufi.line import Route
from mrmarket.partners.hufi.manifest import DEXES, write_date
from mrmarket.partners.hufi.messages import (
    CampaignRef,
    KeyBody,
    LoginBody,
    NonceBody,
    Preferences,
    RefreshBody,
    Tokens,
)
from mrmarket.partners.hufi.recording_oracle import permissions_for
from mrmarket.partners.hufi.registration import EXCHANGES
from mrmarket.partners.hufi.sandbox.answers import Refusal, page_of, read_body, yes
from mrmarket.partners.hufi.sandbox.book import LaunchedCampaign, Participant, SandboxBook, Status
from mrmarket.partners.hufi.sandbox.entrance import Entrance, User
from mrmarket.partners.hufi.sandbox.faults import Handler
from mrmarket.partners.hufi.sandbox.feed import ExchangeFeed
from mrmarket.partners.hufi.sandbox.launcher_side import campaign_fields, find_campaign, token_text
from mrmarket.partners.hufi.sandbox.recording import Recorder, figures
from mrmarket.partners.hufi.score import payouts

_MAX_KEY = 200
_MAX_SECRET = 5_000


class OracleSide:
    """Answers wallets that have signed in."""

    def __init__(
        self,
        book: SandboxBook,
        entrance: Entrance,
        recorder: Recorder,
        feed: ExchangeFeed,
        chain_id: int,
        clock: Clock,
    ) -> None:
        """`clock` is the world's."""
        self._book = book
        self._entrance = entrance
        self._recorder = recorder
        self._feed = feed
        self._chain_id = chain_id
        self._clock = clock
        self.extra_permissions: tuple[str, ...] = ()
        """Permissions that HuFi has taken to asking for."""

    def routes(self) -> dict[Route, Handler]:
        """What it serves."""
        oracle = recording_oracle
        return {
            login.NONCE: self._nonce,
            login.LOGIN: self._login,
            login.REFRESH: self._refresh,
            login.LOGOUT: self._logout,
            oracle.KEYS: self._keys,
            oracle.KEY_EXCHANGES: self._key_exchanges,
            oracle.PUT_KEY: self._put_key,
            oracle.DROP_KEY: self._drop_key,
            oracle.CHECK_KEY: self._check_key,
            oracle.CAMPAIGNS: self._campaigns,
            oracle.JOIN: self._join,
            oracle.JOIN_STATUS: self._join_status,
            oracle.LEADERBOARD: self._leaderboard,
            oracle.ME: self._me,
            oracle.PREFERENCES: self._prefer,
        }

    async def _nonce(self, request: web.Request) -> web.Response:
        body = await read_body(request, NonceBody)
        return yes({"nonce": self._entrance.nonce(body.address)})

    async def _login(self, request: web.Request) -> web.Response:
        body = await read_body(request, LoginBody)
        tokens = self._entrance.enter(body.address, body.signature)
        if tokens is None:
            raise Refusal(HTTPStatus.UNAUTHORIZED, "Invalid signature")
        return _tokens(tokens)

    async def _refresh(self, request: web.Request) -> web.Response:
        tokens = self._entrance.renew((await read_body(request, RefreshBody)).refresh_token)
        if tokens is None:
            raise Refusal(HTTPStatus.UNAUTHORIZED, "Refresh token is not valid")
        return _tokens(tokens)

    async def _logout(self, request: web.Request) -> web.Response:
        self._entrance.leave(self._user(request).wallet)
        return web.Response(status=HTTPStatus.NO_CONTENT)

    async def _keys(self, request: web.Request) -> web.Response:
        wallet = self._user(request).wallet
        rows: list[dict[str, Any]] = []
        for (owner, exchange), key in sorted(self._book.keys.items()):
            if owner == wallet:
                missing = await self._missing(exchange, key.api_key, ())
                rows.append(
                    {
                        "exchange_name": exchange,
                        "api_key": key.api_key,
                        "is_valid": missing is not None,
                        "missing_permissions": list(missing or ()),
                    }
                )
        return yes(rows)

    async def _key_exchanges(self, request: web.Request) -> web.Response:
        wallet = self._user(request).wallet
        return yes(sorted(exchange for owner, exchange in self._book.keys if owner == wallet))

    async def _put_key(self, request: web.Request) -> web.Response:
        user = self._user(request)
        body = await read_body(request, KeyBody)
        if body.exchange_name not in EXCHANGES:
            raise Refusal(HTTPStatus.BAD_REQUEST, "exchange_name is not supported")
        if not 0 < len(body.api_key) <= _MAX_KEY or not 0 < len(body.secret_key) <= _MAX_SECRET:
            raise Refusal(HTTPStatus.BAD_REQUEST, "api_key or secret_key has no allowed length")
        self._book.keys[user.wallet, body.exchange_name] = body
        self._book.changed()
        return yes({"id": self._entrance.new_id()}, HTTPStatus.CREATED)

    async def _drop_key(self, request: web.Request) -> web.Response:
        user = self._user(request)
        self._book.keys.pop((user.wallet, request.match_info["exchange_name"]), None)
        self._book.changed()
        return web.Response(status=HTTPStatus.NO_CONTENT)

    async def _check_key(self, request: web.Request) -> web.Response:
        user = self._user(request)
        exchange = request.match_info["exchange_name"]
        key = self._book.keys.get((user.wallet, exchange))
        if key is None:
            raise Refusal(HTTPStatus.NOT_FOUND, "Exchange API key not found")
        missing = await self._missing(exchange, key.api_key, ())
        return yes({"is_valid": missing is not None, "missing_permissions": list(missing or ())})

    async def _campaigns(self, request: web.Request) -> web.Response:
        wallet = self._user(request).wallet
        status = request.query.get("status")
        rows = [
            {
                **campaign_fields(one),
                "fund_amount_net": str(one.offer.fund_units),
                "status": one.status.value,
                "processing_status": one.status.value,
            }
            for one in self._book.campaigns.values()
            if one.participant(wallet) is not None and status in {None, one.status.value}
        ]
        return page_of(request, rows)

    async def _join(self, request: web.Request) -> web.Response:
        user = self._user(request)
        campaign = await self._asked_for(request)
        if campaign.participant(user.wallet) is not None:
            raise Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, "User already joined")
        reason = self._closed(campaign)
        if reason is not None:
            raise Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, f"Campaign join is closed: {reason}")
        exchange = campaign.offer.exchange
        identity = self._book.identity(user.wallet, exchange)
        if identity is None:
            raise Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, "Exchange API key is missing")
        if exchange not in DEXES:
            wanted = permissions_for(campaign.offer.measure.is_traded)
            missing = await self._missing(exchange, identity, wanted)
            if missing is None or missing:
                lacks = ", ".join(missing or wanted)
                raise Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, f"Exchange API key lacks {lacks}")
        campaign.participants.append(Participant(user.wallet, self._now_ms()))
        self._book.changed()
        return yes({"id": campaign.id})

    async def _join_status(self, request: web.Request) -> web.Response:
        user = self._user(request)
        body = await read_body(request, CampaignRef)
        campaign = self._book.campaigns.get(body.address.lower())
        if campaign is None or body.chain_id != self._chain_id:
            return yes({"status": "not_available"})
        joined = campaign.participant(user.wallet)
        if joined is not None:
            return yes({"status": "already_joined", "joined_at": write_date(joined.joined_ms)})
        reason = self._closed(campaign)
        return yes({"status": "join_closed", "reason": reason} if reason else {"status": "can_join"})

    async def _leaderboard(self, request: web.Request) -> web.Response:
        campaign = find_campaign(self._book, self._chain_id, request)
        if campaign.status.is_over:
            raise Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, "Campaign is over")
        offer, now_ms = campaign.offer, self._now_ms()
        cycle = offer.cycle_at(now_ms)
        rows: list[dict[str, Any]] = []
        if cycle is not None:
            standings = await self._recorder.standings(campaign, offer.cycle(cycle))
            parts = payouts(offer, standings)
            for one in sorted(standings, key=lambda one: (-one.score, one.address)):
                score, result = figures(campaign, one)
                reward = parts.get(one.address, 0)
                gross = reward * campaign.gross_units // offer.fund_units if offer.fund_units else 0
                rows.append(
                    {
                        "address": one.address,
                        "score": score,
                        "result": result,
                        "estimated_reward": token_text(reward, offer.token.decimals),
                        "estimated_reward_gross": token_text(gross, offer.token.decimals),
                    }
                )
        return yes({"data": rows, "total": len(rows), "updated_at": write_date(now_ms)})

    async def _me(self, request: web.Request) -> web.Response:
        user = self._user(request)
        return yes({"id": user.id, "wallet_address": user.wallet})

    async def _prefer(self, request: web.Request) -> web.Response:
        user = self._user(request)
        self._book.preferences[user.wallet] = await read_body(request, Preferences)
        return yes({})

    def _user(self, request: web.Request) -> User:
        kind, _, token = request.headers.get("Authorization", "").partition(" ")
        user = self._entrance.who(token) if kind == "Bearer" else None
        if user is None:
            raise Refusal(HTTPStatus.UNAUTHORIZED, "Unauthorized")
        return user

    async def _asked_for(self, request: web.Request) -> LaunchedCampaign:
        body = await read_body(request, CampaignRef)
        found = self._book.campaigns.get(body.address.lower()) if body.chain_id == self._chain_id else None
        if found is None:
            raise Refusal(HTTPStatus.NOT_FOUND, "Campaign not found")
        return found

    def _closed(self, campaign: LaunchedCampaign) -> str | None:
        if campaign.status is not Status.ACTIVE or self._now_ms() >= campaign.ends_ms:
            return "ended"
        slots = campaign.offer.max_participants
        if slots is not None and len(campaign.participants) >= slots:
            return "max_participants_reached"
        return None

    async def _missing(self, exchange: str, identity: str, wanted: Sequence[str]) -> tuple[str, ...] | None:
        """What a key lacks; None where the exchange does not know it."""
        allowed = await self._feed.permissions(exchange, identity)
        if allowed is None:
            return None
        asked = {*wanted, *self.extra_permissions, "VIEW_DEPOSIT_ADDRESS"}
        return tuple(sorted(asked - allowed))

    def _now_ms(self) -> int:
        return self._clock.now_ns() // NS_PER_MS


def _tokens(tokens: Tokens) -> web.Response:
    return yes({"access_token": tokens.access_token, "refresh_token": tokens.refresh_token})
