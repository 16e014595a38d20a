"""What a strategy may ask to have measured, and the estimators that measure it.

Nothing is measured that nobody asked for: an estimator costs a few microseconds of each book change.
"""

from __future__ import annotations

from collections.abc import Generator
from enum import StrEnum
from typing import Final, Protocol, runtime_checkable

from mrmarket.core.clock import NS_PER_S
from mrmarket.trading.market.estimators.intensity import Intensity, IntensityEstimator
from mrmarket.trading.market.estimators.microprice import MicropriceEstimator, MicropriceTable
from mrmarket.trading.market.estimators.order_flow import OrderFlowEstimator, TradeImbalance
from mrmarket.trading.market.event import Level

LEAST_UPDATES: Final = 1_000
"""Updates of the touch before the first microprice table."""
_TABLE_EVERY_NS: Final = 60 * NS_PER_S
_ARRIVALS_EVERY_NS: Final = 10 * NS_PER_S
_LEAST_INTERVALS: Final = 240
"""Both sides of one minute, in half seconds."""


class Estimate(StrEnum):
    """Something that can be measured besides volatility and markout, which always are."""

    ARRIVALS = "arrivals"
    """A and k."""
    MICROPRICE = "microprice"
    ORDER_FLOW = "order_flow"
    """Imbalance of the order flow with its slope on the mid, and of the trades."""


@runtime_checkable
class WantsEstimates(Protocol):
    """A strategy that asks for more than volatility and markout."""

    @property
    def estimates(self) -> frozenset[Estimate]:
        """What it asks for; the same all its life."""
        ...


def wanted_by(strategy: object) -> frozenset[Estimate]:
    """What a strategy asks for; nothing where it does not say."""
    return strategy.estimates if isinstance(strategy, WantsEstimates) else frozenset()


class MarketEstimates:
    """The estimators of one pair. Times are of the strategy's clock; no call takes longer than a millisecond.

    A microprice table is fitted anew each minute, one small step with each book change.
    """

    def __init__(self, wanted: frozenset[Estimate] = frozenset()) -> None:
        self._arrivals = (
            IntensityEstimator(nearest_ticks=None, furthest_ticks=None)
            if Estimate.ARRIVALS in wanted
            else None
        )
        self._micro = MicropriceEstimator() if Estimate.MICROPRICE in wanted else None
        flow = Estimate.ORDER_FLOW in wanted
        self._flow = OrderFlowEstimator() if flow else None
        self._trades = TradeImbalance() if flow else None
        self.intensity: Intensity | None = None
        """A and k; None until a minute was seen."""
        self.table: MicropriceTable | None = None
        """None until enough updates were seen."""
        self.is_needed = bool(wanted)
        """Whether anything is measured at all."""
        self._fit: Generator[None, None, MicropriceTable] | None = None
        self._next_table_ns = 0
        self._next_arrivals_ns = 0

    def on_touch(self, now_ns: int, bid: Level, ask: Level) -> None:
        """The best bid or ask of others changed."""
        if self._arrivals is not None:
            self._arrivals.observe_mid(now_ns, bid[0] + ask[0])
            self._refit_arrivals(now_ns)
        if self._flow is not None:
            self._flow.observe(now_ns, bid, ask)
        if self._micro is not None:
            self._micro.observe(bid[0], bid[1], ask[0], ask[1])
            self._refit_table(now_ns)

    def on_trade(self, now_ns: int, price_ticks: int, size_lots: int, *, taker_buys: bool) -> None:
        """Somebody traded."""
        if self._arrivals is not None:
            self._arrivals.observe_trade(now_ns, price_ticks, taker_buys=taker_buys)
        if self._trades is not None:
            self._trades.observe(now_ns, size_lots, taker_buys=taker_buys)

    def on_gap(self) -> None:
        """The feed was interrupted: what comes next follows nothing."""
        if self._micro is not None:
            self._micro.interrupted()

    def micro_offset_ticks(self, bid: Level, ask: Level) -> float | None:
        """How far the microprice is above the mid; None without a table."""
        return None if self.table is None else self.table.adjustment(bid[1], ask[1], ask[0] - bid[0])

    @property
    def flow_move_ticks(self) -> float | None:
        """What the order flow says of the mid; None while its slope is not known."""
        return None if self._flow is None or self._flow.beta is None else self._flow.expected_move_ticks

    @property
    def trade_imbalance(self) -> float:
        """From −1 to 1; 0 where it is not measured."""
        return 0.0 if self._trades is None else self._trades.imbalance

    def _refit_arrivals(self, now_ns: int) -> None:
        if self._arrivals is None or now_ns < self._next_arrivals_ns:
            return
        self._next_arrivals_ns = now_ns + _ARRIVALS_EVERY_NS
        fitted = self._arrivals.fit()
        if fitted is not None and fitted.intervals >= _LEAST_INTERVALS:
            self.intensity = fitted

    def _refit_table(self, now_ns: int) -> None:
        micro = self._micro
        if micro is None:
            return
        if self._fit is None:
            if micro.transitions < LEAST_UPDATES or now_ns < self._next_table_ns:
                return
            self._next_table_ns = now_ns + _TABLE_EVERY_NS
            self._fit = micro.fitting()
        try:
            next(self._fit)
        except StopIteration as done:
            self.table, self._fit = done.value, None
