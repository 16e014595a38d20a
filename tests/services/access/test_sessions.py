"""Sessions: how they begin, how long they live, and how they end."""

from __future__ import annotations

import pytest
from litestar.exceptions import WebSocketDisconnect

from mrmarket.services.access.secrets import digest_of
from mrmarket.services.access.settings import AccessSettings
from mrmarket.services.api.face import Update
from services.doors import BEARER, PASSWORD, Door, sign_in
from services.money_fake import FakeMoney

HOUR_NS = 3600 * 10**9


@pytest.fixture
def door() -> Door:
    """A fresh door."""
    return Door(money=FakeMoney())


def cookie_of(door: Door, name: str = "alice") -> str:
    """Sign somebody in, and return the cookie's token."""
    with door.client() as browser:
        answer = browser.post("/api/v1/auth/demo", json={"name": name})
        return answer.headers["set-cookie"].partition("=")[2].partition(";")[0]


def role(door: Door, token: str) -> str:
    """What the session with this token may do."""
    with door.client() as browser:
        answer = browser.get("/api/v1/auth/session", headers={"Cookie": f"mrmarket={token}"})
        text: str = answer.json()["role"]
        return text


def test_the_cookie_is_for_this_site_alone(door: Door) -> None:
    """HttpOnly, SameSite=Strict, no Secure over http, named by the port; 256 random bits."""
    with door.client("http://127.0.0.1:8080") as browser:
        cookie = browser.post("/api/v1/auth/demo", json={"name": "bob"}).headers["set-cookie"]
        assert browser.get("/api/v1/auth/session").json()["user"] == "bob"
    name, _, rest = cookie.partition("=")
    token, *attributes = rest.split("; ")
    assert (name, len(token)) == ("mrmarket_8080", 43)
    assert {"HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=604800"} == set(attributes)


def test_only_the_hash_of_a_token_is_kept(door: Door) -> None:
    """Who reads the database cannot sign in with what it holds."""
    token = cookie_of(door)
    assert [row.digest for row in door.store.sessions()] == [digest_of(token)]
    assert token not in repr(door.store.sessions())


def test_a_token_that_was_known_before_the_sign_in_is_worth_nothing(door: Door) -> None:
    """Against fixation: whatever cookie the browser had, a sign-in makes a new token."""
    planted = "A" * 43
    with door.client() as browser:
        headers = {"Cookie": f"mrmarket={planted}"}
        answer = browser.post("/api/v1/auth/demo", json={"name": "alice"}, headers=headers)
    assert planted not in answer.headers["set-cookie"]
    assert role(door, planted) == "visitor"


def test_signing_in_again_ends_the_old_session(door: Door) -> None:
    """Rotation: the browser's earlier session is over, other devices stay."""
    elsewhere, old = cookie_of(door), cookie_of(door)
    with door.client() as browser:
        answer = browser.post(
            "/api/v1/auth/demo", json={"name": "bob"}, headers={"Cookie": f"mrmarket={old}"}
        )
        assert answer.json()["user"] == "bob"
    assert (role(door, old), role(door, elsewhere)) == ("visitor", "user")


def test_signing_out_ends_the_session_and_takes_the_cookie_back(door: Door) -> None:
    """After a sign-out the token opens nothing; it needs the CSRF token like every change."""
    with door.client() as browser:
        headers = sign_in(browser, "alice")
        token = browser.cookies["mrmarket"]
        assert browser.post("/api/v1/auth/logout").status_code == 403
        out = browser.post("/api/v1/auth/logout", headers=headers)
    assert out.json()["role"] == "visitor"
    assert "Max-Age=0" in out.headers["set-cookie"]
    assert role(door, token) == "visitor"
    assert door.store.sessions() == []


def test_a_session_slides_and_ends(door: Door) -> None:
    """12 hours without a request end a user's session, a request makes them begin again, 7 days end it."""
    token = cookie_of(door)
    for _ in range(14):
        door.wait(11.9 * 3600)
        assert role(door, token) == "user"
    door.wait(3 * 3600)
    assert role(door, token) == "visitor"
    idle = cookie_of(door)
    door.wait(12 * 3600)
    assert role(door, idle) == "visitor"


def test_the_owners_session_is_shorter(door: Door) -> None:
    """An hour without a request."""
    door.store.set_password(door.access._passwords.hash(PASSWORD), 0)
    with door.client() as browser:
        answer = browser.post("/api/v1/auth/admin", json={"password": PASSWORD})
        begun = door.clock.now_ns() // 10**6
        assert answer.json()["expires_at_ms"] == begun + 3_600_000
        door.wait(3599)
        assert browser.get("/api/v1/auth/session").json()["role"] == "admin"
        door.wait(3601)
        assert browser.get("/api/v1/auth/session").json()["role"] == "visitor"


def test_each_session_has_its_own_csrf_token(door: Door) -> None:
    """Alice's token does not let bob's page change anything."""
    with door.client() as hers, door.client() as his:
        alice, bob = sign_in(hers, "alice"), sign_in(his, "bob")
        assert alice != bob
        assert his.post("/api/v1/me/wallet/fund", headers=alice).json()["code"] == "csrf_refused"
        assert his.post("/api/v1/me/wallet/fund", headers=bob).status_code == 200


def test_an_account_keeps_its_newest_twenty(door: Door) -> None:
    """Signing in over and over fills nothing, and ends the oldest session."""
    first = cookie_of(door)
    for _ in range(20):
        door.wait(60)
        newest = cookie_of(door)
    assert len(door.store.sessions()) == 20
    assert (role(door, first), role(door, newest)) == ("visitor", "user")


def test_a_stream_ends_with_its_session(door: Door) -> None:
    """Once signed out, the next message closes the stream with 4401 and is not told."""
    with door.client() as browser:
        headers = sign_in(browser, "alice")
        with browser.websocket_connect("/api/v1/stream?topics=status") as stream:
            stream.receive_text()
            browser.post("/api/v1/auth/logout", headers=headers)
            door.face.pending.put_nowait(Update("status", door.face.status()))
            with pytest.raises(WebSocketDisconnect) as closed:
                stream.receive_text()
    assert closed.value.code == 4401


def test_a_closed_desks_stream_is_refused_to_visitors() -> None:
    """Where money is real the stream needs a session as the routes do."""
    door = Door(AccessSettings(demo=True, open_desk=False))
    with door.client() as browser:
        with (
            pytest.raises(WebSocketDisconnect),
            browser.websocket_connect("/api/v1/stream?topics=status") as stream,
        ):
            stream.receive_text()
        sign_in(browser, "alice")
        with browser.websocket_connect("/api/v1/stream?topics=status") as stream:
            assert "status" in stream.receive_text()


def test_depositors_are_for_the_owners_eyes(door: Door) -> None:
    """The pool names its depositors to the owner alone, over the route and over the stream."""
    door.face.depositors = ["alice"]
    with door.client() as browser:
        mine = sign_in(browser, "alice")
        assert browser.get("/api/v1/pool", headers=mine).json()["depositors"] == []
        with browser.websocket_connect("/api/v1/stream?topics=pool") as stream:
            assert '"depositors":[]' in stream.receive_text()
        browser.cookies.clear()
        assert len(browser.get("/api/v1/pool", headers=BEARER).json()["depositors"]) == 1
        with browser.websocket_connect("/api/v1/stream?topics=pool", headers=BEARER) as stream:
            assert "alice" in stream.receive_text()
