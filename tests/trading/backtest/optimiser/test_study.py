"""Sets that are given out, and what came of them, through interruptions."""

from __future__ import annotations

from pathlib import Path

import pytest

from laboratory_searches import AtOnce, hill, plan_of, turning_hill, two_folds
from mrmarket.core.errors import InvalidInputError
from mrmarket.trading.backtest.optimiser.conductor import Conductor, Evaluate
from mrmarket.trading.backtest.optimiser.errors import SearchRefusedError, StudyFolderError
from mrmarket.trading.backtest.optimiser.plan import EarlyStop, Method, Plan, begin_study, read_plan
from mrmarket.trading.backtest.optimiser.pool import Pool
from mrmarket.trading.backtest.optimiser.standing import Standing, standing_of
from mrmarket.trading.backtest.optimiser.study import Study, locked, read_outcomes
from mrmarket.trading.backtest.optimiser.trial import Outcome, Score, State
from mrmarket.trading.backtest.setting import BacktestSetting


def conducted(plan: Plan, folder: Path, evaluate: Evaluate = hill, *, width: int = 1) -> list[Outcome]:
    """Run a plan here to its end."""
    begin_study(plan, folder)
    study = Study(plan, folder)
    Conductor(plan, study, Pool(AtOnce(), width), evaluate).run()
    return study.outcomes()


def summed(plan: Plan, outcomes: list[Outcome]) -> Standing:
    """The standing of a study that was run."""
    return standing_of(plan, outcomes)


def test_a_grid_tries_every_point_once(tmp_path: Path) -> None:
    """And finds the top of the hill."""
    plan = plan_of()
    outcomes = conducted(plan, tmp_path)
    assert [each.place for each in outcomes] == list(range(15))
    assert len({tuple(each.point.items()) for each in outcomes}) == 15
    best = summed(plan, outcomes).best
    assert best is not None
    assert best.point == {"x": 3, "y": 1}
    assert best.value == 10


def test_a_grid_larger_than_the_trials_is_cut(tmp_path: Path) -> None:
    """The first points are tried."""
    assert len(conducted(plan_of(trials=4), tmp_path)) == 4


@pytest.mark.parametrize("width", [1, 3, 7])
def test_random_sets_are_the_same_with_any_number_of_jobs(tmp_path: Path, width: int) -> None:
    """A function of seed and place."""
    plan = plan_of("x=0.0:6.0", "y=0.1:10:log", method=Method.RANDOM, trials=12)
    outcomes = conducted(plan, tmp_path / "a", width=width)
    alone = conducted(plan, tmp_path / "b")
    assert [each.point for each in outcomes] == [each.point for each in alone]


def test_the_sampler_climbs(tmp_path: Path) -> None:
    """Its later half is nearer to the top than its first."""
    plan = plan_of("x=-50.0:50.0", "kind=a|b", "y=0:4", method=Method.BAYESIAN, trials=40)
    values = [each.value or 0.0 for each in conducted(plan, tmp_path)]
    assert sum(values[20:]) > sum(values[:20])
    assert max(values) > -50


@pytest.mark.parametrize("method", list(Method))
def test_a_study_that_was_interrupted_goes_on_where_it_was(tmp_path: Path, method: Method) -> None:
    """Places that are done are not tried again, and none is left out."""
    plan = plan_of("x=0:9", method=method, trials=10)
    begin_study(plan, tmp_path)
    first = Study(plan, tmp_path)
    attempts = [first.ask() for _ in range(5)]
    for attempt in attempts[:3]:
        assert attempt is not None
        score = hill(plan.run_of({"x": 1, "y": 1}, plan.folds[0].train))
        first.tell(attempt, State.DONE, [score])
    again = conducted(read_plan(tmp_path), tmp_path)
    assert [each.place for each in again] == list(range(10))
    assert [each.value for each in again[:3]] == [6, 6, 6]


def test_a_set_that_fails_fails_alone(tmp_path: Path) -> None:
    """The others go on; why it failed is kept."""
    outcomes = conducted(plan_of("x=12:14"), tmp_path)
    assert [each.state for each in outcomes] == [State.DONE, State.FAILED, State.DONE]
    assert outcomes[1].failure == "strategy_raised: thirteen"
    assert outcomes[1].value is None
    assert read_outcomes(tmp_path) == outcomes


