"""A backtest's result for people: one column a pass."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

from mrmarket.cli.output import notes, print_pairs, print_table
from mrmarket.core.clock import NS_PER_MS, NS_PER_S
from mrmarket.core.decimals import format_decimal
from mrmarket.trading.backtest.result import BacktestResult, Pass, Totals

_DIGITS: Final = 6
_SHOWN_HORIZONS: Final = (NS_PER_S, 5 * NS_PER_S, 60 * NS_PER_S)


def print_result(result: BacktestResult) -> None:
    """Print it on stdout, its failure and what was assumed on stderr."""
    instrument = result.instrument
    span_s = (result.end_ns - result.begin_ns) / NS_PER_S
    print_pairs(
        f"[bold]{result.setting.strategy}[/] on {instrument.symbol} of {instrument.venue or 'a file'}",
        [
            ("window", f"{_moment(result.begin_ns)} to {_moment(result.end_ns)} UTC, {_span(span_s)}"),
            ("played", f"{result.rows:,} {'bars' if result.kind == 'bars' else 'rows'}"),
            ("run", f"{result.digest[:12]}, strategy {result.setting.snapshot[:12]}"),
        ],
    )
    headings = ["", *(each.queue for each in result.passes)]
    rows = [[name, *(told(each) for each in result.passes)] for name, told in _rows(instrument.quote)]
    print_table(headings, [row for row in rows if any(row[1:])])
    if result.model_risk_quote is not None and result.failure is None:
        words = format_decimal(_short(result.model_risk_quote))
        notes.print(f"PnL hangs on the queue model by {words} {instrument.quote} (last less first column)")
    idle = result.passes[0].decisions
    if idle.reasons and not result.totals.orders_placed:
        reason = max(idle.reasons, key=lambda each: idle.reasons[each])
        notes.print(f"nothing was quoted: {reason}", markup=False, soft_wrap=True)
    names = ", ".join(each.name for each in result.assumptions)
    notes.print(f"assumptions: {names}; they stand in the report in words (--out DIR)", soft_wrap=True)


def _rows(quote: str) -> list[tuple[str, Callable[[Pass], str]]]:
    def money(name: str) -> Callable[[Pass], str]:
        return lambda each: format_decimal(_short(getattr(each.totals, name)))

    return [
        (f"PnL, {quote}", money("pnl_quote")),
        ("  spread", money("spread_quote")),
        ("  inventory", money("inventory_quote")),
        ("  fees", lambda each: format_decimal(-_short(each.totals.fees_quote))),
        ("  rebates", money("rebates_quote")),
        ("PnL by mean exposure", lambda each: _percent(each.totals.pnl_per_exposure)),
        (f"mean exposure, {quote}", lambda each: f"{each.totals.mean_exposure_quote:,.2f}"),
        (f"max drawdown, {quote}", money("max_drawdown_quote")),
        ("fills", lambda each: f"{each.totals.trades} ({each.totals.maker_fills} maker)"),
        (f"volume, {quote}", lambda each: f"{_volume(each.totals):,.2f}"),
        ("orders placed", lambda each: f"{each.totals.orders_placed}"),
        ("  rejected", lambda each: f"{each.totals.orders_rejected}"),
        ("fill ratio", lambda each: _percent(each.totals.fill_ratio)),
        ("both sides quoted", lambda each: _percent(each.totals.quote_uptime)),
        *((f"markout {horizon // NS_PER_S} s, bp", _markout(horizon)) for horizon in _SHOWN_HORIZONS),
        ("decisions", lambda each: f"{each.decisions.decisions}"),
        ("held back", lambda each: ", ".join(f"{n} {code}" for code, n in each.decisions.held_back.items())),
    ]


def _volume(totals: Totals) -> Decimal:
    return totals.maker_volume_quote + totals.taker_volume_quote


def _markout(horizon_ns: int) -> Callable[[Pass], str]:
    def told(each: Pass) -> str:
        rows = [row for row in each.markouts if row.horizon_ns == horizon_ns]
        return f"{-rows[0].mean * 10_000:+.2f} ± {rows[0].error * 10_000:.2f}" if rows else ""

    return told


def _short(value: Decimal) -> Decimal:
    """To six decimals, which is enough to read; the report has them all."""
    return round(value, _DIGITS)


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:.4%}"


def _moment(at_ns: int) -> str:
    return f"{datetime.fromtimestamp(at_ns // NS_PER_S, UTC):%Y-%m-%d %H:%M:%S}"


def _span(seconds: float) -> str:
    whole = round(seconds)
    if whole < 1:
        return f"{seconds * NS_PER_S / NS_PER_MS:g} ms"
    days, rest = divmod(whole, 86_400)
    hours, rest = divmod(rest, 3_600)
    minutes, left = divmod(rest, 60)
    parts = ((days, "d"), (hours, "h"), (minutes, "min"), (left, "s"))
    return " ".join(f"{count} {unit}" for count, unit in parts if count)
