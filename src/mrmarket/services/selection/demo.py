"""What takes turns in the demo, where the configuration names nobody."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from mrmarket.services.selection.section import CandidateSection, SelectionSection
from mrmarket.trading.strategy.arbitrage.parameters import CrossExchangeParameters
from mrmarket.trading.strategy.selection.thresholds import Thresholds

if TYPE_CHECKING:
    from mrmarket.services.config_sections import Config

ARBITRAGE = "arbitrage"
_QUICK = Thresholds(
    ratio=1.2,
    margin_per_h=0.0002,
    z=1.0,
    half_life_s=25.0,
    least_samples=4.0,
    stale_s=60.0,
    cool_down_s=15.0,
    dwell_s=20.0,
    debounce=2,
    switches_per_hour=60,
    failure_cool_down_s=60.0,
    may_idle=False,
)
"""A person who watches sees several turns within ten minutes; with money at stake take hours for minutes."""


def demo_selection(config: Config) -> SelectionSection:
    """`[selection]` as it is; on the embedded exchange, where it names nobody, with a candidate for the demo.

    The candidate is arbitrage between the embedded exchange and a second market that follows it, with play
    money of an account of its own.
    """
    section = config.selection
    if not section.enabled or section.candidates or config.venue.exchange != "simulated":
        return section
    arbitrage = CandidateSection(
        id=ARBITRAGE,
        activity="arbitrage",
        account=ARBITRAGE,
        strategy=CrossExchangeParameters(
            min_profit=Decimal("0.0003"), max_notional=Decimal(25_000), max_book_age=5.0, max_book_gap=5.0
        ),
    )
    return msgspec.structs.replace(
        section,
        evaluate_s=min(section.evaluate_s, 2.0),
        candidates=[arbitrage],
        thresholds=_QUICK if section.thresholds == Thresholds() else section.thresholds,
    )
