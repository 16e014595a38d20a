"""Between the world's chain and its Mixin: final transfers become deposits, withdrawals become transfers.

Each step may end anywhere and be done again: Mixin takes a deposit's hash once, and withdrawal number n is
the bridge account's transaction number n.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from mrmarket.core.clock import Clock
from mrmarket.partners.chains.book import ChainBook
from mrmarket.partners.chains.node import EvmNode
from mrmarket.partners.chains.observations import Observation, Observations
from mrmarket.partners.chains.payment import PaymentRequest
from mrmarket.partners.chains.port import Signer, UnsignedTransaction
from mrmarket.partners.chains.settings import ChainSettings, TokenSettings
from mrmarket.partners.chains.transfer import Transfer, TransferKey
from mrmarket.partners.chains.watch import Status
from mrmarket.partners.chains.watcher import Watcher
from mrmarket.partners.mixin.sandbox.journal import Row
from mrmarket.partners.mixin.sandbox.server import MixinSandbox
from mrmarket.partners.mixin.transaction import DECIMALS

_ADDRESS: Final = re.compile(r"0x[0-9a-fA-F]{40}", re.ASCII)
_GAS: Final = 120_000
_MAX_FEE_WEI: Final = 100 * 10**9
_TIP_WEI: Final = 10**9


@dataclass(frozen=True, slots=True)
class Carried:
    """What one look came to."""

    deposits: int
    withdrawals: int


class ChainBridge:
    """Carries one token both ways. Mixin counts 8 decimals; what is below them stays where it arrived."""

    def __init__(
        self,
        chain: ChainSettings,
        node: EvmNode,
        book: ChainBook,
        mixin: MixinSandbox,
        asset_id: str,
        addresses: Sequence[str],
        signer: Signer,
        clock: Clock,
    ) -> None:
        """Nothing is asked yet.

        Args:
            chain: with the one token that is carried.
            node: of the chain.
            book: the bridge's own; nobody else watches into it.
            mixin: where deposits go.
            asset_id: Mixin's id of the token.
            addresses: every address that Mixin gives to its people on this chain.
            signer: the account that withdrawals come from; it sends nothing else, ever.
            clock: stamps what is stored.
        """
        (self._token,) = chain.tokens
        self._chain = chain
        self._node = node
        self._mixin = mixin
        self._asset_id = asset_id
        self._signer = signer
        self._observations = Observations(book)
        self._watcher = Watcher(chain, node, self._observations, addresses, clock)
        self._carried: set[TransferKey] = set()
        self._above = -1
        self._is_new = True
        self._offered: set[int] = set()

    async def step(self) -> Carried:
        """Look at both sides once.

        Raises:
            ChainError: the node does not answer; step again.
        """
        is_caught_up = False
        while not is_caught_up:
            report = await self._watcher.step()
            is_caught_up, self._is_new = report.is_caught_up, self._is_new or bool(report.records)
        deposits = 0
        if self._is_new:
            deposits = await self._take()
            self._is_new = False
        return Carried(deposits, await self._pay_out())

    async def _take(self) -> int:
        """Deliver what is final; a process that has just begun delivers everything once more."""
        final = await asyncio.to_thread(
            self._observations.with_status, self._chain.chain_id, Status.FINAL, self._above
        )
        fresh = [one for one in final if one.transfer.key not in self._carried]
        delivered = sum(self._deliver(one) for one in fresh)
        # What is final in one block became so at once, and blocks become final in their order.
        self._above = max((one.transfer.block_number for one in fresh), default=self._above)
        return delivered

    def _deliver(self, observation: Observation) -> bool:
        transfer = observation.transfer
        self._carried.add(transfer.key)
        units = mixin_units(transfer.units, self._token)
        if transfer.token != self._token.address or not units:
            return False  # another token, or less than Mixin can count: nobody is credited
        name = self._name(transfer)
        return bool(
            self._mixin.deposit(transfer.recipient, self._asset_id, units, name, sender=transfer.sender)
        )

    def _name(self, transfer: Transfer) -> str:
        """The transaction's hash; a further transfer of the same transaction gets its place behind it."""
        key = transfer.key
        earlier = any(
            other.chain_id == key.chain_id
            and other.tx_hash == key.tx_hash
            and other.log_index < key.log_index
            for other in self._carried
        )
        return f"{key.tx_hash}:{key.log_index}" if earlier else key.tx_hash

    async def _pay_out(self) -> int:
        """Send what Mixin has let go, and tell it what is final; how many.

        The nonce makes it once; the same bytes again are the same payment.
        """
        wanted = [row for row in self._mixin.withdrawals() if self._is_ours(row)]
        if not any(not row["chain_hash"] for row in wanted):
            return 0
        used = await self._node.used_nonces(self._signer.address)
        final = (await self._node.head()).number - self._chain.confirmations
        settled = 0
        for nonce, row in enumerate(wanted):
            if row["chain_hash"]:
                continue
            signed = await self._signer.sign(self._transaction(nonce, row))
            if nonce >= used:
                if nonce not in self._offered:
                    await self._node.broadcast(signed.raw)
                    self._offered.add(nonce)
                continue
            receipt = await self._node.receipt(signed.tx_hash)
            if receipt is not None and receipt.block_number <= final:
                self._mixin.settle_withdrawal(row["number"], signed.tx_hash)
                settled += 1
        return settled

    def _transaction(self, nonce: int, row: Row) -> UnsignedTransaction:
        units = chain_units(int(row["units"]), self._token)
        request = PaymentRequest(
            f"withdrawal:{row['number']}", self._token.address, row["address"].lower(), units
        )
        return UnsignedTransaction(
            chain_id=self._chain.chain_id,
            nonce=nonce,
            to=self._token.address,
            data=request.call,
            gas=_GAS,
            max_fee_wei=_MAX_FEE_WEI,
            tip_wei=_TIP_WEI,
        )

    def _is_ours(self, row: Row) -> bool:
        return row["asset"] == self._asset_id and _ADDRESS.fullmatch(row["address"]) is not None


def mixin_units(units: int, token: TokenSettings) -> int:
    """Base units of the chain in Mixin's 8 decimals, rounded down."""
    finer, coarser = _steps(token)
    return units * coarser // finer


def chain_units(units: int, token: TokenSettings) -> int:
    """Mixin's units in base units of the chain, rounded down."""
    finer, coarser = _steps(token)
    return units * finer // coarser


def _steps(token: TokenSettings) -> tuple[int, int]:
    """How many units of the chain are one of Mixin's, and how many of Mixin's one of the chain; one is 1."""
    digits = token.decimals - DECIMALS
    return int(10 ** max(0, digits)), int(10 ** max(0, -digits))
