"""`[strategy]` and `[runs.strategy]`: any kind, its templates, and refusals at the key at fault."""

from __future__ import annotations

from pathlib import Path

import pytest

from mrmarket.services.config import ConfigError, LoadedConfig, load_config
from mrmarket.trading.strategy.models.glft import GlftParameters
from mrmarket.trading.strategy.models.twap import TwapParameters
from mrmarket.trading.strategy.parameters import Parameters


def loaded(folder: Path, text: str) -> LoadedConfig:
    """What a file with this text says."""
    file = folder / "mrmarket.toml"
    file.write_text(text)
    return load_config(file, {})


def shown(config: LoadedConfig, section: str) -> dict[str, tuple[str, str]]:
    """Value and source by key."""
    rows = next(each for each in config.view().sections if each.name == section).entries
    return {row.key: (row.value, row.source) for row in rows}


def test_without_a_kind_it_is_pure_market_making(tmp_path: Path) -> None:
    """Files from before there were kinds mean what they meant."""
    config = loaded(tmp_path, "[strategy]\nbid_spread = 0.0003\n").config
    assert isinstance(config.strategy, Parameters)
    assert isinstance(load_config(None, {}).config.strategy, Parameters)


def test_a_kind_brings_its_own_keys(tmp_path: Path) -> None:
    """Also of further runs, and each is shown with where it comes from."""
    text = (
        '[strategy]\nkind = "glft"\nmax_inventory = 7.5\n[[runs]]\nid = "slow"\naccount = "slow"\n'
        '[runs.strategy]\nkind = "twap"\nside = "sell"\n'
    )
    made = loaded(tmp_path, text)
    assert isinstance(made.config.strategy, GlftParameters)
    assert made.config.strategy.max_inventory == 7.5
    assert isinstance(made.config.runs[0].strategy, TwapParameters)
    rows = shown(made, "strategy")
    assert rows["kind"] == ("glft", "file")
    assert rows["max_inventory"] == ("7.5", "file")
    assert rows["minimum_spread"] == ("0", "default")


def test_a_template_fills_what_the_file_leaves_out(tmp_path: Path) -> None:
    """The file's own keys win."""
    made = loaded(tmp_path, '[strategy]\nkind = "grid"\ntemplate = "balanced_illiquid"\nlevels = 2\n')
    rows = shown(made, "strategy")
    assert rows["step"] == ("0.01", "file")
    assert rows["levels"] == ("2", "file")
    assert rows["upper_price"][1] == "default"


def test_the_command_line_wins_over_a_kinds_keys(tmp_path: Path) -> None:
    """As over any other."""
    file = tmp_path / "mrmarket.toml"
    file.write_text('[strategy]\nkind = "glft"\n')
    assert load_config(file, {"strategy.pair": "ETH/USDT"}).config.strategy.pair == "ETH/USDT"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[strategy]\nkind = "gltf"\n', "`strategy.kind`: there is no strategy gltf; did you mean glft?"),
        ("[strategy]\nkind = 3\n", "`strategy.kind`: give text"),
        ('[strategy]\nkind = "glft"\ngama = 1\n', "unknown key `strategy.gama`; did you mean `gamma`?"),
        (
            '[strategy]\nkind = "glft"\nmax_inventory = 0\n',
            "`strategy.max_inventory`: give a number above 0.5 (given: 0)",
        ),
        ('[strategy]\nkind = "glft"\nmodel = "c"\n', "`strategy.model`: give one of a, b"),
        ('[strategy]\nkind = "glft"\nschema_version = 2\n', "`strategy.schema_version`: give one of 1"),
        ('[strategy]\nkind = "glft"\nfair_value = "x"\n', "`strategy.fair_value`: 'x' was refused"),
        ('[strategy]\ntemplate = "wild"\n', "`strategy.template`: pure_market_making has no template wild"),
        ("strategy = 1\n", "`strategy`: give a table"),
        ('[[runs]]\nid = "a"\nstrategy = 1\n', "`runs[0].strategy`: give a table"),
        (
            '[[runs]]\nid = "a"\n[runs.strategy]\nkind = "dca"\norders = 0\n',
            "`runs[0].strategy.orders`: give a whole number of at least 1",
        ),
    ],
)
def test_a_refusal_names_the_key(tmp_path: Path, text: str, words: str) -> None:
    """Of whichever kind's schema it comes from."""
    with pytest.raises(ConfigError) as refused:
        loaded(tmp_path, text)
    assert words in str(refused.value)
