"""Pays from one account of one chain, so that nothing can be paid twice.

A nonce belongs to one payment for ever, and is reserved before anything is signed. What is signed is on the
disk before anybody hears of it. A node is only ever offered bytes that are on the disk. So wherever the
process ends, the next one offers the same bytes again, or other bytes with the same nonce, of which the
chain takes one at most.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import structlog

from mrmarket.core.clock import NS_PER_MS, Clock
from mrmarket.core.crash import reach
from mrmarket.partners.chains import payments
from mrmarket.partners.chains.book import ChainBook
from mrmarket.partners.chains.errors import (
    ChainCallError,
    PaymentConflictError,
    ShortOfFundsError,
    VaultHaltedError,
    WouldRevertError,
)
from mrmarket.partners.chains.fence import Fence
from mrmarket.partners.chains.observations import Observations
from mrmarket.partners.chains.payment import Attempt, Payment, PaymentRequest, PaymentState
from mrmarket.partners.chains.port import ChainWriter, Receipt, Signer, UnsignedTransaction
from mrmarket.partners.chains.settings import ChainSettings, VaultSettings
from mrmarket.partners.chains.transfer import TransferKey
from mrmarket.partners.chains.vault_rules import (
    Evidence,
    Offer,
    Step,
    Verdict,
    check_price,
    check_request,
    first_offer,
    gas_limit,
    is_offer_due,
    judge,
    raised_offer,
)

CRASH_POINTS: Final = (
    "vault-before-reserve",
    "vault-reserved",
    "vault-signed",
    "vault-stored",
    "vault-offered",
    "vault-noted",
)

_log: Final[Any] = structlog.get_logger("mrmarket.chains.vault")


@dataclass(frozen=True, slots=True)
class Quote:
    """What a payment would cost; a dry run ends with it."""

    request: PaymentRequest
    nonce: int
    gas: int
    offer: Offer

    @property
    def most_wei(self) -> int:
        """The most that its gas can cost."""
        return self.gas * self.offer.max_fee_wei


class Vault:
    """One account. Take it with `open`; call `step` again and again while payments are under way."""

    def __init__(
        self,
        chain: ChainSettings,
        settings: VaultSettings,
        node: ChainWriter,
        signer: Signer,
        book: ChainBook,
        clock: Clock,
        owner: str,
    ) -> None:
        """Nothing is asked yet. `owner` names this process; no other may use the name at the same time."""
        self._chain = chain
        self._settings = settings
        self._node = node
        self._signer = signer
        self._book = book
        self._clock = clock
        self._observations = Observations(book)
        self._name = f"vault {chain.name} {signer.address}"
        self._fence = Fence(book, self._name, owner, settings.lease_s, clock)
        self._one = asyncio.Lock()

    @property
    def account(self) -> str:
        """The account that pays, in lower case."""
        return self._signer.address

    async def open(self) -> None:
        """Take the vault. Raises `VaultHeldError` while another process has it."""
        await asyncio.to_thread(self._fence.acquire)

    async def close(self) -> None:
        """Let others in. Raises `VaultFenceError` if somebody took it over."""
        await asyncio.to_thread(self._fence.release)

    async def quote(self, request: PaymentRequest) -> Quote:
        """Everything that is checked before a payment, and nothing else.

        Raises:
            VaultError: one of its subclasses, by what is not allowed or not possible now.
            ChainError: if the node does not answer.
        """
        halted = self._observations.halted(self._chain.chain_id)
        if halted:
            raise VaultHaltedError(request.key, halted)
        with self._book.reading() as sql:
            spent = payments.spent_units(sql, self._chain.chain_id, request.token, self._window_ms())
            owed = payments.open_units(sql, self._chain.chain_id, self.account, request.token)
            reserved = payments.next_nonce(sql, self._chain.chain_id, self.account)
        check_request(request, self._chain, self._settings, spent)
        held = await self._node.token_units(request.token, self.account)
        if held - owed < request.units:
            raise ShortOfFundsError(request.key, f"token {request.token}", request.units, max(held - owed, 0))
        price = await self._node.gas_price()
        check_price(request.key, price, self._chain)
        try:
            estimate = await self._node.estimate_gas(self.account, request.token, request.call)
        except ChainCallError as error:
            raise WouldRevertError(request.key, error.message) from error
        gas = gas_limit(request.key, estimate, self._chain, self._settings)
        offer = first_offer(price, self._chain)
        nonce = max(reserved, await self._node.pending_nonces(self.account))
        quote = Quote(request, nonce, gas, offer)
        coins = await self._node.coins(self.account)
        if coins < quote.most_wei:
            raise ShortOfFundsError(request.key, "the chain's own coin", quote.most_wei, coins)
        return quote

    async def submit(self, request: PaymentRequest, items: Sequence[TransferKey] = ()) -> Payment:
        """Begin a payment, or find the one that was begun under the same key.

        Args:
            request: what to pay.
            items: received transfers that it moves on; each is moved by one payment at most.

        Raises:
            PaymentConflictError: if the key names another payment, or an item is moved already.
            VaultFenceError: if another process took the vault over.
            VaultError, ChainError: as `quote`; nothing was begun.
        """
        async with self._one:
            known = self._find(request.key)
            if known is None:
                quote = await self.quote(request)
                reach("vault-before-reserve")
                known = await asyncio.to_thread(self._reserve, quote, items)
                reach("vault-reserved")
            elif known.request != request:
                raise PaymentConflictError(request.key)
            if known.state is PaymentState.PREPARED:
                await self._pursue(known)
        return self._require(request.key)

    async def step(self) -> list[Payment]:
        """Look after every payment that is not over; gives those that changed.

        Raises:
            VaultFenceError: if another process took the vault over.
            ChainError: if the node does not answer; nothing is lost, step again.
        """
        async with self._one:
            await asyncio.to_thread(self._fence.renew)
            await self._reopen_unused()
            with self._book.reading() as sql:
                waiting = payments.open_payments(sql, self._chain.chain_id, self.account)
            changed = []
            for payment in waiting:
                await self._pursue(payment)
                now = self._require(payment.key)
                if now != payment:
                    changed.append(now)
            return changed

    async def _reopen_unused(self) -> None:
        """What was over and is gone is looked at again: else every later nonce would wait for it for ever.

        A chain may replace more blocks than are waited for before the watcher has read them.
        """
        used = await self._node.used_nonces(self.account)
        with self._book.reading() as sql:
            reserved = payments.next_nonce(sql, self._chain.chain_id, self.account)
        if used < reserved:
            await asyncio.to_thread(self._reopen, used)

    def _reopen(self, used: int) -> None:
        with self._book.transaction() as sql:
            self._fence.check(sql)
            payments.reopen_unused(sql, self._chain.chain_id, self.account, used, self._now_ms())

    def _reserve(self, quote: Quote, items: Sequence[TransferKey]) -> Payment:
        request = quote.request
        at_ms = self._now_ms()
        with self._book.transaction() as sql:
            self._fence.check(sql)
            spent = payments.spent_units(sql, self._chain.chain_id, request.token, self._window_ms())
            check_request(request, self._chain, self._settings, spent)
            if any(payments.sweep_of(sql, item) is not None for item in items):
                raise PaymentConflictError(request.key)
            payment = Payment(
                key=request.key,
                chain_id=self._chain.chain_id,
                account=self.account,
                nonce=max(quote.nonce, payments.next_nonce(sql, self._chain.chain_id, self.account)),
                token=request.token,
                destination=request.destination,
                units=request.units,
                gas=quote.gas,
                state=PaymentState.PREPARED,
                created_ms=at_ms,
                changed_ms=at_ms,
            )
            payments.add_payment(sql, payment)
            payments.add_items(sql, request.key, items)
        return payment

    async def _pursue(self, payment: Payment) -> None:
        with self._book.reading() as sql:
            attempts = payments.attempts_of(sql, payment.key)
        verdict = judge(
            payment,
            attempts,
            await self._evidence(payment, attempts),
            self._chain,
            self._settings,
            self._now_ms(),
        )
        if verdict.step is Step.NOTE:
            await asyncio.to_thread(self._note, payment, verdict)
            return
        if verdict.step is Step.WAIT or self._observations.halted(self._chain.chain_id):
            return
        if verdict.step is Step.SIGN:
            attempts = [await self._sign(payment, 1, first_offer(await self._node.gas_price(), self._chain))]
        elif verdict.step is Step.RAISE:
            offer = raised_offer(attempts[-1], await self._node.gas_price(), self._chain)
            if offer is not None:
                attempts.append(await self._sign(payment, len(attempts) + 1, offer))
            elif not is_offer_due(attempts[-1], self._settings, self._now_ms()):
                return
        await self._offer(payment, attempts[-1])

    async def _evidence(self, payment: Payment, attempts: Sequence[Attempt]) -> Evidence:
        head = await self._node.head()
        used = await self._node.used_nonces(self.account)
        # Asked after the nonces: what is in a block by then has a receipt by now.
        found = [await self._node.receipt(attempt.tx_hash) for attempt in attempts]
        receipts = [one for one in found if one is not None and await self._stands(one)]
        deep = max(0, head.number - self._chain.confirmations)
        used_deep = 0
        if used > payment.nonce and not receipts:
            used_deep = await self._node.used_nonces(self.account, deep)
        return Evidence(head.number, tuple(receipts), used, used_deep)

    async def _stands(self, receipt: Receipt) -> bool:
        block = await self._node.block_at(receipt.block_number)
        return block is not None and block.hash == receipt.block_hash

    async def _sign(self, payment: Payment, number: int, offer: Offer) -> Attempt:
        signed = await self._signer.sign(
            UnsignedTransaction(
                chain_id=payment.chain_id,
                nonce=payment.nonce,
                to=payment.token,
                data=payment.request.call,
                gas=payment.gas,
                max_fee_wei=offer.max_fee_wei,
                tip_wei=offer.tip_wei,
            )
        )
        reach("vault-signed")
        attempt = Attempt(
            payment.key, number, signed.tx_hash, signed.raw, offer.max_fee_wei, offer.tip_wei, self._now_ms()
        )
        await asyncio.to_thread(self._keep, attempt)
        reach("vault-stored")
        return attempt

    def _keep(self, attempt: Attempt) -> None:
        with self._book.transaction() as sql:
            self._fence.check(sql)
            payments.add_attempt(sql, attempt)

    async def _offer(self, payment: Payment, attempt: Attempt) -> None:
        with self._book.reading() as sql:
            self._fence.check(sql)
        try:
            await self._node.broadcast(attempt.raw)
        except ChainCallError as error:
            # Known already, too low a fee, or refused: in each case the chain tells later what is true.
            _log.info("vault.offer_refused", payment=payment.key, nonce=payment.nonce, message=error.message)
        reach("vault-offered")
        await asyncio.to_thread(self._note_offer, payment, attempt)
        reach("vault-noted")

    def _note_offer(self, payment: Payment, attempt: Attempt) -> None:
        at_ms = self._now_ms()
        with self._book.transaction() as sql:
            self._fence.check(sql)
            payments.note_offer(sql, attempt, at_ms)
            if payment.state is PaymentState.PREPARED:
                payments.put_payment(sql, replace(payment, state=PaymentState.BROADCAST, changed_ms=at_ms))

    def _note(self, payment: Payment, verdict: Verdict) -> None:
        assert verdict.state is not None  # noqa: S101 - a note says what to write
        receipt = verdict.receipt
        after = replace(
            payment,
            state=verdict.state,
            changed_ms=self._now_ms(),
            tx_hash=receipt.tx_hash if receipt else "",
            block_number=receipt.block_number if receipt else 0,
            block_hash=receipt.block_hash if receipt else "",
            succeeded=receipt is not None and receipt.succeeded,
            cost_wei=receipt.cost_wei if receipt else 0,
            reason=verdict.reason,
        )
        with self._book.transaction() as sql:
            self._fence.check(sql)
            payments.put_payment(sql, after)

    def _find(self, key: str) -> Payment | None:
        with self._book.reading() as sql:
            return payments.find_payment(sql, key)

    def _require(self, key: str) -> Payment:
        found = self._find(key)
        assert found is not None  # noqa: S101 - payments are never deleted
        return found

    def _now_ms(self) -> int:
        return self._clock.now_ns() // NS_PER_MS

    def _window_ms(self) -> int:
        return self._now_ms() - self._settings.limit_window_s * 1_000
