"""The owner's words to trading over HTTP: keys, refusals, who hears what on the stream."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from litestar.exceptions import WebSocketDisconnect
from litestar.testing import TestClient

from mrmarket.services.access.password import Passwords
from services.doors import BEARER, PASSWORD, Door, sign_in
from services.operations_fake import RUN, VENUE

BASE = "/api/v1/admin/operations"


@pytest.fixture
def hall() -> Door:
    """An app with one run."""
    return Door()


@pytest.fixture
def owner(hall: Door) -> Iterator[TestClient[Any]]:
    """The owner's command line."""
    with hall.client() as client:
        client.headers.update(BEARER)
        yield client


def ask(client: TestClient[Any], path: str, **body: object) -> Any:
    """Send one command."""
    return client.post(f"{BASE}/{path}", json={"key": "key-00001", **body})


@pytest.mark.parametrize("action", ["pause", "resume", "cancel-all", "flatten", "halt", "rearm"])
def test_every_action_of_a_run_reaches_whoever_holds_it(
    hall: Door, owner: TestClient[Any], action: str
) -> None:
    """The answer is the command, and asking for it by its key tells the same."""
    answer = ask(owner, f"runs/{RUN}/{action}", reason="a test")
    assert answer.status_code == 200, answer.text
    assert hall.operations.asked == [(RUN, action.replace("-", "_"), "owner, from a shell")]
    assert owner.get(f"{BASE}/commands/key-00001").json() == answer.json()


def test_the_same_key_is_the_same_command(hall: Door, owner: TestClient[Any]) -> None:
    """Sent twice it is done once; for something else it is 409 `key_reused`."""
    first, again = ask(owner, f"runs/{RUN}/flatten"), ask(owner, f"runs/{RUN}/flatten")
    assert first.json() == again.json()
    assert len(hall.operations.asked) == 1
    other = ask(owner, f"runs/{RUN}/pause")
    assert (other.status_code, other.json()["code"]) == (409, "key_reused")


@pytest.mark.parametrize(
    "body",
    [
        {"key": "short"},
        {"key": "with a space"},
        {"key": "x" * 65},
        {"key": "key-00001\n"},
        {"key": "key-00001", "reason": "two\nlines"},
        {"key": "key-00001", "reason": "x" * 201},
        {"key": "key-00001", "force": True},
        {"reason": "no key"},
    ],
)
def test_a_malformed_word_is_refused_before_anything_is_done(
    hall: Door, owner: TestClient[Any], body: dict[str, object]
) -> None:
    """400, and nothing was asked."""
    answer = owner.post(f"{BASE}/halt", json=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
    assert hall.operations.asked == []
    assert hall.operations.held == []


@pytest.mark.parametrize("path", [f"runs/{RUN}/explode", f"venues/{VENUE}/flatten"])
def test_an_action_that_nobody_knows_is_refused(hall: Door, owner: TestClient[Any], path: str) -> None:
    """400: a venue is halted or re-armed and nothing else."""
    assert ask(owner, path).status_code == 400
    assert hall.operations.asked == []


@pytest.mark.parametrize("path", ["runs/nobody/pause", "venues/nowhere/halt"])
def test_what_does_not_exist_is_not_found(owner: TestClient[Any], path: str) -> None:
    """404 for runs and venues that nobody configured."""
    answer = ask(owner, path)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_without_the_database_only_the_kill_switch_works(hall: Door, owner: TestClient[Any]) -> None:
    """Commands are 503 `database_away`, retryable; the halt is done and says that it is not written down."""
    hall.operations.away = True
    answer = ask(owner, f"runs/{RUN}/pause")
    assert (answer.status_code, answer.json()["code"]) == (503, "database_away")
    assert answer.json()["retryable"]
    halted = ask(owner, "halt", reason="now")
    assert halted.status_code == 200
    assert halted.json()["recorded"] is False
    assert owner.get("/api/v1/notice").json() == {"state": "limited"}


def test_a_signed_in_owner_is_named_as_such(hall: Door) -> None:
    """The command tells apart who clicked and who typed, and shows no session."""
    hall.store.set_password(Passwords(memory_kib=64, rounds=1).hash(PASSWORD), 0)
    with hall.client() as client:
        session = client.post("/api/v1/auth/admin", json={"password": PASSWORD}).json()
        answer = client.post(
            f"{BASE}/halt", json={"key": "key-00001"}, headers={"X-CSRF-Token": session["csrf"]}
        )
    assert answer.status_code == 200, answer.text
    assert hall.operations.asked == [("instance", "halt", "owner")]


def test_the_owner_hears_operations_live(hall: Door, owner: TestClient[Any]) -> None:
    """The first message is the whole view."""
    with owner.websocket_connect("/api/v1/stream?topics=operations", headers=BEARER) as socket:
        message = socket.receive_json()
    assert (message["seq"], message["topic"]) == (1, "operations")
    assert message["data"]["runs"][0]["id"] == RUN


def test_nobody_else_hears_operations(hall: Door) -> None:
    """Asked for by name it is closed with 4403; a user's stream of everything leaves it out."""
    with hall.client() as client:
        sign_in(client, "alice")
        with (
            client.websocket_connect("/api/v1/stream?topics=operations") as socket,
            pytest.raises(WebSocketDisconnect) as closed,
        ):
            socket.receive_json()
        assert closed.value.code == 4403
        hall.face.pending.put_nowait(None)
        topics = []
        with client.websocket_connect("/api/v1/stream") as socket:
            topics = [socket.receive_json()["topic"] for _ in range(6)]
    assert "operations" not in topics
