"""Wallet sign-in: who can sign in, with what, and how often."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import pytest
from eth_account import Account
from eth_account.messages import encode_defunct
from eth_utils.address import to_checksum_address
from hypothesis import given
from hypothesis import strategies as st
from litestar.testing import TestClient

from mrmarket.services.access.demo import DEMO_WALLETS, demo_signature, play_key
from mrmarket.services.access.settings import AccessSettings
from mrmarket.services.access.siwe import SignInMessage
from mrmarket.services.access.wallet import checksum_address
from services.doors import Door

KEY = sha256(b"somebody's wallet").digest()
ADDRESS: str = Account.from_key(KEY).address
SITE = "http://127.0.0.1"


def signature(text: str, key: bytes = KEY) -> str:
    """As a wallet signs (EIP-191)."""
    return "0x" + bytes(Account.sign_message(encode_defunct(text=text), private_key=key).signature).hex()


def message(browser: TestClient[Any], **fields: Any) -> str:
    """What a page would have the wallet sign, with some fields as the test wants them."""
    told = browser.get("/api/v1/auth/nonce").json()
    plain = SignInMessage(
        scheme=None,
        domain=told["domain"],
        address=ADDRESS,
        statement="Sign in to Mr. Market.",
        uri=told["uri"],
        chain_id=told["chain_id"],
        nonce=told["nonce"],
        issued_at=told["issued_at"],
        expiration_time=told["expires_at"],
    )
    return SignInMessage(**{name: getattr(plain, name) for name in plain.__slots__} | fields).text()


def send(browser: TestClient[Any], text: str, signed: str | None = None) -> Any:
    """Sign in with a message."""
    return browser.post("/api/v1/auth/wallet", json={"message": text, "signature": signed or signature(text)})


@pytest.fixture
def door() -> Door:
    """A fresh door."""
    return Door()


def test_a_wallet_signs_in_as_its_address(door: Door) -> None:
    """The account is the address in lower case, and the session says so."""
    with door.client() as browser:
        answer = send(browser, message(browser))
        session = browser.get("/api/v1/auth/session").json()
    assert answer.status_code == 200
    assert (session["role"], session["user"]) == ("user", ADDRESS.lower())
    assert session["csrf"] == answer.json()["csrf"]


def test_a_nonce_is_good_once(door: Door) -> None:
    """The same message again, or another with the same nonce, is refused."""
    with door.client() as browser:
        text = message(browser)
        assert send(browser, text).status_code == 200
        again = send(browser, text)
        other = send(browser, text.replace("Sign in to Mr. Market.", "Hello."))
    assert (again.status_code, again.json()["code"]) == (401, "sign_in_refused")
    assert "used before" in again.json()["message"]
    assert other.status_code == 401


def test_a_wrong_signature_does_not_use_up_the_nonce(door: Door) -> None:
    """Somebody who sees a nonce cannot spoil it."""
    with door.client() as browser:
        text = message(browser)
        assert send(browser, text, signature(text, play_key("alice"))).status_code == 401
        assert send(browser, text).status_code == 200


def test_nonces_expire_and_are_ours(door: Door) -> None:
    """Ten minutes; another instance's nonce, or one with its time changed, is worth nothing."""
    with door.client() as browser, Door().client() as elsewhere:
        text = message(browser, expiration_time=None)
        nonce = text.partition("Nonce: ")[2].partition("\n")[0]
        later = f"{int(nonce[:12], 16) + 60_000:012x}{nonce[12:]}"
        assert send(browser, text.replace(nonce, later)).status_code == 401
        assert send(browser, text.replace(nonce, "12345678")).status_code == 401
        foreign = elsewhere.get("/api/v1/auth/nonce").json()["nonce"]
        other_key = Door().access.nonce()[0]
        assert foreign == other_key  # the tests' entropy is the same for every door
        door.wait(601)
        late = send(browser, text)
    assert late.status_code == 401


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"domain": "evil.example"}, "the message is for evil.example"),
        ({"domain": "127.0.0.1:81"}, "the message is for 127.0.0.1:81"),
        ({"scheme": "https"}, "the message is for"),
        ({"uri": "http://evil.example"}, "URI"),
        ({"uri": "http://127.0.0.1.evil.example/"}, "URI"),
        ({"chain_id": 5}, "switch it to 1"),
        ({"address": ADDRESS.lower()}, "checksum"),
        ({"address": DEMO_WALLETS["alice"]}, "not of this address"),
        ({"expiration_time": "2023-11-14T22:13:20Z"}, "expired"),
        ({"not_before": "2023-11-14T22:14:20Z"}, "not valid yet"),
        ({"issued_at": "2023-11-14T22:00:00Z"}, "not issued just now"),
        ({"issued_at": "2023-11-14T22:15:00Z"}, "not issued just now"),
    ],
)
def test_each_field_is_checked(door: Door, fields: dict[str, Any], why: str) -> None:
    """A correctly signed message for another site, chain, time or address is refused with the reason."""
    with door.client() as browser:
        answer = send(browser, message(browser, **fields))
        assert browser.get("/api/v1/auth/session").json()["role"] == "visitor"
    assert answer.status_code == 401
    assert why in answer.json()["message"]


