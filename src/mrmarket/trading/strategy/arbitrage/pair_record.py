"""What pairs of orders on two venues came to."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from math import floor

from mrmarket.core.instrument import Instrument
from mrmarket.trading.execution.legs import LegStage
from mrmarket.trading.strategy.arbitrage.common_grid import CommonGrid
from mrmarket.trading.strategy.multileg.amounts import Amounts
from mrmarket.trading.venue.port import FillReport


@dataclass(frozen=True, slots=True, kw_only=True)
class PairRecord:
    """One pair of orders that is over. Amounts in quote."""

    number: int
    """A part of the ids of its orders."""
    at_ns: int
    """Wall time of its end."""
    why: str
    promised_quote: Decimal
    made_quote: Decimal
    """Cash flows less fees; what it left of base at the mid."""
    fees_quote: Decimal
    stage: LegStage
    end: str
    """How it ended, in words."""


@dataclass(slots=True)
class PairTally:
    """What a pair's orders have changed so far."""

    grid: CommonGrid
    asset: str
    """The base."""
    cash: Decimal = Decimal(0)
    base: Decimal = Decimal(0)
    fees_quote: Decimal = Decimal(0)
    _told: dict[str, Fraction] = field(default_factory=dict)
    _units: int = 0

    @property
    def keys(self) -> tuple[str, ...]:
        """Client order ids of the orders that have ended."""
        return tuple(self._told)

    def learn(self, client_order_id: str, changed: Amounts) -> tuple[bool, int]:
        """(known before, change in size units) once an order is known to have changed so much."""
        known = client_order_id in self._told
        self._told[client_order_id] = changed.get(self.asset, Fraction(0))
        total = sum(self._told.values(), Fraction(0)) / self.grid.size_unit
        units = floor(total) if total > 0 else -floor(-total)
        change, self._units = units - self._units, units
        return known, change

    def fill(self, instrument: Instrument, fill: FillReport) -> None:
        """One trade."""
        size, notional = (
            instrument.size(fill.size_lots),
            instrument.notional(fill.price_ticks, fill.size_lots),
        )
        fee = Decimal(fill.fee)
        self.base += fill.side.sign * size
        self.cash -= fill.side.sign * notional
        if fill.fee_asset == instrument.quote:
            self.cash -= fee
            self.fees_quote += fee
        elif fill.fee_asset == instrument.base:
            self.base -= fee
            self.fees_quote += fee * instrument.price(fill.price_ticks)

    def made_quote(self, mid: Decimal | None) -> Decimal:
        """What it has earned."""
        return self.cash + self.base * (mid or Decimal(0))
