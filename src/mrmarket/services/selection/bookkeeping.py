"""What every candidate has earned, live and on paper, and what follows from it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import msgspec

from mrmarket.trading.strategy.selection.candidate import Candidate
from mrmarket.trading.strategy.selection.roi import Outcome, RoiEstimate
from mrmarket.trading.strategy.selection.score import Score, score
from mrmarket.trading.strategy.selection.thresholds import Thresholds
from mrmarket.trading.strategy.shadow.paper_ratio import PaperRatio
from mrmarket.trading.strategy.shadow.reading import Meter, Reading


class KeptEstimate(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one candidate, as it outlives a restart."""

    strategy: str
    """Fingerprint of what it measures: another strategy, or other parameters, begin anew."""
    live: RoiEstimate
    paper: RoiEstimate
    ratio: PaperRatio
    owed: float = 0.0
    """Costs in quote that no stretch has borne yet."""


@dataclass(slots=True)
class Account:
    """One candidate's."""

    candidate: Candidate
    live: RoiEstimate = field(default_factory=RoiEstimate)
    paper: RoiEstimate = field(default_factory=RoiEstimate)
    ratio: PaperRatio = field(default_factory=PaperRatio)
    last_per_hour: float = float("nan")
    """What the newest stretch has earned, live before paper; NaN where neither says anything."""
    last_gain: float = float("nan")
    """What it has earned live in the newest stretch, in quote; NaN where nothing is known."""
    owed: float = 0.0
    """Costs in quote that the next live stretch, or else the next on paper, has to bear."""
    _live_meter: Meter = field(default_factory=Meter)
    _paper_meter: Meter = field(default_factory=Meter)

    def take(self, live: Reading | None, paper: Reading | None, half_life_s: float) -> None:
        """Look at both sides at once: what both have earned since the last look says what paper is worth."""
        lived, papered = self._live_meter.take(live), self._paper_meter.take(paper)
        lived, papered = self._bear(lived, papered)
        if lived is not None:
            self.live = self.live.after(lived, half_life_s)
        if papered is not None:
            self.paper = self.paper.after(papered, half_life_s)
        newest = lived or papered
        self.last_gain = float("nan") if lived is None else lived.profit - lived.cost
        self.last_per_hour = float("nan") if newest is None else newest.per_hour
        if lived is not None and papered is not None:
            self.ratio = self.ratio.after(lived, papered, half_life_s)

    def _bear(self, lived: Outcome | None, papered: Outcome | None) -> tuple[Outcome | None, Outcome | None]:
        """What moving its money has cost belongs to what it has earned."""
        if not self.owed or (lived is None and papered is None):
            return lived, papered
        owed, self.owed = self.owed, 0.0
        if lived is not None:
            return replace(lived, cost=lived.cost + owed), papered
        assert papered is not None  # noqa: S101 - one of them is there
        return None, replace(papered, cost=papered.cost + owed)

    def kept(self, strategy: str) -> KeptEstimate:
        """What a restart should know; readings are of a life, and stay behind with it."""
        return KeptEstimate(
            strategy=strategy, live=self.live, paper=self.paper, ratio=self.ratio, owed=self.owed
        )

    def restore(self, kept: KeptEstimate) -> None:
        """Go on from there."""
        self.live, self.paper, self.ratio = kept.live, kept.paper, kept.ratio
        self.owed = kept.owed

    def score(self, thresholds: Thresholds, now_ns: int, *, is_current: bool) -> Score:
        """By live results while there are enough of them, else by paper's, discounted."""
        live = score(
            self.candidate, self.live, thresholds, now_ns=now_ns, source="live", is_current=is_current
        )
        if live.value is not None or not self.paper.weight:
            return live
        paper = score(
            self.candidate,
            self.paper,
            thresholds,
            now_ns=now_ns,
            source="paper",
            is_current=is_current,
            discount=self.ratio.worth(thresholds.paper_ratio),
        )
        # Neither has a value: whichever is nearer to one says why.
        return live if paper.value is None and live.samples > paper.samples else paper
