"""Full disks, locks and broken files: one clear error each, and nothing half done."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from mrmarket.store import sqlite as sqlite_module
from mrmarket.store.database import Database
from mrmarket.store.errors import (
    DatabaseBusyError,
    DatabaseDamagedError,
    DatabaseFullError,
    DatabaseUnavailableError,
)
from mrmarket.store.order_journal import OrderIntent
from mrmarket.store.trading_store import TradingStore
from store.trading_samples import STREAM, intent, mark


def writer_of(store: TradingStore) -> sqlite3.Connection:
    """The connection that the store writes with."""
    return store._database._writer


def not_full(store: TradingStore, order: OrderIntent) -> bool:
    """Whether there was room for one more intent."""
    try:
        store.record_intent(order)
    except DatabaseFullError:
        return False
    return True


def fill_disk(store: TradingStore) -> None:
    """Let the database have no page more than it has."""
    pages = writer_of(store).execute("PRAGMA page_count").fetchone()[0]
    writer_of(store).execute(f"PRAGMA max_page_count = {pages}")


def test_a_full_disk_takes_no_part_of_a_batch(store: TradingStore) -> None:
    """A batch that does not fit is refused whole, and fits once there is room again."""
    store.append_facts(STREAM, [mark(1)])
    fill_disk(store)
    batch = [mark(number) for number in range(2, 500)]
    with pytest.raises(DatabaseFullError) as caught:
        store.append_facts(STREAM, batch)
    assert (caught.value.code, caught.value.retryable) == ("database_full", True)
    assert store.head(STREAM).seq == 1
    writer_of(store).execute("PRAGMA max_page_count = 1000000")
    store.append_facts(STREAM, batch)
    assert store.head(STREAM).seq == 499
    assert store.verify_log().ok


def test_a_full_disk_refuses_an_intent_before_it_is_sent(store: TradingStore) -> None:
    """An order whose intent cannot be written is never sent, and not half remembered."""
    fill_disk(store)
    written = 0
    while not_full(store, intent(f"a{written}")):
        written += 1
    assert len(store.open_intents(STREAM)) == written


def test_a_lock_held_too_long_is_reported_as_busy(store: TradingStore, path: Path) -> None:
    """Another process in a long transaction gives a retryable error, and the write succeeds afterwards."""
    writer_of(store).execute("PRAGMA busy_timeout = 10")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(DatabaseBusyError) as caught:
        store.append_facts(STREAM, [mark(1)])
    with pytest.raises(DatabaseBusyError):
        store.record_intent(intent("a"))
    other.execute("ROLLBACK")
    other.close()
    assert caught.value.retryable
    store.append_facts(STREAM, [mark(1)])
    assert store.head(STREAM).seq == 1


def test_a_read_only_database_is_unavailable(store: TradingStore) -> None:
    """Where nothing may be written, the error says to check permissions."""
    writer_of(store).execute("PRAGMA query_only = ON")
    with pytest.raises(DatabaseUnavailableError, match="check the path, its permissions"):
        store.append_facts(STREAM, [mark(1)])


def test_a_missing_table_is_no_silent_answer(store: TradingStore, path: Path) -> None:
    """A query that SQLite refuses raises, it does not return nothing."""
    other = sqlite3.connect(path)
    other.execute("DROP TABLE orders")
    other.close()
    with pytest.raises(DatabaseUnavailableError):
        store.orders(STREAM)


def test_a_damaged_page_is_found(store: TradingStore, path: Path) -> None:
    """Structure is checked before content."""
    store.append_facts(STREAM, [mark(number) for number in range(400)])
    store.close()
    data = bytearray(path.read_bytes())
    page = 4096
    for number in range(3, len(data) // page):
        data[number * page : number * page + 8] = b"\xff" * 8
    path.write_bytes(data)
    damaged = Database(path)
    with pytest.raises(DatabaseDamagedError):
        damaged.read("SELECT * FROM events")
    damaged.close()
    reopened = None
    try:
        reopened = TradingStore.open(path)
        assert not reopened.verify_log().ok
    except DatabaseDamagedError:
        pass  # found even earlier, on opening
    finally:
        if reopened is not None:
            reopened.close()


def test_closing_twice_is_harmless(store: TradingStore) -> None:
    """Shutdown paths may meet."""
    store.close()
    store.close()


def test_a_log_that_cannot_be_opened_closes_what_was_opened(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the write-ahead log cannot be synced at the start, the store does not open."""
    TradingStore.open(path).close()

    def lose(descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("mrmarket.store.database.sync_file", lose)
    with pytest.raises(DatabaseUnavailableError, match="Input/output error"):
        TradingStore.open(path)


def test_an_error_without_a_code_is_still_ours() -> None:
    """Anything SQLite raises becomes a store error."""
    error = sqlite_module.store_error(Path("x.db"), sqlite3.ProgrammingError("closed"))
    assert isinstance(error, DatabaseUnavailableError)
    assert "x.db" in str(error)


def test_a_database_behind_a_link_is_the_database_itself(tmp_path: Path) -> None:
    """A link to a file on another disk opens, is durable, and is not taken for a file at rest meanwhile."""
    (tmp_path / "disk").mkdir()
    link = tmp_path / "trading.db"
    link.symlink_to(tmp_path / "disk" / "trading.db")
    linked = TradingStore.open(link)
    linked.append_facts(STREAM, [mark(1)])
    assert not sqlite_module.is_at_rest(link)
    linked.close()
    assert sqlite_module.is_at_rest(link)
    again = TradingStore.open(tmp_path / "disk" / "trading.db")
    assert again.head(STREAM).seq == 1
    again.close()
