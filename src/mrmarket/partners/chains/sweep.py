"""Once a cycle, everything of a token that is final and has not been moved on goes on in one batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mrmarket.partners.chains import payments
from mrmarket.partners.chains.book import ChainBook
from mrmarket.partners.chains.errors import TokenRefusedError
from mrmarket.partners.chains.observations import Observation, Observations
from mrmarket.partners.chains.payment import Payment, PaymentRequest
from mrmarket.partners.chains.settings import ChainSettings, TokenSettings
from mrmarket.partners.chains.transfer import TransferKey
from mrmarket.partners.chains.vault import Vault
from mrmarket.partners.chains.watch import Status


@dataclass(frozen=True, slots=True)
class Batch:
    """What would be moved on."""

    request: PaymentRequest
    items: tuple[TransferKey, ...]


def everything(_: Observation) -> bool:
    """Sweep whatever came in."""
    return True


def batch_key(chain_id: int, token: str, cycle: int) -> str:
    """The key of a token's batch in a cycle; the same for everybody who works it out."""
    return f"sweep:{chain_id}:{token}:{cycle}"


def plan_batch(
    chain: ChainSettings, token: TokenSettings, cycle: int, destination: str, free: Sequence[Observation]
) -> Batch | None:
    """The batch of a token: all that is free and is no dust; None below the token's minimum. Pure."""
    wanted = [
        one.transfer
        for one in free
        if one.transfer.token == token.address and one.transfer.units >= max(1, token.dust_units)
    ]
    units = sum(transfer.units for transfer in wanted)
    if units < token.minimum_sweep_units:
        return None
    request = PaymentRequest(
        batch_key(chain.chain_id, token.address, cycle), token.address, destination, units
    )
    return Batch(request, tuple(sorted(transfer.key for transfer in wanted)))


class Sweep:
    """Of one chain, from the vault's account."""

    def __init__(self, chain: ChainSettings, book: ChainBook, vault: Vault) -> None:
        self._chain = chain
        self._book = book
        self._vault = vault
        self._observations = Observations(book)

    def plan(
        self,
        cycle: int,
        token_address: str,
        destination: str,
        may_go: Callable[[Observation], bool] = everything,
    ) -> Batch | None:
        """What the cycle's batch would be now: a dry run.

        Args:
            cycle: number of the cycle; it makes the key.
            token_address: which token.
            destination: where to; must be on the vault's allow-list.
            may_go: keeps what must stay, such as transfers that nobody could assign.

        Raises:
            TokenRefusedError: if the token is not configured.
        """
        token = self._chain.token(token_address.lower())
        if token is None:
            raise TokenRefusedError(batch_key(self._chain.chain_id, token_address, cycle), token_address)
        return plan_batch(self._chain, token, cycle, destination, self._free(may_go))

    async def run(
        self,
        cycle: int,
        token_address: str,
        destination: str,
        may_go: Callable[[Observation], bool] = everything,
    ) -> Payment | None:
        """Begin the cycle's batch, once: a second call gives the payment that was begun.

        Raises:
            VaultError, ChainError: as `Vault.submit`; nothing was begun, and the next cycle takes it along.
        """
        token_address = token_address.lower()
        with self._book.reading() as sql:
            known = payments.find_payment(sql, batch_key(self._chain.chain_id, token_address, cycle))
        if known is not None:
            return await self._vault.submit(known.request)
        batch = self.plan(cycle, token_address, destination, may_go)
        return None if batch is None else await self._vault.submit(batch.request, batch.items)

    def _free(self, may_go: Callable[[Observation], bool]) -> list[Observation]:
        final = self._observations.with_status(self._chain.chain_id, Status.FINAL)
        with self._book.reading() as sql:
            taken = payments.taken_items(sql, self._chain.chain_id)
        return [
            one
            for one in final
            if one.transfer.recipient == self._vault.account and one.transfer.key not in taken and may_go(one)
        ]
