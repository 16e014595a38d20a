"""Keystores, request tokens and logins."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest
from nacl.signing import SigningKey

from mrmarket.core.errors import InvalidInputError
from mrmarket.partners.mixin.errors import KeystoreError, TokenError
from mrmarket.partners.mixin.jwt import (
    Grant,
    b64,
    read_claims,
    sign_granted,
    sign_request,
    unb64,
    verify_token,
)
from mrmarket.partners.mixin.keystore import Keystore
from mrmarket.partners.mixin.oauth import begin_login, challenge_of
from partners.mixin.mixin_samples import new_uuid, seeded

RNG = seeded(5)
APP, SESSION, REQUEST = new_uuid(RNG), new_uuid(RNG), new_uuid(RNG)
SEED, SPEND = RNG.randbytes(32), RNG.randbytes(32)
NOW_S = 1_800_000_000
FIELDS: dict[str, Any] = {
    "app_id": APP,
    "session_id": SESSION,
    "session_private_key": SEED.hex(),
    "server_public_key": "00" * 32,
    "spend_private_key": SPEND.hex(),
    "oauth_secret": "not ours to read",
}


def keystore() -> Keystore:
    """The keystore of these fields."""
    return Keystore.from_json(msgspec.json.encode(FIELDS))


def test_a_keystore_prints_without_its_secrets(tmp_path: Path) -> None:
    """Neither its repr nor an error shows a key, and it is not copied or pickled."""
    path = tmp_path / "keystore.json"
    path.write_bytes(msgspec.json.encode(FIELDS))
    read = Keystore.read(path)
    assert (read.session_seed, read.spend_seed, read.can_spend) == (SEED, SPEND, True)
    assert SEED.hex() not in repr(read)
    assert APP in repr(read)
    with pytest.raises(KeystoreError):
        copy.copy(read)
    with pytest.raises(KeystoreError):
        Keystore.read(tmp_path / "none")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("app_id", "alice"),
        ("session_id", ""),
        ("session_private_key", "zz" * 32),
        ("session_private_key", "00" * 31),
        ("session_private_key", 7),
        ("spend_private_key", "11 " * 32),
    ],
)
def test_a_broken_keystore_names_the_field_alone(field: str, value: object) -> None:
    """The error says which field, never what it holds."""
    with pytest.raises(KeystoreError) as refused:
        Keystore.from_json(msgspec.json.encode({**FIELDS, field: value}))
    assert refused.value.field == field
    assert not str(value) or str(value) not in str(refused.value)


def test_a_keystore_must_be_an_object() -> None:
    """A list is none; and without a spend key nothing can be signed."""
    with pytest.raises(KeystoreError):
        Keystore.from_json(b"[]")
    reading = Keystore(app_id=APP, session_id=SESSION, session_private_key=(SEED + bytes(32)).hex())
    assert not reading.can_spend
    with pytest.raises(KeystoreError):
        _ = reading.spend_seed


def test_a_token_is_for_one_request() -> None:
    """It verifies for its method, path, body, key and hour; for nothing else."""
    token = sign_request(keystore(), "POST", "/safe/keys", b"[]", request=REQUEST, now_s=NOW_S)
    public = SigningKey(SEED).verify_key.encode()
    claims = verify_token(token, public, "POST", "/safe/keys", b"[]", now_s=NOW_S + 5)
    assert (claims.uid, claims.sid, claims.jti, claims.scp) == (APP, SESSION, REQUEST, "FULL")
    other = SigningKey(SPEND).verify_key.encode()
    for key, method, uri, body, now_s in (
        (other, "POST", "/safe/keys", b"[]", NOW_S),
        (public, "GET", "/safe/keys", b"[]", NOW_S),
        (public, "POST", "/safe/keys?a=1", b"[]", NOW_S),
        (public, "POST", "/safe/keys", b"[1]", NOW_S),
        (public, "POST", "/safe/keys", b"[]", NOW_S + 4_000),
        (public, "POST", "/safe/keys", b"[]", NOW_S - 4_000),
    ):
        with pytest.raises(TokenError):
            verify_token(token, key, method, uri, body, now_s=now_s)


@pytest.mark.parametrize("token", ["", "a.b", "a.b.c", "....", f"{b64(b'{}')}.{b64(b'{}')}.x"])
def test_what_is_no_token_is_refused(token: str) -> None:
    """Missing parts, broken base64, another algorithm."""
    with pytest.raises(TokenError):
        read_claims(token)
    claims = sign_request(keystore(), "GET", "/", b"", request="", now_s=1).split(".")[1]
    unsigned = b64(b'{"alg":"none"}') + f".{claims}."
    with pytest.raises(TokenError):
        read_claims(unsigned)


def test_a_granted_token_speaks_for_the_user() -> None:
    """It names the bot, the grant and its scope, and hides its key."""
    grant = Grant(APP, REQUEST, "PROFILE:READ", SPEND)
    token = sign_granted(grant, "GET", "/me", b"", request=REQUEST, now_s=NOW_S)
    claims = verify_token(token, SigningKey(SPEND).verify_key.encode(), "GET", "/me", b"", now_s=NOW_S)
    assert (claims.iss, claims.aid, claims.scp, claims.uid) == (APP, REQUEST, "PROFILE:READ", "")
    assert "redacted" in repr(grant)


def test_a_login_proves_that_it_began_here() -> None:
    """The challenge in the link fits the verifier that is posted; another state or code is refused."""
    login = begin_login(APP, ("PROFILE:READ", "ASSETS:READ"), RNG.randbytes)
    query = parse_qs(urlsplit(login.url).query)
    assert query["scope"] == ["PROFILE:READ ASSETS:READ"]
    body = login.token_body(APP, "a" * 64, login.state)
    assert challenge_of(unb64(body["code_verifier"])) == query["code_challenge"][0]
    assert unb64(body["ed25519"]) == SigningKey(login.seed).verify_key.encode()
    for code, state in (("a" * 64, "other"), ("a" * 63, login.state), ("-" * 64, login.state)):
        with pytest.raises(InvalidInputError):
            login.token_body(APP, code, state)
    for scopes in ((), ("FULL",)):
        with pytest.raises(InvalidInputError):
            begin_login(APP, scopes, RNG.randbytes)
    assert "redacted" in repr(login)
