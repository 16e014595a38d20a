"""Payments that happen once: fix the bytes, keep them, send them, ask what became of them.

The order of effects is what makes it safe. Bytes are kept before they are signed, signed bytes before they
are sent; a request id follows from the key; a lost answer leads to a question by that id, and then to the
same bytes. New bytes are built only where the old ones were never signed, spend coins that another
transaction has spent, or were refused for a fee that has risen: those spend every coin of the old ones.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final
from weakref import WeakValueDictionary

from msgspec.structs import replace

from mrmarket.core.clock import NS_PER_MS, Clock
from mrmarket.core.crash import reach
from mrmarket.core.errors import InvalidInputError
from mrmarket.partners.mixin.address import MixAddress
from mrmarket.partners.mixin.book import CoinTakenError, Stage, TransferBook, TransferRow
from mrmarket.partners.mixin.client import MixinClient, RawRequest
from mrmarket.partners.mixin.drafting import Recipient, choose_fee, coins_of, draft_leg
from mrmarket.partners.mixin.errors import (
    FragmentedError,
    MixinDriftError,
    MixinRefusedError,
    MixinUnclearError,
    ShortOfFundsError,
    TransactionFormError,
    TransferConflictError,
    TransferWaitsError,
)
from mrmarket.partners.mixin.ids import CASHIER, kernel_asset, request_id
from mrmarket.partners.mixin.messages import RequestView
from mrmarket.partners.mixin.order import Leg, TransferOrder, Withdrawal, read_destination
from mrmarket.partners.mixin.selection import Coin, choose, extend, gather_all
from mrmarket.partners.mixin.signing import sign_transaction
from mrmarket.partners.mixin.transaction import (
    WITHDRAWAL,
    Transaction,
    decode,
    encode,
    parse_amount,
    transaction_hash,
)

CRASH_POINTS: Final = ("mixin.opened", "mixin.drafted", "mixin.checked", "mixin.signed", "mixin.sent")
"""Points between the effects of a transfer, in their order."""

_NEVER: Final = frozenset(
    {
        "invalid_field",
        "not_registered",
        "amount_too_small",
        "withdrawal_too_small",
        "withdrawal_too_large",
        "invalid_withdrawal_memo",
        "invalid_receivers",
        "invalid_address",
    }
)
"""Refusals that no waiting cures."""
_DEARER: Final = frozenset({"insufficient_fee", "withdrawal_fee_too_small"})
"""Refusals of a fee that was enough when the bytes were signed."""


class Transfers:
    """Makes payments, once per key. Calls for one key wait for one another, those for several do not.

    A call that raises has an unknown outcome; `find` tells.
    """

    def __init__(self, client: MixinClient, book: TransferBook, clock: Clock) -> None:
        """The clock stamps stages; the keystore of the client must hold the spend key."""
        self._client = client
        self._book = book
        self._clock = clock
        self._drafting = asyncio.Lock()
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def send(self, order: TransferOrder) -> TransferRow:
        """Bring a payment as far as it goes now.

        Raises:
            TransferConflictError: the key was used for something else; nothing is changed.
            TransferWaitsError: the coins are bound elsewhere for now.
            MixinUnclearError: no answer came.
        """
        async with self._lock(order.key):
            row = self._book.find(order.key)
            if row is not None and row.order.fingerprint != order.fingerprint:
                raise TransferConflictError(order.key, "another amount, asset, destination or memo")
            if row is None:
                row = await self._open(order)
            if row.stage is Stage.OPEN:
                try:
                    row = await self._draft(row)
                except FragmentedError as pieces:
                    await self.gather(order.asset_id)
                    raise TransferWaitsError(str(pieces)) from pieces
            fresh = False
            if row.stage is Stage.DRAFTED:
                row = await self._sign(row)
                fresh = True
            if row.stage is Stage.SIGNED:
                row = await self._deliver(row, fresh=fresh)
            return row

    async def find(self, key: str) -> TransferRow | None:
        """What became of a payment; None where nothing is known of it here nor there.

        Of one that is not on its way the stage is `open` or `drafted`; of one that is, `signed`.
        """
        async with self._lock(key):
            row = self._book.find(key)
            if row is None or row.stage is not Stage.SIGNED:
                return row
            return await self._look(row) or replace(row, stage=Stage.DRAFTED)

    async def preview(self, order: TransferOrder) -> TransferRow:
        """What `send` would make now: its bytes, coins and fee. Nothing is kept, bound, signed or sent.

        Raises ShortOfFundsError, FragmentedError, or as the client's calls.
        """
        objection = order.objection()
        if objection:
            return TransferRow(order, Stage.REFUSED, reason=objection)
        async with self._drafting:
            legs, fee_units, fee_asset = await self._legs(order)
        return TransferRow(order, Stage.OPEN, legs, legs[0].hash, "", fee_units, fee_asset)

    async def resume(self) -> list[TransferRow]:
        """Go on with what a crash left: every draft is signed, and what was signed is asked for and sent."""
        rows = (self._book.find(key) for key in self._book.pending())
        return [await self.send(row.order) for row in rows if row is not None]

    async def gather(self, asset_id: str) -> TransferRow | None:
        """Make one coin of the smallest 255; None where there are not two. Raises as `send`."""
        coins = await self._free_coins(asset_id)
        choice = gather_all(coins)
        if choice is None:
            return None
        key = f"gather:{asset_id}:{choice.coins[0].id}:{len(choice.coins)}"
        return await self.send(TransferOrder(key, asset_id, choice.change, self._client.app_id))

    def _lock(self, key: str) -> asyncio.Lock:
        lock = self._locks.get(key)
        if lock is None:
            lock = self._locks[key] = asyncio.Lock()
        return lock

    async def _open(self, order: TransferOrder) -> TransferRow:
        """A key that the book does not know: it may have been used before the book was lost."""
        row = TransferRow(order)
        objection = order.objection()
        if objection:
            return self._keep(row, stage=Stage.REFUSED, reason=objection)
        known = await self._client.transaction(request_id(self._client.app_id, order.key, "tx"))
        if known is not None and known.is_accepted:
            _same_payment(order, known)
            leg = Leg(known.request_id, known.transaction_hash, "", (), known.raw_transaction)
            row = self._keep(row, stage=Stage.SIGNED, legs=(leg,), reference=known.transaction_hash)
        else:
            row = self._keep(row, stage=Stage.OPEN)
        reach("mixin.opened")
        return row

    async def _draft(self, row: TransferRow) -> TransferRow:
        async with self._drafting:
            try:
                legs, fee_units, fee_asset = await self._legs(row.order)
            except ShortOfFundsError as short:
                if self._book.bound_coins():
                    raise TransferWaitsError(str(short)) from short
                return self._keep(row, stage=Stage.REFUSED, reason=f"{short.code}: {short}")
            except MixinRefusedError as refused:
                return self._give_up(row, refused)
            row = replace(
                row, legs=legs, fee_units=fee_units, fee_asset=fee_asset, reference=legs[0].hash, reason=""
            )
            coins = [coin.id for leg in legs for coin in leg.coins]
            try:
                row = self._keep(row, stage=Stage.DRAFTED, bind=coins)
            except CoinTakenError as taken:
                raise TransferWaitsError("another process took one of the coins") from taken
        reach("mixin.drafted")
        return row

    async def _legs(self, order: TransferOrder) -> tuple[tuple[Leg, ...], int, str]:
        where = read_destination(order.destination)
        if where is None:
            raise InvalidInputError("destination", order.destination[:64], "a destination of Mixin")
        coins = await self._free_coins(order.asset_id)
        if not isinstance(where, Withdrawal):
            if where.members == (self._client.app_id,):
                return (await self._gathering(order, coins),), 0, ""
            return (await self._leg(order, coins, [(where, order.units)]),), 0, ""
        fee = choose_fee(await self._client.fees(order.asset_id, where.address), order.asset_id)
        fee_units = parse_amount(fee.amount)
        cashier: list[Recipient] = [(MixAddress((CASHIER,)), fee_units)] if fee_units else []
        if fee.asset_id == order.asset_id or not cashier:
            leg = await self._leg(order, coins, [(where, order.units), *cashier])
            return (leg,), fee_units, fee.asset_id
        fee_choice = choose(await self._free_coins(fee.asset_id), fee_units)
        paid = await self._leg(order, coins, [(where, order.units)])
        fee_leg = await draft_leg(
            self._client, order, "fee", fee.asset_id, fee_choice, cashier, references=(paid.hash,)
        )
        return (paid, fee_leg), fee_units, fee.asset_id

    async def _leg(self, order: TransferOrder, coins: list[Coin], recipients: list[Recipient]) -> Leg:
        choice = choose(coins, sum(units for _, units in recipients))
        return await draft_leg(self._client, order, "tx", order.asset_id, choice, recipients)

    async def _gathering(self, order: TransferOrder, coins: list[Coin]) -> Leg:
        """Small coins become one: all that goes in comes out, whatever the order's amount is by now."""
        choice = gather_all(coins)
        if choice is None:
            raise ShortOfFundsError(order.units, sum(coin.units for coin in coins))
        recipients: list[Recipient] = [(MixAddress((self._client.app_id,)), choice.change)]
        whole = replace(choice, change=0)
        return await draft_leg(self._client, order, "tx", order.asset_id, whole, recipients)

    async def _free_coins(self, asset_id: str) -> list[Coin]:
        outputs = await self._client.all_outputs(asset_id=asset_id)
        return coins_of(outputs, without=self._book.bound_coins())

    async def _sign(self, row: TransferRow) -> TransferRow:
        try:
            views = await self._client.check([RawRequest(leg.request_id, leg.unsigned) for leg in row.legs])
        except MixinRefusedError as refused:
            # Nothing of it was ever signed: its coins are free, and other bytes may be built.
            return self._give_up(row, refused)
        reach("mixin.checked")
        row = self._keep(row, stage=Stage.SIGNED, legs=self._signed(row.legs, views))
        reach("mixin.signed")
        return row

    def _signed(self, legs: Sequence[Leg], views: Sequence[RequestView]) -> tuple[Leg, ...]:
        seed = self._client.keystore.spend_seed
        signed = []
        for leg, view in zip(legs, views, strict=True):
            try:
                whole = sign_transaction(decode(bytes.fromhex(leg.unsigned)), view.views or (), seed)
            except TransactionFormError as strange:
                raise MixinDriftError("POST /safe/transaction/requests", strange.detail) from strange
            signed.append(replace(leg, signed=encode(whole).hex()))
        return tuple(signed)

    async def _pay_more(self, row: TransferRow) -> TransferRow:
        """The same payment with today's fee, in place of signed bytes that Mixin has just refused for theirs.

        The ids stay, and every coin of the old bytes is in the new ones, so that only one of both can ever
        be made. They are checked and signed before anything is written: until then the old bytes stand.

        Raises:
            TransferWaitsError: if there is too little for it, or the fee is what it was.
        """
        async with self._drafting:
            try:
                legs, fee_units, fee_asset = await self._dearer_legs(row)
                views = await self._client.check([RawRequest(leg.request_id, leg.unsigned) for leg in legs])
            except (ShortOfFundsError, FragmentedError, MixinRefusedError) as short:
                raise TransferWaitsError(f"its fee has risen ({short})") from short
            held = {coin.id for leg in row.legs for coin in leg.coins}
            more = [coin.id for leg in legs for coin in leg.coins if coin.id not in held]
            dearer = replace(row, fee_units=fee_units, fee_asset=fee_asset, reference=legs[0].hash)
            try:
                row = self._keep(dearer, stage=Stage.SIGNED, legs=self._signed(legs, views), bind=more)
            except CoinTakenError as taken:
                raise TransferWaitsError("another process took one of the coins") from taken
        reach("mixin.signed")
        return row

    async def _dearer_legs(self, row: TransferRow) -> tuple[tuple[Leg, ...], int, str]:
        order, paid = row.order, row.legs[0]
        where = read_destination(order.destination)
        if not isinstance(where, Withdrawal):
            raise TransferWaitsError("Mixin asks a fee for what has none")
        fee = choose_fee(await self._client.fees(order.asset_id, where.address), order.asset_id)
        fee_units = parse_amount(fee.amount)
        if fee.asset_id != row.fee_asset or fee_units <= row.fee_units:
            raise TransferWaitsError(f"Mixin wants another fee than the {fee.amount} that it names")
        cashier: Recipient = (MixAddress((CASHIER,)), fee_units)
        free = await self._free_coins(fee.asset_id)
        if fee.asset_id == order.asset_id:
            choice = extend(paid.coins, free, order.units + fee_units)
            recipients: list[Recipient] = [(where, order.units), cashier]
            leg = await draft_leg(self._client, order, "tx", order.asset_id, choice, recipients)
            return (leg,), fee_units, fee.asset_id
        choice = extend(row.legs[1].coins, free, fee_units)
        leg = await draft_leg(
            self._client, order, "fee", fee.asset_id, choice, [cashier], references=(paid.hash,)
        )
        return (paid, leg), fee_units, fee.asset_id

    async def _deliver(self, row: TransferRow, *, fresh: bool, is_raised: bool = False) -> TransferRow:
        """Send the kept bytes; unless they were signed just now, ask first whether they are there."""
        if not fresh:
            known = await self._look(row)
            if known is not None:
                return known
        try:
            if not fresh:
                # A request that was checked long ago may have been forgotten there.
                await self._client.check([RawRequest(leg.request_id, leg.unsigned) for leg in row.legs])
            await self._client.send([RawRequest(leg.request_id, leg.signed) for leg in row.legs])
        except MixinRefusedError as refused:
            known = await self._look(row)
            if known is not None:
                return known
            if await self._is_dead(row):
                self._keep(row, stage=Stage.OPEN, legs=(), reason=f"{refused.reason}: {refused.detail}")
                raise TransferWaitsError("its coins were spent by another transaction") from refused
            if refused.reason in _DEARER and not is_raised:
                return await self._deliver(await self._pay_more(row), fresh=True, is_raised=True)
            raise TransferWaitsError(f"Mixin does not take it now ({refused.reason})") from refused
        reach("mixin.sent")
        known = await self._look(row)
        if known is None:
            raise MixinUnclearError("POST /safe/transactions", "it was taken and is not known")
        return known

    async def _look(self, row: TransferRow) -> TransferRow | None:
        """What Mixin says of a signed transfer; None where it does not know all of it."""
        views = [await self._client.transaction(leg.request_id) for leg in row.legs]
        for leg, view in zip(row.legs, views, strict=True):
            if view is not None and view.is_accepted and view.transaction_hash != leg.hash:
                raise TransferConflictError(row.order.key, "Mixin has another transaction under its id")
        if not all(view is not None and view.is_accepted for view in views):
            return None
        if not all(view is not None and view.is_final for view in views):
            return row
        reference = row.legs[0].hash
        if isinstance(read_destination(row.order.destination), Withdrawal):
            reference = await self._withdrawal_hash(views[0])
            if not reference:
                return row
        return self._keep(row, stage=Stage.DONE, reference=reference)

    async def _withdrawal_hash(self, view: RequestView | None) -> str:
        """The hash on the asset's own chain; empty while it is not there."""
        if view is None or not view.snapshot_id:
            return ""
        snapshot = await self._client.snapshot(view.snapshot_id)
        return snapshot.withdrawal.withdrawal_hash if snapshot.withdrawal is not None else ""

    async def _is_dead(self, row: TransferRow) -> bool:
        """Whether the bytes can never apply: one of their coins was spent by another transaction.

        Of a payment in two legs the first decides, for the second refers to it.
        """
        leg = row.legs[0]
        if not leg.coins or any(
            view is not None and view.is_accepted
            for view in [await self._client.transaction(each.request_id) for each in row.legs]
        ):
            return False
        outputs = await self._client.outputs_by_id([coin.id for coin in leg.coins])
        return any(output.state == "spent" and output.signed_by not in {"", leg.hash} for output in outputs)

    def _give_up(self, row: TransferRow, refused: MixinRefusedError) -> TransferRow:
        reason = f"{refused.reason}: {refused.detail}"
        if refused.reason in _NEVER:
            return self._keep(row, stage=Stage.REFUSED, legs=(), reason=reason)
        self._keep(row, stage=Stage.OPEN, legs=(), reason=reason)
        raise TransferWaitsError(f"Mixin does not take it now ({reason})") from refused

    def _keep(
        self,
        row: TransferRow,
        *,
        stage: Stage,
        legs: tuple[Leg, ...] | None = None,
        reference: str | None = None,
        reason: str | None = None,
        bind: list[str] | None = None,
    ) -> TransferRow:
        row = replace(
            row,
            stage=stage,
            legs=row.legs if legs is None else legs,
            reference=row.reference if reference is None else reference,
            reason=row.reason if reason is None else reason,
            at_ms=self._clock.now_ns() // NS_PER_MS,
        )
        self._book.put(row, bind=bind or ())
        return row


def _same_payment(order: TransferOrder, known: RequestView) -> None:
    """Raises TransferConflictError where what Mixin has under our id pays something else."""
    try:
        made: Transaction = decode(bytes.fromhex(known.raw_transaction))
    except (ValueError, TransactionFormError) as strange:
        raise MixinDriftError("GET /safe/transactions", "its raw transaction cannot be read") from strange
    first = made.outputs[0]
    where = read_destination(order.destination)
    to_chain = isinstance(where, Withdrawal) and (first.kind, first.address, first.tag) == (
        WITHDRAWAL,
        where.address,
        where.tag,
    )
    to_user = isinstance(where, MixAddress) and first.kind != WITHDRAWAL
    if (
        made.asset != kernel_asset(order.asset_id)
        or first.units != order.units
        or made.extra != order.extra
        or not (to_chain or to_user)
        or transaction_hash(made) != known.transaction_hash
    ):
        raise TransferConflictError(order.key, "Mixin has another payment under its id")
