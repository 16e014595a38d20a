"""`mrmarket backtest calibrate`: own orders from a file or from an instance's log."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from backtest_stage import wandering, write_tape
from mrmarket.cli.app import run
from mrmarket.cli.exit_codes import ExitCode
from mrmarket.core.events import OrderAccepted, OrderCreated, encode_fact
from mrmarket.core.side import Side
from mrmarket.store.trading_store import TradingStore
from mrmarket.trading.backtest.calibration.fit_file import read_fit
from mrmarket.trading.market.tape import open_tape


@pytest.fixture
def tape(tmp_path: Path) -> str:
    """A small market."""
    return str(write_tape(tmp_path / "t", wandering(4, 250)))


def facts_on(tape: str) -> list[OrderCreated | OrderAccepted]:
    """One order that rested at the first best bid."""
    recorded = open_tape(Path(tape))
    first = next(iter(recorded.events()))
    symbol, price = recorded.instrument.symbol, recorded.instrument.price_text(first.bids[0][0])
    size = recorded.instrument.size_text(1)
    at_ns = first.exchange_ns + 1
    return [
        OrderCreated(
            venue="v",
            at_ns=at_ns,
            symbol=symbol,
            client_order_id="a",
            slot="",
            side=Side.BUY,
            price=price,
            size=size,
        ),
        OrderAccepted(venue="v", at_ns=at_ns, symbol=symbol, client_order_id="a", venue_order_id="1"),
    ]


def test_without_fills_it_says_so_and_writes_the_default(
    tape: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file of facts; what is written can be played, and the report says that it is the default."""
    facts, out = tmp_path / "facts.jsonl", tmp_path / "fit.json"
    facts.write_bytes(b"\n".join(encode_fact(fact) for fact in facts_on(tape)))
    arguments = ["backtest", "calibrate", "--tape", tape, "--facts", str(facts), "--out", str(out)]
    assert run(arguments) == ExitCode.OK
    assert "power:2 (the default)" in capsys.readouterr().out
    found = read_fit(out)
    assert (found.fit.orders, found.fit.is_fitted) == (1, False)
    assert str(found.choice.fitted).startswith("the default: 0 own fills")


def test_own_orders_come_from_the_instances_log(
    tape: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of every run, or of one."""
    folder = tmp_path / "data"
    store = TradingStore.open(folder / "trading.db")
    store.append_facts("run-1", facts_on(tape))
    store.close()
    for options, orders in (([], 1), (["--run", "run-1"], 1), (["--run", "other"], 0)):
        arguments = ["backtest", "calibrate", "--tape", tape, "--data", str(folder), "--json", *options]
        assert run(arguments) == ExitCode.OK
        assert json.loads(capsys.readouterr().out)["fit"]["orders"] == orders


def test_a_folder_without_a_log_is_refused(tape: str, tmp_path: Path) -> None:
    """Nothing is created where nobody has traded."""
    arguments = ["backtest", "calibrate", "--tape", tape, "--data", str(tmp_path / "none")]
    assert run(arguments) == ExitCode.REFUSED
    assert not (tmp_path / "none").exists()
