"""Building the transactions of a payment: coins, one-time keys, outputs; nothing is signed here."""

from __future__ import annotations

from collections.abc import Sequence

from blake3 import blake3

from mrmarket.partners.mixin.address import MixAddress, read_xin
from mrmarket.partners.mixin.client import KeyRequest, MixinClient
from mrmarket.partners.mixin.errors import MixinDriftError
from mrmarket.partners.mixin.ghost import ghost_key, public_key, reduce_wide
from mrmarket.partners.mixin.ids import kernel_asset, key_hint, request_id
from mrmarket.partners.mixin.messages import GhostKeys, SafeOutput, WithdrawalFee
from mrmarket.partners.mixin.order import Leg, TransferOrder, Withdrawal
from mrmarket.partners.mixin.selection import Choice, Coin
from mrmarket.partners.mixin.transaction import (
    WITHDRAWAL,
    Input,
    Output,
    Transaction,
    encode_unsigned,
    parse_amount,
    script,
    transaction_hash,
)

Recipient = tuple[MixAddress | Withdrawal, int]
"""Who gets how many units."""


def coins_of(outputs: Sequence[SafeOutput], *, without: set[str]) -> list[Coin]:
    """What of our outputs can be spent by our key alone and is not bound already."""
    return [
        Coin(
            output.output_id,
            output.transaction_hash,
            output.output_index,
            parse_amount(output.amount),
            output.sequence,
            tuple(output.keys),
        )
        for output in outputs
        if output.state == "unspent" and output.output_id not in without and output.receivers_threshold == 1
    ]


def choose_fee(fees: Sequence[WithdrawalFee], asset_id: str) -> WithdrawalFee:
    """The fee in the asset itself where it can be paid so, else the first. Raises MixinDriftError."""
    for fee in fees:
        if fee.asset_id == asset_id:
            return fee
    if not fees:
        raise MixinDriftError("withdrawal fees", "there is none to choose from")
    return fees[0]


async def draft_leg(
    client: MixinClient,
    order: TransferOrder,
    leg: str,
    asset_id: str,
    choice: Choice,
    recipients: Sequence[Recipient],
    *,
    references: tuple[str, ...] = (),
) -> Leg:
    """Fix the bytes of one transaction. The same choice gives the same bytes.

    A withdrawal must come first; the change is the last output. Raises as the client's calls.
    """
    name = request_id(client.app_id, order.key, leg)
    everybody = list(recipients)
    if choice.change:
        everybody.append((MixAddress((client.app_id,)), choice.change))
    keys = await _keys(client, name, everybody)
    transaction = Transaction(
        asset=kernel_asset(asset_id),
        inputs=tuple(Input(coin.hash, coin.index) for coin in choice.coins),
        outputs=tuple(_output(who, units, keys.get(place)) for place, (who, units) in enumerate(everybody)),
        extra=order.extra if leg == "tx" else b"",
        references=references,
    )
    return Leg(name, transaction_hash(transaction), encode_unsigned(transaction).hex(), choice.coins)


async def _keys(client: MixinClient, name: str, recipients: Sequence[Recipient]) -> dict[int, GhostKeys]:
    """One-time keys by place: the sequencer's for users, our own for kernel addresses."""
    keys: dict[int, GhostKeys] = {}
    asked: list[KeyRequest] = []
    for place, (who, _) in enumerate(recipients):
        if isinstance(who, Withdrawal):
            continue
        if who.is_kernel:
            keys[place] = _own_keys(client, name, place, who)
        else:
            asked.append(KeyRequest(sorted(who.members), place, key_hint(name, place)))
    if asked:
        told = await client.keys(asked)
        keys |= {request.index: answer for request, answer in zip(asked, told, strict=True)}
    return keys


def _own_keys(client: MixinClient, name: str, place: int, who: MixAddress) -> GhostKeys:
    """Keys that only we and the receivers can link: the mask's secret follows from our spend key."""
    seed = client.keystore.spend_seed + name.encode() + place.to_bytes(2, "big")
    once = blake3(seed, derive_key_context="mrmarket mixin output mask 1").digest(64)
    secret = reduce_wide(once)
    keys = []
    for member in who.members:
        public = read_xin(member)
        keys.append(ghost_key(secret, public[32:], public[:32], place).hex())
    return GhostKeys(public_key(secret).hex(), keys)


def _output(who: MixAddress | Withdrawal, units: int, keys: GhostKeys | None) -> Output:
    if isinstance(who, Withdrawal):
        return Output(units, kind=WITHDRAWAL, address=who.address, tag=who.tag)
    if keys is None or len(keys.keys) != len(who.members):
        raise MixinDriftError("POST /safe/keys", "another number of keys than receivers")
    return Output(units, tuple(keys.keys), keys.mask, script(who.threshold))
