"""The configuration: layers, sources, and what is refused."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from mrmarket.services.config import ConfigError, LoadedConfig, load_config
from mrmarket.trading.strategy.parameters import Parameters


def write(folder: Path, text: str) -> Path:
    """A config file."""
    file = folder / "mrmarket.toml"
    file.write_text(text)
    return file


def sources(loaded: LoadedConfig) -> dict[str, tuple[str, str]]:
    """Value and source by dotted key, as people see them."""
    return {
        f"{section.name}.{entry.key}": (entry.value, entry.source)
        for section in loaded.view().sections
        for entry in section.entries
    }


def test_the_command_line_wins_over_the_file_and_the_file_over_the_default(tmp_path: Path) -> None:
    """Each value says where it comes from."""
    file = write(tmp_path, "[simulation]\nspeed = 2\nseed = 9\n")
    shown = sources(load_config(file, {"simulation.speed": 20.0}))
    assert shown["simulation.speed"] == ("20.0", "command line")
    assert shown["simulation.seed"] == ("9", "file")
    assert shown["api.port"] == ("8080", "default")


def test_numbers_are_read_exactly(tmp_path: Path) -> None:
    """0.1 is a tenth, not the nearest binary fraction."""
    loaded = load_config(write(tmp_path, "[strategy]\nbid_spread = 0.1\n"), {})
    strategy = loaded.config.strategy
    assert isinstance(strategy, Parameters)
    assert strategy.bid_spread == Decimal("0.1")


def test_faults_are_switched_on_in_the_file(tmp_path: Path) -> None:
    """Rules of the simulated exchange's faults are part of the configuration."""
    text = "[[simulation.faults.rules]]\nkind = 'timeout_after'\nmatch = 'POST /api/v3/order'\nrate = 0.5\n"
    rules = load_config(write(tmp_path, text), {}).config.simulation.faults.rules
    assert [(rule.kind, rule.rate) for rule in rules] == [("timeout_after", 0.5)]


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("[simulation]\nmaker_fee = 3\n", "simulation.maker_fee"),
        ("[venue]\nexchange = 'no such'\n", "venue.exchange"),
        ("[venue]\nrecv_window_ms = 5000\n", "venue.recv_window_ms"),
        ("[strategy]\nceiling_price = 0\n", "strategy.ceiling_price"),
        ("[instance]\nname = ''\n", "instance.name"),
        ("x = 1\n", "x"),
        ("strategy = 1\n", "strategy"),
    ],
)
def test_a_value_out_of_range_is_refused_at_its_key(tmp_path: Path, text: str, at: str) -> None:
    """The error names the dotted key."""
    with pytest.raises(ConfigError, match=f"`{at}`"):
        load_config(write(tmp_path, text), {})


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("[simulation]\nspeed = 0\n", "give a number above 0 (given: 0)"),
        ("[simulation]\ntapes = 'x'\n", "give a list, not text"),
        ("[simulation]\nloop = 1\n", "give true or false"),
        ("[api]\nport = 70000\n", "give a whole number of at most 65535"),
        ("[instance]\nname = ''\n", "give text that is not empty"),
        ("[strategy]\norder_amount = 'much'\n", "give a number, such as 0.001"),
        ("[strategy]\nprice_source = 'MIDDLE'\n", "give one of MID_PRICE, BEST_BID"),
        ("[[simulation.faults.rules]]\nkind = 'bogus'\n", "give one of drop, "),
        ("[venue]\npaper = true\n", "name the exchange"),
    ],
)
def test_a_refusal_says_what_to_give(tmp_path: Path, text: str, advice: str) -> None:
    """In words, not in the checker's types."""
    with pytest.raises(ConfigError) as refused:
        load_config(write(tmp_path, text), {})
    assert advice in str(refused.value)


def test_a_value_of_the_command_line_is_not_blamed_on_the_file(tmp_path: Path) -> None:
    """The error names who gave the value."""
    file = write(tmp_path, "[simulation]\nseed = 9\n")
    with pytest.raises(ConfigError, match=r"^command line: `simulation\.speed`"):
        load_config(file, {"simulation.speed": -1.0})


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    """A folder or bytes that are no text are one clear error."""
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path, {})
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path / "bytes.toml", {})


def test_the_documentation_names_every_key() -> None:
    """`docs/configuration.md` has a line for each setting there is."""
    text = (Path(__file__).resolve().parents[2] / "docs/configuration.md").read_text()
    missing = [key for key in sources(load_config(None, {})) if f"`{key.split('.', 1)[1]}`" not in text]
    assert missing == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('[[runs]]\nid = "x"\naccount = "default"\n', "pool's money"),
        ('[[runs]]\nid = "x"\n', "account"),
        ('[[runs]]\nid = "x"\naccount = "b"\n[[runs]]\nid = "x"\naccount = "c"\n', "an id of its own"),
    ],
)
def test_a_run_that_the_books_could_not_follow_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    """Trades on the pool's account that are settled nowhere, or two runs under one name, never begin."""
    file = tmp_path / "mrmarket.toml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=problem):
        load_config(file, {})
