"""The compiled kernel gives what the uncompiled one gives."""

from __future__ import annotations

import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest

from exchange_world import everything, trade_along
from mrmarket.trading.market.event import EventKind
from mrmarket.trading.market.tape import Tape, open_tape
from mrmarket.trading.venue.simulated.book_arrays import QueueModel, new_market
from mrmarket.trading.venue.simulated.compiled import CompilerMissingError, load_kernel
from mrmarket.trading.venue.simulated.kernel import LIMIT, MARKET, POST_ONLY
from mrmarket.trading.venue.simulated.session import (
    CANCEL,
    PLACE,
    Reports,
    Rows,
    new_reports,
    new_requests,
    to_rows,
)
from shared_data import SHARED, needs_shared

pytestmark = pytest.mark.compiled

GENERATED = Path(__file__).resolve().parents[3] / "tapes" / "generated.tape.gz"


def quote_session(
    tape: Tape, limit: int, model: QueueModel, *, compiled: bool
) -> tuple[list[list[int]], int]:
    """Play a tape against a quoter that replaces both quotes at every tenth row's price, with latency."""
    kernel = load_kernel(compiled=compiled)
    market = new_market(kernel.column, model=model, exponent_milli=2_500)
    rows: Rows = to_rows(islice(tape.events(), limit), kernel.column)
    requests, reports = new_requests(kernel.column), new_reports(market, kernel.column)
    tops = [event for event in islice(tape.events(), limit) if event.kind is EventKind.TOP]
    live: list[tuple[bool, int, int]] = []
    number = 0
    row = 0
    for top in tops[::10]:
        due_ns = top.exchange_ns + 2_000_000
        for buys, price_ticks, order_id in live:
            kernel.schedule(requests, due_ns, CANCEL, LIMIT, buys, price_ticks, 0, order_id)
        live.clear()
        for buys, levels in ((True, top.bids), (False, top.asks)):
            number += 1
            kernel.schedule(requests, due_ns, PLACE, POST_ONLY, buys, levels[0][0], 2_000, number)
            live.append((buys, levels[0][0], number))
        if number % 40 == 0:
            kernel.schedule(requests, due_ns, PLACE, MARKET, number % 80 == 0, 0, 30_000, 1_000_000 + number)
        stop = row
        while stop < len(rows.code) and rows.at_ns[stop] < top.exchange_ns:
            stop += 1
        assert kernel.play(market, rows, row, stop, requests, reports, 1_000_000) == stop
        row = stop
    written = int(reports.rows[0])
    columns = [[int(value) for value in getattr(reports, name)[:written]] for name in Reports._fields[:7]]
    return columns, number


@pytest.mark.parametrize("model", list(QueueModel))
def test_both_forms_report_the_same_on_the_generated_tape(model: QueueModel) -> None:
    """Acks, fills, cancels and rejections with their times, orders, prices and lots."""
    pytest.importorskip("numba", reason="needs the extra `lab`")
    tape = open_tape(GENERATED)
    plain, orders = quote_session(tape, 4_000, model, compiled=False)
    compiled, _ = quote_session(tape, 4_000, model, compiled=True)
    assert plain == compiled
    assert orders > 100
    assert set(plain[2]) >= {0, 1, 2}


@needs_shared
def test_both_forms_report_the_same_on_a_recorded_tape() -> None:
    """The same on Binance's spot tape."""
    pytest.importorskip("numba", reason="needs the extra `lab`")
    tape = open_tape(SHARED / "market" / "binance_raw_20240808" / "spot_btcusdt_20240808.gz")
    plain, _ = quote_session(tape, 6_000, QueueModel.POWER, compiled=False)
    compiled, _ = quote_session(tape, 6_000, QueueModel.POWER, compiled=True)
    assert plain == compiled


def test_compiled_and_uncompiled_exchanges_agree_on_a_tape() -> None:
    """Equal orders, fills, balances, prints and books, event for event the same kernel."""
    pytest.importorskip("numba", reason="needs the extra `lab`")
    tape = open_tape(GENERATED)
    symbol = tape.instrument.symbol
    plain = everything(trade_along(tape, 3_000), symbol)
    compiled = everything(trade_along(tape, 3_000, compiled=True), symbol)
    assert plain == compiled
    assert repr(plain) == repr(compiled)


def test_without_numba_the_compiled_form_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """One sentence, no traceback of an import."""
    monkeypatch.setitem(sys.modules, "numba", None)
    with pytest.raises(CompilerMissingError, match=r"install mrmarket\[lab\]"):
        load_kernel(compiled=True)


def test_the_uncompiled_exchange_imports_no_compiler() -> None:
    """170 MB stay where they are until somebody asks for them."""
    script = (
        "import sys; from mrmarket.trading.venue.simulated.exchange import SimulatedExchange;"
        "SimulatedExchange(); print(sorted({'numba', 'numpy'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"
