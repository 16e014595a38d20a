"""The tear sheet: one backtest on one page, with everything it rests on."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path, PurePath
from typing import Any, Final

import msgspec

from mrmarket.trading.backtest.files import ReportFileError
from mrmarket.trading.backtest.report import plots
from mrmarket.trading.backtest.report.axis import amount
from mrmarket.trading.backtest.report.page import (
    Fact,
    facts,
    figures,
    heading,
    page,
    paragraph,
    table,
    verbatim,
)
from mrmarket.trading.backtest.report.plots import Named
from mrmarket.trading.backtest.result import BacktestResult, Totals

TEARSHEET: Final = "tearsheet.html"
_BPS: Final = 10_000


def tearsheet(result: BacktestResult) -> str:
    """The whole page, as HTML that needs neither network nor script."""
    title = f"{result.setting.strategy} on {result.instrument.symbol}"
    passes = [(queue_name(each.queue), each) for each in result.passes]
    base, quote = result.instrument.base, result.instrument.quote
    return page(
        title,
        [
            f"<h1>{title_text(title)}</h1>",
            paragraph(_where(result), "dim"),
            _failed(result),
            facts(_facts(result, quote)),
            figures(
                [
                    plots.equity(passes, quote),
                    plots.waterfall(passes[0][0], result.totals, quote),
                    plots.queues(passes, quote),
                    plots.drawdown(passes, quote),
                    plots.inventory(passes, base),
                    plots.mid_price(passes, quote),
                    plots.spread(passes, quote),
                    plots.captured(*passes[0]),
                    plots.markouts(passes),
                    plots.fees(passes, quote),
                    plots.fills_over_time(passes),
                    plots.fill_ratios(passes),
                ]
            ),
            heading("Side by side"),
            _passes(passes),
            heading("What was assumed"),
            table(
                ["assumption", "value", "what follows"],
                [[each.name, each.value, each.meaning] for each in result.assumptions],
            ),
            *_decisions(result),
            heading("Parameters"),
            table(["parameter", "value"], [[name, word(value)] for name, value in parameters(result)]),
            heading("To repeat it"),
            paragraph(
                "The report beside this page holds the whole setting; the command compares the outcome."
            ),
            verbatim(command()),
            table(["", ""], _identity(result)),
        ],
    )


def write_tearsheet(result: BacktestResult, folder: Path) -> Path:
    """Write it beside the report.

    Raises:
        ReportFileError: the folder cannot be written to.
    """
    path = folder / TEARSHEET
    try:
        path.write_text(tearsheet(result), encoding="utf-8")
    except OSError as error:
        raise ReportFileError(path, f"cannot be written ({error.strerror or error})") from error
    return path


def queue_name(label: str) -> str:
    """What a queue model is called among people."""
    names = {"risk_averse": "risk-averse queue", "bars": "bars", "taker": "taker"}
    return names.get(label, f"queue {label}")


def title_text(title: str) -> str:
    """Escaped, and not broken at its hyphens."""
    return title.replace("&", "&amp;").replace("<", "&lt;").replace("-", "&#8209;")


def moment(at_ns: int) -> str:
    """UTC, to the second."""
    return f"{datetime.fromtimestamp(at_ns // 1_000_000_000, UTC):%Y-%m-%d %H:%M:%S}"


def parameters(result: BacktestResult) -> list[tuple[str, Any]]:
    """The strategy's parameters, in the schema's order."""
    return list(msgspec.to_builtins(result.setting.parameters).items())


def word(value: object) -> str:
    """A value in a table."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict | list | tuple):
        return msgspec.json.encode(value).decode()
    return f"{value:f}" if isinstance(value, Decimal) else str(value)


def command(file: str = "report.json") -> str:
    """What repeats the run."""
    return f"mrmarket backtest run --from {shlex.quote(file)}"


def captured_bps(totals: Totals) -> float | None:
    """Spread by volume, in basis points; None without volume."""
    volume = totals.maker_volume_quote + totals.taker_volume_quote
    return _BPS * float(totals.spread_quote / volume) if volume else None


def _where(result: BacktestResult) -> str:
    tapes = ", ".join(PurePath(tape.path).name for tape in result.setting.tapes)
    seconds = (result.end_ns - result.begin_ns) / 1e9
    return (
        f"{moment(result.begin_ns)} to {moment(result.end_ns)} UTC ({amount(seconds, 4)} s) of {tapes}; "
        f"{result.rows:,} rows of history in each pass."
    )


