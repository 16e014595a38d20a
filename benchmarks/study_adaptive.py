"""Adaptive quoting against fixed spreads on segments that neither was tuned on, after fees.

    .venv/bin/python benchmarks/study_adaptive.py [--json] [--fee F] [--sets N] [--jobs J] [FILE …]

Each strategy gets the same number of random parameter sets. A set is run on the training window of every
tape; the one with the highest PnL per unit of inventory risk, all tapes pooled, is run on the window after
it. Orders are worth about 600 quote each on every tape, and the account is worth twenty of them, half in
base. It takes a quarter of an hour, so it is none of the benchmarks that `make bench` runs.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import msgspec

from mrmarket.trading.backtest.optimiser.evaluation import evaluate
from mrmarket.trading.backtest.optimiser.objective import Figures, pooled, score_of
from mrmarket.trading.backtest.optimiser.pool import Pool, local_pool
from mrmarket.trading.backtest.optimiser.space import Point, parameters_of, parse_space, random_point, written
from mrmarket.trading.backtest.optimiser.splits import Fold, walk_forward
from mrmarket.trading.backtest.setting import RISK_AVERSE, BacktestSetting, TapeRef, Window
from mrmarket.trading.market.event import EventKind
from mrmarket.trading.market.tape import open_tape

ROOT: Final = Path(__file__).resolve().parents[1]
RECORDED: Final = ROOT.parent / "shared" / "data" / "market" / "binance_raw_20240808"
TAPES: Final = ("spot_btcusdt", "spot_ethusdt", "usdm_btcusdt", "usdm_ethusdt")
OBJECTIVE: Final = "pnl_per_risk"
ORDER_QUOTE: Final = 600
ORDERS_HELD: Final = 10
SEED: Final = 8
DRAWS: Final = 2_000

REFRESH: Final = "order_refresh_time=1|2|5|10"
WIDENED: Final = ("sigma_multiplier=0.0:3.0", "toxicity_multiplier=0.0:2.0", REFRESH)
FLOOR: Final = "minimum_spread=0.00005:0.0006:log"


class Contender(msgspec.Struct, frozen=True):
    """A strategy with what is fixed and what is searched."""

    name: str
    strategy: str
    fixed: dict[str, Any]
    search: tuple[str, ...]


_ONE_LAYER: Final = {"number_of_layers": 1}
CONTENDERS: Final = (
    Contender(
        "plain",
        "pure_market_making",
        {**_ONE_LAYER, "inventory_skew_enabled": False},
        ("bid_spread,ask_spread=0.00005:0.001:log", REFRESH),
    ),
    Contender(
        "plain, sizes by inventory",
        "pure_market_making",
        _ONE_LAYER,
        ("bid_spread,ask_spread=0.00005:0.001:log", REFRESH),
    ),
    Contender(
        "adaptive terms",
        "pure_market_making",
        {**_ONE_LAYER, "price_source": "MICROPRICE"},
        ("bid_spread,ask_spread=0.00005:0.0005:log", "inventory_price_skew=0.0:0.0005", *WIDENED),
    ),
    Contender("glft", "glft", {}, ("max_inventory=3.0:10.0", FLOOR, *WIDENED)),
    Contender(
        "avellaneda_stoikov",
        "avellaneda_stoikov",
        {"max_inventory": 10, "fair_value": "microprice"},
        ("gamma=0.001:0.2:log", "horizon_s=2:60:log", FLOOR, *WIDENED),
    ),
    Contender(
        "as_normalised",
        "as_normalised",
        {"max_inventory": 10, "fair_value": "microprice"},
        ("gamma=0.1:5:log", FLOOR, *WIDENED),
    ),
)


class Held(msgspec.Struct, frozen=True):
    """How a contender did on the windows that were held out."""

    name: str
    points: list[str]
    """By fold."""
    train: Figures
    test: Figures
    by_tape: dict[str, Figures]
    segments: list[Figures]
    """One for each tape and fold, in one order for all contenders."""


def setting_on(tape: Path, contender: Contender, fee: Decimal) -> BacktestSetting:
    """What is the same for every set of a contender on a tape."""
    opened = open_tape(tape)
    first = next(event for event in opened.events() if event.kind is EventKind.SNAPSHOT)
    grid = opened.instrument
    mid = (first.bids[0][0] + first.asks[0][0]) * grid.tick_size / 2
    amount = max(grid.lot_size, (Decimal(ORDER_QUOTE) / mid).quantize(grid.lot_size))
    return BacktestSetting(
        tapes=(TapeRef(path=str(tape)),),
        strategy=contender.strategy,
        parameters={"order_amount": str(amount), **contender.fixed},
        queue=(RISK_AVERSE,),
        maker_fee=fee,
        base=ORDERS_HELD * amount,
        quote=(ORDERS_HELD * amount * mid).quantize(Decimal(1)),
    )


def runs(
    pool: Pool,
    tapes: Sequence[Path],
    contender: Contender,
    fee: Decimal,
    points: Sequence[Point],
    window: Window,
) -> list[dict[str, Figures]]:
    """Every point on every tape; a run that fails counts as one that did nothing. Each tape is read once."""
    found: list[dict[str, Figures]] = [{} for _ in points]
    for tape in tapes:
        setting = setting_on(tape, contender, fee)
        settings = (
            msgspec.structs.replace(
                setting, parameters={**setting.parameters, **parameters_of(point)}, window=window
            )
            for point in points
        )
        for place, score in enumerate(pool.executor.map(evaluate, settings, chunksize=4)):
            if score.figures is None:
                print(f"{contender.name} {points[place]}: {score.failure}", file=sys.stderr)
            found[place][tape.name] = score.figures or Figures()
    return found


def contest(
    pool: Pool, tapes: Sequence[Path], contender: Contender, fee: Decimal, folds: Sequence[Fold], sets: int
) -> Held:
    """Tune on each fold's training window, run the winner on the window after it."""
    space = parse_space(contender.search)
    points = [random_point(space, SEED, number) for number in range(sets)]
    trained: list[Figures] = []
    tested: list[dict[str, Figures]] = []
    chosen: list[str] = []
    for fold in folds:
        assert fold.test is not None
        scored = [pooled(run.values()) for run in runs(pool, tapes, contender, fee, points, fold.train)]
        best = max(range(sets), key=lambda place: score_of(OBJECTIVE, scored[place]))
        trained.append(scored[best])
        chosen.append(written(points[best]))
        tested += runs(pool, tapes, contender, fee, [points[best]], fold.test)
    return Held(
        contender.name,
        chosen,
        pooled(trained),
        pooled(each for run in tested for each in run.values()),
        {tape.name: pooled(run[tape.name] for run in tested) for tape in tapes},
        [run[tape.name] for run in tested for tape in tapes],
    )


