"""`mrmarket tape info` and `mrmarket tape triangle`."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from mrmarket.cli.exit_codes import ExitCode
from mrmarket.cli.options import Json
from mrmarket.cli.output import print_error, print_json, print_pairs

if TYPE_CHECKING:
    from mrmarket.trading.market.tape_info import TapeInfo

_LINES_SHOWN: Final = 5

app = typer.Typer(help="Look into recordings, and make some.", no_args_is_help=True)


@app.command()
def info(
    file: Annotated[
        Path, typer.Argument(help="A recording: raw Binance frames or a tape of ours, gzipped or not.")
    ],
    *,
    json: Json = False,
) -> int:
    """Say what a recording holds, and check it to the last line. Exit status 1 if it cannot be played."""
    from mrmarket.trading.market.tape_info import describe

    facts = describe(file)
    if json:
        print_json(facts)
    else:
        print_pairs(str(file), _rows(facts))
    if facts.playable:
        return ExitCode.OK
    message = f"{file}: updates are missing {_lines(facts.gap_lines)}; record it again"
    print_error("tape_gap", message, as_json=False)
    return ExitCode.CHECK_FAILED


@app.command()
def triangle(
    folder: Annotated[Path, typer.Argument(help="Where three tapes are written; made if it is not there.")],
    *,
    seconds: Annotated[float, typer.Option(min=1, max=86_400, help="How long they are.")] = 300.0,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of everything random.")] = 7,
    stray: Annotated[
        float, typer.Option(help="How far ETH/BTC leaves what the others make of it, in basis points.")
    ] = 0.0,
    every: Annotated[float, typer.Option(min=0.1, help="Seconds from one straying to the next.")] = 20.0,
    lasts: Annotated[float, typer.Option(min=0.1, help="Seconds that each lasts.")] = 2.0,
    json: Json = False,
) -> int:
    """Make tapes of BTC/USDT, ETH/USDT and ETH/BTC of one venue and one time, to try triangles on."""
    from mrmarket.trading.market.triangle_tapes import Straying, write_triangle

    straying = Straying(bps=stray, every_s=every, lasts_s=lasts)
    files = [str(file) for file in write_triangle(folder, seconds, seed=seed, straying=straying)]
    if json:
        print_json({"files": files})
    else:
        print_pairs(str(folder), [("wrote", file) for file in files])
    return ExitCode.OK


def _rows(facts: TapeInfo) -> list[tuple[str, str]]:
    """For people: what, when, how much."""
    instrument = facts.instrument
    begin, end = (
        f"{datetime.fromtimestamp(ns // 10**9, UTC):%Y-%m-%d %H:%M:%S}"
        for ns in (facts.first_ns, facts.last_ns)
    )
    return [
        ("pair", f"{instrument.symbol}, in steps of {instrument.tick_size:f} and {instrument.lot_size:f}"),
        ("format", facts.format),
        ("time", f"{begin} to {end} UTC, {facts.span_s:.0f} s"),
        ("events", ", ".join(f"{count} {kind}" for kind, count in facts.events.items())),
        ("lines", f"{facts.lines}, {facts.levels} price levels"),
        ("trades", f"{facts.lowest_trade} to {facts.highest_trade}, {facts.volume_base} {instrument.base}"),
        ("last prices", f"{facts.final_bid} to {facts.final_ask}"),
        ("updates missing", _lines(facts.gap_lines)),
        ("book crossed", _lines(facts.crossed_lines)),
    ]


def _lines(numbers: list[int]) -> str:
    shown = ", ".join(map(str, numbers[:_LINES_SHOWN])) + (", …" if numbers[_LINES_SHOWN:] else "")
    return f"at line {shown}" if numbers else "nowhere"
