"""Two shells that ask for one payment at the same moment."""

from __future__ import annotations

import asyncio
from pathlib import Path

from cli.test_mixin_commands import ONE, MixinHouse, payment
from e2e.running import command
from mrmarket.cli.exit_codes import ExitCode
from mrmarket.partners.mixin.sandbox.config import USDT_POLYGON


async def test_two_shells_that_ask_at_once_pay_once(tmp_path: Path) -> None:
    """The second waits for the first, and finds its payment."""
    house = MixinHouse(tmp_path)
    async with house.sandbox:
        house.sandbox.fund(house.bot.app_id, USDT_POLYGON, 10 * ONE)
        house.sandbox.fund(house.bot.app_id, USDT_POLYGON, 10 * ONE)
        house.write()
        where = ["--data", str(house.folder), "--config", str(house.config)]
        asked = command("mixin", *payment(house, "5", "--yes"), *where)
        shells = [await asyncio.create_subprocess_exec(*asked) for _ in range(2)]
        first, second = await asyncio.gather(*(shell.wait() for shell in shells))
        assert first == second == ExitCode.OK
        assert house.held(house.alice) == 5 * ONE