def test_every_set_is_run_on_every_window(tmp_path: Path) -> None:
    """Two windows to tune on, two after them, and the value is of the first two alone."""
    plan = plan_of(folds=two_folds())
    windows: list[tuple[float, float]] = []

    def seen(setting: BacktestSetting) -> Score:
        windows.append((setting.window.begin, setting.window.end))
        return hill(setting)

    outcomes = conducted(plan, tmp_path, seen)
    assert windows[:4] == [(0, 0.5), (0.25, 0.75), (0.5, 0.75), (0.75, 1)]
    assert {(len(each.train), len(each.test)) for each in outcomes} == {(2, 2)}
    assert outcomes[0].trained.pnl == outcomes[0].value


def test_hopeless_sets_are_given_up_between_folds(tmp_path: Path) -> None:
    """Those below the median of the earlier ones; good ones are run to their end."""
    plan = plan_of("x=3:40", folds=two_folds(), early_stop=EarlyStop.MEDIAN)
    outcomes = conducted(plan, tmp_path)
    stopped = [each for each in outcomes if each.state is State.STOPPED]
    assert stopped
    assert all(len(each.train) == 1 and not each.test and each.value is None for each in stopped)
    assert outcomes[0].state is State.DONE
    best = summed(plan, outcomes).best
    assert best is not None
    assert best.place == 0


def test_what_lasts_is_told_from_what_does_not(tmp_path: Path) -> None:
    """The same hill in every window keeps its order; one that turns upside down does not."""
    plan = plan_of(folds=two_folds())
    lasting = summed(plan, conducted(plan, tmp_path / "a"))
    turning = summed(plan, conducted(plan, tmp_path / "b", turning_hill))
    assert lasting.rank_agreement == pytest.approx(1)
    assert lasting.out_of_sample_score == lasting.in_sample_score == 20
    assert "100% of the training score" in lasting.hint
    assert turning.out_of_sample_score is not None
    assert turning.out_of_sample_score < 0
    assert "overfitted" in turning.hint
    assert [winner.point for winner in lasting.winners] == [{"x": 3, "y": 1}] * 2


def test_a_study_without_windows_held_out_says_so(tmp_path: Path) -> None:
    """It is a fit to the past."""
    plan = plan_of()
    standing = summed(plan, conducted(plan, tmp_path))
    assert "--walk-forward" in standing.hint
    assert standing.winners == []
    assert standing.out_of_sample_score is None


def test_a_study_without_a_score_has_no_best_set(tmp_path: Path) -> None:
    """Nothing run, or everything failed."""
    plan = plan_of("x=13|13.0001", trials=1)
    assert summed(plan, []).best is None
    assert summed(plan, conducted(plan, tmp_path)).failed == 1


def test_one_process_at_a_time(tmp_path: Path) -> None:
    """The second is told so and changes nothing."""
    with locked(tmp_path), pytest.raises(StudyFolderError, match="another process"), locked(tmp_path):
        pass


def test_a_folder_holds_one_study(tmp_path: Path) -> None:
    """The same plan may begin again, another one may not, and no study is begun among other files."""
    begin_study(plan_of(), tmp_path)
    begin_study(plan_of(), tmp_path)
    with pytest.raises(StudyFolderError, match="another study"):
        begin_study(plan_of(trials=3), tmp_path)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").touch()
    with pytest.raises(StudyFolderError, match="not empty"):
        begin_study(plan_of(), tmp_path / "full")
    (tmp_path / "file").touch()
    with pytest.raises(StudyFolderError, match="cannot be written"):
        begin_study(plan_of(), tmp_path / "file")


def test_a_folder_without_a_plan_is_no_study(tmp_path: Path) -> None:
    """Nor is one with a plan that cannot be read."""
    assert read_outcomes(tmp_path) == []
    with pytest.raises(StudyFolderError, match="holds no study"):
        read_plan(tmp_path)
    (tmp_path / "plan.json").write_text('{"version": 2}')
    with pytest.raises(StudyFolderError, match="cannot be read"):
        read_plan(tmp_path)


def test_a_plan_is_refused_before_anything_is_run() -> None:
    """No folds, an unknown objective, a grid without steps."""
    with pytest.raises(InvalidInputError, match="at least one fold"):
        plan_of(folds=())
    with pytest.raises(InvalidInputError, match="objective"):
        plan_of(objective="sharpe")
    with pytest.raises(SearchRefusedError, match="STEP"):
        plan_of("x=0.1:0.2")