def better_share(one: Held, other: Held) -> float:
    """How often `one` is ahead of `other` when segments are drawn anew with replacement; 0.5 is chance."""
    rng = random.Random(SEED)  # noqa: S311 - a bootstrap, the same each time
    count = len(one.segments)
    ahead = 0
    for _ in range(DRAWS):
        drawn = [rng.randrange(count) for _ in range(count)]
        ahead += _risked(one, drawn) > _risked(other, drawn)
    return ahead / DRAWS


def _risked(held: Held, places: Sequence[int]) -> float:
    return score_of(OBJECTIVE, pooled(held.segments[place] for place in places))


def lines(held: Sequence[Held]) -> Iterator[str]:
    """A table for people; PnL by exposure in basis points of what was held."""
    yield (
        f"{'strategy':<26} {'fills':>6} {'pnl':>8} {'spread':>8} {'fees':>7} {'exposure':>9} "
        f"{'pnl/exposure':>13} {'tuned':>8} {'pnl/sd':>7} {'ahead of plain':>15}"
    )
    for each in held:
        test = each.test
        yield (
            f"{each.name:<26} {test.fills:>6} {test.pnl:>8.2f} {test.spread:>8.2f} {test.fees:>7.2f} "
            f"{test.exposure:>9.0f} {10_000 * (test.pnl_per_exposure or 0):>13.1f} "
            f"{10_000 * (each.train.pnl_per_exposure or 0):>8.1f} "
            f"{score_of('pnl_per_sd', test):>7.2f} {better_share(each, held[0]):>15.2f}"
        )
        for name, part in each.by_tape.items():
            yield (
                f"    {name.removesuffix('.gz'):<22} {part.fills:>6} {part.pnl:>8.2f} {part.spread:>8.2f} "
                f"{part.fees:>7.2f} {part.exposure:>9.0f} {10_000 * (part.pnl_per_exposure or 0):>13.1f}"
            )
        for point in each.points:
            yield f"    {point}"


def main() -> int:
    """Run the contest and print it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("tapes", type=Path, nargs="*", metavar="FILE")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    parser.add_argument("--fee", type=Decimal, default=Decimal(0), help="maker fee as a fraction (default 0)")
    parser.add_argument("--sets", type=int, default=32, help="parameter sets a strategy (default 32)")
    parser.add_argument("--folds", type=int, default=2, help="walk-forward folds (default 2)")
    parser.add_argument("--jobs", type=int, default=2, help="processes (default 2)")
    parser.add_argument("--only", action="append", help="one contender by name; may be repeated")
    arguments = parser.parse_args()
    tapes = arguments.tapes or [RECORDED / f"{name}_20240808.gz" for name in TAPES]
    missing = [tape for tape in tapes if not tape.is_file()]
    if missing:
        print(f"{missing[0]}: not there; give tapes", file=sys.stderr)
        return 2
    folds = walk_forward(arguments.folds)
    held = []
    with local_pool(arguments.jobs) as pool:
        for contender in CONTENDERS:
            if arguments.only and contender.name not in arguments.only:
                continue
            held.append(contest(pool, tapes, contender, arguments.fee, folds, arguments.sets))
            print(f"{contender.name}: done", file=sys.stderr)
    if arguments.json:
        rows = [{**msgspec.to_builtins(each), "ahead": better_share(each, held[0])} for each in held]
        print(json.dumps({"fee": str(arguments.fee), "sets": arguments.sets, "contenders": rows}))
    else:
        print("\n".join(lines(held)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
