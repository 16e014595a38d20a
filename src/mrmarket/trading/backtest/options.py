"""A setting from the words of a command line."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Final

import msgspec

from mrmarket.core.errors import InvalidInputError
from mrmarket.trading.backtest.calibration.fit_file import read_fit
from mrmarket.trading.backtest.latency import parse_latency
from mrmarket.trading.backtest.setting import (
    BOTH,
    BacktestSetting,
    QueueChoice,
    TapeRef,
    Window,
    duration_ns,
)
from mrmarket.trading.strategy.registry import Registry

_PAIR: Final = 2


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """The words as they were given; the defaults are those of the command."""

    tapes: tuple[str, ...] = ()
    strategy: str = ""
    template: str = ""
    assignments: tuple[str, ...] = ()
    """`NAME=VALUE` each."""
    symbol: str = ""
    latency: str = "5ms"
    queue: str = "both"
    fees: str | None = None
    balance: str | None = None
    window: str = "0:1"
    decide_every: str = "100ms"
    decision_limit_s: float = 10.0
    seed: int = 1


_REPEATED: Final = ("tapes", "strategy", "decision_limit_s")
"""May be given beside a report: where the tape lies now, the name once more, and how patient to be."""


def setting_of(
    options: Options, repeat: BacktestSetting | None = None, registry: Registry | None = None
) -> BacktestSetting:
    """The setting that the words ask for, or a report's with its tapes where they lie now.

    Raises:
        InvalidInputError: a word cannot be understood, or something needed is missing.
        UnknownStrategyError, UnknownTemplateError, PluginRefusedError: as they say.
    """
    if repeat is not None:
        return _repeated(options, repeat)
    if not options.tapes:
        raise InvalidInputError("tape", "", "at least one --tape FILE")
    if not options.strategy:
        raise InvalidInputError("strategy", "", "--strategy NAME; `mrmarket strategy list` shows them")
    registry = registry or Registry()
    kind = registry.find(options.strategy).kind
    maker, taker = parse_fees(options.fees)
    base, quote = parse_balance(options.balance)
    return BacktestSetting(
        tapes=tuple(TapeRef(path=path) for path in options.tapes),
        strategy=options.strategy,
        parameters={
            **registry.template(kind, options.template),
            **dict(parse_assignment(text) for text in options.assignments),
        },
        symbol=options.symbol,
        latency=parse_latency(options.latency),
        queue=parse_queue(options.queue),
        maker_fee=maker,
        taker_fee=taker,
        base=base,
        quote=quote,
        decide_every_ns=duration_ns(options.decide_every, "decide-every"),
        window=parse_window(options.window),
        decision_limit_s=options.decision_limit_s,
        seed=options.seed,
    )


def parse_assignment(text: str) -> tuple[str, Any]:
    """`name=value`; a value that begins as JSON lists, objects or null does is read as JSON."""
    name, sign, value = text.partition("=")
    if not sign or not name.strip():
        raise InvalidInputError("set", text, "NAME=VALUE, such as bid_spread=0.0005")
    value = value.strip()
    if value == "null" or value[:1] in {"[", "{"}:
        try:
            return name.strip(), msgspec.json.decode(value)
        except msgspec.DecodeError as error:
            raise InvalidInputError("set", text, "valid JSON after the =") from error
    return name.strip(), value


def parse_queue(text: str) -> tuple[QueueChoice, ...]:
    """`both`, or models with commas between: `risk_averse`, `power:2`, `log`, `calibrated:FILE`.

    Raises:
        InvalidInputError: a word is none of these, or the file holds no fit.
    """
    if text == "both":
        return BOTH
    found = []
    for word in text.split(","):
        name, sign, exponent = word.partition(":")
        if name == "calibrated" and exponent:
            found.append(read_fit(Path(exponent)).choice)
            continue
        table: dict[str, Any] = {"model": name}
        if sign:
            table["exponent"] = exponent
        try:
            choice = msgspec.convert(table, QueueChoice, strict=False)
        except msgspec.ValidationError as error:
            raise InvalidInputError(
                "queue", word, "both, risk_averse, power:2, log or calibrated:FILE"
            ) from error
        if sign and name != "power":
            raise InvalidInputError("queue", word, "an exponent for `power` alone")
        found.append(choice)
    return tuple(found)


def parse_fees(text: str | None) -> tuple[Decimal | None, Decimal | None]:
    """One fraction for both, or `maker,taker`; None leaves them to the tape."""
    if text is None:
        return None, None
    words = text.split(",")
    if len(words) > _PAIR:
        raise InvalidInputError("fees", text, "one fraction, or maker,taker")
    numbers = [_number("fees", word, "a fraction of the notional, such as 0.001") for word in words]
    return numbers[0], numbers[-1]


def parse_balance(text: str | None) -> tuple[Decimal | None, Decimal | None]:
    """`base=1,quote=60000`, in any order; one alone leaves the other at its default."""
    if text is None:
        return None, None
    wanted = "base=AMOUNT,quote=AMOUNT"
    held: dict[str, Decimal] = {}
    for word in text.split(","):
        name, sign, amount = word.partition("=")
        name = name.strip()
        if not sign or name not in {"base", "quote"} or name in held:
            raise InvalidInputError("balance", text, wanted)
        held[name] = _number("balance", amount, wanted)
    return held.get("base"), held.get("quote")


def parse_window(text: str) -> Window:
    """`0.6:1` as shares of the tape's time; numbers above 1 are nanoseconds of exchange time."""
    words = text.split(":")
    wanted = "BEGIN:END as shares of the tape's time, such as 0.6:1"
    if len(words) != _PAIR:
        raise InvalidInputError("window", text, wanted)
    begin, end = (
        _number("window", word or default, wanted) for word, default in zip(words, "01", strict=True)
    )
    if begin < 0 or end < 0:
        raise InvalidInputError("window", text, wanted)
    if end > 1:
        return Window(begin_ns=int(begin), end_ns=int(end))
    return Window(begin=float(begin), end=float(end))


def _repeated(options: Options, repeat: BacktestSetting) -> BacktestSetting:
    plain = Options()
    for name in Options.__struct_fields__:
        if name not in _REPEATED and getattr(options, name) != getattr(plain, name):
            raise InvalidInputError(name, getattr(options, name), "no other setting beside --from")
    if options.strategy not in {"", repeat.strategy}:
        raise InvalidInputError("strategy", options.strategy, f"{repeat.strategy}, which the report names")
    if not options.tapes:
        return repeat
    if len(options.tapes) != len(repeat.tapes):
        raise InvalidInputError("tape", len(options.tapes), f"{len(repeat.tapes)} tapes, as the report has")
    tapes = tuple(
        TapeRef(path=str(Path(path)), sha256=tape.sha256)
        for path, tape in zip(options.tapes, repeat.tapes, strict=True)
    )
    return msgspec.structs.replace(repeat, tapes=tapes)


def _number(field: str, text: str, wanted: str) -> Decimal:
    try:
        number = Decimal(text.strip())
    except InvalidOperation as error:
        raise InvalidInputError(field, text, wanted) from error
    if not number.is_finite():
        raise InvalidInputError(field, text, wanted)
    return number
