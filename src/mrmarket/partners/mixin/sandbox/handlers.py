"""The sandbox's answers, route by route."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, TypeVar
from uuid import UUID

import msgspec

from mrmarket.core.clock import NS_PER_MS, Clock
from mrmarket.partners.mixin.client import KeyRequest, RawRequest
from mrmarket.partners.mixin.errors import MixinDriftError
from mrmarket.partners.mixin.feed import parse_time
from mrmarket.partners.mixin.ids import hash_members
from mrmarket.partners.mixin.sandbox.config import SandboxConfig
from mrmarket.partners.mixin.sandbox.journal import Row, SandboxJournal
from mrmarket.partners.mixin.sandbox.ledger import SafeLedger
from mrmarket.partners.mixin.sandbox.people import Caller, People
from mrmarket.partners.mixin.sandbox.post_office import PostOffice
from mrmarket.partners.mixin.sandbox.refusal import Refusal, invalid
from mrmarket.partners.mixin.sandbox.shapes import (
    asset_shape,
    deposit_shape,
    fee_shape,
    output_shape,
    request_shape,
    snapshot_shape,
    user_shape,
)

Query = Mapping[str, str]
Wanted = TypeVar("Wanted")


class Handlers:
    """Answers what was asked by somebody who was recognised."""

    def __init__(
        self,
        journal: SandboxJournal,
        people: People,
        ledger: SafeLedger,
        office: PostOffice,
        stamps: Clock,
        config: SandboxConfig,
    ) -> None:
        self._journal = journal
        self._people = people
        self._ledger = ledger
        self._office = office
        self._stamps = stamps
        self._config = config

    def answer(self, caller: Caller | None, method: str, path: str, query: Query, body: bytes) -> Any:
        """The data of an answer. Raises Refusal."""
        parts = tuple(path.strip("/").split("/"))
        if (method, parts) == ("POST", ("oauth", "token")):
            return self._token(body)
        if caller is None:
            raise Refusal(401, "unauthorized")
        if caller.scope != "FULL" and (method, parts) != ("GET", ("me",)):
            raise Refusal(403, "the grant does not reach so far")
        return self._get(caller, parts, query) if method == "GET" else self._post(caller, parts, body)

    def _get(self, caller: Caller, parts: tuple[str, ...], query: Query) -> Any:  # noqa: C901, PLR0911 - a case a route
        match parts:
            case ("me",) | ("safe", "me"):
                return user_shape(self._people.required(caller.user_id))
            case ("users", user):
                return user_shape(self._people.required(user))
            case ("safe", "assets"):
                return [asset_shape(asset) for asset in self._config.assets]
            case ("safe", "assets", asset) | ("network", "assets", asset):
                return asset_shape(self._ledger.asset(asset))
            case ("safe", "assets", asset, "fees"):
                return [fee_shape(self._ledger.asset(asset))]
            case ("safe", "outputs"):
                return self._outputs(caller, query)
            case ("safe", "snapshots"):
                return self._snapshots(caller, query)
            case ("safe", "snapshots", snapshot):
                return self._snapshot(caller, snapshot)
            case ("safe", "deposits"):
                return self._deposits(query)
            case ("safe", "transactions", request):
                found = self._journal.one(
                    "SELECT * FROM requests WHERE (request_id = ? OR hash = ?) AND state = 'spent'",
                    request,
                    request,
                )
                if found is None:
                    raise Refusal(404, "the transaction is not found")
                return request_shape(found)
        raise Refusal(404, "the endpoint is not found")

    def _post(self, caller: Caller, parts: tuple[str, ...], body: bytes) -> Any:  # noqa: PLR0911 - a case a route
        match parts:
            case ("safe", "assets", "fetch"):
                return [asset_shape(self._ledger.asset(name)) for name in _read(body, list[str])]
            case ("safe", "keys"):
                found = self._ledger.keys(_read(body, list[KeyRequest]))
                return [{"type": "ghost_key", "mask": mask, "keys": keys} for mask, keys in found]
            case ("safe", "transaction", "requests"):
                rows = self._ledger.check(caller.user_id, _read(body, list[RawRequest]))
                return [request_shape(row) for row in rows]
            case ("safe", "transactions"):
                rows = self._ledger.send(caller.user_id, _read(body, list[RawRequest]))
                return [request_shape(row) for row in rows]
            case ("safe", "outputs", "fetch"):
                wanted = _read(body, dict[str, Any]).get("ids", [])
                found_outputs = (
                    self._journal.one("SELECT * FROM outputs WHERE id = ?", name) for name in wanted
                )
                return [output_shape(row) for row in found_outputs if row is not None]
            case ("safe", "deposit", "entries"):
                return [self._entry(caller, _read(body, dict[str, Any]))]
            case ("messages",):
                for message in _read(body, list[dict[str, Any]]):
                    self._office.post(caller.user_id, message)
                return []
            case ("acknowledgements",):
                self._office.acknowledge(caller.user_id, _read(body, list[dict[str, str]]))
                return []
        raise Refusal(404, "the endpoint is not found")

    def _outputs(self, caller: Caller, query: Query) -> list[dict[str, Any]]:
        conditions = ["members_hash = ?", "threshold = ?"]
        values: list[object] = [
            query.get("members") or hash_members([caller.user_id]),
            _number(query, "threshold", 1),
        ]
        for name, column in (("asset", "asset"), ("state", "state")):
            if query.get(name):
                conditions.append(f"{column} = ?")
                values.append(query[name])
        descending = query.get("order") == "DESC"
        if query.get("offset"):
            conditions.append("sequence <= ?" if descending else "sequence >= ?")
            values.append(_number(query, "offset", 0))
        order = "DESC" if descending else "ASC"
        rows = self._journal.all(
            f"SELECT * FROM outputs WHERE {' AND '.join(conditions)} ORDER BY sequence {order} LIMIT ?",  # noqa: S608 - conditions are ours
            *values,
            min(_number(query, "limit", 500), self._config.max_page),
        )
        return [output_shape(row) for row in rows]

    def _snapshots(self, caller: Caller, query: Query) -> list[dict[str, Any]]:
        ascending = query.get("order") == "ASC"
        conditions, values = ["user_id = ?"], [caller.user_id]
        if query.get("offset"):
            sign = (">" if ascending else "<") + ("=" if self._config.inclusive_offset else "")
            conditions.append(f"created_ns {sign} ?")
            values.append(self._offset(query["offset"]))
        for name, column in (("asset", "asset"), ("opponent", "opponent_id")):
            if query.get(name):
                conditions.append(f"{column} = ?")
                values.append(query[name])
        order = "created_ns, number" if ascending else "created_ns DESC, number DESC"
        rows = self._journal.all(
            f"SELECT * FROM snapshots WHERE {' AND '.join(conditions)} ORDER BY {order} LIMIT ?",  # noqa: S608 - conditions are ours
            *values,
            min(_number(query, "limit", 500), self._config.max_page),
        )
        return [self._shaped(row) for row in rows]

    def _snapshot(self, caller: Caller, snapshot_id: str) -> dict[str, Any]:
        found = self._journal.one("SELECT * FROM snapshots WHERE id = ?", snapshot_id)
        if found is None or found["user_id"] != caller.user_id:
            raise Refusal(404, "the snapshot is not found")
        return self._shaped(found)

    def _shaped(self, snapshot: Row) -> dict[str, Any]:
        hashed = ""
        if snapshot["receiver"]:
            found = self._journal.one("SELECT * FROM withdrawals WHERE snapshot_id = ?", snapshot["id"])
            due_ns = snapshot["created_ns"] + self._config.withdrawal_ms * NS_PER_MS
            if found is not None and self._stamps.now_ns() >= due_ns:
                hashed = found["chain_hash"]
        return snapshot_shape(snapshot, hashed)

    def _offset(self, text: str) -> Any:
        try:
            at_ns = parse_time(text)
        except MixinDriftError as strange:
            raise invalid("offset") from strange
        return at_ns // 1_000 * 1_000 if self._config.microseconds else at_ns

    def _entry(self, caller: Caller, asked: Mapping[str, Any]) -> dict[str, Any]:
        chain, members = str(asked.get("chain_id", "")), asked.get("members") or [caller.user_id]
        if members != [caller.user_id]:
            raise invalid("members: the sandbox has addresses for one user only")
        if all(asset.chain_id != chain for asset in self._config.assets):
            raise Refusal(404, "there is no such chain")
        digest = hashlib.sha256(f"{chain}:{caller.user_id}".encode()).digest()
        destination, entry_id = "0x" + digest[:20].hex(), str(UUID(bytes=digest[16:], version=5))
        with self._journal.step():
            if self._journal.one("SELECT 1 FROM entries WHERE destination = ?", destination) is None:
                self._journal.insert(
                    "entries", destination=destination, entry_id=entry_id, chain=chain, user_id=caller.user_id
                )
        return {
            "type": "deposit_entry",
            "entry_id": entry_id,
            "chain_id": chain,
            "members": members,
            "threshold": 1,
            "destination": destination,
            "tag": "",
            "signature": "",
            "is_primary": True,
        }

    def _deposits(self, query: Query) -> list[dict[str, Any]]:
        rows = self._journal.all(
            "SELECT * FROM deposits WHERE done = 0 AND asset = ? ORDER BY created_ns", query.get("asset", "")
        )
        wanted = query.get("destination")
        return [deposit_shape(row) for row in rows if not wanted or row["destination"] == wanted]

    def _token(self, body: bytes) -> dict[str, str]:
        asked = _read(body, dict[str, str])
        fields = [asked.get(name, "") for name in ("client_id", "code", "code_verifier", "ed25519")]
        return self._people.exchange(*fields)


def _read(body: bytes, kind: type[Wanted]) -> Wanted:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as strange:
        raise Refusal(400, f"the request body can't be parsed as valid data: {strange}") from strange


def _number(query: Query, name: str, default: int) -> int:
    text = query.get(name, "")
    if not text:
        return default
    if not (text.isascii() and text.isdigit()) or len(text) > 15:  # noqa: PLR2004 - digits of a sequence
        raise invalid(name)
    return int(text)
