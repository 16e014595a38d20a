"""The owner's word on single campaigns: it goes before the rules, and is kept in the data folder."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec
from msgspec.structs import replace

from mrmarket.campaigns.entity import Campaign
from mrmarket.campaigns.offer import Offer
from mrmarket.campaigns.ports import ExecutionGoals, JoinPolicy, JoinVerdict
from mrmarket.campaigns.terms import ExecutionGoal, Pause
from mrmarket.services.api.partner_schema import Wish
from mrmarket.services.keys.private_file import read_private, write_private
from mrmarket.services.partners.errors import PartnerSetupError

WISHES_FILE: Final = "campaign_wishes.json"

_MOST_BYTES: Final = 4_000_000
_NEVER: Final = frozenset({"over", "account", "account_taken", "wallet_taken", "fund"})
"""What no wish can cure."""


class OwnerWishes:
    """Implements `CampaignWishes`."""

    def __init__(self, folder: Path) -> None:
        """Raises PartnerSetupError if the file of them is damaged."""
        self._path = folder / WISHES_FILE
        self._standing = self._read()
        self._writing = asyncio.Lock()

    async def wish(self, campaign: str, wish: Wish, by: str) -> None:  # noqa: ARG002 - the owner alone may
        """Keep it; the same again is harmless. Raises KeyFileError where it cannot be kept."""
        async with self._writing:
            after = {**self._standing, campaign: wish}
            if wish == "automatic":
                del after[campaign]
            content = msgspec.json.encode(after)
            await asyncio.to_thread(write_private, self._path, content, "wishes")
            self._standing = after

    def standing(self) -> Mapping[str, Wish]:
        """What was wished for, by campaign."""
        return self._standing

    def _read(self) -> dict[str, Wish]:
        try:
            return msgspec.json.decode(read_private(self._path, _MOST_BYTES), type=dict[str, Wish])
        except FileNotFoundError:
            return {}
        except msgspec.MsgspecError as error:
            problem = f"it is damaged ({error}); remove it and say again what you wish"
            raise PartnerSetupError(str(self._path), problem) from error


class WishedPolicy:
    """A `JoinPolicy` that asks the owner first."""

    def __init__(self, rules: JoinPolicy, wishes: Callable[[], Mapping[str, Wish]]) -> None:
        self._rules = rules
        self._wishes = wishes

    def judge(self, offer: Offer, others: Sequence[Campaign], at_ms: int) -> JoinVerdict:
        """Decide on an offer. A wish to take part still needs a wallet and an account, and time left."""
        wish = self._wishes().get(offer.id)
        if wish == "leave":
            return JoinVerdict(False, "owner", "the owner wants no part in it")
        verdict = self._rules.judge(offer, others, at_ms)
        if wish != "join" or verdict.join or verdict.code in _NEVER:
            return verdict
        return JoinVerdict(True, "join", f"the owner wants to take part, though {verdict.reason}")


class WishedGoals:
    """`ExecutionGoals` in which nothing is worked towards that the owner wants no part in."""

    def __init__(self, goals: ExecutionGoals, wishes: Callable[[], Mapping[str, Wish]]) -> None:
        self._goals = goals
        self._wishes = wishes

    async def put(self, goal: ExecutionGoal) -> None:
        """Set the goal of its key. Raises `PartnerUnclearError`."""
        if goal.runs and self._wishes().get(goal.campaign) == "leave":
            goal = replace(goal, pause=Pause.NOT_WORTH_IT, reason="the owner wants no part in it")
        await self._goals.put(goal)
