"""Who holds what, read out of the databases."""

from __future__ import annotations

from pathlib import Path

import msgspec

from engine_stage import Stage
from mrmarket.services.engine.overview import read_overview
from mrmarket.services.engine.section import RunSection
from mrmarket.services.engine.specs import further_specs, main_spec, put_specs
from mrmarket.store.operations import DesiredState, Restriction
from mrmarket.store.trading_store import TradingStore
from mrmarket.trading.strategy.parameters import Parameters


def test_the_overview_names_holders_and_says_when_nobody_holds_a_run(tmp_path: Path) -> None:
    """A lease that has run out is nobody's, and its last report is not shown as the present."""
    stage = Stage(tmp_path)
    stage.specs("a", "b")
    engine = stage.engine("one")
    stage.until(lambda: len(stage.operations.reports()) == 2)
    stage.run_for(2)
    stage.operations.restrict(Restriction(scope="run:a", cause="owner", state="halt", by="me", since_ms=1))
    log = TradingStore.open(tmp_path / "trading.db")
    seen = read_overview(stage.operations, log, engine.clock.now_ns())
    assert [(run.run, run.holder, run.state, run.fence) for run in seen.runs] == [
        ("a", "one", "running", 1),
        ("b", "one", "running", 1),
    ]
    assert [(node.node, node.runs) for node in seen.nodes] == [("one", 2)]
    assert [row.cause for row in seen.restrictions] == ["owner"]
    stage.kill("one")
    later = read_overview(stage.operations, log, engine.clock.now_ns() + 60_000_000_000)
    assert {(run.holder, run.state) for run in later.runs} == {("", "")}


def test_specifications_rise_in_revision_only_when_they_say_something_new(tmp_path: Path) -> None:
    """What the owner wants outlives a restart; a run that is no longer named is stopped."""
    operations = Stage(tmp_path).operations
    main = main_spec("binance.BTCUSDT", "binance", "BTC/USDT", Parameters(), "main")
    further = further_specs([RunSection(id="second", account="b")], "binance")
    put_specs(operations, [main, *further])
    assert {spec.revision for spec in put_specs(operations, [main, *further])} == {1}
    operations.put_run(msgspec.structs.replace(main, desired=DesiredState.PAUSED, revision=2))
    after = {spec.id: spec for spec in put_specs(operations, [main])}
    assert (after[main.id].desired, after[main.id].revision) == (DesiredState.PAUSED, 2)
    assert after["second"].desired is DesiredState.STOPPED
    again = {spec.id: spec for spec in put_specs(operations, [main, *further])}
    assert (again["second"].desired, again["second"].revision) == (DesiredState.RUNNING, 3)
