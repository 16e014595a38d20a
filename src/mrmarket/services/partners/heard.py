"""What was last heard of how campaigns go on, for those who only look."""

from __future__ import annotations

from mrmarket.campaigns.entity import Campaign
from mrmarket.campaigns.ports import ProgressReport
from mrmarket.campaigns.terms import Progress


class HeardProgress:
    """Passes questions on and keeps the newest answer of each campaign: a page must not ask a partner."""

    def __init__(self, inner: ProgressReport) -> None:
        self._inner = inner
        self._heard: dict[str, tuple[int, Progress]] = {}

    async def progress(self, campaign: Campaign, cycle: int) -> Progress | None:
        """Of a running cycle; None where nobody can say. Raises `PartnerUnclearError`."""
        answer = await self._inner.progress(campaign, cycle)
        if answer is not None:
            self._heard[campaign.id] = (cycle, answer)
        return answer

    def last(self, campaign: str, cycle: int) -> Progress | None:
        """What was last heard of a cycle; None where nothing was."""
        known, answer = self._heard.get(campaign, (-1, None))
        return answer if known == cycle else None
