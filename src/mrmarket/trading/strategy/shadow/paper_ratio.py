"""What a paper result is worth of a live one, measured while a strategy does both at once."""

from __future__ import annotations

from math import exp, log

import msgspec

from mrmarket.core.clock import NS_PER_S
from mrmarket.trading.strategy.selection.roi import Outcome

_PRIOR_SAMPLES = 20.0
"""How many stretches in common weigh as much as what was assumed before."""


class PaperRatio(msgspec.Struct, frozen=True, kw_only=True):
    """Decayed sums of what live run and shadow earned over the same stretches."""

    at_ns: int = 0
    samples: float = 0.0
    live: float = 0.0
    """Sum of returns on capital."""
    paper: float = 0.0

    def after(self, live: Outcome, paper: Outcome, half_life_s: float) -> PaperRatio:
        """With one more stretch that both were at work in."""
        gone_s = max(live.at_ns - self.at_ns, 0) / NS_PER_S if self.samples else 0.0
        keep = exp(-log(2) * gone_s / half_life_s)
        return PaperRatio(
            at_ns=live.at_ns,
            samples=self.samples * keep + 1,
            live=self.live * keep + live.per_hour * live.seconds,
            paper=self.paper * keep + paper.per_hour * paper.seconds,
        )

    def worth(self, assumed: float) -> float:
        """0 to 1: the measured ratio, pulled towards what is assumed while little was measured.

        Where paper has not earned anything, there is no ratio and the assumption stands.
        """
        if not self.paper > 0:
            return assumed
        measured = min(max(self.live / self.paper, 0.0), 1.0)
        return (assumed * _PRIOR_SAMPLES + measured * self.samples) / (_PRIOR_SAMPLES + self.samples)
