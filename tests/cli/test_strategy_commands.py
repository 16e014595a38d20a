"""`mrmarket strategy`: what it lists, shows and writes, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mrmarket.cli.app import run
from mrmarket.cli.exit_codes import ExitCode
from mrmarket.services.config import load_config
from mrmarket.trading.strategy.catalogue import BUILT_IN


def test_the_list_has_all_of_ours(capsys: pytest.CaptureFixture[str]) -> None:
    """As a table for people and as JSON."""
    assert run(["strategy", "list", "--json"]) == ExitCode.OK
    told = json.loads(capsys.readouterr().out)
    assert [each["name"] for each in told["strategies"]][: len(BUILT_IN)] == [kind.name for kind in BUILT_IN]
    assert run(["strategy", "list"]) == ExitCode.OK
    assert "avellaneda_stoikov" in capsys.readouterr().out


@pytest.mark.parametrize("name", [kind.name for kind in BUILT_IN])
def test_what_show_prints_as_toml_is_a_good_configuration(
    name: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Every default as it stands there is accepted, and means the same."""
    assert run(["strategy", "show", name, "--toml"]) == ExitCode.OK
    file = tmp_path / "mine.toml"
    file.write_text(capsys.readouterr().out)
    kind = next(kind for kind in BUILT_IN if kind.name == name)
    assert load_config(file, {}).config.strategy == kind.schema()


def test_show_describes_each_parameter(capsys: pytest.CaptureFixture[str]) -> None:
    """For people, with templates."""
    assert run(["strategy", "show", "glft", "--template", "tight_liquid"]) == ExitCode.OK
    text = capsys.readouterr().out
    assert "0.00003" in text
    assert "conservative_illiquid" in text


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["show", "gltf"], "unknown_strategy"),
        (["show", "glft", "--template", "wild"], "unknown_template"),
        (["new", "glft"], "invalid_input"),
        (["new", "My-Maker"], "invalid_input"),
        (["new", "a"], "invalid_input"),
        (["new", "class"], "invalid_input"),
        (["new", "json"], "invalid_input"),
        (["new", "mrmarket"], "invalid_input"),
    ],
)
def test_bad_names_are_refused(
    arguments: list[str], code: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """With one line and nothing written."""
    more = ["--in", str(tmp_path)] if arguments[0] == "new" else []
    assert run(["strategy", *arguments, *more, "--json"]) == ExitCode.REFUSED
    assert json.loads(capsys.readouterr().out)["error"]["code"] == code
    assert list(tmp_path.iterdir()) == []


def test_new_writes_no_folder_over_another(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """The second time it is refused."""
    assert run(["strategy", "new", "my_maker", "--in", str(tmp_path)]) == ExitCode.OK
    assert "my_maker/pyproject.toml" in capsys.readouterr().out
    assert run(["strategy", "new", "my_maker", "--in", str(tmp_path), "--json"]) == ExitCode.REFUSED
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "folder_taken"


def test_new_names_the_folder_in_a_way_that_pip_takes_for_one(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without `./` pip would ask the package index for whatever has this name there."""
    monkeypatch.chdir(tmp_path)
    assert run(["strategy", "new", "my_maker"]) == ExitCode.OK
    assert "pip install --no-deps -e ./my_maker," in capsys.readouterr().err
    assert run(["strategy", "new", "my_maker", "--in", str(tmp_path / "far")]) == ExitCode.OK
    assert f"pip install --no-deps -e {tmp_path}/far/my_maker," in capsys.readouterr().err
