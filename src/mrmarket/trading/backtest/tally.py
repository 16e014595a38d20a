"""Trades to totals, columns and markouts, in exact integers.

Money is counted in motes: half a grain (one tick times one lot) in a billion. Mids, which lie on half
ticks, and fees, which are billionths of a notional, are whole motes, so that every identity is exact.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from decimal import Decimal, localcontext
from itertools import pairwise
from typing import Final, NamedTuple

from mrmarket.core.decimals import format_decimal
from mrmarket.core.instrument import Instrument
from mrmarket.core.side import Side
from mrmarket.trading.backtest.recording import Mids
from mrmarket.trading.backtest.result import Curve, Fills, MarkoutRow, Totals
from mrmarket.trading.market.estimators.markout import HORIZONS_NS

BILLION: Final = 10**9
_PRECISION: Final = 60


class Trade(NamedTuple):
    """One fill of ours."""

    at_ns: int
    """Exchange time."""
    sign: int
    """+1 bought, −1 sold."""
    price_ticks: int
    lots: int
    maker: bool
    slot: str
    order: int
    double_mid: int
    """Twice the mid of others just before, in ticks."""
    fee_motes: int
    """Negative is a rebate."""


class Counts(NamedTuple):
    """What happened to orders."""

    placed: int = 0
    cancelled: int = 0
    rejected: int = 0
    lots_placed: int = 0
    uptime: float | None = None


def fee_motes(price_ticks: int, lots: int, rate: Decimal) -> int:
    """The fee on a notional; what the rate has below a billionth is rounded away."""
    return price_ticks * lots * 2 * round(rate * BILLION)


class Tally:
    """Adds trades up over a window. Trades come in the order of the exchange's time."""

    def __init__(self, instrument: Instrument, mids: Mids, begin_ns: int, end_ns: int) -> None:
        self._instrument = instrument
        self._mids = mids
        self._begin_ns = begin_ns
        self._end_ns = end_ns
        with localcontext() as context:
            context.prec = _PRECISION
            self._mote = instrument.grain / (2 * BILLION)

    def money(self, motes: int) -> Decimal:
        """Quote."""
        with localcontext() as context:
            context.prec = _PRECISION
            return _plain(motes * self._mote)

    def totals(self, trades: Sequence[Trade], curve: Sequence[_Point], counts: Counts) -> Totals:
        """All of it, added up."""
        end = curve[-1]
        fees = sum(each.fee_motes for each in trades if each.fee_motes > 0)
        rebates = -sum(each.fee_motes for each in trades if each.fee_motes < 0)
        lots_filled = sum(each.lots for each in trades)
        exposure = self._mean_exposure(trades)
        pnl = self.money(end.pnl_motes)
        return Totals(
            trades=len(trades),
            maker_fills=sum(each.maker for each in trades),
            taker_fills=sum(not each.maker for each in trades),
            maker_volume_quote=self._volume(each for each in trades if each.maker),
            taker_volume_quote=self._volume(each for each in trades if not each.maker),
            fees_quote=self.money(fees),
            rebates_quote=self.money(rebates),
            cash_quote=self.money(end.cash_motes),
            base_change=_plain(self._instrument.size(end.base_lots)),
            final_mid=self._mid(end.double_mid),
            pnl_quote=pnl,
            spread_quote=self.money(end.spread_motes),
            inventory_quote=self.money(end.pnl_motes - end.spread_motes + end.fee_motes),
            max_drawdown_quote=self.money(_drawdown(curve)),
            mean_exposure_quote=exposure,
            inventory_sd_quote=self._inventory_sd(curve),
            pnl_per_exposure=float(pnl) / exposure if exposure else None,
            orders_placed=counts.placed,
            orders_cancelled=counts.cancelled,
            orders_rejected=counts.rejected,
            lots_placed=counts.lots_placed,
            lots_filled=lots_filled,
            fill_ratio=lots_filled / counts.lots_placed if counts.lots_placed else None,
            quote_uptime=counts.uptime,
        )

    def points(self, trades: Sequence[Trade], samples_ns: Sequence[int]) -> list[_Point]:
        """The state at each sample and just after each trade, in order of time.

        `samples_ns` ascend within the window; the first is its begin and the last its end.
        """
        found: list[_Point] = []
        cash = base = spread = fees = number = 0
        for at_ns in samples_ns:
            while number < len(trades) and trades[number].at_ns <= at_ns:
                each = trades[number]
                number += 1
                cash -= each.sign * each.price_ticks * each.lots * 2 * BILLION
                base += each.sign * each.lots
                spread += each.sign * each.lots * (each.double_mid - 2 * each.price_ticks) * BILLION
                fees += each.fee_motes
                found.append(self._point(each.at_ns, cash, base, spread, fees, is_sample=False))
            found.append(self._point(at_ns, cash, base, spread, fees, is_sample=True))
        return found

    def curve(self, points: Sequence[_Point]) -> Curve:
        """The samples as columns to draw."""
        samples = [point for point in points if point.is_sample]
        mote, tick = float(self._mote), float(self._instrument.tick_size)
        lot = float(self._instrument.lot_size)
        return Curve(
            at_ns=[point.at_ns for point in samples],
            mid=[point.double_mid * tick / 2 for point in samples],
            base=[point.base_lots * lot for point in samples],
            pnl_quote=[point.pnl_motes * mote for point in samples],
            spread_quote=[point.spread_motes * mote for point in samples],
            fees_quote=[point.fee_motes * mote for point in samples],
        )

    def fills(self, trades: Sequence[Trade]) -> Fills:
        """The trades as columns."""
        instrument = self._instrument
        held, after = 0, []
        for each in trades:
            held += each.sign * each.lots
            after.append(instrument.size(held))
        return Fills(
            at_ns=[each.at_ns for each in trades],
            venue=[instrument.venue] * len(trades),
            side=[(Side.BUY if each.sign > 0 else Side.SELL).value for each in trades],
            price=[instrument.price(each.price_ticks) for each in trades],
            size=[instrument.size(each.lots) for each in trades],
            fee_quote=[self.money(each.fee_motes) for each in trades],
            maker=[each.maker for each in trades],
            slot=[each.slot for each in trades],
            order=[each.order for each in trades],
            mid=[self._mid(each.double_mid) for each in trades],
            base_after=after,
        )

    def markouts(self, trades: Sequence[Trade], horizons_ns: Sequence[int] = HORIZONS_NS) -> list[MarkoutRow]:
        """The mid's move against us after each fill; fills too near to the end are left out."""
        rows = []
        for horizon_ns in horizons_ns:
            moves = [
                each.sign * (each.double_mid - self._mids.at(each.at_ns + horizon_ns)) / each.double_mid
                for each in trades
                if each.at_ns + horizon_ns < self._end_ns
            ]
            if moves:
                mean = math.fsum(moves) / len(moves)
                spread = math.fsum((move - mean) ** 2 for move in moves)
                error = math.sqrt(spread / (len(moves) - 1) / len(moves)) if len(moves) > 1 else 0.0
                rows.append(MarkoutRow(horizon_ns=horizon_ns, fills=len(moves), mean=mean, error=error))
        return rows

    def _point(self, at_ns: int, cash: int, base: int, spread: int, fees: int, *, is_sample: bool) -> _Point:
        double = self._mids.at(at_ns)
        pnl = cash + base * double * BILLION - fees
        return _Point(at_ns, double, base, cash, pnl, spread, fees, is_sample)

    def _volume(self, trades: Iterator[Trade]) -> Decimal:
        return _plain(self._instrument.grain * sum(each.price_ticks * each.lots for each in trades))

    def _mid(self, double: int) -> Decimal:
        return _plain(double * self._instrument.tick_size / 2)

    def _mean_exposure(self, trades: Sequence[Trade]) -> float:
        total, base, since_ns = 0.0, 0, self._begin_ns
        for at_ns, change in (*((each.at_ns, each.sign * each.lots) for each in trades), (self._end_ns, 0)):
            if base and at_ns > since_ns:
                total += abs(base) * self._mids.integral(since_ns, at_ns)
            base += change
            since_ns = at_ns
        return total / 2 * float(self._instrument.grain) / max(1, self._end_ns - self._begin_ns)

    def _inventory_sd(self, points: Sequence[_Point]) -> float:
        samples = [point for point in points if point.is_sample]
        gains = [point.pnl_motes - point.spread_motes + point.fee_motes for point in samples]
        total = math.fsum(float(after - before) ** 2 for before, after in pairwise(gains))
        return math.sqrt(total) * float(self._mote)


class _Point(NamedTuple):
    at_ns: int
    double_mid: int
    base_lots: int
    cash_motes: int
    pnl_motes: int
    spread_motes: int
    fee_motes: int
    is_sample: bool


def samples(begin_ns: int, end_ns: int, every_ns: int) -> list[int]:
    """Begin, then every step, and the end."""
    return [*range(begin_ns, end_ns, every_ns), end_ns]


def samples_at(closes_ns: Sequence[int], begin_ns: int, end_ns: int) -> list[int]:
    """Begin, each of these moments within the window, and the end."""
    first, last = bisect_left(closes_ns, begin_ns + 1), bisect_left(closes_ns, end_ns)
    return [begin_ns, *closes_ns[first:last], end_ns]


def _plain(value: Decimal) -> Decimal:
    """Without an exponent and trailing zeros, as it is to be written."""
    return Decimal(format_decimal(value))


def _drawdown(points: Sequence[_Point]) -> int:
    high = worst = 0
    for point in points:
        high = max(high, point.pnl_motes)
        worst = max(worst, high - point.pnl_motes)
    return worst
