"""The official Node SDK as a client of the sandbox."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec

from mrmarket.partners.mixin.sandbox.config import POLYGON, USDT_POLYGON
from mrmarket.partners.mixin.sandbox.server import MixinSandbox
from partners.mixin.mixin_oracle import HERE, NODE, SANDBOX, needs_sdk
from rail_conformance import until

pytestmark = needs_sdk
LIMIT_S = 300


async def test_the_official_sdk_lives_in_the_sandbox(tmp_path: Path) -> None:
    """It reads, transfers, withdraws, is refused where it should be, and hears and acknowledges a message."""
    async with MixinSandbox(tmp_path / "mixin.sqlite") as sandbox:
        bot, friend = sandbox.enrol("bot"), sandbox.enrol("friend")
        for units in (100_000_000, 200_000_000):
            sandbox.fund(bot.app_id, USDT_POLYGON, units)
        keystore = msgspec.json.decode(sandbox.people.keystore_json(bot.app_id))
        scenario = {
            "keystore": keystore,
            "spend": keystore["spend_private_key"],
            "friend": msgspec.json.decode(sandbox.people.keystore_json(friend.app_id)),
            "url": sandbox.url,
            "blazeUrl": sandbox.blaze_url,
            "asset": USDT_POLYGON,
            "chain": POLYGON,
            "receiver": friend.app_id,
        }
        child = await asyncio.create_subprocess_exec(
            NODE,
            HERE / "mixin_sdk_client.mjs",
            SANDBOX / "package.json",
            msgspec.json.encode(scenario).decode(),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        assert child.stdin is not None
        assert child.stdout is not None
        assert child.stderr is not None
        out = await asyncio.wait_for(child.stdout.readline(), LIMIT_S)
        assert out, (await child.stderr.read()).decode()

        async def unread() -> list[str]:
            texts = [item for item in sandbox.office.inbox(bot.app_id) if item["category"] == "PLAIN_TEXT"]
            return [item["message_id"] for item in texts if item["status"] != "READ"]

        assert await until(unread, lambda left: not left) == []
        child.stdin.close()
        assert await asyncio.wait_for(child.wait(), LIMIT_S) == 0
        told = msgspec.json.decode(out)
        assert (told["me"], told["registered"], told["symbol"]) == (bot.app_id, True, "USDT")
        assert (told["balance"], told["left"]) == ("3", "1.5")
        assert (told["state"], told["same"], told["keys"], told["withdrawn"]) == ("spent", True, 2, "spent")
        assert told["memo"] == "from the SDK: ü&?"
        assert told["amounts"] == ["-0.1", "-0.25", "-1.5", "2", "1"]
        assert (told["one"], told["since"]) == (True, 2)
        assert (told["unknown"], told["stranger"], told["thief"]) == (404, 401, 1)
        assert told["message"] == {"text": "hello bot", "from": friend.app_id}
        assert sandbox.ledger.held(friend.app_id, USDT_POLYGON) == 150_000_000
        assert sandbox.ledger.supply(USDT_POLYGON) == 300_000_000 - 25_000_000
