"""Sessions and credentials where they are kept: a SQLite file, or a PostgreSQL database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from mrmarket.core.clock import ManualClock
from mrmarket.services.access.repository import ControlStore, SessionRow
from mrmarket.services.access.sessions import Sessions
from mrmarket.services.store_address import StoreAddress
from mrmarket.store.errors import DatabaseDisconnectedError
from postgres_server import PostgresServer, postgres, postgres_server, url_of
from services.doors import counted

__all__ = ["postgres", "postgres_server"]

HOUR_NS = 3600 * 10**9
OpenStore = Callable[[], ControlStore]
"""Opens the same store once more, as another process would."""


@pytest.fixture(params=["sqlite", "postgres"])
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OpenStore]:
    """A store in each of its databases; whatever is opened is closed afterwards."""
    url = url_of(request.getfixturevalue("postgres")) if request.param == "postgres" else ""
    address = StoreAddress(tmp_path, url)
    with ExitStack() as opened:

        def open_once() -> ControlStore:
            store = ControlStore(address.open_control())
            opened.callback(store.close)
            return store

        yield open_once


def test_sessions_outlive_the_process(open_store: OpenStore) -> None:
    """A restart signs nobody out, and forgets at most a minute of when they were seen."""
    clock = ManualClock()
    store = open_store()
    sessions = Sessions(store, clock, counted())
    token = sessions.open("user", "alice", None).token
    clock.advance(11 * HOUR_NS)
    assert sessions.find(token)
    sessions.keep()
    store.close()
    clock.advance(11 * HOUR_NS)
    store = open_store()
    reopened = Sessions(store, clock, counted())
    found = reopened.find(token)
    assert found is not None
    assert (found.role, found.user) == ("user", "alice")
    clock.advance(12 * HOUR_NS)
    assert reopened.find(token) is None
    reopened.keep()
    assert store.sessions() == []


def test_a_sign_out_by_another_process_is_noticed(open_store: OpenStore) -> None:
    """What the command line ends in the database ends in a running instance within a second."""
    clock = ManualClock()
    store, command = (open_store() for _ in range(2))
    sessions = Sessions(store, clock, counted())
    admin, user = sessions.open("admin", None, None).token, sessions.open("user", "bob", None).token
    command.set_password("hash", 0)
    assert store.credential("password", 1) == "hash"  # by now the server has told this process too
    clock.advance(10**9)
    assert sessions.find(admin) is None
    assert sessions.find(user)
    clock.advance(10**9)
    assert sessions.find(user)


def test_a_found_session_costs_no_statement(open_store: OpenStore) -> None:
    """Answers come from memory: a closed database does not keep anybody from being recognised."""
    clock = ManualClock()
    store = open_store()
    sessions = Sessions(store, clock, counted())
    token = sessions.open("user", "alice", None).token
    store.close()
    found = sessions.find(token)
    assert found is not None
    assert sessions.expires_ms(found) == clock.now_ns() // 10**6 + 12 * 3_600_000


def test_the_store_never_moves_last_seen_back(open_store: OpenStore) -> None:
    """A late writer cannot shorten a session that was used since."""
    store = open_store()
    store.add(SessionRow("a" * 64, "user", "alice", 5, 5), None)
    store.touch([("a" * 64, 9), ("a" * 64, 7), ("b" * 64, 8)])
    assert [row.seen_ms for row in store.sessions()] == [9]


def test_a_set_up_link_is_used_once(open_store: OpenStore) -> None:
    """Of two who use one link at the same time one wins; an expired one is nobody's."""
    one, other = open_store(), open_store()
    one.put_credential("setup", "link", 5, expires_ms=100)
    assert one.credential("setup", 99) == "link"
    assert one.credential("setup", 100) is None
    assert not one.take_setup("another link", "hash", 50)
    assert one.take_setup("link", "hash", 50)
    assert not other.take_setup("link", "other hash", 50)
    assert other.credential("password", 60) == "hash"


def test_of_an_accounts_sessions_the_newest_stay(open_store: OpenStore) -> None:
    """The oldest goes when there are too many, and the one just opened never does."""
    store = open_store()
    for number in range(22):
        store.add(SessionRow(f"{number:064}", "user", "alice", number, number), None)
    store.add(SessionRow("f" * 64, "user", "alice", 0, 0), f"{21:064}")
    kept = [row.digest for row in store.sessions()]
    assert len(kept) == 20
    assert "f" * 64 in kept
    assert f"{21:064}" not in kept


def test_a_server_that_was_away_is_asked_again(postgres: str, postgres_server: PostgresServer) -> None:
    """After a lost connection the next who may wait connects, and what was missed counts as news."""
    store, command = (ControlStore(StoreAddress(Path(), url_of(postgres)).open_control()) for _ in range(2))
    store.add(SessionRow("a" * 64, "admin", "", 5, 5), None)
    postgres_server.end_connections(postgres)
    assert store.sessions_changed_elsewhere() is None
    command.set_password("hash", 6)
    assert store.credential("password", 7) == "hash"
    assert store.sessions_changed_elsewhere() == []
    assert store.sessions_changed_elsewhere() is None
    store.close()
    command.close()
    with pytest.raises(DatabaseDisconnectedError, match="closed"):
        store.sessions()
