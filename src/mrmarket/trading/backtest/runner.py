"""One backtest from a setting to a result: synchronous, picklable, the same in any process."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from functools import lru_cache
from typing import Final

from mrmarket import __version__
from mrmarket.trading.backtest import assumptions
from mrmarket.trading.backtest.bar_file import is_bar_file, load_bars
from mrmarket.trading.backtest.bar_run import run_bars
from mrmarket.trading.backtest.carry_run import run_carry
from mrmarket.trading.backtest.completion import balances, completed, parameters_of, with_fees
from mrmarket.trading.backtest.cross_venue import run_cross
from mrmarket.trading.backtest.errors import DriverMissingError, EmptyWindowError
from mrmarket.trading.backtest.latency import delays
from mrmarket.trading.backtest.recording import load_recording
from mrmarket.trading.backtest.result import BacktestResult, Failure, Pass
from mrmarket.trading.backtest.setting import BacktestSetting, QueueChoice, TapeRef
from mrmarket.trading.backtest.signals import signals_of
from mrmarket.trading.backtest.tally import Tally, samples
from mrmarket.trading.backtest.tick_driver import TickDriver, TickPlan
from mrmarket.trading.backtest.triangle_venue import run_triangle
from mrmarket.trading.strategy.estimates import wanted_by
from mrmarket.trading.strategy.kind import Form
from mrmarket.trading.strategy.registry import Registry
from mrmarket.trading.venue.simulated.book_arrays import QueueModel
from mrmarket.trading.venue.simulated.compiled import Kernel, load_kernel

Progress = Callable[[float, str], None]
"""Told how much is done (0 to 1), and what is being done."""

_MODELS: Final = {
    "risk_averse": QueueModel.RISK_AVERSE,
    "power": QueueModel.POWER,
    "log": QueueModel.LOGARITHM,
}


def run_backtest(
    setting: BacktestSetting,
    *,
    registry: Registry | None = None,
    progress: Progress | None = None,
    compiled: bool | None = None,
) -> BacktestResult:
    """Run one setting.

    A strategy that raises or hangs does not raise here: its result says `failure` and what it did before.

    Args:
        setting: what to run; what it leaves open is decided here and filled in in the result's setting.
        registry: where strategies are found; the installed ones by default.
        progress: told now and then.
        compiled: whether the kernel runs compiled; None where numba is installed. The results are equal.

    Raises:
        UnknownStrategyError, PluginRefusedError: there is no such strategy.
        ParameterRefusedError, ParametersRefusedError: a parameter is out of its range, or unknown.
        TapeError, BacktestError: the tape cannot be used, as they say.
    """
    tell = progress or _silent
    registry = registry or Registry()
    kind = registry.find(setting.strategy).kind
    if kind.form is Form.TRIANGLE:
        return run_triangle(setting, registry, tell)
    if kind.form is Form.CARRY:
        return run_carry(setting, registry, tell)
    if kind.venues > 1:
        return run_cross(setting, registry, tell)
    if len(setting.tapes) != 1:
        raise DriverMissingError(setting.strategy, len(setting.tapes))
    if is_bar_file(setting.tapes[0].path):
        return run_bars(setting, registry, tell)
    return _run_ticks(setting, registry, tell, compiled=compiled)


def prepare(setting: BacktestSetting, *, compiled: bool | None = None) -> None:
    """Read the setting's tape and load the kernel now, so that runs (and forked workers) find them."""
    if is_bar_file(setting.tapes[0].path):
        load_bars(setting.tapes[0], setting.symbol)
        return
    load_recording(setting.tapes[0], kernel_of(compiled=compiled))


def kernel_of(*, compiled: bool | None = None) -> Kernel:
    """The kernel of this process: compiled where numba is installed, unless told otherwise."""
    return _kernel(has_compiler() if compiled is None else compiled)


def has_compiler() -> bool:
    """Whether numba is installed."""
    return importlib.util.find_spec("numba") is not None


@lru_cache(maxsize=2)  # one for each form: loading the compiled one takes a second
def _kernel(compiled: bool) -> Kernel:
    return load_kernel(compiled=compiled)


def _run_ticks(
    setting: BacktestSetting, registry: Registry, tell: Progress, *, compiled: bool | None
) -> BacktestResult:
    tell(0.0, "loading the kernel (compiled once, which takes some seconds)")
    kernel = kernel_of(compiled=compiled)
    tell(0.0, "reading the tape")
    found = load_recording(setting.tapes[0], kernel)
    parameters, snapshot = parameters_of(setting, registry, [found.instrument.symbol])
    instrument = with_fees(found.instrument, setting)
    recording = replace(found, instrument=instrument)
    begin_ns, end_ns = setting.window.bounds_ns(found.first_ns, found.last_ns)
    begin_ns, end_ns = max(begin_ns, found.first_ns), min(end_ns, found.last_ns + 1)
    if begin_ns >= end_ns:
        raise EmptyWindowError(found.path, "no time of the tape")
    mid = found.mids.at(begin_ns) * instrument.tick_size / 2
    held = balances(setting, mid)
    ref = TapeRef(path=setting.tapes[0].path, sha256=found.sha256)
    fees = (instrument.maker_fee, instrument.taker_fee)
    full = completed(setting, ref, parameters, snapshot, fees, held)
    tell(0.0, "measuring the market")
    signals = signals_of(found, wanted_by(registry.make(parameters)))
    passes: list[Pass] = []
    failure: Failure | None = None
    for number, choice in enumerate(setting.queue):

        def told(share: float, *, number: int = number, label: str = choice.label) -> None:
            tell((number + share) / len(setting.queue), f"playing ({label})")

        driver = TickDriver(
            recording,
            signals,
            registry.make(parameters),
            kernel,
            delays(setting.latency, setting.seed),
            _plan(full, choice, begin_ns, end_ns),
            told,
        )
        outcome = driver.run()
        tally = Tally(instrument, recording.mids, begin_ns, end_ns)
        points = tally.points(outcome.trades, samples(begin_ns, end_ns, setting.sample_ns))
        passes.append(
            Pass(
                queue=choice.label,
                totals=tally.totals(outcome.trades, points, outcome.counts),
                decisions=outcome.decisions,
                markouts=tally.markouts(outcome.trades),
                curve=tally.curve(points),
                fills=tally.fills(outcome.trades),
            )
        )
        failure = outcome.failure
        if failure is not None:
            break
    tell(1.0, "done")
    return BacktestResult(
        setting=full,
        digest=full.digest,
        kind="ticks",
        instrument=instrument,
        begin_ns=begin_ns,
        end_ns=end_ns,
        rows=len(recording.rows.code),
        passes=passes,
        assumptions=assumptions.of_ticks(full, instrument),
        failure=failure,
        made_by=__version__,
    )


def _plan(full: BacktestSetting, choice: QueueChoice, begin_ns: int, end_ns: int) -> TickPlan:
    return TickPlan(
        begin_ns=begin_ns,
        end_ns=end_ns,
        base=full.base or Decimal(0),
        quote=full.quote or Decimal(0),
        maker_fee=full.maker_fee or Decimal(0),
        taker_fee=full.taker_fee or Decimal(0),
        feed_ns=full.latency.feed_ns,
        decide_every_ns=full.decide_every_ns,
        tick_ns=full.tick_ns,
        decision_limit_s=full.decision_limit_s,
        queue=_MODELS[choice.model],
        exponent_milli=round(choice.exponent * 1_000),
    )


def _silent(_share: float, _doing: str) -> None:
    """Tell nobody."""
