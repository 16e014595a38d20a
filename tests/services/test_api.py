"""The API's routes, errors and doors, in front of a fake instance."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from litestar.exceptions import WebSocketDisconnect
from litestar.testing import TestClient

from mrmarket.services.api import schema
from mrmarket.services.api.app import openapi_text
from mrmarket.services.api.face import Update
from mrmarket.services.api.pages import content_security_policy, page_handlers
from services.doors import BEARER, LOCAL, Door
from services.face_fake import FakeFace

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def face() -> FakeFace:
    """A fresh fake instance."""
    return FakeFace()


def client(face: FakeFace) -> TestClient[Any]:
    """A client that comes from the instance's own address."""
    return Door(face=face).client()


READS = (
    *("instance", "instance/config", "market", "market/candles", "quotes", "orders", "events"),
    *("pool", "pool/equity", "performance", "openapi.json"),
)


@pytest.mark.parametrize("path", READS)
def test_every_route_answers_json(face: FakeFace, path: str) -> None:
    """Every documented read answers 200 with JSON."""
    with client(face) as browser:
        answer = browser.get(f"/api/v1/{path}", headers=BEARER)
    assert answer.status_code == 200
    assert answer.json() is not None


def test_the_switches_start_and_stop_trading(face: FakeFace) -> None:
    """Stop pauses, start resumes, and both answer the new status."""
    with client(face) as browser:
        assert browser.post("/api/v1/instance/stop", headers=BEARER).json()["state"] == "paused"
        assert browser.post("/api/v1/instance/start", headers=BEARER).json()["state"] == "running"


@pytest.mark.parametrize(
    ("path", "code", "status"),
    [
        ("nothing", "not_found", 404),
        ("market/nothing", "not_found", 404),
        ("market?levels=0", "invalid_request", 400),
        ("market?levels=101", "invalid_request", 400),
        ("orders?state=lost", "invalid_request", 400),
        ("events?after_seq=-1", "invalid_request", 400),
        ("nothing/here", "not_found", 404),
        ("fills", "invalid_input", 400),
    ],
)
def test_a_refused_request_says_why_in_one_shape(face: FakeFace, path: str, code: str, status: int) -> None:
    """Every error is a Problem with a stable code and a sentence."""
    with client(face) as browser:
        answer = browser.get(f"/api/v1/{path}")
    assert answer.status_code == status
    assert answer.json()["code"] == code
    assert answer.json()["message"]


def test_another_site_can_neither_read_nor_switch(face: FakeFace) -> None:
    """A foreign Host is refused always, a foreign Origin for what changes state."""
    with client(face) as browser:
        assert browser.get("/api/v1/instance", headers={"host": "evil.example"}).status_code == 403
        foreign = browser.post("/api/v1/instance/stop", headers={"origin": "https://evil.example"})
        own = browser.post("/api/v1/auth/demo", json={"name": "bob"}, headers={"origin": LOCAL})
    assert foreign.json()["code"] == "foreign_origin"
    assert own.status_code == 200


def test_a_stream_from_another_site_never_opens(face: FakeFace) -> None:
    """The handshake of a foreign page is refused."""
    foreign = {"origin": "https://evil.example"}
    with (
        client(face) as browser,
        pytest.raises(WebSocketDisconnect) as closed,
        browser.websocket_connect("/api/v1/stream", headers=foreign),
    ):
        pass
    assert closed.value.code == 4403


def test_the_stream_starts_with_current_values_and_numbers_every_message(face: FakeFace) -> None:
    """First one message a topic that has a value, then each change; seq rises by one."""
    face.pending.put_nowait(Update("status", face.status()))
    with client(face) as browser, browser.websocket_connect("/api/v1/stream?topics=status,quotes") as stream:
        messages = [json.loads(stream.receive_text()) for _ in range(3)]
        face.pending.put_nowait(None)
    assert [m["seq"] for m in messages] == [1, 2, 3]
    assert {m["topic"] for m in messages[:2]} == {"status", "quotes"}
    assert messages[2]["data"]["name"] == "test"


def test_the_stream_refuses_an_unknown_topic(face: FakeFace) -> None:
    """A misspelt topic closes the stream with the reason, it is not ignored."""
    with client(face) as browser, browser.websocket_connect("/api/v1/stream?topics=books") as stream:
        with pytest.raises(WebSocketDisconnect, match="books") as closed:
            stream.receive(block=True)
        assert closed.value.code == 4400


def test_the_committed_contract_is_the_one_the_types_say() -> None:
    """`web/openapi.json` is what the pages are built from; it must not lag behind."""
    assert (ROOT / "web/openapi.json").read_text() == openapi_text()
    assert "InstanceStatus" in json.loads(openapi_text())["components"]["schemas"]


def test_pages_that_are_not_built_say_how_to_build_them(tmp_path: Path, face: FakeFace) -> None:
    """Without a build the root explains, and the API works."""
    assert len(page_handlers(tmp_path)) == 1
    assert isinstance(face.status(), schema.InstanceStatus)


def test_built_pages_allow_only_their_own_scripts(tmp_path: Path) -> None:
    """The policy lists the hash of each inline script and no wildcard."""
    (tmp_path / "index.html").write_text("<script>start()</script>")
    (tmp_path / "_app").mkdir()
    (tmp_path / "favicon.svg").write_text("<svg/>")
    policy = content_security_policy((tmp_path / "index.html").read_bytes())
    assert policy.count("'sha256-") == 1
    assert "unsafe-inline" not in policy.split("style-src")[0]
    assert len(page_handlers(tmp_path)) == 3
