"""The simulated rail as the platform's payment rail: the port over HTTP, for the platform's side."""

from __future__ import annotations

from urllib.parse import quote

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
from mrmarket.services.rail.address import canonical_destination
from mrmarket.services.rail.config import VenueLink
from mrmarket.services.rail.errors import RailUnclearError
from mrmarket.services.rail.faults import RailFaultReport, RailFaults
from mrmarket.services.rail.line import TIMEOUT_S, RailLine
from mrmarket.services.rail.messages import (
    IncomingAnswer,
    IncomingItem,
    InstructionsAnswer,
    RailEndpoints,
    SendAnswer,
    SendBody,
)


class RailClient:
    """`PaymentRail` over the simulated rail. A call that raises has an unknown outcome."""

    def __init__(self, rail: RailEndpoints, timeout_s: float = TIMEOUT_S) -> None:
        """`rail` is what `RailProcess.start` or `find_rail` gives."""
        self._rail = rail
        self._line = RailLine(rail.url, rail.token, timeout_s)

    @property
    def name(self) -> str:
        """Namespace of its assets."""
        return self._rail.name

    @property
    def settle_ms(self) -> int:
        """No request has an effect later than this after it came in; ms."""
        return self._rail.settle_ms

    @property
    def treasury(self) -> str:
        """The platform's own address."""
        return self._rail.treasury

    async def close(self) -> None:
        """Hang up; a later call opens the line again."""
        await self._line.close()

    def assets(self) -> list[Asset]:
        """What it carries."""
        return [Asset(self.name, asset.code, asset.decimals) for asset in self._rail.assets]

    def valid_destination(self, text: str) -> str | None:
        """An address in lower case, or `venue:<account>`; None for what is neither, or is our own."""
        destination = canonical_destination(text)
        return None if destination == self._rail.treasury else destination

    async def instructions(self, user: str, memo: str) -> PayTo:  # noqa: ARG002 - one address serves every user
        """The treasury's address; the memo says who pays."""
        query = {"memo": memo}
        told = await self._line.ask("GET", "/v1/instructions", InstructionsAnswer, query=query)
        return PayTo(told.address, told.memo, told.uri)

    async def incoming(self, cursor: str, limit: int) -> IncomingPage:
        """Updates of payments to the treasury after a cursor."""
        query = {"cursor": cursor, "limit": str(limit)}
        page = await self._line.ask("GET", "/v1/incoming", IncomingAnswer, query=query)
        return IncomingPage([self._update(item) for item in page.updates], page.next_cursor)

    async def send(self, request: SendRequest) -> SendReport:
        """Pay from the treasury, once per key."""
        body = SendBody(
            key=request.key,
            asset=request.asset_code,
            units=str(request.units),
            destination=request.destination,
            memo=request.memo,
        )
        return read_report(await self._line.ask("POST", "/v1/sends", SendAnswer, body))

    async def find(self, key: str) -> SendReport:
        """What became of the payment under a key."""
        return read_report(await self._line.ask("GET", f"/v1/sends/{quote(key, safe='')}", SendAnswer))

    async def balances(self) -> dict[str, int]:
        """What the treasury has, by asset."""
        told = await self._line.ask("GET", "/v1/balances", dict[str, str])
        return {code: _units("GET /v1/balances", text) for code, text in told.items()}

    async def link_venue(self, link: VenueLink) -> None:
        """Tell a rail where the trading venue is now, so that `venue:<account>` leads there."""
        await self._line.ask("PUT", "/v1/venue", dict[str, str], link)

    async def break_things(self, faults: RailFaults) -> RailFaultReport:
        """Replace the rail's faults; none takes them all away."""
        return await self._line.ask("PUT", "/v1/faults", RailFaultReport, faults)

    async def faults(self) -> RailFaultReport:
        """The faults in force, and how often each has struck."""
        return await self._line.ask("GET", "/v1/faults", RailFaultReport)

    def _update(self, item: IncomingItem) -> IncomingPayment:
        try:
            return IncomingPayment(
                rail=self.name,
                id=item.id,
                asset_code=item.asset,
                units=_units("GET /v1/incoming", item.units),
                sender=item.sender,
                memo=item.memo,
                state=PaymentState(item.state),
                confirmations=item.confirmations,
                required=item.required,
                at_ms=item.at_ms,
            )
        except (ValueError, InvalidInputError) as strange:
            raise RailUnclearError("GET /v1/incoming", f"an update that cannot be read ({strange})") from (
                strange
            )


def read_report(answer: SendAnswer) -> SendReport:
    """The rail's words on a payment as the port's. Raises RailUnclearError for words it does not have."""
    try:
        state = SendState(answer.state)
    except ValueError as strange:
        raise RailUnclearError("a payment", f"a state that is none ({answer.state[:40]!r})") from strange
    return SendReport(
        state=state,
        reference=answer.reference,
        reason=answer.reason,
        fee_units=_units("a payment", answer.fee_units),
        at_ms=answer.at_ms,
    )


def _units(request: str, text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise RailUnclearError(request, f"an amount that is none ({text[:40]!r})")
    return int(text)
