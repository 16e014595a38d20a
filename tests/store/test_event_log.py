"""The event log: gapless, chained, deduplicated, readable once it is safe."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mrmarket.core.events import Fact
from mrmarket.store import database as database_module
from mrmarket.store.errors import DatabaseDamagedError, DatabaseUnavailableError
from mrmarket.store.event_log import chain_hash, genesis_hash
from mrmarket.store.trading_store import TradingStore
from store.trading_samples import STREAM, fill, intent, mark


def tamper(path: Path, statement: str, *values: object) -> None:
    """Change the file as somebody would who knows SQL and removes the guards first."""
    connection = sqlite3.connect(path)
    connection.execute("DROP TRIGGER events_never_update")
    connection.execute("DROP TRIGGER events_never_delete")
    connection.execute(statement, values)
    connection.commit()
    connection.close()


def test_a_fact_cannot_be_edited_or_removed(store: TradingStore, path: Path) -> None:
    """The database itself refuses to change history."""
    store.append_facts(STREAM, [mark(1)])
    connection = sqlite3.connect(path)
    for statement in ("UPDATE events SET at_ns = 2", "DELETE FROM events"):
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            connection.execute(statement)
    connection.close()


@pytest.mark.parametrize(
    ("statement", "values", "seq", "reason"),
    [
        ("UPDATE events SET payload = replace(payload, 'BTC', 'ETH') WHERE seq = 2", (), 2, "hash"),
        ("UPDATE events SET epoch = 7 WHERE seq = 3", (), 3, "hash"),
        ("UPDATE events SET at_ns = 7 WHERE seq = 3", (), 3, "column"),
        ("UPDATE events SET kind = 'filled' WHERE seq = 1", (), 1, "column"),
        ("UPDATE events SET natural_key = 'x' WHERE seq = 4", (), 4, "column"),
        ("DELETE FROM events WHERE seq = 2", (), 2, "missing"),
        ("UPDATE events SET stream = 'run/9' WHERE seq = 1", (), 1, ""),
    ],
)
def test_a_changed_row_is_found_and_named(
    store: TradingStore, path: Path, statement: str, values: tuple[object, ...], seq: int, reason: str
) -> None:
    """Whatever is altered in a row, verification stops at that row."""
    store.append_facts(STREAM, [mark(1), mark(2), mark(3), fill("t1")])
    tamper(
        path,
        statement.replace(
            "payload = replace(payload, 'BTC', 'ETH')",
            "payload = CAST(replace(CAST(payload AS TEXT), 'BTC', 'ETH') AS BLOB)",
        ),
        *values,
    )
    check = store.verify_log()
    assert (check.ok, check.first_bad_seq) == (False, seq)
    assert check.first_bad_stream == STREAM
    assert reason in (check.reason or "")


def test_a_payload_that_is_no_fact_is_found(store: TradingStore, path: Path) -> None:
    """A row with a valid hash but a foreign content is reported, and reading it names the row."""
    store.append_facts(STREAM, [mark(1)])
    payload = b'{"type":"gossip"}'
    digest = chain_hash(genesis_hash(STREAM), 0, 1, payload)
    tamper(path, "UPDATE events SET payload = ?, hash = ?", payload, digest)
    check = store.verify_log()
    assert (check.first_bad_seq, (check.reason or "")[:7]) == (1, "payload")
    with pytest.raises(DatabaseDamagedError, match="event 1 of stream 'run/1'"):
        store.read_facts(STREAM, 0, 1)


def test_facts_on_their_way_to_the_disk_cannot_be_read(
    store: TradingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Settlement sees a fact only when no power cut can take it back."""
    seen: list[int] = []

    def look_while_syncing(descriptor: int) -> None:
        seen.append(len(store.read_facts(STREAM, 0, 10)) + store.head(STREAM).seq)

    monkeypatch.setattr(database_module, "sync_file", look_while_syncing)
    store.append_facts(STREAM, [mark(1)])
    assert seen == [0]
    assert len(store.read_facts(STREAM, 0, 10)) == 1


def test_after_a_failed_sync_nothing_more_is_written(
    store: TradingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that lost a write is not trusted again before the file is opened anew."""

    def lose(descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(database_module, "sync_file", lose)
    with pytest.raises(DatabaseUnavailableError, match="sync failed"):
        store.append_facts(STREAM, [mark(1)])
    monkeypatch.undo()
    with pytest.raises(DatabaseUnavailableError, match="sync failed"):
        store.append_facts(STREAM, [mark(2)])
    with pytest.raises(DatabaseUnavailableError, match="sync failed"):
        store.record_intent(intent("a"))
    assert store.read_facts(STREAM, 0, 10) == []


def test_a_long_log_is_folded_into_the_file(
    store: TradingStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The write-ahead log does not grow for ever: appending checkpoints it."""
    monkeypatch.setattr(database_module, "_CHECKPOINT_BYTES", 64 * 1024)
    store.append_facts(STREAM, [mark(number) for number in range(300)])
    size = path.stat().st_size
    store.append_facts(STREAM, [mark(301)])
    assert path.stat().st_size >= size > 64 * 1024
    assert path.with_name("trading.db-wal").stat().st_size < 2 * size


@settings(max_examples=25, deadline=None)
@given(batches=st.lists(st.lists(st.integers(0, 6), max_size=5), max_size=8))
def test_any_order_of_repeats_leaves_each_trade_once(
    tmp_path_factory: pytest.TempPathFactory, batches: list[list[int]]
) -> None:
    """However trades are batched and repeated, the log holds each once, in order of first sight."""
    store = TradingStore.open(tmp_path_factory.mktemp("log") / "trading.db")
    for batch in batches:
        facts: list[Fact] = [fill(str(number)) for number in batch]
        store.append_facts(STREAM, facts)
    wanted = list(dict.fromkeys(str(number) for batch in batches for number in batch))
    rows = store.read_facts(STREAM, 0, 100)
    assert [getattr(row.fact, "trade_id", None) for row in rows] == wanted
    assert [row.seq for row in rows] == list(range(1, len(wanted) + 1))
    assert store.verify_log().ok
    store.close()
