"""What would have happened with other thresholds."""

from __future__ import annotations

from msgspec.structs import replace

from mrmarket.trading.strategy.selection.decision import Outcome
from mrmarket.trading.strategy.selection.dry_run import ScoreRow, dry_run
from selection_samples import EAGER, candidate, scored

CANDIDATES = {"mm": candidate("mm"), "arb": candidate("arb", cost=0.001)}


def rows(*arbs: float | None, current: str = "mm") -> list[ScoreRow]:
    """One evaluation a minute; market making scores 0.01 an hour in each."""
    return [
        ScoreRow(
            at_ms=minute * 60_000,
            current=current,
            scores=(scored("mm", 0.01), scored("arb", arb), scored("x", 9)),
        )
        for minute, arb in enumerate(arbs)
    ]


def test_eager_thresholds_would_have_switched_where_patient_ones_would_not() -> None:
    """The same hour by two sets of thresholds: switches, time and earnings of each."""
    hour = rows(*[0.0] * 20, *[0.5] * 20, *[0.0] * 21)
    eager = dry_run(hour, CANDIDATES, EAGER)
    assert [decision.outcome for decision in eager.switches] == [Outcome.SWITCH, Outcome.SWITCH]
    assert eager.share["arb"] == 20 / 60
    patient = dry_run(hour, CANDIDATES, replace(EAGER, debounce=30))
    assert (patient.switches, patient.share) == ([], {"mm": 1.0})
    assert eager.earned > patient.earned == patient.was_earned
    assert patient.held_back["debounce"] == 20


def test_doubt_and_cost_are_counted_anew() -> None:
    """A recorded error weighs by the z that is tried, and too few samples have no value."""
    doubtful = [
        replace(row, scores=(row.scores[0], replace(row.scores[1], error=0.1))) for row in rows(*[0.15] * 3)
    ]
    assert dry_run(doubtful, CANDIDATES, replace(EAGER, z=0)).switches
    assert not dry_run(doubtful, CANDIDATES, replace(EAGER, z=2)).switches
    assert not dry_run(doubtful, CANDIDATES, replace(EAGER, z=0, least_samples=101)).switches


def test_what_did_happen_is_counted_beside_it() -> None:
    """Switches that were made, with their cost, from the rows alone; nothing comes of no rows."""
    course = [
        *rows(0.0, 0.0),
        *(replace(row, at_ms=row.at_ms + 120_000) for row in rows(0.5, 0.5, current="arb")),
    ]
    found = dry_run(course, CANDIDATES, replace(EAGER, switches_per_hour=0))
    assert found.was_switches == 1
    assert found.was_share == {"arb": 2 / 3, "mm": 1 / 3}
    empty = dry_run([], CANDIDATES, EAGER)
    assert (empty.rows, empty.share, empty.earned) == (0, {}, 0.0)
