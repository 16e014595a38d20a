"""`mrmarket notify test` against a server of our own."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator

import pytest

from mrmarket.cli.app import run
from mrmarket.cli.exit_codes import ExitCode


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[bytes]]:
    """A webhook that is configured, and what it got; it answers 200, and 500 to the second."""
    got: list[bytes] = []

    class Taker(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200 if len(got) == 1 else 500)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
            """Quiet."""

    server = http.server.HTTPServer(("127.0.0.1", 0), Taker)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    monkeypatch.setenv("MRMARKET_WEBHOOK_URL", f"http://127.0.0.1:{server.server_port}/hook")
    monkeypatch.setenv("MRMARKET_WEBHOOK_SECRET", "a-secret-of-ours")
    yield got
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_way_that_works_is_said_to(hook: list[bytes], capfd: pytest.CaptureFixture[str]) -> None:
    """One message arrives, and the command succeeds."""
    assert run(["notify", "test", "--json"]) == ExitCode.OK
    assert json.loads(capfd.readouterr().out) == {
        "ok": True,
        "ways": [{"way": "webhook", "delivered": True, "problem": "delivered"}],
    }
    assert json.loads(hook[0])["title"] == "this is a test"


def test_a_way_that_does_not_is_a_failed_check(hook: list[bytes], capfd: pytest.CaptureFixture[str]) -> None:
    """The second attempt meets a fault: the command says which way and what came back."""
    run(["notify", "test", "--json"])
    capfd.readouterr()
    assert run(["notify", "test"]) == ExitCode.CHECK_FAILED
    shown = capfd.readouterr().out
    assert "webhook" in shown
    assert "it answered 500" in shown
    assert len(hook) == 2


def test_without_a_way_it_says_what_to_set(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody would hear of anything: that is a failed check, with the variables' names."""
    for name in ("MRMARKET_WEBHOOK_URL", "MRMARKET_WEBHOOK_SECRET", "MRMARKET_TELEGRAM_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    assert run(["notify", "test"]) == ExitCode.CHECK_FAILED
    assert "MRMARKET_TELEGRAM_CHAT" in capfd.readouterr().out
