"""What people and the API look at of a run on two venues, and what its pairs of orders came to."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from math import floor
from typing import TYPE_CHECKING, Final

from mrmarket.core.instrument import Instrument
from mrmarket.trading.execution.legs import LegStage
from mrmarket.trading.execution.order import Order
from mrmarket.trading.strategy.arbitrage.common_grid import CommonGrid
from mrmarket.trading.strategy.cross_port import CrossDecision
from mrmarket.trading.strategy.observer import RunState
from mrmarket.trading.venue.port import FillReport

if TYPE_CHECKING:
    from mrmarket.trading.strategy.arbitrage.side import ArbitrageSide

_PAIRS_KEPT: Final = 500


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
    cash: Decimal = Decimal(0)
    base: Decimal = Decimal(0)
    fees_quote: Decimal = Decimal(0)
    _told: dict[str, Fraction] = field(default_factory=dict)
    _units: int = 0

    @property
    def keys(self) -> tuple[str, ...]:
        """Client order ids of the orders that have ended."""
        return tuple(self._told)

    def learn(self, client_order_id: str, base: Fraction) -> tuple[bool, int]:
        """(known before, change in size units) once an order is known to have changed so much base."""
        known = client_order_id in self._told
        self._told[client_order_id] = base
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


class PairReadings:
    """The readings of a run on two venues, which sets the attributes."""

    sides: tuple[ArbitrageSide, ArbitrageSide]

    def __init__(self) -> None:
        self.state = RunState.STARTING
        self.state_reason = "not started yet"
        self.failure: Exception | None = None
        """What made the run fail."""
        self.decision: CrossDecision | None = None
        """The last one, with what was found in either direction."""
        self.waits_for = ""
        """Why no decision is made now; empty while it looks for pairs."""
        self.pairs: deque[PairRecord] = deque(maxlen=_PAIRS_KEPT)
        """Pairs that are over, the newest last; since this start."""
        self.capital: Decimal | None = None
        """What both accounts were worth in quote at the first prices of this start."""

    @property
    def mid(self) -> Decimal | None:
        """Mean of both venues' mids; None until both have one."""
        mids = []
        for side in self.sides:
            double = side.watch.double_mid_ticks
            if double is None:
                return None
            mids.append(double * side.instrument.tick_size / 2)
        return (mids[0] + mids[1]) / 2

    @property
    def pnl_quote(self) -> Decimal | None:
        """What trading has earned on both venues since the first start, at the mid; None without one."""
        mid = self.mid
        if mid is None:
            return None
        return sum((side.totals.pnl_quote(mid) for side in self.sides), Decimal(0))

    @property
    def worth_quote(self) -> Decimal | None:
        """What both accounts are worth now; None until prices and balances are known."""
        mid = self.mid
        accounts = [side.execution.account for side in self.sides]
        if mid is None or not all(account.is_known for account in accounts):
            return None
        return sum((account.base_total * mid + account.quote_total for account in accounts), Decimal(0))

    @property
    def live_orders(self) -> list[Order]:
        """Orders that are not proven closed, on either venue."""
        return [order for side in self.sides for order in side.execution.table.open()]

    @property
    def instrument(self) -> Instrument:
        """Of the first venue."""
        return self.sides[0].instrument
