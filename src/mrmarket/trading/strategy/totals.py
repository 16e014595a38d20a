"""What a run's trading adds up to, exact."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from itertools import pairwise
from typing import Final

from mrmarket.core.events import Fact, Filled, OrderAccepted, OrderCancelled
from mrmarket.core.instrument import Instrument
from mrmarket.core.side import Side

_EDGES_BPS: Final = tuple(range(-5, 6))
HISTOGRAM_BINS: Final = len(_EDGES_BPS) + 1


@dataclass(slots=True)
class RunTotals:
    """Counters and cash flows since the run's first start. Amounts in quote and base.

    They are a fold over the facts of the event log, so a restart counts on from where it was.
    """

    instrument: Instrument
    orders_placed: int = 0
    """Orders that the venue acknowledged."""
    orders_cancelled: int = 0
    fills: int = 0
    maker_fills: int = 0
    base_lots: int = 0
    """Bought less sold."""
    cash_grains: int = 0
    """Quote received less paid, before fees."""
    volume_grains: int = 0
    fees: dict[str, Decimal] = field(default_factory=dict)
    """By asset; negative is a rebate."""
    captured_weight: float = 0.0
    captured_sum: float = 0.0
    captured_bins: list[int] = field(default_factory=lambda: [0] * HISTOGRAM_BINS)

    def replay(self, fact: Fact) -> None:
        """Count a fact of the event log, an old or a new one."""
        if isinstance(fact, Filled):
            self.count_fill(
                fact.side,
                self.instrument.price_to_ticks(Decimal(fact.price)),
                self.instrument.size_to_lots(Decimal(fact.size)),
                Decimal(fact.fee),
                fact.fee_asset,
                maker=fact.maker,
            )
        elif isinstance(fact, OrderAccepted):
            self.orders_placed += 1
        elif isinstance(fact, OrderCancelled):
            self.orders_cancelled += 1

    def count_fill(
        self, side: Side, price_ticks: int, size_lots: int, fee: Decimal, fee_asset: str, *, maker: bool
    ) -> None:
        """Count one trade of ours."""
        grains = price_ticks * size_lots
        self.fills += 1
        self.maker_fills += maker
        self.base_lots += side.sign * size_lots
        self.cash_grains -= side.sign * grains
        self.volume_grains += grains
        self.fees[fee_asset] = self.fees.get(fee_asset, Decimal(0)) + fee

    def count_capture(self, side: Side, price_ticks: int, size_lots: int, double_mid: int) -> float:
        """Count how far from the mid a fill was, in our favour; returns it in basis points."""
        captured = side.sign * (double_mid - 2 * price_ticks) / double_mid * 10_000
        weight = float(price_ticks) * size_lots
        self.captured_weight += weight
        self.captured_sum += weight * captured
        self.captured_bins[histogram_bin(captured)] += 1
        return captured

    @property
    def inventory_base(self) -> Decimal:
        """Bought less sold."""
        return self.instrument.size(self.base_lots)

    @property
    def cash_quote(self) -> Decimal:
        """Sold less bought, before fees."""
        return self.cash_grains * self.instrument.grain

    @property
    def volume_quote(self) -> Decimal:
        """Sum of all trades."""
        return self.volume_grains * self.instrument.grain

    @property
    def spread_captured_bps(self) -> float | None:
        """Mean over fills, weighted by quote size."""
        return self.captured_sum / self.captured_weight if self.captured_weight else None

    def fees_quote(self, mid: Decimal) -> Decimal:
        """Fees in quote, and in base at this mid; fees in a third asset have no price here, see `fees`."""
        zero = Decimal(0)
        return self.fees.get(self.instrument.quote, zero) + self.fees.get(self.instrument.base, zero) * mid

    def pnl_quote(self, mid: Decimal) -> Decimal:
        """Cash flows plus net base at this mid, less fees; the starting inventory is not revalued."""
        return self.cash_quote + self.inventory_base * mid - self.fees_quote(mid)


def histogram_bin(captured_bps: float) -> int:
    """0 below -5 bp, 1 from -5 to -4, … 10 from 4 to 5, 11 from 5 on."""
    if captured_bps < _EDGES_BPS[0]:
        return 0
    for number, (_, high) in enumerate(pairwise(_EDGES_BPS), start=1):
        if captured_bps < high:
            return number
    return HISTOGRAM_BINS - 1
