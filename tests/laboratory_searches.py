"""Plans of small studies, and evaluations that need no market."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future
from decimal import Decimal
from pathlib import Path
from typing import Any

from mrmarket.trading.backtest.optimiser.objective import Figures
from mrmarket.trading.backtest.optimiser.plan import EarlyStop, Method, Plan
from mrmarket.trading.backtest.optimiser.space import parse_space
from mrmarket.trading.backtest.optimiser.splits import Fold, walk_forward
from mrmarket.trading.backtest.optimiser.trial import Score
from mrmarket.trading.backtest.setting import RISK_AVERSE, BacktestSetting, TapeRef, Window
from mrmarket.trading.market.tape import TapeWriter, open_tape

TAPE = Path(__file__).parent / "tapes" / "generated.tape.gz"
WHOLE = (Fold(Window(), None),)


def plan_of(
    *search: str,
    method: Method = Method.GRID,
    trials: int = 100,
    folds: tuple[Fold, ...] = WHOLE,
    objective: str = "pnl_quote",
    early_stop: EarlyStop = EarlyStop.OFF,
    parameters: dict[str, Any] | None = None,
    tape: Path = TAPE,
) -> Plan:
    """A study of pure market making on the generated tape."""
    return Plan(
        setting=BacktestSetting(
            tapes=(TapeRef(path=str(tape)),),
            strategy="pure_market_making",
            parameters=parameters or {},
            queue=(RISK_AVERSE,),
            maker_fee=Decimal(0),
        ),
        space=parse_space(search or ("x=0:4", "y=0:2")),
        method=method,
        trials=trials,
        objective=objective,
        folds=folds,
        early_stop=early_stop,
        seed=7,
    )


def hill(setting: BacktestSetting) -> Score:
    """A landscape with its top at x = 3, y = 1; a set of x = 13 fails."""
    x, y = float(setting.parameters["x"]), float(setting.parameters.get("y", 1))
    if x == 13:
        return Score(None, "strategy_raised: thirteen")
    seconds = 100 * (setting.window.end - setting.window.begin)
    return Score(Figures(pnl=10 - (x - 3) ** 2 - (y - 1) ** 2, fills=100, seconds=seconds, capital=1_000.0))


def turning_hill(setting: BacktestSetting) -> Score:
    """As `hill` on the first part of the tape; its mirror image afterwards, so that nothing lasts."""
    score = hill(setting)
    assert score.figures is not None
    if setting.window.begin < 0.5:
        return score
    return Score(Figures(pnl=-score.figures.pnl, fills=100, seconds=1.0, capital=1_000.0))


def slow_hill(setting: BacktestSetting) -> Score:
    """As `hill`, and leaves a mark; from the fourth run on it never ends unless a file lets it."""
    folder = Path(setting.parameters["folder"])
    mark = f"{setting.parameters['x']}-{os.getpid()}-{time.monotonic_ns()}"
    (folder / mark).touch()
    while len(list(folder.glob("*-*-*"))) > 3 and not (folder / "go").exists():
        time.sleep(0.02)
    return hill(setting)


def dying(_setting: BacktestSetting) -> Score:
    """Ends its process, as the kernel does where memory has run out."""
    os._exit(9)


class AtOnce(Executor):
    """Runs everything here and now."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """The result, or the error, in a future that is done."""
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 - a future carries whatever was raised
            future.set_exception(error)
        return future


def short_tape(folder: Path, seconds: int = 12) -> Path:
    """The beginning of the generated tape, for tests that play it several times."""
    tape = open_tape(TAPE)
    path = folder / "short.tape.gz"
    end_ns = next(tape.events()).exchange_ns + seconds * 1_000_000_000
    with TapeWriter(path, tape.instrument) as writer:
        for event in tape.events():
            if event.exchange_ns >= end_ns:
                break
            writer.write(event)
    return path


def two_folds() -> tuple[Fold, ...]:
    """Train on half, report on a quarter, twice."""
    return walk_forward(2)
