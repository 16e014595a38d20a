"""Users and bots of the sandbox, their keys, and whether a request is theirs."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from typing import Final
from uuid import UUID

import msgspec
from nacl.signing import SigningKey

from mrmarket.core.clock import NS_PER_S, Clock
from mrmarket.partners.mixin.errors import TokenError
from mrmarket.partners.mixin.ghost import public_key, reduce_wide
from mrmarket.partners.mixin.ids import CASHIER
from mrmarket.partners.mixin.jwt import b64, read_claims, unb64, verify_token
from mrmarket.partners.mixin.keystore import Keystore
from mrmarket.partners.mixin.sandbox.journal import Row, SandboxJournal
from mrmarket.partners.mixin.sandbox.refusal import Refusal, invalid

FIRST_NUMBER: Final = 7_000_100_000
"""Bots and users get numbers from here on."""

RandomBytes = Callable[[int], bytes]


class Caller(msgspec.Struct, frozen=True):
    """Who asks, and what they may."""

    user_id: str
    scope: str
    """`FULL` of a bot of its own."""


class People:
    """Enrols users and tells who sent a request."""

    def __init__(
        self, journal: SandboxJournal, clock: Clock, random_bytes: RandomBytes = secrets.token_bytes
    ) -> None:
        """The clock is that of the tokens: wall time."""
        self._journal = journal
        self._clock = clock
        self._random = random_bytes
        if self.find(CASHIER) is None:
            self._add(CASHIER, "Mixin")

    def enrol(self, name: str, user_id: str = "") -> Keystore:
        """A new user or bot, registered with Safe; their keystore. A known id gives its keystore again."""
        known = self.find(user_id) if user_id else None
        if known is None:
            known = self._add(user_id or self._uuid(), name)
        return Keystore.from_json(known["keystore"])

    def keystore_json(self, user_id: str) -> str:
        """The keystore as Mixin's dashboard would give it, secrets included."""
        return str(self.required(user_id)["keystore"])

    def find(self, user_id: str) -> Row | None:
        """A user."""
        return self._journal.one("SELECT * FROM users WHERE user_id = ?", user_id)

    def required(self, user_id: str) -> Row:
        """A user. Raises Refusal: unregistered."""
        found = self.find(user_id)
        if found is None:
            raise Refusal(10404, "the user has not registered")
        return found

    def caller(self, header: str, request_id: str, method: str, uri: str, body: bytes) -> Caller:
        """Whoever signed this very request. Raises Refusal 401."""
        try:
            claims = read_claims(header.removeprefix("Bearer "))
            if claims.uid:
                user = self.find(claims.uid)
                if user is None or user["session_id"] != claims.sid:
                    raise Refusal(401, "unknown user or session")
                key, caller = user["session_key"], Caller(claims.uid, claims.scp)
            else:
                grant = self._journal.one(
                    "SELECT * FROM grants WHERE authorization_id = ? AND app_id = ?", claims.aid, claims.iss
                )
                if grant is None or grant["scope"] != claims.scp:
                    raise Refusal(401, "unknown grant or another scope")
                key, caller = grant["key"], Caller(grant["user_id"], grant["scope"])
            now_s = self._clock.now_ns() // NS_PER_S
            verify_token(header.removeprefix("Bearer "), bytes.fromhex(key), method, uri, body, now_s=now_s)
        except TokenError as wrong:
            raise Refusal(401, str(wrong)) from wrong
        if request_id and claims.jti != request_id:
            raise Refusal(401, "the token was made for another request")
        return caller

    def authorize(self, app_id: str, user_id: str, challenge: str, scope: str) -> str:
        """A user says yes: the code that the bot exchanges."""
        code = self._random(32).hex()
        self.required(user_id)
        with self._journal.step():
            self._journal.insert(
                "codes", code=code, app_id=app_id, user_id=user_id, challenge=challenge, scope=scope
            )
        return code

    def exchange(self, client_id: str, code: str, verifier: str, key: str) -> dict[str, str]:
        """A code for a grant, once. Raises Refusal."""
        with self._journal.step():
            found = self._journal.one("SELECT * FROM codes WHERE code = ? AND app_id = ?", code, client_id)
            try:
                seed, public = unb64(verifier), unb64(key)
            except ValueError as strange:
                raise invalid("code_verifier or ed25519") from strange
            if found is None or b64(hashlib.sha256(seed).digest()) != found["challenge"] or len(public) != 32:  # noqa: PLR2004 - bytes of a key
                raise Refusal(403, "the code or its verifier is wrong")
            self._journal.change("DELETE FROM codes WHERE code = ?", code)
            grant = self._uuid()
            self._journal.insert(
                "grants",
                authorization_id=grant,
                app_id=client_id,
                user_id=found["user_id"],
                scope=found["scope"],
                key=public.hex(),
            )
        return {"authorization_id": grant, "scope": found["scope"], "ed25519": b64(public)}

    def _add(self, user_id: str, name: str) -> Row:
        session, spend = self._random(32), self._random(32)
        view = reduce_wide(self._random(64))
        keystore = {
            "app_id": user_id,
            "session_id": self._uuid(),
            "server_public_key": public_key(view).hex(),
            "session_private_key": session.hex(),
            "spend_private_key": spend.hex(),
        }
        with self._journal.step():
            count = self._journal.one("SELECT COUNT(*) AS n FROM users")
            self._journal.insert(
                "users",
                user_id=user_id,
                number=FIRST_NUMBER + (count["n"] if count is not None else 0),
                name=name,
                session_id=keystore["session_id"],
                session_key=SigningKey(session).verify_key.encode().hex(),
                spend_key=SigningKey(spend).verify_key.encode().hex(),
                view_secret=view.hex(),
                keystore=msgspec.json.encode(keystore).decode(),
            )
        return self.required(user_id)

    def _uuid(self) -> str:
        return str(UUID(bytes=self._random(16), version=4))
