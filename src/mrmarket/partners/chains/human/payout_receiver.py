"""Assigns final transfers to campaign, batch and cycle by the events of the escrows that sent them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from mrmarket.partners.chains.errors import ChainAnswerRefusedError
from mrmarket.partners.chains.human.bulk_transfer import BULK_TRANSFER_TOPIC, BulkTransfer, bulk_transfer_of
from mrmarket.partners.chains.human.payout import (
    Cycles,
    Escrows,
    EscrowTerms,
    Parked,
    ParkedTransfer,
    Payout,
)
from mrmarket.partners.chains.transfer import Transfer


class LogReader(Protocol):
    """What of a node is needed; `EvmNode` is one."""

    async def logs(
        self, block_hash: str, topics: Sequence[str | list[str] | None], address: str | None = None
    ) -> list[dict[str, Any]]:
        """Log entries of exactly one block. Raises a retryable `ChainError`."""
        ...


class PayoutReceiver:
    """Stateless: the same transfer gives the same payout, however often and however late it is asked."""

    def __init__(self, node: LogReader, escrows: Escrows, cycles: Cycles) -> None:
        self._node = node
        self._escrows = escrows
        self._cycles = cycles

    async def receive(self, transfers: Sequence[Transfer]) -> list[Payout | ParkedTransfer]:
        """What each transfer is, in the order given; asks for each block once.

        Args:
            transfers: final ones, as the watcher found them.

        Raises:
            ChainError: if the node does not answer; ask again.
        """
        known: dict[str, list[BulkTransfer]] = {}
        found: list[Payout | ParkedTransfer] = []
        for transfer in transfers:
            terms = self._escrows.terms(transfer.key.chain_id, transfer.sender)
            if terms is None:
                found.append(ParkedTransfer(transfer, Parked.UNKNOWN_SENDER))
                continue
            if transfer.block_hash not in known:
                known[transfer.block_hash] = await self._batches(transfer.block_hash)
            found.append(await self._assign(transfer, terms, known[transfer.block_hash]))
        return found

    async def _assign(
        self, transfer: Transfer, terms: EscrowTerms, batches: Sequence[BulkTransfer]
    ) -> Payout | ParkedTransfer:
        if transfer.token != terms.token:
            return ParkedTransfer(transfer, Parked.WRONG_ASSET, terms.campaign)
        if transfer.units < max(1, terms.dust_units):
            return ParkedTransfer(transfer, Parked.DUST, terms.campaign)
        batch = batch_of(transfer, batches)
        if batch is None:
            return ParkedTransfer(transfer, Parked.NO_BATCH, terms.campaign)
        cycle = await self._cycles.cycle(batch.escrow, batch.payout_id, batch.results_url, batch.results_hash)
        if cycle is None:
            return ParkedTransfer(
                transfer,
                Parked.UNKNOWN_CYCLE,
                terms.campaign,
                batch.payout_id,
                batch.results_url,
                batch.results_hash,
            )
        return Payout(
            transfer=transfer,
            campaign=terms.campaign,
            escrow=batch.escrow,
            payout_id=batch.payout_id,
            batch_index=batch.log_index,
            cycle=cycle,
            results_url=batch.results_url,
            results_hash=batch.results_hash,
        )

    async def _batches(self, block_hash: str) -> list[BulkTransfer]:
        try:
            entries = await self._node.logs(block_hash, [BULK_TRANSFER_TOPIC])
            read = [bulk_transfer_of(entry) for entry in entries]
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ChainAnswerRefusedError("human", "eth_getLogs", type(error).__name__) from error
        return [batch for batch in read if batch is not None]


def batch_of(transfer: Transfer, batches: Sequence[BulkTransfer]) -> BulkTransfer | None:
    """The batch that a transfer is of: its sender's next event in the same transaction, if that names it.

    An escrow makes a batch's transfers and then says so; with several batches in one transaction the next
    event after a transfer is its own.
    """
    later = [
        batch
        for batch in batches
        if batch.escrow == transfer.sender
        and batch.tx_hash == transfer.key.tx_hash
        and batch.log_index > transfer.key.log_index
    ]
    batch = min(later, key=lambda one: one.log_index, default=None)
    return batch if batch is not None and batch.pays(transfer.recipient, transfer.units) else None
