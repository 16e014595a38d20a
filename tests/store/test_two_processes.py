"""One trading database in SQLite, open in several processes: engines, and the Angel beside them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mrmarket.store.errors import StaleFenceError
from mrmarket.store.trading_store import TradingStore
from store.trading_samples import STREAM, intent, mark

TESTS = Path(__file__).resolve().parents[1]
HEAD = (
    "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[2]);"
    "from mrmarket.store.trading_store import TradingStore;"
    "from store.trading_samples import STREAM, mark, fill, intent;"
    "store = TradingStore.open(Path(sys.argv[1]));"
)
HOUR_NS = 3_600 * 10**9


def process(path: Path, program: str) -> subprocess.Popen[str]:
    """Another process that has the database open as `store`."""
    command = [sys.executable, "-c", HEAD + program, str(path), str(TESTS)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def output(child: subprocess.Popen[str]) -> str:
    """What it printed, once it has ended well."""
    printed, _ = child.communicate()
    assert child.returncode == 0
    return printed.strip()


def test_a_lease_is_seized_from_another_process(store: TradingStore, path: Path) -> None:
    """The Angel takes the fence from its own process, and the engine's next write is refused."""
    store.acquire_lease(STREAM, "engine", HOUR_NS, 0)
    store.record_intent(intent("a"))
    angel = process(path, f"print(store.seize_lease(STREAM, 'angel', {HOUR_NS}, 0).fence)")
    assert output(angel) == "2"
    with pytest.raises(StaleFenceError):
        store.record_intent(intent("b"))
    with pytest.raises(StaleFenceError):
        store.append_facts(STREAM, [mark(1)])
    assert store.renew_leases([STREAM], HOUR_NS, 0) == [STREAM]
    lease = store.lease(STREAM)
    assert lease is not None
    assert (lease.owner, lease.fence) == ("angel", 2)


def test_two_processes_append_at_the_same_time(store: TradingStore, path: Path) -> None:
    """Each keeps its own stream; neither is turned away, and the log verifies as a whole."""
    child = process(
        path,
        "[store.append_facts('run/2', [mark(n), fill(f'c{n}')]) for n in range(100)];"
        "store.record_intents([intent('c', stream='run/2')]); print(store.head('run/2').seq)",
    )
    for number in range(100):
        store.append_facts(STREAM, [mark(number)])
        store.record_intent(intent(f"p{number}"))
    assert output(child) == "200"
    assert [store.head(stream).seq for stream in store.streams()] == [100, 200]
    assert len(store.read_facts("run/2", 0, 1_000)) == 200
    assert len(store.open_intents("run/2")) == 1
    assert store.verify_log().ok


def test_processes_that_start_at_once_make_one_database(path: Path) -> None:
    """Of several that find no file, one makes the tables and the others find them."""
    program = "print(len(store.append_facts(f'run/{sys.argv[1][-1]}', [mark(1)])))"
    children = [process(path, program) for _ in range(3)]
    assert [output(child) for child in children] == ["1"] * 3
    store = TradingStore.open(path)
    assert store.verify_log().facts == 3
    store.close()
