"""One flipped bit anywhere that means something in a closed file is found, and its record named."""

from __future__ import annotations

import random
from collections import defaultdict
from pathlib import Path

import pytest

from money.ledger_samples import ALICE, BOB, BTC, WORLD, ask, move, opened
from money.sqlite_map import Meaning, meaning_of
from mrmarket.core.clock import ManualClock
from mrmarket.money.ledger.group import Group, Phase, Transfer, TransferKind
from mrmarket.money.ledger.seal_key import SealKey
from mrmarket.money.ledger.seal_office import seal_now
from mrmarket.money.ledger.sqlite_store import SqliteStore
from mrmarket.money.ledger.verification import LedgerCheck, verify_ledger
from mrmarket.money.ledger.writer import LedgerWriter
from mrmarket.store.errors import StoreError
from mrmarket.store.sql import SqliteReader
from mrmarket.store.sqlite import connect

_SHARDS = 6
_EACH = 12
"""Flips of each kind of byte of each table and index, in each shard."""

_LOG = {"groups", "transfers", "assets", "accounts"}


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A closed, vacuumed ledger with trees of several pages, an overflowing memo, holds and seals."""
    path = tmp_path_factory.mktemp("bits") / "money.db"
    ledger = opened(SqliteStore.open(path, "test"))
    for number in range(120):
        group = Group(
            f"g{number}", (move(WORLD, ALICE, 500 + number), move(ALICE, BOB, 3)), memo=f"no {number}"
        )
        ask(ledger, group)
    ask(ledger, Group("long", (move(WORLD, BOB, 5, BTC),), memo="x" * 6_000))
    hold = Transfer(ALICE.id, BOB.id, "sim:USD", 30, TransferKind.LOCK, phase=Phase.PENDING)
    ask(ledger, Group("held", (hold,)))
    writer, reader = LedgerWriter(ledger), SqliteReader(path)
    for _ in range(2):
        seal_now(reader, writer, SealKey(bytes(32), bytes(32)), ManualClock())
    reader.close()
    writer.close()
    connection = connect(path)
    connection.execute("VACUUM")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    assert verify_ledger(path).ok
    return path


def checked(path: Path, data: bytes, place: int, bit: int) -> LedgerCheck | None:
    """What a check says after one bit was flipped; None where the file is refused before it."""
    flipped = bytearray(data)
    flipped[place] ^= 1 << bit
    path.write_bytes(flipped)
    try:
        return verify_ledger(path)
    except StoreError:
        return None


@pytest.mark.parametrize("shard", range(_SHARDS))
def test_every_bit_that_means_something_counts(sound: Path, tmp_path: Path, shard: int) -> None:
    """Header, page structure, index or record: the check fails; a record of the log is named by its group."""
    data = sound.read_bytes()
    places = defaultdict(list)
    for place, meaning in meaning_of(sound).items():
        places[meaning].append(place)
    rng = random.Random(shard)  # noqa: S311 - a seed reproduces the run
    for meaning, whole in places.items():
        for place in rng.sample(whole, min(_EACH, len(whole))):
            bit = rng.randrange(8)
            check = checked(tmp_path / "money.db", data, place, bit)
            assert check is None or not check.ok, (meaning, place, bit)
            if check is not None and meaning.part == "record" and meaning.owner in _LOG:
                assert check.first_bad_seq is not None, (meaning, place, bit, check.reason)


@pytest.mark.parametrize("table", ["balances", "holds", "seals", "leases"])
def test_a_record_beside_the_log_is_named_by_its_table(sound: Path, tmp_path: Path, table: str) -> None:
    """Where no group is to blame, the reason says which table or holding."""
    data = sound.read_bytes()
    rng = random.Random(table)  # noqa: S311 - a seed reproduces the run
    whole = [
        place
        for place, meaning in meaning_of(sound).items()
        if (meaning.owner, meaning.part) == (table, "record")
    ]
    words = {
        "balances": ("balance", "balances"),
        "holds": ("hold",),
        "seals": ("seal",),
        "leases": ("lease",),
    }
    for place in rng.sample(whole, min(24, len(whole))):
        check = checked(tmp_path / "money.db", data, place, rng.randrange(8))
        assert check is not None
        assert any(word in (check.reason or "") for word in words[table]), (place, check.reason)


def test_only_slack_and_counters_may_change_unseen(sound: Path) -> None:
    """The map of what means something leaves out free space, counters and SQLite's version, and no more."""
    live = meaning_of(sound)
    assert {meaning.owner for meaning in live.values()} >= {
        *_LOG,
        "header",
        "sqlite_master",
        "seals",
        "leases",
    }
    assert set(range(100)) - live.keys() == {*range(24, 28), *range(40, 44), *range(92, 100)}
    assert b"no 119" in bytes(sound.read_bytes()[place] for place in sorted(live))


def test_a_record_that_leaves_a_null_out_is_named(sound: Path, tmp_path: Path) -> None:
    """A bit that makes a record say fewer columns than it has reads the same, and is found all the same."""
    data = sound.read_bytes()
    places = [
        place
        for place, meaning in meaning_of(sound).items()
        if meaning == Meaning("transfers", "record")
        and data[place : place + 4] == bytes(4)
        and data[place - 1] > 12
    ]
    assert len(places) > 100
    for place in places[:: len(places) // 8]:
        check = checked(tmp_path / "money.db", data, place + 2, 7)
        assert check is not None
        assert "not written as it was" in (check.reason or "")
        assert check.first_bad_seq is not None


def test_a_second_copy_of_a_rows_number_is_found(sound: Path, tmp_path: Path) -> None:
    """Nobody reads what stands in the record where the number beside it counts."""
    data = sound.read_bytes()
    lives = meaning_of(sound)
    place = data.index(b"no 119")
    while lives.get(place) == Meaning("groups", "record"):
        place -= 1
    start = place + 1
    header = start + 3 if data[start] & 0x80 else start + 2
    check = checked(tmp_path / "money.db", data, header + 1, 3)
    assert check is None or not check.ok
