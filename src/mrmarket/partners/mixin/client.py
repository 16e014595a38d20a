"""The Safe API: what a bot asks of Mixin.

Source: developers.mixin.one and the official Node SDK; where they differ (`POST /safe/transactions`, not
`/safe/transaction`) the SDK is followed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial
from types import TracebackType
from typing import Any, Final, Self

import msgspec

from mrmarket.core.clock import Clock
from mrmarket.partners.mixin.errors import MixinDriftError, MixinRefusedError
from mrmarket.partners.mixin.ids import hash_members
from mrmarket.partners.mixin.jwt import Grant, sign_granted, sign_request
from mrmarket.partners.mixin.keystore import Keystore
from mrmarket.partners.mixin.line import HOME, TIMEOUT_S, MixinLine, Sleep
from mrmarket.partners.mixin.messages import (
    DepositEntry,
    GhostKeys,
    GrantedScope,
    Me,
    PendingDeposit,
    RequestView,
    SafeAsset,
    SafeOutput,
    Snapshot,
    WithdrawalFee,
)

MAX_PAGE: Final = 500
_NOT_FOUND: Final = 404


class KeyRequest(msgspec.Struct, frozen=True):
    """Asks for the one-time keys of an output."""

    receivers: list[str]
    index: int
    """Place of the output in its transaction."""
    hint: str
    """UUID; the same hint gives the same keys."""


class RawRequest(msgspec.Struct, frozen=True):
    """A transaction to be checked or sent."""

    request_id: str
    raw: str
    """Hex."""


class MixinClient:
    """Asks in a bot's name. Calls raise MixinRefusedError, MixinUnclearError or MixinDriftError."""

    def __init__(
        self,
        keystore: Keystore,
        clock: Clock,
        *,
        url: str = HOME,
        timeout_s: float = TIMEOUT_S,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        """`url` is Mixin's, or the sandbox's; `sleep` waits before a question is asked again."""
        self.keystore = keystore
        sign = partial(sign_request, keystore)
        self._line = MixinLine(sign, clock, url=url, timeout_s=timeout_s, sleep=sleep)

    @property
    def app_id(self) -> str:
        """The bot."""
        return self.keystore.app_id

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Hang up."""
        await self._line.close()

    async def me(self) -> Me:
        """Who we are."""
        return await self._line.get("/safe/me", Me)

    async def asset(self, asset_id: str) -> SafeAsset:
        """One asset."""
        return await self._line.get(f"/safe/assets/{asset_id}", SafeAsset)

    async def fees(self, asset_id: str, destination: str) -> list[WithdrawalFee]:
        """What a withdrawal to a destination costs, in each asset that it can be paid in."""
        query = {"destination": destination}
        return await self._line.get(f"/safe/assets/{asset_id}/fees", list[WithdrawalFee], query)

    async def outputs(
        self, *, asset_id: str = "", state: str = "", offset: int = 0, limit: int = MAX_PAGE
    ) -> list[SafeOutput]:
        """Our outputs from a sequence on, in its order."""
        query = {"members": hash_members([self.app_id]), "threshold": "1", "order": "ASC"}
        query |= {name: value for name, value in (("asset", asset_id), ("state", state)) if value}
        query |= {"limit": str(limit)} | ({"offset": str(offset)} if offset else {})
        found = await self._line.get("/safe/outputs", list[SafeOutput], query)
        sequences = [output.sequence for output in found]
        if sequences != sorted(sequences):
            raise MixinDriftError("GET /safe/outputs", "outputs are not in the order of their sequence")
        return found

    async def all_outputs(self, *, asset_id: str, state: str = "unspent") -> list[SafeOutput]:
        """Every output of an asset in a state, page by page; each once."""
        by_id: dict[str, SafeOutput] = {}
        offset = 0
        while True:
            page = await self.outputs(asset_id=asset_id, state=state, offset=offset)
            fresh = [output for output in page if output.output_id not in by_id]
            by_id |= {output.output_id: output for output in fresh}
            if len(page) < MAX_PAGE or not fresh:
                return list(by_id.values())
            # Whether the offset itself is included is not promised; what comes twice is dropped.
            offset = page[-1].sequence

    async def outputs_by_id(self, ids: Sequence[str]) -> list[SafeOutput]:
        """These outputs, in whatever state."""
        body = {"user_id": self.app_id, "ids": list(ids)}
        return await self._line.post("/safe/outputs/fetch", list[SafeOutput], body)

    async def snapshots(self, *, offset: str = "", limit: int = MAX_PAGE) -> list[Snapshot]:
        """Snapshots from a time (RFC 3339) on, the oldest first."""
        query = {"order": "ASC", "limit": str(limit)} | ({"offset": offset} if offset else {})
        return await self._line.get("/safe/snapshots", list[Snapshot], query)

    async def snapshot(self, snapshot_id: str) -> Snapshot:
        """One snapshot."""
        return await self._line.get(f"/safe/snapshots/{snapshot_id}", Snapshot)

    async def deposit_entries(self, chain_id: str) -> list[DepositEntry]:
        """Our addresses on a chain; the same at every call."""
        body = {"members": [self.app_id], "threshold": 1, "chain_id": chain_id}
        return await self._line.post("/safe/deposit/entries", list[DepositEntry], body)

    async def pending_deposits(self, asset_id: str, destination: str = "") -> list[PendingDeposit]:
        """Deposits that wait for their confirmations."""
        query = {"asset": asset_id} | ({"destination": destination} if destination else {})
        return await self._line.get("/safe/deposits", list[PendingDeposit], query)

    async def keys(self, requests: Sequence[KeyRequest]) -> list[GhostKeys]:
        """One-time keys, in the order of the requests."""
        found = await self._line.post("/safe/keys", list[GhostKeys], list(requests))
        if len(found) != len(requests):
            raise MixinDriftError("POST /safe/keys", f"{len(found)} answers to {len(requests)} requests")
        return found

    async def check(self, requests: Sequence[RawRequest]) -> list[RequestView]:
        """Have transactions checked; the views to sign them with come back."""
        return await self._transactions("/safe/transaction/requests", requests)

    async def send(self, requests: Sequence[RawRequest]) -> list[RequestView]:
        """Send signed transactions; the same bytes under the same id are one transaction."""
        return await self._transactions("/safe/transactions", requests)

    async def transaction(self, request_id: str) -> RequestView | None:
        """What became of a request; None for one that Mixin does not know."""
        try:
            return await self._line.get(f"/safe/transactions/{request_id}", RequestView)
        except MixinRefusedError as refused:
            if refused.number == _NOT_FOUND:
                return None
            raise

    async def send_messages(self, messages: Sequence[Mapping[str, str]]) -> None:
        """Send messages to users."""
        await self._line.post("/messages", Any, list(messages))

    async def _transactions(self, path: str, requests: Sequence[RawRequest]) -> list[RequestView]:
        found = await self._line.post(path, list[RequestView], list(requests))
        if [view.request_id for view in found] != [request.request_id for request in requests]:
            raise MixinDriftError(f"POST {path}", "answers to other requests")
        return found


class GrantedClient:
    """Asks in the name of a user who granted it."""

    def __init__(self, grant: Grant, clock: Clock, *, url: str = HOME, timeout_s: float = TIMEOUT_S) -> None:
        self._line = MixinLine(partial(sign_granted, grant), clock, url=url, timeout_s=timeout_s)

    async def close(self) -> None:
        """Hang up."""
        await self._line.close()

    async def me(self) -> Me:
        """Who granted it. Raises as MixinClient's calls do."""
        return await self._line.get("/me", Me)


async def exchange_code(
    body: Mapping[str, str], clock: Clock, *, url: str = HOME, timeout_s: float = TIMEOUT_S
) -> GrantedScope:
    """Take what a user granted, with the body that `Login.token_body` made. Raises as MixinClient's calls."""
    async with MixinLine(None, clock, url=url, timeout_s=timeout_s) as line:
        return await line.post("/oauth/token", GrantedScope, dict(body))
