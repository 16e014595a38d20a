"""Which parts are ready, and who may ask."""

from __future__ import annotations

import asyncio

import aiohttp
import msgspec
import pytest
from litestar.testing import TestClient
from structlog.testing import capture_logs

from mrmarket.core.clock import ManualClock
from mrmarket.services.telemetry import health as health_module
from mrmarket.services.telemetry.health import Health
from mrmarket.services.telemetry.reading import Reading
from mrmarket.services.telemetry.server import TelemetryPortError, TelemetryServer
from mrmarket.services.telemetry.telemetry import Telemetry
from mrmarket.store.errors import DatabaseBusyError
from services.doors import BEARER, LOCAL, Door, sign_in
from services.telemetry.scrape import series, value


async def fine() -> str:
    """Ready."""
    return ""


async def bad() -> str:
    """Not ready, with a reason."""
    return "the book is stale"


async def test_every_part_must_be_ready() -> None:
    """One part that is not makes the whole not ready, with its reason."""
    health = Health()
    health.check("ledger", fine)
    assert (await health.readiness()).ready
    health.check("venue", bad)
    now = await health.readiness()
    assert not now.ready
    assert {part.part: part.reason for part in now.parts} == {"ledger": "", "venue": "the book is stale"}


async def test_a_check_that_breaks_hangs_or_is_refused_is_a_part_that_is_not_ready(
    monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    """Each in its own words, none with a detail that is nobody's business."""
    monkeypatch.setattr(health_module, "_PATIENCE_S", 0.02)

    async def broken() -> str:
        raise ZeroDivisionError("secret detail")

    async def hanging() -> str:
        await asyncio.Event().wait()
        return ""

    async def refused() -> str:
        raise DatabaseBusyError(tmp_path)  # type: ignore[arg-type] # only named in the message

    health = Health()
    for name, check in (("broken", broken), ("hanging", hanging), ("refused", refused)):
        health.check(name, check)
    reasons = {part.part: part.reason for part in (await health.readiness()).parts}
    assert reasons["broken"] == "the check failed (ZeroDivisionError)"
    assert reasons["hanging"].startswith("no answer within")
    assert reasons["refused"] == DatabaseBusyError.code


async def test_parts_are_asked_once_however_many_ask() -> None:
    """A crowd of probes costs one question, and for a second its answer."""
    asked = 0

    async def counted() -> str:
        nonlocal asked
        asked += 1
        await asyncio.sleep(0)
        return ""

    health = Health()
    health.check("x", counted)
    await asyncio.gather(*(health.readiness() for _ in range(20)))
    await health.readiness()
    assert asked == 1


async def test_one_who_hangs_up_spoils_it_for_nobody() -> None:
    """The question goes on for the others when the first asker has gone."""
    go = asyncio.Event()

    async def slow() -> str:
        await go.wait()
        return ""

    health = Health()
    health.check("x", slow)
    first, second = (asyncio.create_task(health.readiness()) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    go.set()
    assert (await second).ready


async def test_changes_are_logged_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not ready when it begins, ready when it is over, nothing in between."""
    monkeypatch.setattr(health_module, "_FRESH_S", 0)
    reason = "down"

    async def part() -> str:
        return reason

    health = Health()
    health.check("venue", part)
    with capture_logs() as logs:
        await health.readiness()
        await health.readiness()
        reason = ""
        await health.readiness()
    assert [line["event"] for line in logs] == ["not ready", "ready"]


def open_door(telemetry: Telemetry) -> TestClient:  # type: ignore[type-arg] # any app
    """The API around it."""
    from mrmarket.services.api.app import create_app

    door = Door()
    return TestClient(create_app(door.face, None, door.access, telemetry=telemetry), base_url=LOCAL)


def test_the_api_tells_machines_how_it_is() -> None:
    """200 and 503 with the reasons, a status without anything private, and an id on each answer."""
    telemetry = Telemetry("My pool", ManualClock())
    telemetry.pools = 2
    telemetry.health.check("venue", fine)
    with open_door(telemetry) as client:
        assert client.get("/healthz").json() == {"alive": True}
        assert client.get("/readyz").status_code == 200
        assert client.get("/status").json() == {
            "name": "My pool", "version": "0.1.0", "state": "ready", "uptime_s": 0, "pools": 2,
            "now_ms": ManualClock().now_ns() // 10**6,
        }  # fmt: skip
        telemetry.health.check("venue", bad)
        answer = client.get("/readyz")
        assert answer.status_code == 503
        assert answer.json()["parts"] == [{"part": "venue", "ready": False, "reason": "the book is stale"}]
        assert client.get("/status").json()["state"] == "degraded"
        assert len(answer.headers["x-request-id"]) == 36
        given = client.get("/healthz", headers={"X-Request-Id": "from-a-proxy-1"})
        assert given.headers["x-request-id"] == "from-a-proxy-1"
        forged = client.get("/healthz", headers={"X-Request-Id": 'x" injected="1'})
        assert "injected" not in forged.headers["x-request-id"]


def test_figures_on_the_apis_port_are_the_owners() -> None:
    """A visitor and a depositor get nothing; the owner gets Prometheus' text with the requests counted."""
    telemetry = Telemetry("My pool", ManualClock())
    telemetry.watch("runs", lambda: [Reading("mm_runs_held", 4)])
    with open_door(telemetry) as client:
        assert client.get("/api/v1/metrics").status_code == 401
        headers = sign_in(client, "alice")
        assert client.get("/api/v1/metrics", headers=headers).status_code == 403
        client.cookies.clear()
        answer = client.get("/api/v1/metrics", headers=BEARER)
    assert answer.headers["content-type"].startswith("text/plain; version=")
    found = series(answer.content)
    assert value(found, "mm_runs_held") == 4
    assert value(found, "mm_request_seconds_count", method="GET", status="4xx") == 2
    assert "alice" not in answer.text


async def test_the_port_of_its_own_serves_without_an_api() -> None:
    """An engine and an Angel tell the same: figures, health, status; nothing else, and nothing changes."""
    telemetry = Telemetry("Angel", ManualClock(), role="angel")
    telemetry.health.check("venue", bad)
    server = TelemetryServer(telemetry, "127.0.0.1", 0)
    await server.start()
    async with aiohttp.ClientSession() as client:
        answers = {}
        for path in ("/metrics", "/healthz", "/readyz", "/status", "/secrets"):
            async with client.get(server.url + path) as answer:
                answers[path] = (answer.status, await answer.read())
        async with client.post(server.url + "/metrics") as refused:
            assert refused.status == 405
        async with client.head(server.url + "/metrics") as head:
            assert (head.status, await head.read()) == (200, b"")
        async with client.get(server.url + "/status", headers={"Host": "evil.example"}) as foreign:
            assert foreign.status == 403
        port = server.url.rpartition(":")[2]
        async with client.get(server.url + "/status", headers={"Host": f"localhost:{port}"}) as local:
            assert local.status == 200
    await server.close()
    await server.close()
    assert [answers[path][0] for path in answers] == [200, 200, 503, 200, 404]
    assert value(series(answers["/metrics"][1]), "mm_ready", part="venue") == 0
    assert msgspec.json.decode(answers["/status"][1])["name"] == "Angel"
    with pytest.raises(RuntimeError, match="not open"):
        _ = server.url


async def test_a_taken_port_says_what_to_do() -> None:
    """Two processes with one port: the second names the key to change."""
    first = TelemetryServer(Telemetry("a", ManualClock()), "127.0.0.1", 0)
    await first.start()
    port = int(first.url.rpartition(":")[2])
    second = TelemetryServer(Telemetry("b", ManualClock()), "127.0.0.1", port)
    with pytest.raises(TelemetryPortError, match=r"\[telemetry\] port"):
        await second.start()
    await first.close()
    await second.close()


@pytest.mark.parametrize(
    ("host", "status"),
    [("mm.internal", 200), ("[::1]:9", 200), ("10.0.0.7", 200), ("other", 403), ("[", 403)],
)
async def test_only_our_own_names_are_answered(host: str, status: int) -> None:
    """Addresses and configured names are; a page's own name for this machine is not."""
    server = TelemetryServer(Telemetry("a", ManualClock()), "127.0.0.1", 0, ["mm.internal"])
    sent: list[dict[str, object]] = []

    async def send(message: dict[str, object]) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": "/healthz", "headers": [(b"host", host.encode())]}
    await server(scope, None, send)
    assert sent[0]["status"] == status
    await server({"type": "lifespan"}, None, send)
    assert len(sent) == 2
