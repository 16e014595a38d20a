"""The owner's word on a campaign goes before the rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

import pytest

from campaigns.campaign_stage import offer
from mrmarket.campaigns.entity import Campaign
from mrmarket.campaigns.offer import Offer
from mrmarket.campaigns.ports import JoinVerdict
from mrmarket.campaigns.terms import ExecutionGoal, Pause
from mrmarket.services.partners.errors import PartnerSetupError
from mrmarket.services.partners.wishes import OwnerWishes, WishedGoals, WishedPolicy

TERMS = offer()


@dataclass
class Rules:
    """Always the same verdict."""

    verdict: JoinVerdict

    def judge(self, offer: Offer, others: Sequence[Campaign], at_ms: int) -> JoinVerdict:
        """Port `JoinPolicy`."""
        return self.verdict


@dataclass
class Engine:
    """Remembers what it was asked for."""

    asked: list[ExecutionGoal] = field(default_factory=list)

    async def put(self, goal: ExecutionGoal) -> None:
        """Port `ExecutionGoals`."""
        self.asked.append(goal)


async def test_a_wish_outlives_the_process_until_it_is_taken_back(tmp_path: Path) -> None:
    """Kept in the data folder, for its owner alone."""
    await OwnerWishes(tmp_path).wish("hufi-1", "join", "owner")
    wishes = OwnerWishes(tmp_path)
    assert wishes.standing() == {"hufi-1": "join"}
    await wishes.wish("hufi-1", "automatic", "owner")
    await wishes.wish("hufi-2", "automatic", "owner")
    assert OwnerWishes(tmp_path).standing() == {}
    assert (tmp_path / "campaign_wishes.json").stat().st_mode & 0o077 == 0


def test_damaged_wishes_are_no_wishes_forgotten(tmp_path: Path) -> None:
    """The owner says them again."""
    file = tmp_path / "campaign_wishes.json"
    file.touch(0o600)
    file.write_bytes(b'{"hufi-1": "perhaps"}')
    with pytest.raises(PartnerSetupError, match="say again"):
        OwnerWishes(tmp_path)


@pytest.mark.parametrize(
    ("wish", "code", "joins"),
    [
        ("join", "net_reward", True),
        ("join", "disabled", True),
        ("join", "over", False),
        ("join", "account", False),
        ("leave", "join", False),
        ("automatic", "net_reward", False),
        ("automatic", "join", True),
    ],
)
def test_the_owner_decides_what_rules_leave_open(wish: str, code: str, joins: bool) -> None:
    """What cannot be done is not done by wishing."""
    rules = Rules(JoinVerdict(code == "join", code, "the rules say so"))
    standing = {} if wish == "automatic" else {TERMS.id: wish}
    policy = WishedPolicy(rules, lambda: standing)  # type: ignore[arg-type,return-value] # words of a wish
    assert policy.judge(TERMS, [], 0).join is joins


async def test_what_the_owner_wants_no_part_in_is_not_worked_for() -> None:
    """The engine hears a pause with the reason; a pause that is there stays."""
    goal = ExecutionGoal(
        campaign=TERMS.id,
        cycle=0,
        exchange="mexc",
        account="default",
        market="ETH/USDT",
        start_ms=0,
        end_ms=1,
        volume=Decimal(10),
        min_spread_bps=1,
        max_spread_bps=5,
        max_inventory=Decimal(1),
        cost_ceiling=Decimal(1),
        pause=Pause.NONE,
        reason="",
    )
    engine = Engine()
    await WishedGoals(engine, dict).put(goal)
    await WishedGoals(engine, lambda: {TERMS.id: "leave"}).put(goal)
    assert [each.pause for each in engine.asked] == [Pause.NONE, Pause.NOT_WORTH_IT]
    assert engine.asked[1].reason == "the owner wants no part in it"
