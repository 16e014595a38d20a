"""The command line's way to a running instance: with the owner's token, and refused in words."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
import uvicorn

from mrmarket.services.access.owner_token import FILE
from mrmarket.services.api import money_schema
from mrmarket.services.api.schema import PoolView
from mrmarket.services.data_directory import DataDirectory, NotRunningError
from mrmarket.services.remote import RemoteInstance, RemoteRefusedError
from services.doors import Door
from services.money_fake import FakeMoney


@contextmanager
def served(app: Any) -> Iterator[str]:
    """Serve an app on a free port; yields its address."""
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, lifespan="off"))
    listener = uvicorn.Config(app, port=0).bind_socket()
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    while thread.is_alive() and not server.started:
        thread.join(0.01)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """An instance with a closed desk."""
    with served(Door(money=FakeMoney()).app) as address:
        yield address


def test_a_data_folder_is_all_the_command_line_needs(url: str, tmp_path: Path) -> None:
    """Address and token come from the folder; what is the owner's can be read and switched."""
    DataDirectory(tmp_path).announce(url)
    (tmp_path / FILE).write_text("the-owners-token")
    remote = RemoteInstance.of(tmp_path)
    assert remote.stop().state == "paused"
    assert remote.start().state == "running"
    assert remote.pool().id == "main"
    assert remote.performance().fills == 0
    assert remote.read("admin/treasury", money_schema.TreasuryView).solvent
    paused = remote.change("admin/pools/main/pause", money_schema.PoolCard, {"what": "deposits"})
    assert paused.id == "main"


def test_a_refusal_keeps_its_code_and_its_words(url: str) -> None:
    """What the API refuses is told as the API told it, not as an instance that is not there."""
    with pytest.raises(RemoteRefusedError, match="sign in first") as refused:
        RemoteInstance(url).stop()
    assert (refused.value.code, refused.value.retryable) == ("sign_in_needed", False)
    with pytest.raises(RemoteRefusedError) as unknown:
        RemoteInstance(url).read("pools/none", PoolView)
    assert unknown.value.code == "not_found"


class Stranger(BaseHTTPRequestHandler):
    """Some other server."""

    status: ClassVar[int] = 404

    def do_GET(self) -> None:
        """Answer something that is not ours."""
        self.send_response(self.status)
        self.end_headers()
        self.wfile.write(b"<html>who are you</html>")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Say nothing."""


@pytest.mark.parametrize("status", [200, 404, 500])
def test_a_stranger_on_the_port_is_no_instance(status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever another server answers, no instance is running there."""
    monkeypatch.setattr(Stranger, "status", status)
    server = HTTPServer(("127.0.0.1", 0), Stranger)
    thread = threading.Thread(target=server.handle_request, daemon=True)
    thread.start()
    with pytest.raises(NotRunningError):
        RemoteInstance(f"http://127.0.0.1:{server.server_port}").status()
    thread.join(10)
    server.server_close()
