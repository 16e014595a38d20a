"""What assets were worth in the home asset over time, and what trades add up to by it. Exact."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import TYPE_CHECKING, Final, NamedTuple

from mrmarket.core.decimals import format_decimal
from mrmarket.core.instrument import Instrument
from mrmarket.trading.backtest.recording import Mids
from mrmarket.trading.backtest.result import Curve, Fills, Totals
from mrmarket.trading.strategy.multileg.amounts import Amounts, added, decimal_of

if TYPE_CHECKING:
    from mrmarket.trading.backtest.triangle_driver import TriangleTrade

_DIGITS: Final = 12
_PRECISION: Final = 40


class TriangleMarks:
    """The mids of each pair over time, and by them the worth of every asset that trades with home."""

    def __init__(self, instruments: Sequence[Instrument], home: str) -> None:
        self.home = home
        self._mids = {each.symbol: Mids() for each in instruments}
        self._instruments = {each.symbol: each for each in instruments}
        self._ways: dict[str, tuple[str, bool]] = {}
        """Asset to (symbol, whether it is the base)."""
        for each in instruments:
            if each.quote == home:
                self._ways[each.base] = each.symbol, True
            elif each.base == home:
                self._ways[each.quote] = each.symbol, False

    def add(self, symbol: str, at_ns: int, double_mid: int | None) -> None:
        """From now on a pair's mid is this; None changes nothing."""
        if double_mid is not None:
            self._mids[symbol].add(at_ns, double_mid)

    def mid(self, symbol: str, at_ns: int) -> Fraction:
        """Quote per base."""
        return self._mids[symbol].at(at_ns) * Fraction(self._instruments[symbol].tick_size) / 2

    def worth(self, amounts: Amounts, at_ns: int) -> Fraction:
        """In the home asset; an asset that does not trade with it counts for nothing."""
        return sum((amount * self._price(asset, at_ns) for asset, amount in amounts.items()), Fraction(0))

    def _price(self, asset: str, at_ns: int) -> Fraction:
        if asset == self.home:
            return Fraction(1)
        way = self._ways.get(asset)
        if way is None:
            return Fraction(0)
        mid = self.mid(way[0], at_ns)
        return mid if way[1] else 1 / mid


class Worth(NamedTuple):
    """What trading is worth at a moment, in the home asset."""

    at_ns: int
    pnl: Fraction
    spread: Fraction
    fees: Fraction
    is_sample: bool


def worths(
    trades: Sequence[TriangleTrade], marks: TriangleMarks, samples_ns: Sequence[int]
) -> Iterator[Worth]:
    """The state just after each trade and at each sample, in order of time."""
    held: dict[str, Fraction] = {}
    spread = fees = Fraction(0)
    number = 0
    for at_ns in samples_ns:
        while number < len(trades) and trades[number].at_ns <= at_ns:
            trade = trades[number]
            number += 1
            held = added(held, trade.changes)
            fee = marks.worth({trade.fee_asset: trade.fee}, trade.at_ns)
            fees += fee
            spread += marks.worth(trade.changes, trade.at_ns) + fee
            yield Worth(trade.at_ns, marks.worth(held, trade.at_ns), spread, fees, is_sample=False)
        yield Worth(at_ns, marks.worth(held, at_ns), spread, fees, is_sample=True)


def totals_of(
    trades: Sequence[TriangleTrade], points: Sequence[Worth], marks: TriangleMarks, placed: int, symbol: str
) -> Totals:
    """Everything added up; `quote` is the home asset, the final mid that of one pair."""
    end = points[-1]
    volume = sum((_volume(trade, marks) for trade in trades), Fraction(0))
    home = sum((trade.changes.get(marks.home, Fraction(0)) for trade in trades), Fraction(0))
    # The inventory's part is what is left once the others are rounded: the split is without remainder.
    pnl, spread, fees = (plain(value) for value in (end.pnl, end.spread, end.fees))
    return Totals(
        trades=len(trades),
        taker_fills=len(trades),
        taker_volume_quote=plain(volume),
        fees_quote=fees,
        cash_quote=plain(home),
        final_mid=plain(marks.mid(symbol, end.at_ns)),
        pnl_quote=pnl,
        spread_quote=spread,
        inventory_quote=pnl - spread + fees,
        max_drawdown_quote=plain(_drawdown(points)),
        orders_placed=placed,
    )


def curve_of(points: Sequence[Worth], marks: TriangleMarks, symbol: str) -> Curve:
    """The samples as columns to draw; the price is that of the first pair."""
    samples = [point for point in points if point.is_sample]
    return Curve(
        at_ns=[point.at_ns for point in samples],
        mid=[float(marks.mid(symbol, point.at_ns)) for point in samples],
        base=[0.0] * len(samples),
        pnl_quote=[float(point.pnl) for point in samples],
        spread_quote=[float(point.spread) for point in samples],
        fees_quote=[float(point.fees) for point in samples],
    )


def fills_of(
    trades: Sequence[TriangleTrade], instruments: Sequence[Instrument], marks: TriangleMarks
) -> Fills:
    """The trades as columns; `venue` says the pair, fees are in the home asset."""
    known = {each.symbol: each for each in instruments}
    held: dict[str, Decimal] = {}
    after = []
    for each in trades:
        size = known[each.symbol].size(each.lots)
        held[each.symbol] = held.get(each.symbol, Decimal(0)) + each.sign * size
        after.append(held[each.symbol])
    return Fills(
        at_ns=[each.at_ns for each in trades],
        venue=[each.symbol for each in trades],
        side=["buy" if each.sign > 0 else "sell" for each in trades],
        price=[known[each.symbol].price(each.price_ticks) for each in trades],
        size=[known[each.symbol].size(each.lots) for each in trades],
        fee_quote=[plain(marks.worth({each.fee_asset: each.fee}, each.at_ns)) for each in trades],
        maker=[False] * len(trades),
        slot=[each.slot for each in trades],
        order=[each.order for each in trades],
        mid=[plain(marks.mid(each.symbol, each.at_ns)) for each in trades],
        base_after=after,
    )


def plain(value: Fraction) -> Decimal:
    """As it is to be written, to twelve digits."""
    with localcontext() as context:
        context.prec = _PRECISION
        return Decimal(format_decimal(round(decimal_of(value), _DIGITS)))


def _volume(trade: TriangleTrade, marks: TriangleMarks) -> Fraction:
    spent = {asset: -amount for asset, amount in trade.changes.items() if amount < 0}
    return marks.worth(spent, trade.at_ns)


def _drawdown(points: Sequence[Worth]) -> Fraction:
    high = worst = Fraction(0)
    for point in points:
        high = max(high, point.pnl)
        worst = max(worst, high - point.pnl)
    return worst
