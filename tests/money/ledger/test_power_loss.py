"""What the ledger has acknowledged survives a power cut at any moment, and the rest leaves no trace."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any, cast

import pytest

from money.ledger_samples import ALICE, BOB, deposit, move, opened
from money.power_cut import Acknowledged, RecordedConnection, Recording
from mrmarket.core.clock import ManualClock
from mrmarket.money.ledger.group import Group, Posted
from mrmarket.money.ledger.ledger import Ledger
from mrmarket.money.ledger.sqlite_store import SqliteStore
from mrmarket.money.ledger.verification import verify_ledger

_ROUNDS = 40


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    """Forty drains of one to six groups, recorded write by write, checkpoints included."""
    path = tmp_path_factory.mktemp("power") / "money.db"
    store = SqliteStore.open(path, "test")
    opened(store)
    epoch = store.epoch
    (synchronous,) = store.connection.execute("PRAGMA synchronous").fetchone()
    store.close()
    rng = random.Random(7)  # noqa: S311 - a seeded choice of what is lost
    with RecordedConnection.open(path, synchronous) as (connection, recording):
        store = SqliteStore(path, cast("Any", connection), epoch)
        ledger = Ledger(store, ManualClock())
        for number in range(_ROUNDS):
            batch = [_group(f"g{number}.{place}", rng) for place in range(rng.randint(1, 6))]
            for group, outcome in zip(batch, ledger.drain(batch), strict=True):
                assert isinstance(outcome.value, Posted)
                recording.events.append(Acknowledged(group.key))
    return recording


def _group(key: str, rng: random.Random) -> Group:
    if rng.random() < 0.5:
        return deposit(key, rng.randint(10, 10**30))
    return Group(key, (*deposit("x", 9).transfers, move(ALICE, BOB, rng.randint(1, 9))), memo="m" * 900)


@pytest.mark.parametrize("seed", range(200))
def test_a_power_cut_loses_nothing_that_was_acknowledged(
    seed: int, recording: Recording, tmp_path: Path
) -> None:
    """Any mix of unsynced writes kept, lost or torn leaves a sound ledger with every acknowledged group."""
    rng = random.Random(seed)  # noqa: S311 - the same
    until = rng.randrange(len(recording.events) + 1)
    recording.cut(until, rng, tmp_path)
    path = tmp_path / "money.db"
    store = SqliteStore.open(path, "heir")
    missing = [key for key in recording.acknowledged(until) if store.find(key) is None]
    store.close()
    check = verify_ledger(path)
    assert (missing, check.ok, check.reason) == ([], True, None), f"seed {seed}, cut at {until}"


def test_the_shim_would_notice_a_missing_sync(recording: Recording, tmp_path: Path) -> None:
    """Where syncs are taken away, some cut loses something acknowledged: the test above can fail."""
    unsynced = Recording(
        recording.base,
        [event for event in recording.events if type(event).__name__ != "Sync"],
    )
    lost = 0
    for seed in range(12):
        folder = tmp_path / str(seed)
        folder.mkdir()
        rng = random.Random(seed)  # noqa: S311 - the same
        unsynced.cut(len(unsynced.events), rng, folder)
        try:
            store = SqliteStore.open(folder / "money.db", "heir")
            lost += any(store.find(key) is None for key in unsynced.acknowledged(len(unsynced.events)))
            store.close()
        except Exception:  # noqa: BLE001 - a file that cannot even be opened has lost everything
            lost += 1
    assert lost
