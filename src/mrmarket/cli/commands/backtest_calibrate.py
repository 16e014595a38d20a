"""`mrmarket backtest calibrate`: the queue model's exponent from own fills."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from mrmarket.cli.exit_codes import ExitCode
from mrmarket.cli.options import DEFAULT_DATA, IN_FOLDER, Data, Json, Store
from mrmarket.cli.output import notes, print_json, print_pairs
from mrmarket.cli.progress import progress_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mrmarket.core.events import Fact
    from mrmarket.store.trading_port import TradingLog

_PAGE = 2_000


def calibrate(
    *,
    tape: Annotated[
        Path, typer.Option("--tape", help="Tick recording of the market while own orders stood in it.")
    ],
    facts: Annotated[
        Path | None,
        typer.Option("--facts", help="Own orders as facts, JSON Lines; an instance's if left out."),
    ] = None,
    run: Annotated[str, typer.Option("--run", help="Orders of this run alone; all runs if left out.")] = "",
    data: Data = DEFAULT_DATA,
    store: Store = IN_FOLDER,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Write the fit, for `backtest run --queue calibrated:FILE`."),
    ] = None,
    json: Json = False,
) -> int:
    """Fit the queue model's exponent to own fills. With too few it says so and keeps the default."""
    from mrmarket.trading.backtest.calibration.fit_file import FitFile, write_fit
    from mrmarket.trading.backtest.calibration.own_orders import orders_of, read_facts
    from mrmarket.trading.backtest.calibration.queue_fit import fit_queue
    from mrmarket.trading.backtest.setting import sha256_of
    from mrmarket.trading.market.tape import open_tape

    recorded = open_tape(tape)
    told = read_facts(facts) if facts is not None else _facts_of(data, store, run)
    with progress_line() as tell:
        fit = fit_queue(recorded.events, orders_of(told, recorded.instrument), tell)
    found = FitFile(symbol=recorded.instrument.symbol, tape=tape.name, tape_sha256=sha256_of(tape), fit=fit)
    if out is not None:
        write_fit(out, found)
    if json:
        print_json(msgspec.to_builtins(found))
        return ExitCode.OK
    print_pairs(
        f"{found.symbol} on {found.tape}",
        [
            ("queue model", found.choice.label + ("" if fit.is_fitted else " (the default)")),
            ("because", fit.detail),
            ("own orders", f"{fit.orders}"),
            ("takers at their prices", f"{fit.takers}"),
            ("of these came through", f"{fit.fills}"),
        ],
    )
    if out is not None:
        notes.print(f"wrote {out}", markup=False)
    return ExitCode.OK


def _facts_of(data: Path, store: str, run: str) -> list[Fact]:
    """Everything that an instance's runs have told, run by run."""
    from mrmarket.core.errors import InvalidInputError
    from mrmarket.services.store_address import StoreAddress
    from mrmarket.store.migration import TRADING_SCHEMA

    address = StoreAddress(data, store)
    if not address.is_postgres and not (data / f"{TRADING_SCHEMA.name}.db").is_file():
        raise InvalidInputError("data", str(data), "the folder of an instance that has traded, or --facts")
    log = address.open_trading()
    try:
        names = [run] if run else log.streams()
        return [fact for name in names for fact in _stream(log, name)]
    finally:
        log.close()


def _stream(log: TradingLog, name: str) -> Iterator[Fact]:
    after = 0
    while rows := log.read_facts(name, after, _PAGE):
        yield from (row.fact for row in rows)
        after = rows[-1].seq
