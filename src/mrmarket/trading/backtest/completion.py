"""What a setting leaves open, decided: parameters with the tape's pair, snapshot, fees, balances."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import ROUND_DOWN, Decimal
from pathlib import Path
from typing import Any, Final

import msgspec

from mrmarket.core.instrument import Instrument
from mrmarket.trading.backtest.errors import (
    PairMismatchError,
    ParametersRefusedError,
    StrategyChangedError,
)
from mrmarket.trading.backtest.setting import BacktestSetting, TapeRef
from mrmarket.trading.strategy.registry import Registry
from mrmarket.trading.strategy.schema import ParameterRefusedError, StrategyParameters

DEFAULT_BASE: Final = Decimal(10)


def checked(strategy: str, table: Mapping[str, Any], registry: Registry) -> StrategyParameters:
    """Parameters from a table, in one line where they are refused.

    Raises:
        ParameterRefusedError, ParametersRefusedError: one is out of its range, or unknown.
    """
    try:
        return registry.parameters(strategy, table)
    except msgspec.ValidationError as refused:
        if isinstance(refused.__cause__, ParameterRefusedError):
            raise refused.__cause__ from refused
        known = registry.find(strategy).kind.schema.__struct_fields__
        raise ParametersRefusedError(strategy, str(refused), known) from refused


def parameters_of(
    setting: BacktestSetting, registry: Registry, symbols: Sequence[str]
) -> tuple[StrategyParameters, str]:
    """The checked parameters with the tape's pair, and the snapshot's id.

    Raises:
        PairMismatchError: the pair is not on the tape.
        ParameterRefusedError, ParametersRefusedError: a parameter is out of its range, or unknown.
        StrategyChangedError: the setting pins another snapshot.
    """
    table: dict[str, Any] = dict(setting.parameters)
    wanted = table.get("pair", setting.symbol or (symbols[0] if len(symbols) == 1 else ""))
    if wanted not in symbols:
        raise PairMismatchError(Path(setting.tapes[0].path), wanted, symbols)
    parameters = checked(setting.strategy, {**table, "pair": wanted}, registry)
    snapshot = registry.snapshot(parameters).id
    if setting.snapshot and setting.snapshot != snapshot:
        raise StrategyChangedError(setting.strategy, setting.snapshot, snapshot)
    return parameters, snapshot


def balances(setting: BacktestSetting, mid: Decimal) -> tuple[Decimal, Decimal]:
    """Base and quote at the start; what the setting leaves open is worth as much as the other."""
    base, quote = setting.base, setting.quote
    if base is None and quote is None:
        base = DEFAULT_BASE
    if quote is None:
        assert base is not None  # noqa: S101 - one of both is known by now
        quote = (base * mid).quantize(Decimal("0.01"), ROUND_DOWN)
    return Decimal(0) if base is None else base, quote


def completed(
    setting: BacktestSetting,
    ref: TapeRef,
    parameters: StrategyParameters,
    snapshot: str,
    fees: tuple[Decimal, Decimal],
    held: tuple[Decimal, Decimal],
) -> BacktestSetting:
    """The setting with everything filled in: it repeats the run wherever the tape lies."""
    # Through JSON, so that it equals what is read back from a report.
    plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(parameters))
    plain.pop("kind", None)
    return msgspec.structs.replace(
        setting,
        tapes=(ref,),
        parameters=plain,
        snapshot=snapshot,
        symbol=parameters.pair,
        maker_fee=fees[0],
        taker_fee=fees[1],
        base=held[0],
        quote=held[1],
    )


def with_fees(instrument: Instrument, setting: BacktestSetting) -> Instrument:
    """The instrument with the setting's fees where it names some."""
    maker = instrument.maker_fee if setting.maker_fee is None else setting.maker_fee
    taker = instrument.taker_fee if setting.taker_fee is None else setting.taker_fee
    return replace(instrument, maker_fee=maker, taker_fee=taker)
