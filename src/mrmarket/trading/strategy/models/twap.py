"""TWAP: one amount in equal slices over a time."""

from __future__ import annotations

from decimal import Decimal
from math import floor
from typing import Annotated

import msgspec

from mrmarket.trading.strategy.models.parent import ParentOrder, ParentParameters
from mrmarket.trading.strategy.schema import within


class TwapParameters(ParentParameters, frozen=True, kw_only=True, tag="twap"):
    """An amount, a time, and how many slices. Done once it is filled; it never begins again by itself."""

    amount: Decimal = Decimal("0.1")
    """Base, all slices together."""
    duration_s: Annotated[float, msgspec.Meta(gt=0, le=2_592_000)] = 3_600.0
    slices: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 20
    """The first is due at once, the last one slice's time before the end."""

    def __post_init__(self) -> None:
        super().__post_init__()
        within("amount", self.amount, "0", "1e12", low_open=True, example="0.1")


class TwapSchedule:
    """Equal parts at equal distances."""

    name = "twap"

    def __init__(self, parameters: TwapParameters) -> None:
        self.total = parameters.amount
        self.deadline_s = parameters.duration_s
        self._slices = parameters.slices

    def due(self, elapsed_s: float) -> float:
        """Share of the whole that should be done by now."""
        begun = 1 + floor(max(0.0, elapsed_s) / self.deadline_s * self._slices)
        return min(begun, self._slices) / self._slices


def twap(parameters: TwapParameters) -> ParentOrder:
    """The strategy."""
    return ParentOrder(parameters, TwapSchedule(parameters))
