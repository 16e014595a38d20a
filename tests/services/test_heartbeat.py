"""The sign of life over HTTP."""

from __future__ import annotations

from litestar.testing import TestClient

from mrmarket.services.api.app import create_app
from services.face_fake import FakeFace


def test_anybody_may_see_that_the_engine_beats() -> None:
    """No login, never cached: an Angel elsewhere reads it once a second."""
    with TestClient(create_app(FakeFace()), base_url="http://127.0.0.1") as client:
        answer = client.get("/heartbeat")
    assert answer.status_code == 200
    assert answer.json() == {"node": "n", "role": "all", "seq": 7, "started_ms": 1, "at_ms": 2}
    assert answer.headers["cache-control"] == "no-store"
