"""Pressure on the price: imbalance of the order flow at the touch, and of the trades.

R. Cont, A. Kukanov, S. Stoikov, "The price impact of order book events", Journal of Financial
Econometrics 12(1), 2014: over short times the mid moves by `β · OFI`, and `β ≈ tick / (2 · mean depth)`.
"""

from __future__ import annotations

import math
from typing import Final

from mrmarket.core.clock import NS_PER_S
from mrmarket.trading.market.event import Level

_LEAST_INTERVALS: Final = 30
"""A slope from fewer intervals says nothing."""


def order_flow(bid: Level, ask: Level, bid_before: Level, ask_before: Level) -> int:
    """The paper's `e_n` of one update of the touch, in lots; positive presses upwards."""
    flow = 0
    if bid[0] >= bid_before[0]:
        flow += bid[1]
    if bid[0] <= bid_before[0]:
        flow -= bid_before[1]
    if ask[0] <= ask_before[0]:
        flow -= ask[1]
    if ask[0] >= ask_before[0]:
        flow += ask_before[1]
    return flow


class OrderFlowEstimator:
    """OFI over intervals of equal length, an average that forgets, and its slope on the mid.

    The slope is least squares through the origin over intervals, each older one weighing less.
    """

    def __init__(self, *, interval_ns: int = NS_PER_S, half_life_ns: int = 300 * NS_PER_S) -> None:
        self._interval_ns = interval_ns
        self._keep = 0.5 ** (interval_ns / half_life_ns)
        self._until_ns: int | None = None
        self._bid: Level = (0, 0)
        self._ask: Level = (0, 0)
        self._flow = 0
        self._double_mid = 0
        self._xx = self._xy = self._yy = 0.0
        self.intervals = 0
        """Whole intervals seen."""
        self.flow_lots = 0.0
        """Average of the last intervals' OFI, half forgotten after one more."""

    def observe(self, now_ns: int, bid: Level, ask: Level) -> None:
        """Take the touch after an update in; time never goes back."""
        if self._until_ns is None:
            self._until_ns = now_ns + self._interval_ns
            self._double_mid = bid[0] + ask[0]
        else:
            if now_ns >= self._until_ns:
                self._close(now_ns)
            self._flow += order_flow(bid, ask, self._bid, self._ask)
        self._bid, self._ask = bid, ask

    @property
    def beta(self) -> float | None:
        """Ticks of mid for a lot of OFI; None until enough intervals were seen."""
        return self._xy / self._xx if self.intervals >= _LEAST_INTERVALS and self._xx else None

    @property
    def r_squared(self) -> float | None:
        """Share of the mid's squared moves that the slope explains; None as for `beta`."""
        if self.beta is None or not self._yy:
            return None
        return self._xy * self._xy / (self._xx * self._yy)

    @property
    def expected_move_ticks(self) -> float:
        """What the recent flow says of the mid; 0 while the slope is not known."""
        beta = self.beta
        return 0.0 if beta is None else beta * self.flow_lots

    def _close(self, now_ns: int) -> None:
        assert self._until_ns is not None  # noqa: S101 - set with the first update
        double_mid = self._bid[0] + self._ask[0]
        move = (double_mid - self._double_mid) / 2
        flow = float(self._flow)
        self._xx = self._xx * self._keep + flow * flow
        self._xy = self._xy * self._keep + flow * move
        self._yy = self._yy * self._keep + move * move
        self.flow_lots = (self.flow_lots + flow) / 2
        self.intervals += 1
        # Intervals without an update had no flow and no move: they only make what is known older.
        empty = (now_ns - self._until_ns) // self._interval_ns
        if empty:
            fade = self._keep**empty
            self._xx, self._xy, self._yy = self._xx * fade, self._xy * fade, self._yy * fade
            self.flow_lots *= 0.5**empty
            self.intervals += empty
        self._until_ns += (empty + 1) * self._interval_ns
        self._flow = 0
        self._double_mid = double_mid


class TradeImbalance:
    """Aggressors' buys less sells as a share of all volume, each trade forgotten by half-life."""

    def __init__(self, *, half_life_ns: int = 30 * NS_PER_S) -> None:
        self._rate = math.log(2) / half_life_ns
        self._at_ns = 0
        self._signed = 0.0
        self._volume = 0.0

    def observe(self, now_ns: int, size_lots: int, *, taker_buys: bool) -> None:
        """Take a public trade in."""
        fade = math.exp(-self._rate * max(0, now_ns - self._at_ns)) if self._volume else 0.0
        self._signed = self._signed * fade + (size_lots if taker_buys else -size_lots)
        self._volume = self._volume * fade + size_lots
        self._at_ns = now_ns

    @property
    def imbalance(self) -> float:
        """From −1 (only sells) to 1 (only buys); 0 before the first trade."""
        return self._signed / self._volume if self._volume else 0.0


def fair_value_ticks(bid: Level, ask: Level, micro_offset_ticks: float, flow_move_ticks: float) -> float:
    """Mid plus the microprice's offset plus what the order flow says, never further than one spread away."""
    spread = ask[0] - bid[0]
    offset = micro_offset_ticks + flow_move_ticks
    return (bid[0] + ask[0]) / 2 + max(-spread, min(spread, offset))
