"""Plant faults in a copy of the project, one at a time, and demand that the tests find each of them.

    .venv/bin/python tools/mutants.py [--only NAME …] [--jobs N] [--json]

`tests/mutants.toml` lists the faults: a name that says what was forgotten, the file, the text that is
replaced, what it is replaced by, and the tests that must notice. The checkout itself is never changed.
A fault whose text is no longer there, or a list of tests that cannot run, fails as loudly as a survivor.
What a test reads outside `src`, `tests` and `docs` is not in the copy.
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

ROOT: Final = Path(__file__).resolve().parents[1]
CATALOGUE: Final = ROOT / "tests" / "mutants.toml"
_TIMEOUT_S: Final = 600
_SOUND_TIMEOUT_S: Final = 3_000
"""All tests of the list, where nothing is planted."""
_TESTS_FAILED: Final = 1

Verdict = Literal["killed", "survived", "stale", "broken"]


@dataclass(frozen=True, slots=True)
class Mutant:
    """One planted fault."""

    name: str
    file: str
    find: str
    replace: str
    tests: tuple[str, ...]


def catalogue(path: Path = CATALOGUE) -> list[Mutant]:
    """Every fault of the list; raises ValueError where a name comes twice."""
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    mutants = [
        Mutant(name, entry["file"], entry["find"], entry["replace"], tuple(entry["tests"]))
        for name, entry in table.items()
    ]
    for mutant in mutants:
        if mutant.find == mutant.replace or not mutant.tests:
            raise ValueError(f"{mutant.name}: nothing is changed, or no test is named")
    return mutants


def copy_project(home: Path) -> None:
    """Make a copy that faults can be planted in, compiled so that a changed file is noticed by its content.

    By their times alone a fault of the same length, planted within the same second, would go unseen.
    """
    for part in ("src", "tests", "docs"):
        shutil.copytree(ROOT / part, home / part, ignore=shutil.ignore_patterns("__pycache__", "web"))
    shutil.copy2(ROOT / "pyproject.toml", home)
    compiling = [sys.executable, "-m", "compileall", "-q", "--invalidation-mode", "checked-hash"]
    subprocess.run([*compiling, str(home / "src")], check=True)


def judge(mutant: Mutant, home: Path) -> tuple[Verdict, str]:
    """Plant one fault in a copy and run its tests; the verdict and the last line that pytest said."""
    place = home / mutant.file
    original = place.read_text(encoding="utf-8")
    if original.count(mutant.find) != 1:
        return "stale", f"{mutant.file} has the text {original.count(mutant.find)} times, not once"
    place.write_text(original.replace(mutant.find, mutant.replace), encoding="utf-8")
    try:
        return run_tests(mutant.tests, home)
    finally:
        place.write_text(original, encoding="utf-8")


def run_tests(tests: Iterable[str], home: Path, timeout_s: float = _TIMEOUT_S) -> tuple[Verdict, str]:
    """Run tests in a copy as it stands: `survived` where all of them pass."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
    environment = {**os.environ, "PYTHONPATH": str(home / "src"), "NUMBA_DISABLE_JIT": "1"}
    environment.pop("COVERAGE_PROCESS_START", None)
    try:
        done = subprocess.run(
            command,
            cwd=home,
            env=environment,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return "killed", "the tests did not come to an end"
    said = (done.stdout.strip() or done.stderr.strip() or "nothing").splitlines()[-1]
    if done.returncode == 0:
        return "survived", said
    return ("killed" if done.returncode == _TESTS_FAILED else "broken"), said


def main() -> int:
    """Judge the chosen faults; 1 if any was not killed."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--only", nargs="+", metavar="NAME", help="judge these alone")
    options.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="how many at once")
    options.add_argument("--json", action="store_true", help="one JSON object on standard output")
    chosen = options.parse_args()
    mutants = [mutant for mutant in catalogue() if not chosen.only or mutant.name in chosen.only]
    if not mutants:
        print("no fault of that name; see tests/mutants.toml", file=sys.stderr)
        return 2
    verdicts = _judge_all(mutants, max(1, min(chosen.jobs, len(mutants))))
    alive = [name for name, verdict in verdicts.items() if verdict != "killed"]
    if chosen.json:
        print(json.dumps({"mutants": len(verdicts), "killed": len(verdicts) - len(alive), "alive": alive}))
    else:
        print(f"{len(verdicts) - len(alive)} of {len(verdicts)} planted faults were found")
    return 1 if alive else 0


def _judge_all(mutants: list[Mutant], jobs: int) -> dict[str, Verdict]:
    """Judge in as many copies as there are jobs, and say of each fault what became of it."""
    verdicts: dict[str, Verdict] = {}
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder, ThreadPoolExecutor(jobs) as pool:
        first, *others = (Path(folder) / str(number) for number in range(jobs))
        copy_project(first)
        for other in others:
            shutil.copytree(first, other)
        homes: queue.SimpleQueue[Path] = queue.SimpleQueue()
        for home in (first, *others):
            homes.put(home)

        def work(mutant: Mutant | None) -> tuple[Verdict, str]:
            home = homes.get()
            began = time.monotonic()
            try:
                if mutant is None:
                    verdict, said = run_tests(every_test, home, _SOUND_TIMEOUT_S)
                else:
                    verdict, said = judge(mutant, home)
            finally:
                homes.put(home)
            return verdict, f"{said} [{time.monotonic() - began:.1f} s]"

        # Where the tests fail without a fault, every fault would seem to be found.
        every_test = sorted({test for mutant in mutants for test in mutant.tests})
        sound = pool.submit(work, None)
        for mutant, (verdict, said) in zip(mutants, pool.map(work, mutants), strict=True):
            verdicts[mutant.name] = verdict
            print(f"{verdict:9} {mutant.name}: {said}", file=sys.stderr, flush=True)
        verdict, said = sound.result()
        print(f"{verdict:9} (nothing planted): {said}", file=sys.stderr, flush=True)
        if verdict != "survived":
            verdicts = dict.fromkeys(verdicts, "broken")
    return verdicts


if __name__ == "__main__":
    sys.exit(main())
