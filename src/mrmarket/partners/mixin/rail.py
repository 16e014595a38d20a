"""Mixin as the platform's payment rail."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

import msgspec

from mrmarket.core.clock import NS_PER_MS, Clock
from mrmarket.core.errors import InvalidInputError
from mrmarket.core.money import Asset
from mrmarket.money.payouts.port import (
    IncomingPage,
    IncomingPayment,
    PaymentState,
    PayTo,
    SendReport,
    SendRequest,
    SendState,
)
from mrmarket.partners.mixin.book import Stage, TransferBook, TransferRow
from mrmarket.partners.mixin.client import MixinClient
from mrmarket.partners.mixin.drafting import coins_of
from mrmarket.partners.mixin.errors import MixinDriftError, TransferWaitsError
from mrmarket.partners.mixin.feed import OVERLAP_NS, next_snapshots, parse_time, read_mark, write_mark
from mrmarket.partners.mixin.ids import required_uuid
from mrmarket.partners.mixin.line import Sleep
from mrmarket.partners.mixin.memo import snapshot_text
from mrmarket.partners.mixin.messages import Snapshot
from mrmarket.partners.mixin.order import TransferOrder, canonical_destination
from mrmarket.partners.mixin.payment_url import payment_url
from mrmarket.partners.mixin.transaction import DECIMALS, parse_amount
from mrmarket.partners.mixin.transfers import Transfers

NAME: Final = "mixin"
SETTLE_MS: Final = 60_000

_STATES: Final = {
    Stage.OPEN: SendState.ABSENT,
    Stage.DRAFTED: SendState.ABSENT,
    Stage.SIGNED: SendState.SENT,
    Stage.DONE: SendState.CONFIRMED,
    Stage.REFUSED: SendState.REFUSED,
}


class MixinAsset(msgspec.Struct, frozen=True):
    """An asset of Mixin that the platform carries."""

    code: str
    """What it is called here, such as `USDT-POLYGON`: one symbol lives on several chains."""
    asset_id: str
    """Mixin's UUID of it."""

    def __post_init__(self) -> None:
        required_uuid(self.asset_id, "asset_id")


