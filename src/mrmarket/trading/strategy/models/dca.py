"""Cost averaging: the same amount again and again, whatever the price."""

from __future__ import annotations

from decimal import Decimal
from math import floor
from typing import Annotated

import msgspec

from mrmarket.trading.strategy.models.parent import ParentOrder, ParentParameters
from mrmarket.trading.strategy.schema import within


class DcaParameters(ParentParameters, frozen=True, kw_only=True, tag="dca"):
    """An amount each interval, a number of times. What an interval leaves open is added to the next."""

    order_amount: Decimal = Decimal("0.01")
    """Base an interval."""
    orders: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 10
    interval_s: Annotated[float, msgspec.Meta(gt=0, le=2_592_000)] = 3_600.0
    """The first order is due at once."""

    def __post_init__(self) -> None:
        super().__post_init__()
        within("order_amount", self.order_amount, "0", "1e12", low_open=True, example="0.01")


class DcaSchedule:
    """One more order each interval."""

    name = "dca"

    def __init__(self, parameters: DcaParameters) -> None:
        self.total = parameters.order_amount * parameters.orders
        self.deadline_s = parameters.interval_s * parameters.orders
        self._orders = parameters.orders
        self._interval_s = parameters.interval_s

    def due(self, elapsed_s: float) -> float:
        """Share of the whole that should be done by now."""
        begun = 1 + floor(max(0.0, elapsed_s) / self._interval_s)
        return min(begun, self._orders) / self._orders


def dca(parameters: DcaParameters) -> ParentOrder:
    """The strategy."""
    return ParentOrder(parameters, DcaSchedule(parameters))
