"""What a backtest refuses, and strategies that raise or hang in the middle of one."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest

from backtest_stage import (
    Still,
    book,
    registry,
    setting,
    trade,
    wandering,
    write_tape,
)
from mrmarket.core.errors import MrMarketError
from mrmarket.trading.backtest.errors import StrategyHungError
from mrmarket.trading.backtest.recording import record
from mrmarket.trading.backtest.runner import prepare, run_backtest
from mrmarket.trading.backtest.setting import TapeRef, Window, sha256_of
from mrmarket.trading.market.tape import open_tape
from mrmarket.trading.strategy.port import MarketView
from mrmarket.trading.venue.simulated.book_arrays import list_column


class Sleeper(Still):
    """Waits for something that does not come, outside of Python."""

    def quotes(self, view: MarketView) -> Any:
        """Wait."""
        time.sleep(60)
        return super().quotes(view)


@pytest.fixture
def tape(tmp_path: Path) -> Path:
    """A small market."""
    return write_tape(tmp_path / "t", wandering(3, 120))


def test_a_strategy_that_raises_fails_its_run_and_keeps_what_it_did(tape: Path) -> None:
    """The result names decision, time and error in one line; totals until then are there."""
    asked = setting(tape, parameters={"raises_at": 5})
    result = run_backtest(asked, registry=registry(), compiled=False)
    assert result.failure is not None
    assert result.failure.code == "strategy_raised"
    assert "still raised ValueError: the moon is full" in result.failure.message
    assert result.failure.decision == 5
    assert result.begin_ns <= result.failure.at_ns < result.end_ns
    assert result.totals.orders_placed == 2
    assert len(result.passes) == 1


def test_a_strategy_that_raises_on_a_fill_fails_its_run(tape: Path) -> None:
    """Not only decisions are watched."""
    asked = setting(tape, parameters={"raises_on_fill": True})
    result = run_backtest(asked, registry=registry(), compiled=False)
    assert result.failure is not None
    assert "KeyError" in result.failure.message
    assert result.totals.trades >= 1


def test_a_decision_without_end_is_ended(tape: Path) -> None:
    """A loop that would take a minute is interrupted after a tenth of a second."""
    asked = setting(tape, parameters={"hangs_at": 2, "hangs_s": 60.0}, decision_limit_s=0.1)
    result = run_backtest(asked, registry=registry(), compiled=False)
    assert result.failure is not None
    assert result.failure.code == "strategy_hung"
    assert "longer than 0.1 s" in result.failure.message


def test_a_decision_that_waits_outside_of_python_is_ended_in_the_main_thread(tape: Path) -> None:
    """A signal interrupts the wait itself."""
    result = run_backtest(setting(tape, decision_limit_s=0.1), registry=registry(Sleeper), compiled=False)
    assert result.failure is not None
    assert result.failure.code == "strategy_hung"


def test_a_decision_without_end_is_ended_in_any_thread(tape: Path) -> None:
    """Workers of a cluster run in threads, where no signal comes."""
    found: list[Any] = []

    def work() -> None:
        asked = setting(tape, parameters={"hangs_at": 2, "hangs_s": 60.0}, decision_limit_s=0.1)
        found.append(run_backtest(asked, registry=registry(), compiled=False))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found[0].failure.code == "strategy_hung"


def test_a_slow_strategy_within_the_limit_goes_on(tape: Path) -> None:
    """Decisions of 0.2 s each pass a limit of 2 s."""
    asked = setting(tape, parameters={"hangs_at": 2, "hangs_s": 0.2}, decision_limit_s=2.0)
    assert run_backtest(asked, registry=registry(), compiled=False).failure is None


def _code(asked: Any, **more: Any) -> tuple[str, str]:
    with pytest.raises(MrMarketError) as caught:
        run_backtest(asked, registry=registry(**more), compiled=False)
    assert "\n" not in str(caught.value)
    return caught.value.code, str(caught.value)


def test_an_unknown_strategy_is_refused_with_the_nearest_name(tape: Path) -> None:
    """Nothing is read before."""
    code, words = _code(setting(Path("nowhere"), "stil"))
    assert (code, "did you mean still?" in words) == ("unknown_strategy", True)


def test_parameters_are_refused_in_one_line(tape: Path) -> None:
    """Unknown with the nearest name, out of range with the range, of a wrong type with the type."""
    code, words = _code(setting(tape, parameters={"bid_tick": 3}))
    assert code == "parameter_refused"
    assert "did you mean bid_ticks?" in words
    code, words = _code(setting(tape, "pure_market_making", parameters={"bid_spread": "3"}))
    assert (code, "0.5" in words) == ("parameter_refused", True)
    code, words = _code(setting(tape, parameters={"lots": "many"}))
    assert (code, "mrmarket strategy show still" in words) == ("parameter_refused", True)


def test_tapes_that_cannot_be_used_are_refused(tmp_path: Path) -> None:
    """Missing, damaged, without updates, without trades, with one side alone."""
    assert _code(setting(tmp_path / "none"))[0] == "tape_not_found"
    (tmp_path / "text").write_text("hello\n")
    assert _code(setting(tmp_path / "text"))[0] == "not_a_tape"
    whole = book(0, [(999, 5)], [(1001, 5)], whole=True)
    alone = write_tape(tmp_path / "alone", [whole, trade(1, 1001, 1, taker_buys=True)])
    code, words = _code(setting(alone))
    assert (code, "updates of the book" in words) == ("tape_channel_missing", True)
    silent = write_tape(tmp_path / "silent", [whole, book(1, [(999, 6)])])
    assert "holds no trades" in _code(setting(silent))[1]
    half = write_tape(
        tmp_path / "half",
        [book(0, [(999, 5)], whole=True), book(1, [(999, 6)]), trade(2, 999, 1, taker_buys=False)],
    )
    assert "both sides" in _code(setting(half))[1]


def test_another_pair_than_the_tapes_is_refused(tape: Path) -> None:
    """With the pair that is there."""
    code, words = _code(setting(tape, parameters={"pair": "ETH/USDT"}))
    assert (code, "holds BTC/USDT" in words) == ("pair_not_on_tape", True)


def test_a_tape_that_is_not_the_pinned_one_is_refused(tape: Path) -> None:
    """By its hash; the right hash passes."""
    good = setting(tape, tapes=(TapeRef(path=str(tape), sha256=sha256_of(tape)),))
    assert run_backtest(good, registry=registry(), compiled=False).failure is None
    assert _code(setting(tape, tapes=(TapeRef(path=str(tape), sha256="00" * 32),)))[0] == "tape_changed"


def test_another_strategy_than_the_pinned_one_is_refused(tape: Path) -> None:
    """The snapshot of a report must be what this release makes."""
    assert _code(setting(tape, snapshot="ab" * 32))[0] == "strategy_changed"


def test_a_window_beside_the_tape_is_refused(tape: Path) -> None:
    """There is nothing to trade in."""
    assert _code(setting(tape, window=Window(begin_ns=5, end_ns=10)))[0] == "empty_window"


def test_one_venues_strategy_on_two_tapes_is_refused(tape: Path) -> None:
    """Nobody would know which is meant."""
    refs = (TapeRef(path=str(tape)), TapeRef(path=str(tape)))
    assert _code(setting(tape, tapes=refs))[0] == "no_driver"


def test_a_failed_run_leaves_others_untouched(tape: Path) -> None:
    """The same setting without the fault gives what it gives without the failed run before it."""
    asked = setting(tape)
    before = run_backtest(asked, registry=registry(), compiled=False)
    run_backtest(setting(tape, parameters={"raises_at": 3}), registry=registry(), compiled=False)
    assert run_backtest(asked, registry=registry(), compiled=False) == before


def test_progress_is_told_to_the_end(tape: Path) -> None:
    """Shares never fall and end at 1."""
    told: list[float] = []
    run_backtest(
        setting(tape),
        registry=registry(),
        compiled=False,
        progress=lambda share, _doing: told.append(share),
    )
    assert told == sorted(told)
    assert told[-1] == 1.0


def test_what_is_prepared_is_not_read_again(tape: Path) -> None:
    """A second look at the same file finds the recording in memory, with its signals."""
    prepare(setting(tape), compiled=False)
    first = run_backtest(setting(tape), registry=registry(), compiled=False)
    assert first == run_backtest(setting(tape), registry=registry(), compiled=False)


def test_a_recording_knows_its_stale_spans(tmp_path: Path) -> None:
    """12 s of silence leave 2 s in which a live run would not quote."""
    path = write_tape(
        tmp_path / "t",
        [
            book(0, [(999, 5)], [(1001, 5)], whole=True),
            trade(1, 1001, 1, taker_buys=True),
            book(12_000, [(999, 6)]),
        ],
    )
    found = record(open_tape(path), list_column)
    ((begin, end),) = found.stale
    assert end - begin == 2_000_000_000


def test_the_error_that_ends_a_thread_has_words_of_its_own() -> None:
    """It is raised without arguments where it interrupts."""
    assert "the strategy" in str(StrategyHungError())
