"""HuFi's oracles on the world's chain: they store results and pay batches, each once whatever happens."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from mrmarket.partners.chains.human.deployment import HumanDeployment
from mrmarket.partners.hufi.sandbox.feed import Payment

_PAYING: Final = frozenset({2, 3})
"""The contract's statuses partial and paid: only from those is a campaign completed."""


class ChainSettlement:
    """`Settlement` over the real contracts. Asks the chain before it sends anything again."""

    def __init__(self, human: HumanDeployment, keep: Callable[[], Awaitable[None]]) -> None:
        """`keep` puts the chain on the disk; what is done is said only after that."""
        self._human = human
        self._keep = keep

    async def store(self, chain_id: int, escrow: str, url: str, document_hash: str, reserved: int) -> None:
        """Store results and reserve what they can cost. Raises `ChainError`."""
        del chain_id
        _, stored = await self._human.results(escrow)
        if stored != document_hash:
            await self._human.store_results(escrow, url, document_hash, reserved)
        await self._keep()

    async def pay(self, payment: Payment) -> None:
        """Pay a batch, or complete a campaign whose last cycle pays nobody. Raises `ChainError`.

        An escrow that never paid cannot be completed; its launcher would have to cancel it.
        """
        escrow = payment.escrow
        if payment.parts:
            if not await self._human.has_paid(escrow, payment.batch):
                await self._pay(payment)
        elif await self._human.status(escrow) in _PAYING:
            await self._human.complete(escrow)
        await self._keep()

    async def _pay(self, payment: Payment) -> None:
        url, document_hash = await self._human.results(payment.escrow)
        await self._human.bulk_pay_out(
            payment.escrow,
            list(payment.parts),
            list(payment.parts.values()),
            url,
            document_hash,
            payment.batch,
            force_complete=payment.is_last,
        )
