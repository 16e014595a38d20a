"""`mrmarket loyalty compute`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from mrmarket.cli.exit_codes import ExitCode
from mrmarket.cli.options import Json
from mrmarket.cli.output import notes, print_json, print_pairs, print_table

if TYPE_CHECKING:
    from collections.abc import Callable

    from mrmarket.money.loyalty.outcome import Outcome

Model = Literal["twal", "threshold", "hybrid", "last_balance"]

app = typer.Typer(help="Rewards for liquidity that stays.", no_args_is_help=True)


@app.command()
def compute(
    *,
    events: Annotated[Path, typer.Option("--events", help="Liquidity events: JSON, or a Parquet table.")],
    prices: Annotated[Path, typer.Option("--prices", help="USD prices by token: JSON.")],
    start: Annotated[str, typer.Option("--start", help="First day, such as 2024-09-09 (UTC).")],
    end: Annotated[str, typer.Option("--end", help="Day whose 00:00 UTC ends the programme.")],
    total: Annotated[str, typer.Option("--total", help="What is shared out, such as 50000.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for the results; new, or of an earlier run.")],
    model: Annotated[Model, typer.Option("--model", help="How loyalty is weighed.")] = "twal",
    as_of: Annotated[
        str | None, typer.Option("--as-of", help="Ignore what comes later; the total is still paid in full.")
    ] = None,
    min_usd: Annotated[
        str, typer.Option("--min-usd", help="From this value on a position counts as held.")
    ] = "1",
    decimals: Annotated[
        int, typer.Option("--decimals", min=0, max=18, help="Digits of the reward after the point.")
    ] = 8,
    fill_holes: Annotated[
        bool, typer.Option("--fill-holes", help="Where a day has no price take the nearest in time.")
    ] = False,
    duplicates: Annotated[
        Literal["refuse", "drop"], typer.Option("--duplicates", help="What to do with copies of events.")
    ] = "refuse",
    state: Annotated[
        Path | None,
        typer.Option("--state", help="Continue from this file and keep the new state in it.", metavar="FILE"),
    ] = None,
    json: Json = False,
) -> int:
    """Share a total out among liquidity providers, by what they held and for how long.

    Writes balances.csv, daily_usd.csv, rewards.csv, providers.json, program_state.json and report.html,
    all of them or none.
    """
    from mrmarket.core.decimals import parse_units
    from mrmarket.money.loyalty.checkpoint import save
    from mrmarket.money.loyalty.computation import Request, compute
    from mrmarket.money.loyalty.documents import refuse_strangers, write
    from mrmarket.money.loyalty.programme import Programme, date_ms, moment_ms

    programme = Programme(
        start_ms=date_ms(start, "start"),
        end_ms=date_ms(end, "end"),
        total_units=parse_units(total, decimals, field="total"),
        decimals=decimals,
        as_of_ms=None if as_of is None else moment_ms(as_of, "as-of"),
        min_micro_usd=parse_units(min_usd, 6, field="min-usd"),
    )
    request = Request(events, prices, programme, model, fill_holes, duplicates == "drop", state)
    refuse_strangers(out)
    computed = compute(request, progress())
    write(computed.outcome, out)
    if computed.state is not None and state is not None:
        save(computed.state, state)
    if json:
        print_json(_summary(computed.outcome, out))
    else:
        _print(computed.outcome, out)
    return ExitCode.OK


def progress() -> Callable[[str, int, int], None] | None:
    """A line that counts, for people who wait at a terminal."""
    if not sys.stderr.isatty():
        return None

    def show(what: str, done: int, whole: int) -> None:
        if done == whole or done % 1_000 == 0:
            notes.print(f"{what}: {done:,} of {whole:,}", end="\n" if done == whole else "\r")

    return show


def _summary(outcome: Outcome, out: Path) -> dict[str, object]:
    """What a script wants to know; everything else is in the files."""
    from mrmarket.core.decimals import format_units
    from mrmarket.money.loyalty.documents import FILES
    from mrmarket.money.loyalty.prices import written_day, written_time

    programme = outcome.programme
    paid = [reward.units for reward in outcome.rewards]
    return {
        "model": outcome.model,
        "start": written_day(programme.start_ms),
        "end": written_day(programme.end_ms),
        "as_of": None if programme.as_of_ms is None else written_time(programme.as_of_ms),
        "total": format_units(programme.total_units, programme.decimals),
        "paid": format_units(sum(paid), programme.decimals),
        "providers": len(paid),
        "rewarded": sum(units > 0 for units in paid),
        "events": outcome.events,
        "remarks": [
            {"code": remark.code, "count": remark.count, "sentence": remark.sentence}
            for remark in outcome.remarks
        ],
        "out": str(out),
        "files": list(FILES),
    }


def _print(outcome: Outcome, out: Path) -> None:
    """For people: the sum, the largest rewards, what was found, and where the rest is."""
    from mrmarket.core.decimals import format_units

    programme = outcome.programme
    facts = _summary(outcome, out)
    largest = sorted(outcome.rewards, key=lambda reward: (-reward.units, reward.provider))[:10]
    print_pairs(
        f"Loyalty rewards by {outcome.model}",
        [
            ("paid", f"{facts['paid']} of {facts['total']}"),
            ("providers", f"{facts['providers']}, {facts['rewarded']} with a reward"),
            ("events", str(outcome.events)),
            *((remark.code, f"{remark.count} {remark.sentence}") for remark in outcome.remarks),
            ("written to", str(out)),
        ],
    )
    print_table(
        ["provider", "tier", "reward"],
        [
            [reward.provider, str(reward.rating.tier), format_units(reward.units, programme.decimals)]
            for reward in largest
        ],
    )
