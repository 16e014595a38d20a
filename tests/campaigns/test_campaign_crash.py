"""SIGKILL at every labelled point: what comes after a restart is as if nothing had been."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from campaigns import campaign_crash_child
from campaigns.campaign_crash_child import live
from campaigns.campaign_stage import CHAIN, CampaignStage, offer
from mrmarket.campaigns.entity import Stage
from mrmarket.campaigns.pipeline import CRASH_POINTS
from mrmarket.core.crash import VARIABLE

ONE = 10**8


def outcome(stage: CampaignStage) -> tuple[object, ...]:
    """Everything that must be the same; books that hold."""
    (money,) = stage.check()
    assert stage.campaign().stage is Stage.ACTIVE
    balances = [
        stage.balance(who) for who in ("user:ann", "user:bob", "owner:fees", f"network:campaigns/{CHAIN}")
    ]
    return (money, *balances, sorted(stage.world.sweeps.values()), sorted(stage.world.goals))


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[object, ...]:
    """What comes of it where nobody is killed."""

    async def once() -> tuple[object, ...]:
        stage = await live(tmp_path_factory.mktemp("undisturbed"))
        found = outcome(stage)
        stage.close()
        return found

    return asyncio.run(once())


def test_undisturbed(undisturbed: tuple[Any, ...]) -> None:
    """Nine come in and one is taken back; a hundred units are the way's; ann has three quarters."""
    money, ann, bob, fees, network, sweeps, goals = undisturbed
    assert (fees, network) == (8_000_000, 100)
    assert ann + bob + fees + network == 8 * ONE
    assert 0 <= ann - 3 * bob <= 4
    assert sweeps == [8 * 10**18]
    assert goals == [f"campaign:{offer().id}:0", f"campaign:{offer().id}:2"]
    assert (money.received, money.retracted, money.in_transit) == (9 * ONE, ONE, 0)


@pytest.mark.parametrize("label", CRASH_POINTS)
def test_killed_anywhere_it_comes_to_the_same(
    tmp_path: Path, label: str, undisturbed: tuple[object, ...]
) -> None:
    """One join, one transfer, each payout once, each user to the unit."""
    killed = subprocess.run(
        [sys.executable, campaign_crash_child.__file__, str(tmp_path)],
        check=False,
        capture_output=True,
        text=True,
        env=os.environ | {VARIABLE: label},
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr

    async def again() -> tuple[object, ...]:
        stage = await live(tmp_path)
        found = outcome(stage)
        stage.close()
        return found

    assert asyncio.run(again()) == undisturbed
