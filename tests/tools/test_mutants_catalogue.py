"""The catalogue of planted faults can be carried out: every text is there once, every test file exists."""

from __future__ import annotations

import importlib.util
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
CATALOGUE = tomllib.loads((ROOT / "tests" / "mutants.toml").read_text(encoding="utf-8"))
ROOMS = ("ledger", "payouts", "pool", "rewards", "solvency", "access", "services/money")


def _tool() -> ModuleType:
    """`tools/mutants.py`, which is a script and in no package."""
    spec = importlib.util.spec_from_file_location("mutants", ROOT / "tools" / "mutants.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", CATALOGUE)
def test_a_fault_can_be_planted(name: str) -> None:
    """Its text stands once in its file, the changed file compiles, and its tests are there."""
    entry = CATALOGUE[name]
    text = (ROOT / entry["file"]).read_text(encoding="utf-8")
    assert text.count(entry["find"]) == 1
    assert entry["find"] != entry["replace"]
    compile(text.replace(entry["find"], entry["replace"]), entry["file"], "exec", dont_inherit=True)
    assert entry["tests"]
    for tests in entry["tests"]:
        assert (ROOT / tests).exists(), tests


@pytest.mark.parametrize("room", ROOMS)
def test_every_room_of_money_has_faults(room: str) -> None:
    """A room without planted faults would be a room whose tests nobody has tried."""
    assert [name for name, entry in CATALOGUE.items() if f"/{room}/" in entry["file"]]


def test_a_planted_fault_is_judged_by_its_tests_and_taken_out_again(tmp_path: Path) -> None:
    """Killed where a test fails, survived where none does, broken or stale where nothing was proved."""
    tool = _tool()
    code, tests = tmp_path / "src.py", tmp_path / "test_it.py"
    code.write_text("ONE = 1\n", encoding="utf-8")
    tests.write_text("import src\n\ndef test_one():\n    assert src.ONE < 3\n", encoding="utf-8")
    (tmp_path / "pyproject.toml").write_text("[tool.pytest.ini_options]\npythonpath = ['.']\n")

    def verdict(find: str, replace: str, file: str = "test_it.py") -> str:
        return str(tool.judge(tool.Mutant("m", "src.py", find, replace, (file,)), tmp_path)[0])

    assert verdict("ONE = 1", "ONE = 3") == "killed"
    assert verdict("ONE = 1", "ONE = 2") == "survived"
    assert verdict("ONE = 1", "ONE = 2", "test_none.py") == "broken"
    assert verdict("TWO", "ONE") == "stale"
    assert code.read_text(encoding="utf-8") == "ONE = 1\n"