def _failed(result: BacktestResult) -> str:
    failure = result.failure
    if failure is None:
        return ""
    words = (
        f"The run failed ({failure.code}) at {moment(failure.at_ns)} after {failure.decision:,} decisions: "
        f"{failure.message}. What is shown ends there."
    )
    return paragraph(words, "warn")


def _facts(result: BacktestResult, quote: str) -> Iterator[Fact]:
    totals = result.totals
    pnl = float(totals.pnl_quote)
    yield Fact("PnL", amount(pnl), quote, "good" if pnl > 0 else "bad" if pnl < 0 else "")
    gap = result.model_risk_quote
    if gap is not None:
        other = result.passes[-1]
        yield Fact(f"PnL, {queue_name(other.queue)}", amount(float(other.totals.pnl_quote)), quote)
    yield Fact("PnL by mean exposure", amount(totals.pnl_per_exposure, 3))
    yield Fact("largest drawdown", amount(float(totals.max_drawdown_quote)), quote)
    yield Fact("fills", f"{totals.trades:,}", f"{totals.taker_fills:,} as taker")
    volume = totals.maker_volume_quote + totals.taker_volume_quote
    yield Fact("volume", amount(float(volume)), quote)
    yield Fact("spread captured", amount(captured_bps(totals), 3), "bp")
    yield Fact("fees less rebates", amount(float(totals.fees_quote - totals.rebates_quote)), quote)
    yield Fact("fill ratio", percent(totals.fill_ratio))
    yield Fact("quoting both sides", percent(totals.quote_uptime), "of the time")
    yield Fact("mean exposure", amount(totals.mean_exposure_quote), quote)
    yield Fact("orders", f"{totals.orders_placed:,}", f"{totals.orders_cancelled:,} cancelled")


def _passes(passes: Sequence[Named]) -> str:
    heads = ["", *(name for name, _ in passes)]
    columns = [rows_of(each.totals) for _, each in passes]
    rows = [[name, *(column[name] for column in columns)] for name in columns[0]]
    return table(heads, rows, numbers=range(1, len(heads)))


def rows_of(totals: Totals) -> dict[str, str]:
    """The totals as a column of a table."""
    return {
        "PnL": amount(float(totals.pnl_quote)),
        "from spread": amount(float(totals.spread_quote)),
        "from inventory": amount(float(totals.inventory_quote)),
        "fees": amount(float(totals.fees_quote)),
        "rebates": amount(float(totals.rebates_quote)),
        "PnL by mean exposure": amount(totals.pnl_per_exposure, 3),
        "mean exposure": amount(totals.mean_exposure_quote),
        "sd of the inventory's gains": amount(totals.inventory_sd_quote),
        "largest drawdown": amount(float(totals.max_drawdown_quote)),
        "fills": f"{totals.trades:,}",
        "volume": amount(float(totals.maker_volume_quote + totals.taker_volume_quote)),
        "spread captured, bp": amount(captured_bps(totals), 3),
        "fill ratio": percent(totals.fill_ratio),
        "quoting both sides": percent(totals.quote_uptime),
        "orders placed": f"{totals.orders_placed:,}",
        "orders refused": f"{totals.orders_rejected:,}",
    }


def _decisions(result: BacktestResult) -> Iterator[str]:
    made = result.passes[0].decisions
    if not made.decisions:
        return
    yield heading("How it decided")
    yield paragraph(
        f"{made.decisions:,} decisions: {made.by_book:,} for a change of the best prices, "
        f"{made.by_order:,} for an order's news, {made.by_time:,} for the time. "
        f"{made.without_quotes:,} wanted no quote."
    )
    rows = [[reason, f"{count:,}"] for reason, count in made.reasons.items()]
    rows += [[f"held back before sending: {code}", f"{count:,}"] for code, count in made.held_back.items()]
    if rows:
        yield table(["why there were fewer quotes, or none", "times"], rows, numbers=[1])


def _identity(result: BacktestResult) -> list[list[str]]:
    setting = result.setting
    rows = [["snapshot of the strategy", setting.snapshot], ["digest of the setting", result.digest]]
    rows += [[f"SHA-256 of {PurePath(tape.path).name}", tape.sha256] for tape in setting.tapes]
    rows.append(["seed", str(setting.seed)])
    rows.append(["made by", f"Mr. Market {result.made_by}".strip()])
    return rows


def percent(share: float | None) -> str:
    """A share for people; a dash where there is none."""
    return "–" if share is None else f"{100 * share:.1f} %"
