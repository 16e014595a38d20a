"""From the configuration to candidates and runs, and what a restart makes of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from mrmarket.services.config import ConfigError, load_config
from mrmarket.services.data_directory import DataDirectory
from mrmarket.services.engine.specs import main_spec, put_specs
from mrmarket.services.selection.choice import open_choice
from mrmarket.services.selection.demo import demo_selection
from mrmarket.services.selection.plan import selection_plans, specs_for
from mrmarket.store.operations import DesiredState
from mrmarket.trading.strategy.selection.state import EngineState

TEXT = """
[selection]
enabled = true
[[selection.candidates]]
id = "adaptive"
[selection.candidates.strategy]
kind = "glft"
[[selection.candidates]]
id = "other"
account = "two"
switch_cost = 0.001
"""


def written(folder: Path, text: str) -> Path:
    """A configuration file."""
    file = folder / "mrmarket.toml"
    file.write_text(text)
    return file


def test_candidates_share_the_pools_run_or_have_one_of_their_own(tmp_path: Path) -> None:
    """On the account `default` only the strategy is another; whoever has not the turn is paused."""
    config = load_config(written(tmp_path, TEXT), {}).config
    main = main_spec("v.BTCUSDT", "v", "BTC/USDT", config.strategy, "first")
    plans = selection_plans(demo_selection(config), main)
    assert {name: plan.run for name, plan in plans.items()} == {
        "main": "v.BTCUSDT",
        "adaptive": "v.BTCUSDT",
        "other": "other",
    }
    assert (plans["adaptive"].spec.kind, plans["adaptive"].spec.pool) == ("glft", "first")
    assert plans["other"].candidate.keys[0].account == "v/two"
    one, two = specs_for(plans, "adaptive")
    assert (one.kind, one.desired, two.desired) == ("glft", DesiredState.RUNNING, DesiredState.PAUSED)
    assert {spec.desired for spec in specs_for(plans, "")} == {DesiredState.PAUSED}


def test_the_demo_adds_arbitrage_where_nobody_is_named(tmp_path: Path) -> None:
    """Only on the embedded exchange, and only where turns are taken."""
    config = load_config(written(tmp_path, "[selection]\nenabled = true\n"), {}).config
    (arbitrage,) = demo_selection(config).candidates
    assert arbitrage.activity == "arbitrage"
    assert arbitrage.account == "arbitrage"
    off = load_config(None, {}).config
    assert demo_selection(off) is off.selection


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('[venue]\nexchange = "binance"\n[selection]\nenabled = true\n', "may take the place"),
        ('[[selection.candidates]]\nid = "main"\n', "is taken"),
        ('[[selection.candidates]]\nid = "idle"\n', "is taken"),
        ('[[selection.candidates]]\nid = "a"\n[[selection.candidates]]\nid = "a"\n', "an id of its own"),
        (
            (
                '[[selection.candidates]]\nid = "a"\naccount = "x"\n'
                '[[selection.candidates]]\nid = "b"\naccount = "x"\n'
            ),
            "for one candidate",
        ),
        ("[selection.thresholds]\nratio = 0.5\n", "ratio"),
        ('[[selection.candidates]]\nid = "a"\nstrategy = {kind = "nothing"}\n', "candidates.*kind"),
    ],
)
def test_a_choice_that_makes_no_sense_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    """With the key at fault."""
    with pytest.raises(ConfigError, match=problem):
        load_config(written(tmp_path, text), {})


async def test_a_restart_begins_with_whoever_had_the_turn_and_without_turns_the_main_run_has_it(
    tmp_path: Path,
) -> None:
    """What was saved is in the specifications before an engine reads them; switched off, nothing is left."""
    config = load_config(written(tmp_path, TEXT), {}).config
    main = main_spec("v.BTCUSDT", "v", "BTC/USDT", config.strategy, "first")
    with DataDirectory(tmp_path / "data", "") as directory:
        operations = directory.store.open_operations()
        log = directory.store.open_selection()
        choice = await open_choice(config, directory, operations, main)
        assert choice is not None
        put_specs(operations, choice.specs)
        assert [spec.desired.value for spec in operations.run_specs()] == ["paused", "running"]
        await choice.close()

        log.put("state", '{"current": "other"}')
        choice = await open_choice(config, directory, operations, main)
        assert choice is not None
        put_specs(operations, choice.specs)
        found = {spec.id: spec.desired for spec in operations.run_specs()}
        assert found["v.BTCUSDT"] is DesiredState.PAUSED
        await choice.close()

        plain = load_config(None, {}).config
        assert await open_choice(plain, directory, operations, main) is None
        again = operations.run_spec("v.BTCUSDT")
        assert again is not None
        assert again.desired is DesiredState.RUNNING
        assert log.note("state") == ""
        log.put("state", EngineState(current="gone").__class__.__name__)  # nothing that can be read
        choice = await open_choice(config, directory, operations, main)
        assert choice is not None
        await choice.close()
        log.close()
        operations.close()
