"""Final payouts of a chain as campaigns take them: a feed whose cursor can lose nothing.

Implements `mrmarket.campaigns.ports.PayoutFeed`. The cursor is kept by whoever takes a page, in the
transaction that takes it. What could not be assigned yet is named in the cursor and asked again each time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from mrmarket.campaigns.errors import PartnerUnclearError
from mrmarket.campaigns.ports import PayoutPage, PayoutSeen
from mrmarket.partners.chains.errors import ChainError
from mrmarket.partners.chains.human.payout import Parked, ParkedTransfer, Payout
from mrmarket.partners.chains.human.payout_receiver import PayoutReceiver
from mrmarket.partners.chains.observations import FeedEntry, Observations
from mrmarket.partners.chains.port import ChainReader
from mrmarket.partners.chains.settings import ChainSettings
from mrmarket.partners.chains.transfer import Transfer, TransferKey
from mrmarket.partners.chains.watch import Status

_MAX_WAITING: Final = 256
_LATER: Final = frozenset({Parked.UNKNOWN_CYCLE, Parked.UNKNOWN_SENDER, Parked.NO_BATCH})


class FeedCursor(msgspec.Struct, frozen=True):
    """How far a taker has come."""

    after: int = 0
    """Sequence number of the last change that was looked at."""
    waiting: tuple[tuple[str, int], ...] = ()
    """Transactions and log indices that were final and could not be assigned yet."""


class RewardFeed:
    """Of one chain. Stateless; the same cursor gives the same page, or a longer one."""

    def __init__(
        self, chain: ChainSettings, node: ChainReader, observations: Observations, receiver: PayoutReceiver
    ) -> None:
        self._chain = chain
        self._node = node
        self._observations = observations
        self._receiver = receiver

    @property
    def name(self) -> str:
        """Under which its cursor is kept."""
        return f"chain:{self._chain.chain_id}"

    async def payouts(self, cursor: str, limit: int) -> PayoutPage:
        """Payouts after a cursor, and those that were final and are gone.

        Raises:
            PartnerUnclearError: if the node does not answer, or the cursor is not one of ours.
        """
        before = self._read(cursor)
        entries = _one_page(self._observations.feed(before.after, limit))
        ours = [one for one in entries if one.observation.transfer.key.chain_id == self._chain.chain_id]
        final = {one.key: one for one in (*self._waiting(before), *_standing(ours))}
        try:
            found = await self._receiver.receive(list(final.values()))
            seen = [await self._seen(one) for one in found if isinstance(one, Payout)]
        except ChainError as error:
            raise PartnerUnclearError(self.name, str(error)) from error
        parked = [one for one in found if isinstance(one, ParkedTransfer) and self._may_come(one)]
        after = FeedCursor(
            entries[-1].seq if entries else before.after,
            tuple((one.transfer.key.tx_hash, one.transfer.key.log_index) for one in parked[-_MAX_WAITING:]),
        )
        gone = [_gone(one.observation.transfer) for one in ours if one.was_final]
        # A cursor that says the same is the same text: whoever takes pages stops by it.
        return PayoutPage(seen, gone, cursor if after == before else msgspec.json.encode(after).decode())

    def _read(self, cursor: str) -> FeedCursor:
        if not cursor:
            return FeedCursor()
        try:
            return msgspec.json.decode(cursor, type=FeedCursor)
        except msgspec.MsgspecError as error:
            raise PartnerUnclearError(self.name, f"the cursor cannot be read ({error})") from error

    def _waiting(self, cursor: FeedCursor) -> list[Transfer]:
        found = [
            self._observations.find(TransferKey(self._chain.chain_id, tx_hash, index))
            for tx_hash, index in cursor.waiting
        ]
        return [one.transfer for one in found if one is not None and one.status is Status.FINAL]

    def _may_come(self, parked: ParkedTransfer) -> bool:
        """Whether a later look may assign it; strange tokens and dust are only shown."""
        token = self._chain.token(parked.transfer.token)
        return (
            parked.why in _LATER and token is not None and parked.transfer.units >= max(1, token.dust_units)
        )

    async def _seen(self, payout: Payout) -> PayoutSeen:
        transfer = payout.transfer
        block = await self._node.block_at(transfer.block_number)
        if block is None or block.hash != transfer.block_hash:
            raise PartnerUnclearError(self.name, f"block {transfer.block_number} is not what it was")
        return _payout_seen(
            transfer, payout.campaign, payout.cycle, payout.payout_id, block.time_s * 1_000, is_final=True
        )


def _one_page(entries: Sequence[FeedEntry]) -> list[FeedEntry]:
    """Up to where something is final again after something final was gone.

    Whoever takes a page takes what is final before what is gone, so a page must not hold both the other way
    round.
    """
    page: list[FeedEntry] = []
    for entry in entries:
        if entry.status is Status.FINAL and any(one.was_final for one in page):
            break
        page.append(entry)
    return page


def _standing(entries: Sequence[FeedEntry]) -> list[Transfer]:
    """Those that became final and still are."""
    return [
        one.observation.transfer
        for one in entries
        if one.status is Status.FINAL and one.observation.status is Status.FINAL
    ]


def _gone(transfer: Transfer) -> PayoutSeen:
    """A payout is known by its name; the rest cannot be asked any more."""
    return _payout_seen(transfer, "", 0, "", 0, is_final=False)


def _payout_seen(
    transfer: Transfer, campaign: str, cycle: int, batch: str, block_ms: int, *, is_final: bool
) -> PayoutSeen:
    return PayoutSeen(
        chain_id=transfer.key.chain_id,
        tx=transfer.key.tx_hash,
        log=transfer.key.log_index,
        campaign=campaign,
        cycle=cycle,
        token=transfer.token,
        units=transfer.units,
        batch=batch,
        block_ms=block_ms,
        is_final=is_final,
    )