@pytest.mark.parametrize(
    "fields", [{"scheme": "http"}, {"uri": f"{SITE}/#/in"}, {"statement": None}, {"resources": ()}]
)
def test_what_the_standard_leaves_open_is_accepted(door: Door, fields: dict[str, Any]) -> None:
    """Our scheme, a path of ours, no statement, an empty list of resources."""
    with door.client() as browser:
        assert send(browser, message(browser, **fields)).status_code == 200


@pytest.mark.parametrize(
    "signed", ["0x", "0x" + "00" * 65, "0x" + "ff" * 65, "00" * 65, "0x" + "0" * 131, "é"]
)
def test_a_malformed_signature_is_refused(door: Door, signed: str) -> None:
    """Whatever is sent for a signature, the answer is 401 and not a fault."""
    with door.client() as browser:
        assert send(browser, message(browser), signed).status_code == 401


@given(edit=st.integers(0, 64), value=st.integers(1, 255))
def test_no_signature_with_a_changed_byte_is_somebodys(edit: int, value: int) -> None:
    """Any byte changed: another address signed, or nobody; v 0/1 for 27/28 is the one other spelling."""
    door = _SHARED
    with door.client() as browser:
        text = message(browser)
        raw = bytearray.fromhex(signature(text)[2:])
        before = raw[64]
        raw[edit] ^= value
        answer = send(browser, text, f"0x{raw.hex()}")
        door.wait(3601)
    assert answer.status_code == (200 if edit == 64 and raw[64] == before - 27 else 401)


_SHARED = Door()


def test_the_demo_signs_in_through_the_same_check(door: Door) -> None:
    """Alice is alice, by her wallet's signature, whether the server or the test signs."""
    with door.client() as browser:
        assert browser.post("/api/v1/auth/demo", json={"name": "alice"}).json()["user"] == "alice"
        text = message(browser, address=DEMO_WALLETS["bob"])
        assert send(browser, text, demo_signature("bob", text)).json()["user"] == "bob"
        people = browser.get("/api/v1/auth/demo").json()
        assert {one["name"]: one["address"] for one in people} == dict(DEMO_WALLETS)
        assert browser.post("/api/v1/auth/demo", json={"name": "mallory"}).status_code == 404


def test_where_money_is_real_the_demos_people_are_nobody() -> None:
    """No demo routes, and a wallet with a play key is an address like any other."""
    door = Door(AccessSettings(demo=False, open_desk=True))
    with door.client() as browser:
        assert browser.get("/api/v1/auth/demo").status_code == 404
        assert browser.post("/api/v1/auth/demo", json={"name": "alice"}).status_code == 404
        assert browser.get("/api/v1/auth/session").json()["demo"] is False
        text = message(browser, address=DEMO_WALLETS["alice"])
        answer = send(browser, text, demo_signature("alice", text))
    assert answer.json()["user"] == DEMO_WALLETS["alice"].lower()


def test_the_written_demo_addresses_are_those_of_the_play_keys() -> None:
    """The constants need no crypto library, and are right."""
    assert {name: Account.from_key(play_key(name)).address for name in DEMO_WALLETS} == dict(DEMO_WALLETS)


@given(st.binary(min_size=20, max_size=20))
def test_the_checksum_is_eip_55s(raw: bytes) -> None:
    """Our capitals are those of the reference library."""
    assert checksum_address(f"0x{raw.hex()}") == to_checksum_address(raw)


def test_behind_a_proxy_the_public_address_is_the_site() -> None:
    """With a public https address messages are for it, and the cookie is Secure."""
    door = Door(AccessSettings(demo=True, open_desk=True, public_url="https://market.example"))
    with door.client() as browser:
        told = browser.get("/api/v1/auth/nonce").json()
        answer = send(browser, message(browser))
    assert (told["domain"], told["uri"]) == ("market.example", "https://market.example")
    assert answer.headers["set-cookie"].endswith("; Secure")
    assert "strict-transport-security" in answer.headers
