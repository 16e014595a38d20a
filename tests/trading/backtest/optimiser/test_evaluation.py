"""One run of a set of parameters."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from laboratory_searches import plan_of, short_tape
from mrmarket.core.errors import InvalidInputError
from mrmarket.trading.backtest.optimiser.begin import Search
from mrmarket.trading.backtest.optimiser.begin import plan_of as planned
from mrmarket.trading.backtest.optimiser.evaluation import evaluate
from mrmarket.trading.backtest.options import Options


def test_a_run_gives_figures_or_a_reason(tmp_path: Path) -> None:
    """A refused combination is a score without figures, and names the parameter."""
    setting = plan_of(tape=short_tape(tmp_path, 4)).setting
    score = evaluate(setting)
    assert score.figures is not None
    assert score.figures.seconds == pytest.approx(4, abs=0.5)
    assert score.figures.capital > 0
    refused = evaluate(msgspec.structs.replace(setting, parameters={"bid_spread": "0.7"}))
    assert refused.figures is None
    assert "bid_spread" in refused.failure


def test_a_plan_knows_its_tape_wherever_it_is_continued(tmp_path: Path) -> None:
    """Absolute path, hash and pair; walk-forward folds inside the window."""
    tape = short_tape(tmp_path, 2)
    options = Options(tapes=(str(tape),), strategy="pure_market_making", window="0:0.8")
    search = Search(search=("bid_spread=0.001:0.002",), folds=2, anchored=True, method="random")
    plan = planned(options, search)
    (ref,) = plan.setting.tapes
    assert Path(ref.path).is_absolute()
    assert len(ref.sha256) == 64
    assert plan.setting.symbol == "BTC/USDT"
    assert plan.is_walk_forward
    assert [fold.train.begin for fold in plan.folds] == [0, 0]
    assert plan.folds[-1].test is not None
    assert plan.folds[-1].test.end == 0.8
    with pytest.raises(InvalidInputError, match="several venues"):
        planned(msgspec.structs.replace(options, tapes=(str(tmp_path),)), search)
