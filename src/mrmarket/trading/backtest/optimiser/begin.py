"""From the words of a command line to a plan, and from its best set to parameters."""

from __future__ import annotations

import difflib
from pathlib import Path

import msgspec

from mrmarket.core.errors import InvalidInputError
from mrmarket.trading.backtest.bar_file import is_bar_file
from mrmarket.trading.backtest.completion import checked
from mrmarket.trading.backtest.optimiser.errors import SearchRefusedError
from mrmarket.trading.backtest.optimiser.plan import EarlyStop, Method, Plan
from mrmarket.trading.backtest.optimiser.space import Dimension, parameters_of, parse_space, random_point
from mrmarket.trading.backtest.optimiser.splits import Fold, Walk, walk_forward
from mrmarket.trading.backtest.optimiser.trial import Outcome
from mrmarket.trading.backtest.options import Options, setting_of
from mrmarket.trading.backtest.setting import BacktestSetting, TapeRef, sha256_of
from mrmarket.trading.market.tape import open_tape
from mrmarket.trading.strategy.registry import Registry
from mrmarket.trading.strategy.schema import StrategyParameters


class Search(msgspec.Struct, frozen=True, kw_only=True):
    """How to search, as it was given; the defaults are those of the command."""

    search: tuple[str, ...]
    method: str = "bayesian"
    trials: int = 50
    objective: str = "pnl_per_risk"
    folds: int = 0
    """Of the walk-forward; 0 holds nothing out."""
    anchored: bool = False
    train_share: float = 0.5
    early_stop: str = "off"


def plan_of(options: Options, search: Search, registry: Registry | None = None) -> Plan:
    """A plan in which everything that can be checked before the first run has been.

    Raises:
        SearchRefusedError: a range cannot be read, or the strategy has no such parameter.
        UnknownStrategyError, InvalidInputError, ParametersRefusedError: as `setting_of` and `checked` say.
        TapeError: there is no tape.
    """
    registry = registry or Registry()
    setting = _located(setting_of(options, registry=registry))
    space = parse_space(search.search)
    _check_names(setting, space, registry)
    first = parameters_of(random_point(space, options.seed, 0))
    checked(setting.strategy, {**setting.parameters, **first}, registry)
    walk = Walk.ANCHORED if search.anchored else Walk.ROLLING
    folds = (
        walk_forward(search.folds, walk=walk, train_share=search.train_share, whole=setting.window)
        if search.folds
        else (Fold(setting.window, None),)
    )
    return Plan(
        setting=setting,
        space=space,
        method=Method(search.method),
        trials=search.trials,
        objective=search.objective,
        folds=folds,
        early_stop=EarlyStop(search.early_stop),
        seed=options.seed,
    )


def chosen_parameters(plan: Plan, outcome: Outcome, registry: Registry) -> StrategyParameters:
    """A set as the strategy's checked parameters, with the pair of the tape.

    Raises:
        UnknownStrategyError, ParametersRefusedError: the installed release knows them no longer.
    """
    table = {**plan.setting.parameters, **parameters_of(outcome.point)}
    if plan.setting.symbol:
        table.setdefault("pair", plan.setting.symbol)
    return checked(plan.setting.strategy, table, registry)


def _located(setting: BacktestSetting) -> BacktestSetting:
    """With the tape's absolute path, its hash and its pair: a study goes on from any folder."""
    (tape,) = setting.tapes
    path = Path(tape.path).absolute()
    symbol = setting.symbol
    if path.is_dir():
        raise InvalidInputError("tape", str(path), "one file; strategies on several venues are not tuned yet")
    if not symbol and not is_bar_file(tape.path):
        symbol = open_tape(path).instrument.symbol
    ref = TapeRef(path=str(path), sha256=sha256_of(path))
    return msgspec.structs.replace(setting, tapes=(ref,), symbol=symbol)


def _check_names(setting: BacktestSetting, space: tuple[Dimension, ...], registry: Registry) -> None:
    schema = registry.find(setting.strategy).kind.schema
    known = [field.name for field in msgspec.structs.fields(schema)]
    for name in (name for dimension in space for name in dimension.name.split(",")):
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"see `mrmarket strategy show {setting.strategy}`"
            raise SearchRefusedError("search", name, f"a parameter of {setting.strategy}; {hint}")
