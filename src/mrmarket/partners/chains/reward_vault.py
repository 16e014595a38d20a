"""The vaults of several chains as campaigns ask them: one transfer per key, told as it stands.

Implements `mrmarket.campaigns.ports.RewardVault`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from mrmarket.campaigns.errors import PartnerUnclearError
from mrmarket.campaigns.ports import Sweep, SweepState
from mrmarket.partners.chains import payments
from mrmarket.partners.chains.book import ChainBook
from mrmarket.partners.chains.errors import ChainError
from mrmarket.partners.chains.payment import Payment, PaymentRequest, PaymentState
from mrmarket.partners.chains.vault import Vault

_DEAD: Final = frozenset({PaymentState.FAILED, PaymentState.REPLACED})


@dataclass(frozen=True, slots=True)
class Arrival:
    """What the rail at the other end says of a transfer that reached it."""

    payment: str
    """Its name there."""
    units: int
    """Base units that arrived."""
    at_ms: int


class Arrivals(Protocol):
    """The rail at the other end."""

    async def find(self, chain_id: int, tx_hash: str, token: str) -> Arrival | None:
        """The payment that a transaction became; None while it has not arrived."""
        ...


class Destinations(Protocol):
    """Where rewards go on to."""

    async def address(self, chain_id: int, token: str) -> str:
        """The rail's deposit address for a token; must be on the vault's allow-list as well."""
        ...


class ChainRewardVault:
    """One vault a chain, on one file."""

    def __init__(
        self, book: ChainBook, vaults: Mapping[int, Vault], destinations: Destinations, arrivals: Arrivals
    ) -> None:
        self._book = book
        self._vaults = vaults
        self._destinations = destinations
        self._arrivals = arrivals

    async def sweep(self, key: str, chain_id: int, token: str, units: int) -> Sweep:
        """Send so many base units on; the same key is the same transfer.

        Raises:
            PartnerUnclearError: if it could not be begun now, with the vault's own words.
        """
        known = await asyncio.to_thread(self._find, key)
        if known is None:
            vault = self._vaults.get(chain_id)
            if vault is None:
                raise PartnerUnclearError(key, f"no vault is open on chain {chain_id}")
            try:
                destination = await self._destinations.address(chain_id, token)
                known = await vault.submit(PaymentRequest(key, token, destination, units))
            except ChainError as error:
                raise PartnerUnclearError(key, str(error)) from error
        elif (known.chain_id, known.token, known.units) != (chain_id, token.lower(), units):
            raise PartnerUnclearError(key, "the vault has another payment under this key")
        return await self._told(known)

    async def find(self, key: str) -> Sweep | None:
        """What became of a transfer; None where it was never asked for."""
        known = await asyncio.to_thread(self._find, key)
        return None if known is None else await self._told(known)

    async def _told(self, payment: Payment) -> Sweep:
        if payment.state in _DEAD:
            return _sweep(payment, SweepState.FAILED, None)
        if payment.state is not PaymentState.FINAL:
            return _sweep(payment, SweepState.SENT, None)
        arrival = await self._arrivals.find(payment.chain_id, payment.tx_hash, payment.token)
        return _sweep(payment, SweepState.SENT if arrival is None else SweepState.SETTLED, arrival)

    def _find(self, key: str) -> Payment | None:
        with self._book.reading() as sql:
            return payments.find_payment(sql, key)


def _sweep(payment: Payment, state: SweepState, arrival: Arrival | None) -> Sweep:
    return Sweep(
        key=payment.key,
        state=state,
        tx=payment.tx_hash,
        arrival="" if arrival is None else arrival.payment,
        cost_units=0 if arrival is None else payment.units - arrival.units,
        at_ms=payment.changed_ms if arrival is None else arrival.at_ms,
    )
