"""The sandbox's coins: one-time keys, checking, spending, deposits and withdrawals."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Sequence
from typing import Final
from uuid import UUID, uuid5

import msgspec
from blake3 import blake3

from mrmarket.core.clock import Clock
from mrmarket.partners.mixin.client import KeyRequest, RawRequest
from mrmarket.partners.mixin.errors import TransactionFormError
from mrmarket.partners.mixin.ghost import ghost_key, public_key, reduce_wide, view_scalar
from mrmarket.partners.mixin.ids import CASHIER, canonical_uuid, hash_members, kernel_asset
from mrmarket.partners.mixin.sandbox.config import SandboxAsset, SandboxConfig
from mrmarket.partners.mixin.sandbox.journal import Row, SandboxJournal
from mrmarket.partners.mixin.sandbox.people import People, RandomBytes
from mrmarket.partners.mixin.sandbox.refusal import Refusal, invalid
from mrmarket.partners.mixin.signing import verify_signature
from mrmarket.partners.mixin.transaction import (
    MAX_EXTRA,
    WITHDRAWAL,
    Output,
    Transaction,
    decode,
    encode_unsigned,
    outputs_total,
    transaction_hash,
)

_NAMES: Final = UUID("5f0c3c3e-0f0c-5d5e-8b6b-3f5b1f7d2a10")
_INSUFFICIENT, _LOCKED, _FEE = 20117, 10105, 20135

Witness = Callable[[str, str], None]
"""Told of a new snapshot: user and snapshot id."""


class SafeLedger:
    """Keeps every coin and lets it be spent once, by its owner. What is refused changes nothing."""

    def __init__(
        self,
        journal: SandboxJournal,
        people: People,
        stamps: Clock,
        config: SandboxConfig,
        random_bytes: RandomBytes = secrets.token_bytes,
    ) -> None:
        """`stamps` gives the times that snapshots carry."""
        self._journal = journal
        self._people = people
        self._stamps = stamps
        self._config = config
        self._random = random_bytes
        self._assets = {asset.asset_id: asset for asset in config.assets}
        self._kernel = {kernel_asset(asset.asset_id): asset for asset in config.assets}
        self.witnesses: list[Witness] = []

    def asset(self, asset_id: str) -> SandboxAsset:
        """An asset. Raises Refusal."""
        found = self._assets.get(asset_id) or self._kernel.get(asset_id)
        if found is None:
            raise Refusal(404, "there is no such asset")
        return found

    def set_fee(self, asset_id: str, units: int) -> None:
        """Withdrawals of an asset cost something else from now on."""
        asset = msgspec.structs.replace(self.asset(asset_id), fee_units=units)
        self._assets[asset.asset_id] = self._kernel[kernel_asset(asset.asset_id)] = asset

    def keys(self, requests: Sequence[KeyRequest]) -> list[tuple[str, list[str]]]:
        """Mask and one-time keys for each; the same hint gives the same."""
        with self._journal.step():
            return [self._keys_of(request) for request in requests]

    def _keys_of(self, request: KeyRequest) -> tuple[str, list[str]]:
        if not request.receivers or canonical_uuid(request.hint) is None or not 0 <= request.index < 256:  # noqa: PLR2004 - outputs of a transaction
            raise invalid("receivers, index or hint")
        receivers = sorted(request.receivers)
        if len(set(receivers)) < len(receivers):
            raise Refusal(20150, "receivers contain duplicate or invalid data")
        said = msgspec.json.encode(receivers).decode()
        known = self._journal.one("SELECT * FROM hints WHERE hint = ?", request.hint)
        if known is not None:
            if (known["receivers"], known["place"]) != (said, request.index):
                raise invalid("the hint was used for other receivers")
            return known["mask"], msgspec.json.decode(known["keys"], type=list[str])
        secret = reduce_wide(self._random(64))
        mask = public_key(secret).hex()
        keys = []
        for receiver in receivers:
            user = self._people.required(receiver)
            view_key = public_key(bytes.fromhex(user["view_secret"]))
            key = ghost_key(secret, view_key, bytes.fromhex(user["spend_key"]), request.index).hex()
            self._journal.insert("ghosts", key=key, user_id=receiver, mask=mask, place=request.index)
            keys.append(key)
        self._journal.insert(
            "hints",
            hint=request.hint,
            place=request.index,
            receivers=said,
            mask=mask,
            keys=msgspec.json.encode(keys).decode(),
        )
        return mask, keys

    def check(self, user_id: str, requests: Sequence[RawRequest]) -> list[Row]:
        """See that transactions can be made; keep them with their views."""
        with self._journal.step():
            return [self._check_one(user_id, request) for request in requests]

    def _check_one(self, user_id: str, request: RawRequest) -> Row:
        transaction, name = _read(request)
        known = self._request(request.request_id)
        if known is not None and known["state"] == "spent":
            if known["hash"] != name:
                raise invalid("the request id was used for another transaction")
            return known
        coins = self._coins(user_id, transaction)
        self._balanced(transaction, coins)
        user = self._people.required(user_id)
        views = []
        for coin in coins:
            mine = next(key for key in _keys(coin) if self._owner(key) == user_id)
            ghost = self._ghost(mine)
            secret = bytes.fromhex(user["view_secret"])
            views.append(view_scalar(secret, bytes.fromhex(ghost["mask"]), ghost["place"]).hex())
        self._journal.change("DELETE FROM requests WHERE request_id = ?", request.request_id)
        self._journal.insert(
            "requests",
            request_id=request.request_id,
            user_id=user_id,
            hash=name,
            asset=self._kernel[transaction.asset].asset_id,
            units=str(outputs_total(transaction.outputs)),
            raw=request.raw,
            state="unspent",
            views=msgspec.json.encode(views).decode(),
            extra=transaction.extra.hex(),
            snapshot_id="",
            created_ns=self._stamps.now_ns(),
        )
        return self._required(request.request_id)

    def send(self, user_id: str, requests: Sequence[RawRequest]) -> list[Row]:
        """Make transactions, all of them or none. The same bytes again are the same transaction."""
        told: list[tuple[str, str]] = []
        with self._journal.step():
            hashes = {_read(request)[1] for request in requests}
            rows = [self._send_one(user_id, request, requests, hashes, told) for request in requests]
        for witness in self.witnesses:
            for whose, snapshot_id in told:
                witness(whose, snapshot_id)
        return rows

    def _send_one(
        self,
        user_id: str,
        request: RawRequest,
        batch: Sequence[RawRequest],
        hashes: set[str],
        told: list[tuple[str, str]],
    ) -> Row:
        transaction, name = _read(request)
        known = self._request(request.request_id)
        if known is None or known["hash"] != name or known["user_id"] != user_id:
            raise invalid("the transaction was not checked under this request id")
        if known["state"] == "spent":
            return known
        coins = self._coins(user_id, transaction)
        self._balanced(transaction, coins)
        self._signed(transaction, coins)
        self._fees_paid(transaction, name, batch)
        for reference in transaction.references:
            if reference not in hashes and not self._journal.one(
                "SELECT 1 FROM requests WHERE hash = ? AND state = 'spent'", reference
            ):
                raise invalid("a reference to no transaction")
        now_ns = self._stamps.now_ns()
        for coin in coins:
            self._journal.change(
                "UPDATE outputs SET state = 'spent', signed_by = ?, spent_ns = ? WHERE sequence = ?",
                name,
                now_ns,
                coin["sequence"],
            )
        snapshot_id = ""
        for place, output in enumerate(transaction.outputs):
            made = self._make(user_id, transaction, name, place, output, request.request_id, told)
            snapshot_id = snapshot_id or made
        self._journal.change(
            "UPDATE requests SET state = 'spent', raw = ?, snapshot_id = ? WHERE request_id = ?",
            request.raw,
            snapshot_id,
            request.request_id,
        )
        return self._required(request.request_id)

    def _make(
        self,
        sender: str,
        transaction: Transaction,
        name: str,
        place: int,
        output: Output,
        request_id: str,
        told: list[tuple[str, str]],
    ) -> str:
        """An output of a transaction; the sender's snapshot of it, empty for change."""
        asset = self._kernel[transaction.asset].asset_id
        memo = transaction.extra.hex()
        if output.kind == WITHDRAWAL:
            snapshot_id = self._snapshot(
                sender, "", asset, -output.units, name, place, memo, request_id, receiver=output.address
            )
            self._journal.insert(
                "withdrawals",
                snapshot_id=snapshot_id,
                user_id=sender,
                asset=asset,
                units=str(output.units),
                address=output.address,
                tag=output.tag,
                chain_hash=""
                if self._config.waits_for_chain
                else "0x" + hashlib.sha256(f"{name}:{place}".encode()).hexdigest(),
                created_ns=self._stamps.now_ns(),
            )
            told.append((sender, snapshot_id))
            return snapshot_id
        members = [owner for owner in (self._owner(key) for key in output.keys) if owner]
        threshold = int(output.script[4:] or "0", 16)
        self.add_output(asset, name, place, output, members, threshold, [sender], memo, request_id)
        if members == [sender]:
            return ""
        one = members[0] if len(members) == 1 else ""
        snapshot_id = self._snapshot(sender, one, asset, -output.units, name, place, memo, request_id)
        told.append((sender, snapshot_id))
        if one:
            arrived = self._snapshot(one, sender, asset, output.units, name, place, memo, request_id)
            told.append((one, arrived))
        return snapshot_id

    def add_output(
        self,
        asset: str,
        name: str,
        place: int,
        output: Output,
        members: Sequence[str],
        threshold: int,
        senders: Sequence[str],
        memo: str,
        request_id: str,
    ) -> None:
        """A new coin."""
        self._journal.insert(
            "outputs",
            id=str(uuid5(_NAMES, f"{name}:{place}")),
            hash=name,
            place=place,
            asset=asset,
            units=str(output.units),
            mask=output.mask,
            keys=msgspec.json.encode(output.keys).decode(),
            members=msgspec.json.encode(sorted(members)).decode(),
            members_hash=hash_members(members),
            threshold=threshold,
            senders=msgspec.json.encode(list(senders)).decode(),
            extra=memo,
            state="unspent",
            signed_by="",
            request_id=request_id,
            created_ns=self._stamps.now_ns(),
            spent_ns=0,
        )

    def credit(self, user_id: str, asset_id: str, units: int, chain_hash: str, sender: str) -> str:
        """A deposit with all its confirmations becomes a coin; the snapshot of it."""
        asset = self.asset(asset_id)
        name = hashlib.sha256(f"deposit:{chain_hash}".encode()).hexdigest()
        with self._journal.step():
            mask, keys = self._keys_of(KeyRequest([user_id], 0, str(uuid5(_NAMES, name))))
            output = Output(units, tuple(keys), mask, "fffe01")
            self.add_output(asset.asset_id, name, 0, output, [user_id], 1, [], "", "")
            snapshot_id = self._snapshot(
                user_id, "", asset.asset_id, units, name, 0, "", "", deposit=(chain_hash, sender)
            )
        for witness in self.witnesses:
            witness(user_id, snapshot_id)
        return snapshot_id

    def held(self, user_id: str, asset_id: str) -> int:
        """What a user alone can spend."""
        rows = self._journal.all(
            "SELECT units FROM outputs WHERE members_hash = ? AND asset = ? AND state = 'unspent'",
            hash_members([user_id]),
            asset_id,
        )
        return sum(int(row["units"]) for row in rows)

    def supply(self, asset_id: str) -> int:
        """All coins there are: deposits less withdrawals, whoever has them."""
        rows = self._journal.all("SELECT units FROM outputs WHERE asset = ? AND state = 'unspent'", asset_id)
        return sum(int(row["units"]) for row in rows)

    def _coins(self, user_id: str, transaction: Transaction) -> list[Row]:
        if transaction.asset not in self._kernel:
            raise invalid("the asset is unknown")
        places = [(spent.hash, spent.index) for spent in transaction.inputs]
        if len(set(places)) < len(places):
            raise invalid("an input comes twice")
        coins = []
        for spent, place in places:
            coin = self._journal.one("SELECT * FROM outputs WHERE hash = ? AND place = ?", spent, place)
            if coin is None:
                raise Refusal(_INSUFFICIENT, "an input does not exist")
            if coin["state"] != "unspent":
                raise Refusal(_LOCKED, "an input is locked by another transaction")
            if kernel_asset(coin["asset"]) != transaction.asset:
                raise invalid("an input of another asset")
            if all(self._owner(key) != user_id for key in _keys(coin)):
                raise Refusal(403, "an input of somebody else")
            coins.append(coin)
        return coins

    def _balanced(self, transaction: Transaction, coins: Sequence[Row]) -> None:
        spent = sum(int(coin["units"]) for coin in coins)
        if spent != outputs_total(transaction.outputs):
            raise invalid(f"{spent} go in and {outputs_total(transaction.outputs)} come out")
        if len(transaction.extra) > MAX_EXTRA:
            raise invalid("the extra is too long")
        for place, output in enumerate(transaction.outputs):
            if output.kind == WITHDRAWAL:
                if place or not output.address or output.keys:
                    raise invalid("a withdrawal must come first, with an address and no keys")
                if len(output.address) < 8:  # noqa: PLR2004 - no chain has shorter addresses
                    raise Refusal(30102, "invalid address format")
                continue
            if not output.keys or not output.mask or not output.script.startswith("fffe"):
                raise invalid("an output that nobody can spend")
            for key in output.keys:
                ghost = self._journal.one("SELECT * FROM ghosts WHERE key = ?", key)
                if ghost is not None and (ghost["mask"], ghost["place"]) != (output.mask, place):
                    raise invalid("a one-time key at another place than it was made for")

    def _signed(self, transaction: Transaction, coins: Sequence[Row]) -> None:
        message = blake3(encode_unsigned(transaction)).digest()
        if len(transaction.signatures) != len(coins):
            raise invalid("signatures are missing")
        for coin, by_key in zip(coins, transaction.signatures, strict=True):
            keys = _keys(coin)
            good = [
                index
                for index, signature in by_key.items()
                if index < len(keys) and verify_signature(message, signature, keys[index])
            ]
            if len(good) < max(1, coin["threshold"]) or len(good) != len(by_key):
                raise invalid("a signature does not hold")

    def _fees_paid(self, transaction: Transaction, name: str, batch: Sequence[RawRequest]) -> None:
        if transaction.outputs[0].kind != WITHDRAWAL:
            return
        asset = self._kernel[transaction.asset]
        if asset.fee_asset == asset.asset_id:
            paying = [transaction]
        else:
            others = (_read(request)[0] for request in batch)
            paying = [
                other
                for other in others
                if name in other.references and other.asset == kernel_asset(asset.fee_asset)
            ]
        paid = sum(
            output.units
            for payment in paying
            for output in payment.outputs
            if [self._owner(key) for key in output.keys] == [CASHIER]
        )
        if paid < asset.fee_units:
            raise Refusal(_FEE, f"the fee is {asset.fee_units} and {paid} are paid")

    def _snapshot(
        self,
        user_id: str,
        opponent: str,
        asset: str,
        units: int,
        name: str,
        place: int,
        memo: str,
        request_id: str,
        *,
        deposit: tuple[str, str] = ("", ""),
        receiver: str = "",
    ) -> str:
        snapshot_id = str(uuid5(_NAMES, f"{name}:{place}:{user_id}:{units > 0}"))
        self._journal.insert(
            "snapshots",
            id=snapshot_id,
            user_id=user_id,
            opponent_id=opponent,
            asset=asset,
            units=str(units),
            hash=name,
            memo=memo,
            request_id=request_id,
            created_ns=self._stamps.now_ns(),
            deposit_hash=deposit[0],
            deposit_sender=deposit[1],
            receiver=receiver,
        )
        return snapshot_id

    def _owner(self, key: str) -> str:
        found = self._journal.one("SELECT user_id FROM ghosts WHERE key = ?", key)
        return "" if found is None else str(found["user_id"])

    def _ghost(self, key: str) -> Row:
        found = self._journal.one("SELECT * FROM ghosts WHERE key = ?", key)
        if found is None:
            raise Refusal(500, "a coin without keys")
        return found

    def _request(self, request_id: str) -> Row | None:
        return self._journal.one("SELECT * FROM requests WHERE request_id = ?", request_id)

    def _required(self, request_id: str) -> Row:
        found = self._request(request_id)
        if found is None:
            raise Refusal(404, "there is no such request")
        return found


def _keys(coin: Row) -> list[str]:
    return msgspec.json.decode(coin["keys"], type=list[str])


def _read(request: RawRequest) -> tuple[Transaction, str]:
    if canonical_uuid(request.request_id) is None:
        raise invalid("request_id")
    try:
        transaction = decode(bytes.fromhex(request.raw))
    except (ValueError, TransactionFormError) as strange:
        raise invalid(f"raw: {strange}") from strange
    return transaction, transaction_hash(transaction)
