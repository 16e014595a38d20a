"""Depositors of a sandbox world, before an instance that is made up: what they ask, and when they wait."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from mrmarket.services.sandbox.endpoints import PersonDoor
from mrmarket.services.sandbox.residents import Resident, ResidentRefusedError, Residents

ALICE = PersonDoor("alice", "8a681b4f-65bc-48b4-9861-1eccad43d678", "")


class MadeUpInstance:
    """The four routes that a resident uses, over balances that the test sets."""

    def __init__(self) -> None:
        self.balances: list[dict[str, str]] = []
        self.withdrawn: list[dict[str, Any]] = []
        self.sessions = 0
        self.asked = asyncio.Event()
        self.url = ""

    async def start(self) -> web.AppRunner:
        """Listen on loopback."""
        app = web.Application()
        app.router.add_post("/api/v1/auth/demo", self._sign_in)
        app.router.add_get("/api/v1/me/positions", self._positions)
        app.router.add_post("/api/v1/me/balances/withdraw", self._withdraw)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        return runner

    async def _sign_in(self, request: web.Request) -> web.Response:
        assert await request.json() == {"name": "alice"}
        self.sessions += 1
        answer = web.json_response({"role": "user", "csrf": f"c{self.sessions}"})
        answer.set_cookie("session", f"s{self.sessions}")
        return answer

    async def _positions(self, request: web.Request) -> web.Response:
        if request.cookies.get("session") != f"s{self.sessions}":
            return web.json_response({"code": "signed_out"}, status=401)
        return web.json_response({"positions": [], "balances": self.balances})

    async def _withdraw(self, request: web.Request) -> web.Response:
        assert request.headers["X-CSRF-Token"] == f"c{self.sessions}"
        self.withdrawn.append(await request.json())
        self.balances = []
        self.asked.set()
        return web.json_response({"id": "w"})


@pytest.fixture
async def instance() -> AsyncIterator[MadeUpInstance]:
    """One that listens."""
    made_up = MadeUpInstance()
    runner = await made_up.start()
    yield made_up
    await runner.cleanup()


async def test_what_is_free_goes_to_the_persons_own_account(instance: MadeUpInstance) -> None:
    """Of the rail alone, less what is held already, exactly; then there is nothing to ask for."""
    instance.balances = [
        {"asset": "mixin:HMT", "amount": "12.34567890", "held": "0.34567890"},
        {"asset": "mixin:XIN", "amount": "1", "held": "1"},
        {"asset": "rail:USDT", "amount": "500", "held": "0"},
    ]
    async with Resident(instance.url, ALICE) as resident:
        assert await resident.step("mixin") == 1
        assert await resident.step("mixin") == 0
    (asked,) = instance.withdrawn
    assert asked.pop("key")
    assert asked == {"asset": "mixin:HMT", "amount": "12.00000000", "destination": ALICE.user_id}
    assert instance.sessions == 1


async def test_who_is_signed_out_signs_in_again(instance: MadeUpInstance) -> None:
    """A session that the instance has forgotten is a refusal once, and a new session afterwards."""
    async with Resident(instance.url, ALICE) as resident:
        await resident.step("mixin")
        instance.sessions += 1
        with pytest.raises(ResidentRefusedError, match="401"):
            await resident.step("mixin")
        assert await resident.step("mixin") == 0
        assert instance.sessions == 3


async def test_an_instance_that_is_away_is_waited_for(
    instance: MadeUpInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Residents begin before it has an address, and go on after it did not answer."""
    monkeypatch.setattr("mrmarket.services.sandbox.residents._PAUSE_S", 0.001)
    monkeypatch.setattr("mrmarket.services.sandbox.residents._TROUBLE_S", 0.001)
    async with Resident("http://127.0.0.1:9", ALICE) as resident:
        with pytest.raises(ResidentRefusedError, match="alice asked for auth/demo"):
            await resident.step("mixin")
    urls: list[str | None] = [None, None, instance.url]
    instance.sessions = 1
    instance.balances = [{"asset": "mixin:HMT", "amount": "1", "held": "0"}]
    living = asyncio.create_task(Residents([ALICE]).keep(lambda: urls.pop(0)))
    async with asyncio.timeout(30):
        await instance.asked.wait()
    living.cancel()
    await asyncio.gather(living, return_exceptions=True)
    assert len(instance.withdrawn) == 1
