"""The example on the documentation's page is what the code does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from money.rewards.conftest import StageOpener
from money.rewards.reward_stage import USDT, WORLD
from mrmarket.core.clock import NS_PER_MS, ManualClock
from mrmarket.core.decimals import format_units, parse_units
from mrmarket.money.rewards.campaign import DAY_MS, Campaign
from mrmarket.money.rewards.integral import Step
from mrmarket.money.rewards.receipts import Receipt, receive, register

PAGE = Path(__file__).resolve().parents[3] / "docs" / "rewards.md"
HOUR_MS = DAY_MS // 24


@pytest.fixture
def example() -> dict[str, Any]:
    """The page's figures."""
    found: dict[str, Any] = json.loads(PAGE.read_text(encoding="utf-8").split("```json")[1].split("```")[0])
    return found


def test_the_documented_example_comes_out(open_stage: StageOpener, example: dict[str, Any]) -> None:
    """From the page's changes come the page's parts, before and after the late reward."""
    stage = open_stage(clock=ManualClock(DAY_MS * NS_PER_MS)).open_books()
    campaign = Campaign("example", "main", 0, DAY_MS, fee_bps=example["fee_bps"])
    assert example["decimals"] == USDT.decimals
    stage.do(lambda draft: register(draft, campaign))
    stage.history.steps = [
        Step(change["hour"] * HOUR_MS, change["user"], change["shares"], *change["weight"])
        for change in example["changes"]
    ]

    def parts(ref: str, reward: str) -> dict[str, str]:
        units = parse_units(reward, USDT.decimals)
        stage.do(lambda draft: receive(draft, Receipt("page", ref, "example", 0, USDT.id, units, 0), WORLD))
        stage.allocator.allocate_due()
        return {name: format_units(stage.balance(name), USDT.decimals) for name in example["parts"]}

    assert parts("in time", example["reward"]) == example["parts"]
    assert parts("late", example["late"]) == example["parts_with_late"]
    stage.money()
