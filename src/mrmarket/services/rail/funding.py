"""The way between the simulated rail and the account at the embedded exchange."""

from __future__ import annotations

from urllib.parse import quote

from mrmarket.core.errors import InvalidInputError
from mrmarket.money.payouts.port import SendReport
from mrmarket.services.rail.client import read_report
from mrmarket.services.rail.line import TIMEOUT_S, RailLine
from mrmarket.services.rail.messages import RailEndpoints, SendAnswer, SendBody


class RailVenueFunding:
    """`VenueFunding` through a rail that is linked with the venue. A call that raises is unclear."""

    def __init__(
        self,
        rail: RailEndpoints,
        venue: str = "simulated",
        account: str = "default",
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        """`venue` is the namespace of the venue's assets, `account` the linked account there."""
        self._rail = rail
        self._venue = venue
        self._account = account
        self._decimals = {asset.code: asset.decimals for asset in rail.assets}
        self._line = RailLine(rail.url, rail.token, timeout_s)

    @property
    def venue(self) -> str:
        """Namespace of the venue's assets."""
        return self._venue

    @property
    def settle_ms(self) -> int:
        """No request has an effect later than this after it came in; ms."""
        return self._rail.settle_ms

    async def close(self) -> None:
        """Hang up; a later call opens the line again."""
        await self._line.close()

    async def deposit_address(self, code: str) -> str:
        """`venue:<account>`; a payment to it is confirmed once the venue has credited it.

        Raises:
            InvalidInputError: the rail does not carry the asset.
        """
        self._decimals_of(code)
        return f"venue:{self._account}"

    async def withdraw(
        self, key: str, code: str, units: int, decimals: int, address: str, memo: str
    ) -> SendReport:
        """Take units (of `decimals` digits) out of the free balance and pay them to an address.

        Raises:
            InvalidInputError: the rail does not carry the asset, or not that many digits; nothing was asked.
        """
        body = SendBody(
            key=key,
            asset=code,
            units=str(rescaled(units, decimals, self._decimals_of(code))),
            destination=address,
            memo=memo,
        )
        return read_report(await self._line.ask("POST", "/v1/withdrawals", SendAnswer, body))

    async def find(self, key: str) -> SendReport:
        """What became of the withdrawal under a key."""
        path = f"/v1/withdrawals/{quote(key, safe='')}"
        return read_report(await self._line.ask("GET", path, SendAnswer))

    def _decimals_of(self, code: str) -> int:
        decimals = self._decimals.get(code)
        if decimals is None:
            raise InvalidInputError("asset", code, f"one that the rail carries: {', '.join(self._decimals)}")
        return decimals


def rescaled(units: int, decimals: int, wanted: int) -> int:
    """Units of one number of decimals as units of another, exactly. Raises InvalidInputError between."""
    if type(units) is not int or units <= 0:
        raise InvalidInputError("units", units, "a whole number above 0")
    factor: int = 10 ** abs(wanted - decimals)
    if wanted >= decimals:
        return units * factor
    if units % factor:
        raise InvalidInputError("units", units, f"an amount of at most {wanted} digits after the point")
    return units // factor
