"""What is played on two venues, and what of it goes into the report: pairs of orders, or hedged quotes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final, Literal, NamedTuple

from mrmarket.core.decimals import format_decimal
from mrmarket.trading.backtest.cross_books import LabVenue
from mrmarket.trading.backtest.cross_driver import CrossDriver
from mrmarket.trading.backtest.cross_making_driver import MakingDriver, MakingOutcome
from mrmarket.trading.backtest.cross_quotes import RestingQuotes
from mrmarket.trading.backtest.cross_scene import Scene
from mrmarket.trading.backtest.recording import Mids
from mrmarket.trading.backtest.result import Decisions, Failure, Pass
from mrmarket.trading.backtest.tally import BILLION, Counts, Tally
from mrmarket.trading.strategy.cross_port import CrossMaker, CrossStrategy
from mrmarket.trading.strategy.multileg.budget import LegBudget
from mrmarket.trading.venue.simulated.book_arrays import QueueModel

_REASONS: Final = 20


def _model(word: Literal["risk_averse", "power", "log"]) -> QueueModel:
    match word:
        case "risk_averse":
            return QueueModel.RISK_AVERSE
        case "power":
            return QueueModel.POWER
        case "log":
            return QueueModel.LOGARITHM


class Played(NamedTuple):
    """What came of it."""

    passes: list[Pass]
    extra: dict[str, Any]
    """Figures that only these drivers have."""
    failure: Failure | None


def play_pairs(
    scene: Scene, strategy: CrossStrategy, budget: LegBudget, tell: Callable[[float, str], None]
) -> Played:
    """Pairs of orders, in one pass: orders that take know no queue."""
    venues = scene.venues()
    driver = CrossDriver(scene, venues, strategy, budget, lambda done: tell(done, "playing both venues"))
    outcome = driver.run()
    decisions = Decisions(
        decisions=outcome.decided,
        by_book=outcome.decided,
        without_quotes=outcome.decided - outcome.reasons["taken"],
        reasons=dict(outcome.reasons.most_common(_REASONS)),
    )
    counts = Counts(outcome.placed, 0, 0, outcome.lots_placed, None)
    played = scene.counted("taker", driver.mids, outcome.trades, outcome.venues, counts, decisions)
    best = None if outcome.best_edge is None else round(float(outcome.best_edge) * 10_000, 3)
    extra = {
        "venues": list(scene.recording.markets),
        "pairs": dict(outcome.ends),
        "best_net_edge_bp": best,
        "held_at_end": scene.held_at_end(venues),
        "pairs_made": outcome.pairs,
    }
    return Played([played], extra, outcome.failure)


def play_making(
    scene: Scene, makers: Iterable[CrossMaker], budget: LegBudget, tell: Callable[[float, str], None]
) -> Played:
    """Quotes that are hedged, once under each queue model, each time by a strategy of its own."""
    full, passes = scene.full, []
    by_queue: dict[str, Any] = {}
    failure: Failure | None = None
    for number, (choice, maker) in enumerate(zip(full.queue, makers, strict=True)):

        def told(share: float, *, number: int = number, label: str = choice.label) -> None:
            tell((number + share) / len(full.queue), f"playing both venues ({label})")

        venues = scene.venues()
        driver = MakingDriver(
            scene,
            venues,
            RestingQuotes(
                scene.recording.instruments[0],
                _model(choice.model),
                round(choice.exponent * 1_000),
                polled=scene.recording.polled_ns > 0,
            ),
            maker,
            budget,
            told,
        )
        outcome = driver.run()
        span_ns = max(1, scene.end_ns - scene.begin_ns)
        counts = Counts(
            outcome.placed,
            outcome.cancelled,
            outcome.rejected,
            outcome.lots_placed,
            outcome.two_sided_ns / span_ns,
        )
        decisions = Decisions(
            decisions=outcome.decided,
            by_book=outcome.decided,
            without_quotes=outcome.idle,
            reasons=dict(outcome.reasons.most_common(_REASONS)),
        )
        passes.append(
            scene.counted(choice.label, driver.mids, outcome.trades, outcome.venues, counts, decisions)
        )
        failure = failure or outcome.failure
        by_queue[choice.label] = _making(scene, outcome, venues)
        if failure is not None:
            break
    return Played(passes, {"venues": list(scene.recording.markets), "by_queue": by_queue}, failure)


def _making(scene: Scene, outcome: MakingOutcome, venues: tuple[LabVenue, LabVenue]) -> dict[str, Any]:
    """What hedging came to in one pass."""
    return {
        "hedges": dict(outcome.ends),
        "split": {word: _part(scene, outcome, maker=maker) for word, maker in _PARTS},
        "most_unhedged": format_decimal(scene.common.size(outcome.most_owed_units)),
        "unhedged_at_end": format_decimal(scene.common.size(outcome.owed_units)),
        "held_at_end": scene.held_at_end(venues),
        "hedges_made": outcome.hedges,
    }


_PARTS: Final = (("quotes", True), ("hedges", False))


def _part(scene: Scene, outcome: MakingOutcome, *, maker: bool) -> dict[str, Any]:
    """Fills, what they were better than the mean of both mids, and their fees; quote."""
    trades = [each for each in outcome.trades if each.maker is maker]
    spread = sum(each.sign * each.lots * (each.double_mid - 2 * each.price_ticks) for each in trades)
    volume = sum(each.lots * each.price_ticks for each in trades)
    # Through the tally, whose sums are exact to the last digit.
    money = Tally(scene.common, Mids(), scene.begin_ns, scene.end_ns).money
    return {
        "fills": len(trades),
        "volume_quote": format_decimal(money(2 * volume * BILLION)),
        "spread_quote": format_decimal(money(spread * BILLION)),
        "fees_quote": format_decimal(money(sum(each.fee_motes for each in trades))),
    }
