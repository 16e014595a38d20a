"""Reports as folders: written, read back to the last digit, and refused where they are damaged."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import msgspec
import polars as pl
import pytest

from backtest_stage import setting, wandering, write_tape
from mrmarket.trading.backtest.files import ReportFileError, read_report, write_report
from mrmarket.trading.backtest.result import BacktestResult, outcome_key, summary
from mrmarket.trading.backtest.runner import run_backtest
from mrmarket.trading.backtest.setting import BOTH


@pytest.fixture
def result(tmp_path: Path) -> BacktestResult:
    """Two passes with fills."""
    tape = write_tape(tmp_path / "t", wandering(8, 200))
    asked = setting(
        tape,
        "pure_market_making",
        parameters={"bid_spread": "0.001", "ask_spread": "0.001", "order_refresh_time": 0.05},
        queue=BOTH,
        maker_fee=Decimal("0.00012345"),
    )
    return run_backtest(asked, compiled=False)


def test_a_report_is_read_back_to_the_last_digit(tmp_path: Path, result: BacktestResult) -> None:
    """Decimals, columns and all; the folder and its report.json are the same to read."""
    assert result.totals.trades > 3
    files = write_report(result, tmp_path / "out")
    assert [file.name for file in files] == ["report.json", "fills.parquet", "equity.parquet"]
    assert read_report(tmp_path / "out") == result
    assert read_report(tmp_path / "out" / "report.json") == result
    assert not list((tmp_path / "out").glob("*.part"))


def test_the_fills_stand_in_parquet_for_anybody(tmp_path: Path, result: BacktestResult) -> None:
    """One row a fill and pass, exact decimals, whose cash flow is the report's."""
    write_report(result, tmp_path / "out")
    frame = pl.read_parquet(tmp_path / "out" / "fills.parquet").filter(pl.col("queue") == "risk_averse")
    assert len(frame) == result.totals.trades
    signs = {"buy": -1, "sell": 1}
    rows = frame.select("side", "price", "size").iter_rows()
    assert sum(signs[side] * price * size for side, price, size in rows) == result.totals.cash_quote
    curve = pl.read_parquet(tmp_path / "out" / "equity.parquet").filter(pl.col("queue") == "power:2")
    assert curve["pnl_quote"].to_list() == result.passes[1].curve.pnl_quote


def test_a_run_is_repeated_from_the_report_alone(tmp_path: Path, result: BacktestResult) -> None:
    """The setting that is read back gives exactly the outcome that is read back."""
    write_report(result, tmp_path / "out")
    before = read_report(tmp_path / "out")
    again = run_backtest(before.setting, compiled=False)
    assert outcome_key(again) == outcome_key(before)


def test_a_report_without_its_columns_is_still_a_report(tmp_path: Path, result: BacktestResult) -> None:
    """Totals are there, columns are empty."""
    write_report(result, tmp_path / "out")
    (tmp_path / "out" / "fills.parquet").unlink()
    (tmp_path / "out" / "equity.parquet").unlink()
    bare = read_report(tmp_path / "out")
    assert bare.totals == result.totals
    assert bare.passes[0].fills.at_ns == []


def test_damaged_reports_are_refused(tmp_path: Path, result: BacktestResult) -> None:
    """Missing, not JSON, of a newer release, without a pass, with broken columns, nowhere to write."""
    with pytest.raises(ReportFileError, match="cannot be read"):
        read_report(tmp_path / "none")
    out = tmp_path / "out"
    write_report(result, out)
    report = out / "report.json"
    good = report.read_bytes()
    for text, words in (
        (b"hello", "no report"),
        (b"{}", "no report"),
        (good.replace(b'"report_version": 1', b'"report_version": 99'), "update mrmarket"),
        (msgspec.json.encode({**msgspec.json.decode(good), "passes": []}), "no pass"),
    ):
        report.write_bytes(text)
        with pytest.raises(ReportFileError, match=words):
            read_report(out)
    report.write_bytes(good)
    (out / "fills.parquet").write_bytes(b"PAR1 and nothing else")
    with pytest.raises(ReportFileError, match="is damaged"):
        read_report(out)
    with pytest.raises(ReportFileError, match="cannot be written"):
        write_report(result, report / "below")


def test_the_summary_is_one_flat_object(result: BacktestResult) -> None:
    """The headline's totals, the PnL of every pass, and the model risk between them."""
    told = msgspec.json.decode(msgspec.json.encode(summary(result)))
    assert told["pnl_quote"] == str(result.totals.pnl_quote)
    assert told["failed"] is False
    assert list(told["passes"]) == ["risk_averse", "power:2"]
    low, high = (each.totals.pnl_quote for each in result.passes)
    assert Decimal(told["model_risk_quote"]) == high - low
    alone = msgspec.structs.replace(result, passes=result.passes[:1])
    assert alone.model_risk_quote is None
