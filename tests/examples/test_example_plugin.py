"""The example installs without a network and runs: its own tests, the command, a whole instance."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


def installed(package: Path, site: Path) -> dict[str, str]:
    """Install a package beside ours; the environment in which it is found."""
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"),
            *("--no-index", "--disable-pip-version-check", "--target", str(site), str(package)),
        ],
        check=True,
        timeout=120,
    )
    paths = [str(site), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}


def own_tests(package: Path, environment: dict[str, str]) -> None:
    """Run the package's own tests."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"],
        cwd=package,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def mrmarket(environment: dict[str, str], *arguments: str, within_s: float = 60) -> Any:
    """What a command of ours prints as JSON."""
    done = subprocess.run(
        [sys.executable, "-m", "mrmarket", *arguments, "--json"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=within_s,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment with the example, built from a copy so that the tree stays as it is."""
    folder = tmp_path_factory.mktemp("example")
    package = folder / "imbalance_maker"
    for file in (ROOT / "examples/imbalance_maker").rglob("*"):
        if file.is_file() and "__pycache__" not in file.parts:
            target = package / file.relative_to(ROOT / "examples/imbalance_maker")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(file.read_bytes())
    environment = installed(package, folder / "site")
    return {**environment, "EXAMPLE": str(package)}


def test_the_examples_own_tests_pass(example: dict[str, str]) -> None:
    """As whoever copies it would run them."""
    own_tests(Path(example["EXAMPLE"]), example)


def test_the_example_is_listed_and_shown(example: dict[str, str]) -> None:
    """With its distribution, its parameters and a snapshot of its own."""
    told = mrmarket(example, "strategy", "list")
    assert told["refused"] == []
    mine = told["strategies"][-1]
    assert (mine["name"], mine["source"]) == ("imbalance_maker", "imbalance-maker 0.1.0")
    shown = mrmarket(example, "strategy", "show", "imbalance_maker", "--template", "calm")
    assert shown["parameters"]["lean"] == "0.25"
    meanings = {row["name"]: row["meaning"] for row in shown["describes"]}
    assert meanings["lean"].startswith("How far the mid moves")
    assert len(shown["snapshot"]) == 64


def test_the_configuration_takes_the_plug_ins_strategy_and_fair_value(
    example: dict[str, str], tmp_path: Path
) -> None:
    """Both by name, and a wrong key of the plug-in's is refused like one of ours."""
    file = tmp_path / "mine.toml"
    file.write_text('[strategy]\nkind = "imbalance_maker"\ntemplate = "calm"\n')
    assert mrmarket(example, "config", "check", str(file))["strategy"] == "imbalance_maker"
    file.write_text('[strategy]\nkind = "glft"\nfair_value = "last_trade"\n')
    assert mrmarket(example, "config", "check", str(file))["strategy"] == "glft"
    file.write_text('[strategy]\nkind = "imbalance_maker"\nleen = 0.1\n')
    done = subprocess.run(
        [sys.executable, "-m", "mrmarket", "config", "check", str(file)],
        env=example,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "did you mean `lean`?" in done.stderr


@pytest.mark.e2e
def test_the_example_trades_on_the_embedded_exchange(example: dict[str, str], tmp_path: Path) -> None:
    """A whole instance: it quotes, everything is cancelled at the end, and the ledger verifies."""
    file = tmp_path / "mine.toml"
    file.write_text('[strategy]\nkind = "imbalance_maker"\nhalf_spread = 0.0001\n')
    arguments = ("--config", str(file), "--data", str(tmp_path / "data"), "--port", "0")
    summary = mrmarket(example, "run", *arguments, "--for", "30", "--speed", "30", within_s=150)
    assert summary["orders_placed"] > 0
    assert summary["orders_remaining"] == 0
    assert summary["ledger_verified"]


def test_a_new_strategy_installs_and_its_test_passes(tmp_path: Path) -> None:
    """What `mrmarket strategy new` writes is complete."""
    plain = dict(os.environ)
    told = mrmarket(plain, "strategy", "new", "my_maker", "--in", str(tmp_path))
    assert len(told["files"]) == 5
    environment = installed(tmp_path / "my_maker", tmp_path / "site")
    own_tests(tmp_path / "my_maker", environment)
    assert mrmarket(environment, "strategy", "show", "my_maker")["parameters"]["half_spread"] == "0.0005"
