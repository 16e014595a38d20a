"""The parameters of triangular arbitrage, each with its range."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

import msgspec

from mrmarket.trading.strategy.schema import ParameterRefusedError, StrategySchema, within

_LEAST_PAIRS = 2
_MOST_PAIRS = 19


class TriangularParameters(StrategySchema, frozen=True, kw_only=True, tag="triangular_arbitrage"):
    """Send an asset around three pairs of one venue whenever more comes back than went out."""

    pairs: tuple[str, ...] = ()
    """The pairs beside `pair` that close triangles with it. The laboratory takes those of its tapes."""
    home: str = ""
    """The asset that each round begins and ends with; empty is the quote of `pair`."""
    min_profit: Decimal = Decimal("0.0002")
    """Least gain of each further unit after all three fees, as a fraction."""
    max_notional: Decimal | None = None
    """Home asset sent around in one round, at most."""
    depth_share: Decimal = Decimal("0.7")
    """Share of each level that is counted on; the rest others will have taken."""
    max_book_age: Annotated[float, msgspec.Meta(gt=0, le=3600)] = 0.5
    """None of the three books may be older, in seconds."""
    leg_band: Decimal = Decimal("0.0005")
    """How much further beyond its decided price each repeated attempt at a leg may trade, as a fraction."""
    leg_retries: Annotated[int, msgspec.Meta(ge=0, le=10)] = 2
    """Further attempts at the second and at the third order."""
    leg_deadline: Annotated[float, msgspec.Meta(gt=0, le=600)] = 5.0
    """After so long neither is tried again, and what is held goes home by its own pair."""
    unwind_band: Decimal = Decimal("0.005")
    """How far from its price that may trade; each attempt may go one more band beyond."""
    unwind_retries: Annotated[int, msgspec.Meta(ge=0, le=10)] = 3
    """Further attempts at it; then the run halts and says what it holds."""
    max_retries_per_minute: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 10
    """No new round once so many repeated attempts were needed within the last minute."""
    failure_cooldown: Annotated[float, msgspec.Meta(ge=0, le=86_400)] = 30.0
    """No new round for so long after one that had to be undone."""
    pause: Annotated[float, msgspec.Meta(ge=0, le=3600)] = 0.2
    """Rest after each round, in seconds: the books must show it first."""

    def __post_init__(self) -> None:
        super().__post_init__()
        within("min_profit", self.min_profit, "0", "0.5", example="0.0005")
        within("max_notional", self.max_notional, "0", "1e18", low_open=True, example="1000")
        within("depth_share", self.depth_share, "0", "1", low_open=True, example="0.7")
        within("leg_band", self.leg_band, "0", "0.1", example="0.001")
        within("unwind_band", self.unwind_band, "0", "0.5", low_open=True, example="0.005")
        self._check_pairs()

    def _check_pairs(self) -> None:
        if not self.pairs:
            return
        wanted = f"{_LEAST_PAIRS} to {_MOST_PAIRS} different pairs such as ETH/BTC, none of them `pair`"
        named = {self.pair, *self.pairs}
        good = all(each.count("/") == 1 and "" not in each.split("/") for each in self.pairs)
        if not good or len(named) != 1 + len(self.pairs):
            raise ParameterRefusedError("pairs", ", ".join(self.pairs), wanted)
        if not _LEAST_PAIRS <= len(self.pairs) <= _MOST_PAIRS:
            raise ParameterRefusedError("pairs", len(self.pairs), wanted)

    @property
    def symbols(self) -> tuple[str, ...]:
        """Every pair that is traded, `pair` first."""
        return (self.pair, *self.pairs)

    @property
    def home_asset(self) -> str:
        """What each round begins and ends with."""
        return self.home or self.pair.split("/")[1]
