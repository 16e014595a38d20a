"""The wallets of the simulated network, for an API that lets each signed-in wallet move its own money."""

from __future__ import annotations

from mrmarket.services.rail.line import TIMEOUT_S, RailLine
from mrmarket.services.rail.messages import FundBody, PayBody, RailEndpoints, WalletAnswer, WalletPayment


class WalletClient:
    """Acts for any wallet: whoever holds it decides for whom. Amounts are exact decimal strings.

    Every call raises RailRefusedError with the rail's stable `reason` (`insufficient_funds`,
    `faucet_empty`, `invalid_amount`, `invalid_destination`, `unknown_asset`, `idempotency_conflict`, …)
    or RailUnclearError; asking again with the same key is safe after either.
    """

    def __init__(self, rail: RailEndpoints, timeout_s: float = TIMEOUT_S) -> None:
        """`rail` is what `RailProcess.start` gives."""
        self._line = RailLine(rail.url, rail.wallet_token, timeout_s)

    async def close(self) -> None:
        """Hang up; a later call opens the line again."""
        await self._line.close()

    async def wallet(self, address: str) -> WalletAnswer:
        """Balances and the latest payments of a wallet; one that nobody has used is empty."""
        return await self._line.ask("GET", f"/v1/wallets/{_segment(address)}", WalletAnswer)

    async def fund(self, address: str, key: str, asset: str, amount: str) -> WalletPayment:
        """Ask the faucet for play money, once per key."""
        body = FundBody(key=key, asset=asset, amount=amount)
        return await self._line.ask("POST", f"/v1/wallets/{_segment(address)}/faucet", WalletPayment, body)

    async def pay(
        self, address: str, key: str, destination: str, asset: str, amount: str, memo: str = ""
    ) -> WalletPayment:
        """Pay from a wallet to an address, once per key."""
        body = PayBody(key=key, destination=destination, asset=asset, amount=amount, memo=memo)
        return await self._line.ask("POST", f"/v1/wallets/{_segment(address)}/payments", WalletPayment, body)


def _segment(address: str) -> str:
    """What may stand in a path; anything else becomes an address that is refused."""
    return address if address.isascii() and address.isalnum() else "-"