class MixinRail:
    """`PaymentRail` over Mixin Safe. Inside of Mixin every asset has 8 decimals.

    Destinations are a user's UUID, `XIN…`, `MIX…`, or `withdrawal:<address>[?tag=…]` on the asset's chain. A
    payment to another Mixin user costs nothing; of a withdrawal the fee is told with its asset.
    """

    def __init__(
        self,
        client: MixinClient,
        book: TransferBook,
        clock: Clock,
        assets: Sequence[MixinAsset],
        *,
        name: str = NAME,
        settle_ms: int = SETTLE_MS,
        overlap_ns: int = OVERLAP_NS,
        pauses_s: Sequence[float] = (),
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        """Put it together; nothing is asked yet.

        Args:
            client: asks in the bot's name.
            book: of transfers.
            clock: stamps them.
            assets: what it carries.
            name: namespace of its assets.
            settle_ms: how long Mixin may take until it knows of a request.
            overlap_ns: how late a snapshot may appear.
            pauses_s: before a payment whose coins are bound elsewhere is tried again, within one call.
            sleep: waits for them.

        Raises:
            InvalidInputError: for doubled assets.
        """
        self._by_code = {asset.code: asset.asset_id for asset in assets}
        self._by_id = {asset.asset_id: asset.code for asset in assets}
        if not assets or len(self._by_code) < len(assets) or len(self._by_id) < len(assets):
            raise InvalidInputError("assets", [asset.code for asset in assets], "each code and each id once")
        self._client = client
        self._book = book
        self._transfers = Transfers(client, book, clock)
        self._name = name
        self._settle_ms = settle_ms
        self._overlap_ns = overlap_ns
        self._pauses_s = tuple(pauses_s)
        self._sleep = sleep

    @property
    def name(self) -> str:
        """Namespace of its assets."""
        return self._name

    @property
    def settle_ms(self) -> int:
        """How long Mixin may take until it knows of a request; ms."""
        return self._settle_ms

    @property
    def transfers(self) -> Transfers:
        """What sends; to resume after a start, and to gather small coins."""
        return self._transfers

    @property
    def pending(self) -> int:
        """Transfers that are drafted or signed and not known to have happened."""
        return len(self._book.pending())

    async def close(self) -> None:
        """Hang up and close the book."""
        await self._client.close()
        self._book.close()

    def assets(self) -> list[Asset]:
        """What it carries."""
        return [Asset(self._name, code, DECIMALS) for code in self._by_code]

    def valid_destination(self, text: str) -> str | None:
        """See `canonical_destination`; None also for ourselves."""
        destination = canonical_destination(text)
        return None if destination == self._client.app_id else destination

    async def instructions(self, user: str, memo: str) -> PayTo:  # noqa: ARG002 - the memo says who pays
        """The bot's id, and a link with the memo that a Mixin wallet opens."""
        return PayTo(self._client.app_id, memo, payment_url(self._client.app_id, memo=memo))

    async def incoming(self, cursor: str, limit: int) -> IncomingPage:
        """Payments to the bot after a cursor. A snapshot is final when it appears."""
        mark = read_mark(cursor)
        found, after = await next_snapshots(
            lambda offset, count: self._client.snapshots(offset=offset, limit=count),
            mark,
            limit,
            overlap_ns=self._overlap_ns,
        )
        updates = [self._update(snapshot) for snapshot in found if not snapshot.amount.startswith("-")]
        return IncomingPage(updates, cursor if after == mark else write_mark(after))

    async def send(self, request: SendRequest) -> SendReport:
        """Pay, once per key."""
        asset_id = self._by_code.get(request.asset_code)
        destination = self.valid_destination(request.destination)
        if asset_id is None or destination is None:
            wanted = f"one of {', '.join(self._by_code)} and a destination that is not the bot"
            raise InvalidInputError("payment", f"{request.asset_code} to {request.destination}"[:100], wanted)
        order = TransferOrder(request.key, asset_id, request.units, destination, request.memo)
        for pause_s in self._pauses_s:
            try:
                return self._report(await self._transfers.send(order))
            except TransferWaitsError:
                # Nothing was sent: another payment's change is on its way back to us.
                await self._sleep(pause_s)
        return self._report(await self._transfers.send(order))

    async def find(self, key: str) -> SendReport:
        """What became of the payment under a key."""
        row = await self._transfers.find(key)
        return SendReport(SendState.ABSENT) if row is None else self._report(row)

    async def balances(self) -> dict[str, int]:
        """What can be spent, bound or not: units by code."""
        held: dict[str, int] = {}
        for code, asset_id in self._by_code.items():
            outputs = await self._client.all_outputs(asset_id=asset_id)
            held[code] = sum(coin.units for coin in coins_of(outputs, without=set()))
        return held

    def _report(self, row: TransferRow) -> SendReport:
        state = _STATES[row.stage]
        if state is SendState.ABSENT:
            return SendReport(state, reason=row.reason)
        return SendReport(
            state,
            reference=row.reference,
            reason=row.reason,
            fee_units=row.fee_units,
            at_ms=row.at_ms,
            fee_code=self._by_id.get(row.fee_asset, row.fee_asset),
        )

    def _update(self, snapshot: Snapshot) -> IncomingPayment:
        try:
            return IncomingPayment(
                rail=self._name,
                id=snapshot.snapshot_id,
                asset_code=self._by_id.get(snapshot.asset_id, snapshot.asset_id),
                units=parse_amount(snapshot.amount),
                sender=snapshot.opponent_id,
                memo=snapshot_text(snapshot.memo),
                state=PaymentState.CONFIRMED,
                confirmations=1,
                required=1,
                at_ms=parse_time(snapshot.created_at) // NS_PER_MS,
            )
        except InvalidInputError as strange:
            raise MixinDriftError("GET /safe/snapshots", str(strange)) from strange
