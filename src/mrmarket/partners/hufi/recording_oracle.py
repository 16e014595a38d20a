"""The recording oracle: exchange keys, taking part, and how a campaign goes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from http import HTTPStatus
from typing import Final, TypeVar

import msgspec

from mrmarket.partners.hufi.drift import DriftKind
from mrmarket.partners.hufi.errors import HufiAnswerError, HufiRefusedError
from mrmarket.partners.hufi.line import HufiLine, Query, Route
from mrmarket.partners.hufi.login import OracleSession
from mrmarket.partners.hufi.messages import (
    CampaignRef,
    JoinAnswer,
    JoinedItem,
    JoinStatusAnswer,
    JoinWord,
    KeyBody,
    KeyCheck,
    KeyItem,
    Leaderboard,
    Page,
    Preferences,
)

Answer = TypeVar("Answer")

KEYS: Final = Route("GET", "/exchange-api-keys", is_safe=True)
KEY_EXCHANGES: Final = Route("GET", "/exchange-api-keys/exchanges", is_safe=True)
PUT_KEY: Final = Route("POST", "/exchange-api-keys", is_safe=True)  # one key per exchange: it overwrites
DROP_KEY: Final = Route("DELETE", "/exchange-api-keys/{exchange_name}", is_safe=True)
CHECK_KEY: Final = Route("POST", "/exchange-api-keys/{exchange_name}/revalidate", is_safe=True)
CAMPAIGNS: Final = Route("GET", "/campaigns", is_safe=True)
JOIN: Final = Route("POST", "/campaigns/join", is_safe=False)
JOIN_STATUS: Final = Route("POST", "/campaigns/check-join-status", is_safe=True)
LEADERBOARD: Final = Route("GET", "/campaigns/{campaign}/leaderboard", is_safe=True)
ME: Final = Route("GET", "/me", is_safe=True)
PREFERENCES: Final = Route("PATCH", "/me/preferences", is_safe=True)

_PAGE: Final = 100
_MOST_PAGES: Final = 1_000


class _Anything(msgspec.Struct, frozen=True):
    """An answer of which nothing is needed."""


class RecordingOracleClient:
    """What a wallet can ask the recording oracle. Built over a line and a session; owns neither."""

    def __init__(self, line: HufiLine, session: OracleSession) -> None:
        self._line = line
        self._session = session

    @property
    def wallet(self) -> str:
        """Whose questions these are."""
        return self._session.wallet

    async def keys(self) -> list[KeyItem]:
        """The exchange keys that HuFi has of us."""
        return await self._ask(KEYS, list[KeyItem])

    async def key_exchanges(self) -> list[str]:
        """Exchanges of which it has a key of us."""
        return await self._ask(KEY_EXCHANGES, list[str])

    async def put_key(self, key: KeyBody) -> None:
        """Give HuFi a key in place of an earlier one. `KeyRegistration` checks it before."""
        await self._fetch(PUT_KEY, body=key)

    async def drop_key(self, exchange: str) -> None:
        """Take a key away from HuFi."""
        await self._fetch(DROP_KEY, names={"exchange_name": exchange})

    async def check_key(self, exchange: str) -> KeyCheck:
        """Let HuFi try a key that it has."""
        return await self._ask(CHECK_KEY, KeyCheck, names={"exchange_name": exchange})

    async def campaigns(self, query: Mapping[str, str | int] | None = None) -> AsyncIterator[JoinedItem]:
        """Campaigns that we are in. A strange one is noted as drift and left out."""
        skip = 0
        for _ in range(_MOST_PAGES):
            page = await self._ask(CAMPAIGNS, Page, query={**(query or {}), "limit": _PAGE, "skip": skip})
            for raw in page.results:
                try:
                    item = msgspec.convert(raw, JoinedItem)
                except msgspec.ValidationError as strange:
                    self._line.drift.note(DriftKind.UNREADABLE, str(CAMPAIGNS), str(strange))
                    continue
                self._line.drift.compare(str(CAMPAIGNS), raw, JoinedItem)
                yield item
            skip += len(page.results)
            if not page.has_more or not page.results:
                return

    async def join(self, chain_id: int, address: str) -> str:
        """Take part; the campaign's id there.

        Raises:
            HufiRefusedError: 422 with the reason; nothing was changed.
            HufiUnclearError: we may be in; ask `join_status`.
        """
        told = await self._ask(JOIN, JoinAnswer, body=CampaignRef(chain_id, address))
        return told.id

    async def join_status(self, chain_id: int, address: str) -> JoinStatusAnswer:
        """Whether we are in; asking changes nothing. A word that is new is drift.

        Raises:
            HufiAnswerError: for a status that this program does not know.
        """
        told = await self._ask(JOIN_STATUS, JoinStatusAnswer, body=CampaignRef(chain_id, address))
        if told.status not in {word.value for word in JoinWord}:
            self._line.drift.note(DriftKind.UNKNOWN_VALUE, str(JOIN_STATUS), told.status)
            raise HufiAnswerError(str(JOIN_STATUS), f"the status {told.status[:40]!r}")
        return told

    async def leaderboard(self, chain_id: int, address: str) -> Leaderboard | None:
        """The standing of the running cycle; None once the campaign is over. Public: needs no session."""
        try:
            return await self._line.ask(LEADERBOARD, Leaderboard, names={"campaign": f"{chain_id}-{address}"})
        except HufiRefusedError as refused:
            if refused.status == HTTPStatus.UNPROCESSABLE_ENTITY:
                return None
            raise

    async def prefer(self, preferences: Preferences) -> None:
        """Set HuFi's own automatic joining. Ours is better off: see `joining`."""
        await self._fetch(PREFERENCES, body=preferences)

    async def _ask(
        self,
        route: Route,
        answer: type[Answer],
        *,
        names: Mapping[str, str | int] | None = None,
        body: msgspec.Struct | None = None,
        query: Query | None = None,
    ) -> Answer:
        content = await self._fetch(route, names=names, body=body, query=query)
        return self._line.read(route, content, answer)

    async def _fetch(
        self,
        route: Route,
        *,
        names: Mapping[str, str | int] | None = None,
        body: msgspec.Struct | None = None,
        query: Query | None = None,
    ) -> bytes:
        """Ask with a token. One that is refused is renewed once: a refusal has changed nothing."""
        token = await self._session.token()
        try:
            return await self._line.fetch(route, names=names, body=body, query=query, token=token)
        except HufiRefusedError as refused:
            if refused.status != HTTPStatus.UNAUTHORIZED:
                raise
        await self._session.rejected(token)
        token = await self._session.token()
        return await self._line.fetch(route, names=names, body=body, query=query, token=token)


def permissions_for(is_traded: bool) -> Sequence[str]:
    """What HuFi must be able to see with a key, by whether the campaign counts trades or balances."""
    seen = "VIEW_SPOT_TRADING_HISTORY" if is_traded else "VIEW_ACCOUNT_BALANCE"
    return (seen, "VIEW_DEPOSIT_ADDRESS")
