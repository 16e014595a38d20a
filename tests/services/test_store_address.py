"""Where the books are: files in a folder or a PostgreSQL database, and never a password in sight."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest

from mrmarket.core.clock import SystemClock
from mrmarket.core.errors import InvalidInputError
from mrmarket.core.events import BalanceObserved, Fact, Filled, MarkObserved
from mrmarket.core.side import Side
from mrmarket.money.ledger.verification import LedgerOutdatedError
from mrmarket.money.pool.plan import DEMO_FOUNDERS, PoolPlan
from mrmarket.services.audit import verify_store
from mrmarket.services.config import ConfigError, load_config
from mrmarket.services.data_directory import DataDirectory
from mrmarket.services.money.offices import Limits, Offices
from mrmarket.services.money.world import PaymentWorld
from mrmarket.services.store_address import StoreAddress, StoreInUseError, masked
from mrmarket.store.errors import (
    DatabaseDisconnectedError,
    DatabaseMissingError,
    DatabaseTooNewError,
)
from mrmarket.store.operations import Beat
from mrmarket.store.postgres import connect
from postgres_server import postgres, postgres_server, url_of

__all__ = ["postgres", "postgres_server"]

SECRET = "hunter2"
STREAM = "simulated.BTCUSDT"
PLAN = PoolPlan(stream=STREAM, venue="simulated", quote="USDT", founders=DEMO_FOUNDERS)
FACTS: list[Fact] = [
    BalanceObserved(venue="simulated", at_ns=1, asset="USDT", free="1000", locked="0"),
    BalanceObserved(venue="simulated", at_ns=1, asset="BTC", free="1", locked="0"),
    MarkObserved(
        venue="simulated", at_ns=1, symbol="BTC/USDT", base="BTC", quote="USDT", bid="99", ask="101"
    ),
    Filled(
        venue="simulated",
        at_ns=2,
        symbol="BTC/USDT",
        base="BTC",
        quote="USDT",
        trade_id="t1",
        client_order_id="o1",
        venue_order_id="1",
        side=Side.BUY,
        price="100",
        size="0.5",
        quote_size="50",
        fee="0.05",
        fee_asset="USDT",
        maker=True,
    ),
]


@pytest.fixture(params=["sqlite", "postgres"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StoreAddress]:
    """Each kind of address, with nothing behind it yet."""
    if request.param == "sqlite":
        yield StoreAddress(tmp_path)
    else:
        yield StoreAddress(tmp_path, url_of(request.getfixturevalue("postgres")))


def settled(address: StoreAddress) -> None:
    """Trade a little and bring it into the books."""
    log = address.open_trading()
    log.append_facts(STREAM, FACTS)
    offices = Offices.open(address.folder, log, [PLAN], SystemClock(), PaymentWorld.none(), Limits(), address)
    offices.treasury.settle()
    offices.close()
    log.close()


def test_books_are_made_read_and_verified_alike(address: StoreAddress) -> None:
    """From facts to a ledger that verifies, on files and on a server; every commit is found again."""
    assert not address.has_books()
    address.require_current()
    with pytest.raises(DatabaseMissingError), address.read_books():
        pass
    settled(address)
    address.prepare_books()
    assert address.has_books()
    address.require_current()
    check = verify_store(address)
    assert (check.ok, check.reason) == (True, None)
    assert check.groups > 0
    with address.read_books() as sql:
        assert int(sql.rows("SELECT count(*) FROM groups")[0][0]) == check.groups
    assert bool(list(address.folder.glob("*.db"))) != address.is_postgres


def test_a_ledger_that_was_altered_does_not_verify(address: StoreAddress) -> None:
    """A balance that no posting explains is found wherever it is."""
    settled(address)
    store = address.open_ledger("a thief")
    store.begin()
    changed = store.sql.run("UPDATE balances SET units = '7'")
    store.commit([], {})
    store.close()
    assert changed
    check = verify_store(address)
    assert not check.ok
    assert "balance" in (check.reason or "")


def test_operations_and_sessions_are_behind_the_same_address(address: StoreAddress) -> None:
    """Whoever opens the address again sees what another process has written."""
    operations, control = address.open_operations(), address.open_control()
    operations.beat(Beat(node="n", role="all", seq=1, started_ms=1, at_ms=2))
    again = address.open_operations()
    assert [beat.node for beat in again.beats()] == ["n"]
    with control.reading() as sql:
        assert sql.rows("SELECT count(*) FROM sessions")[0][0] == 0
    for opened in (operations, again, control):
        opened.close()


def test_books_that_an_instance_keeps_are_left_to_it(address: StoreAddress) -> None:
    """On a server another host may be at work; a sign of life within the last minute says so."""
    now_ns = SystemClock().now_ns()
    operations = address.open_operations()
    for node, role, age_s in (("old", "all", 90), ("engine", "engine", 0)):
        at_ms = now_ns // 10**6 - age_s * 1_000
        operations.beat(Beat(node=node, role=role, seq=1, started_ms=1, at_ms=at_ms))
    address.require_rest(now_ns)
    operations.beat(Beat(node="api", role="api", seq=1, started_ms=1, at_ms=now_ns // 10**6, host="h"))
    if address.is_postgres:
        with pytest.raises(StoreInUseError, match="api on h"):
            address.require_rest(now_ns)
    else:
        address.require_rest(now_ns)
    operations.close()


def test_a_newer_programs_tables_are_refused(postgres: str, tmp_path: Path) -> None:
    """A start looks at all three schemas before it touches any."""
    address = StoreAddress(tmp_path, url_of(postgres))
    address.open_trading().close()
    address.open_operations().close()
    with connect(postgres, "control") as connection:
        connection.execute("UPDATE schema_version SET version_num = 'control_9999'")
    with pytest.raises(DatabaseTooNewError):
        DataDirectory(tmp_path, address.url).require_current()


def test_an_older_programs_books_are_not_read(postgres: str, tmp_path: Path) -> None:
    """Commands do not upgrade; they say that an instance will."""
    address = StoreAddress(tmp_path, url_of(postgres))
    address.prepare_books()
    with connect(postgres, "money") as connection:
        connection.execute("UPDATE schema_version SET version_num = 'money_0001'")
    with pytest.raises(LedgerOutdatedError), address.read_books():
        pass


@pytest.mark.parametrize(
    "url", ["mysql://a@b/c", "postgresql:", f"host=h password={SECRET}", "data/money.db", "postgresql://a b"]
)
def test_other_addresses_are_refused(url: str, tmp_path: Path) -> None:
    """Only PostgreSQL URLs are taken, and what was refused is not repeated with its password."""
    with pytest.raises(InvalidInputError, match="postgresql://") as caught:
        StoreAddress(tmp_path, url)
    assert SECRET not in str(caught.value)
    with pytest.raises(ConfigError, match="postgresql://") as refused:
        load_config(None, {"store.url": url})
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"postgresql://me:{SECRET}@db/m", "postgresql://********@db/m"),
        (f"postgresql://db/m?password={SECRET}&port=5", "postgresql://db/m?password=********&port=5"),
        ("postgresql://db/m", "postgresql://db/m"),
        (
            f"see postgres://x:{SECRET}@h and postgres://y:{SECRET}@h",
            "see postgres://********@h and postgres://********@h",
        ),
        ("12.5", "12.5"),
    ],
)
def test_passwords_are_masked(text: str, shown: str) -> None:
    """User and password of an address, wherever they stand."""
    assert masked(text) == shown


def test_the_address_shows_no_password(tmp_path: Path) -> None:
    """Not in its repr, its place, the configuration's view, or the error of a server that is not there."""
    url = f"postgresql://me:{SECRET}@127.0.0.1:1/m?password={SECRET}"
    address = StoreAddress(tmp_path, url)
    view = load_config(None, {"store.url": url}).view()
    with pytest.raises(DatabaseDisconnectedError) as caught:
        address.open_trading()
    seen = [repr(address), str(address.money_place), repr(view), str(caught.value), repr(caught.value)]
    assert not [text for text in seen if SECRET in text]
    assert dataclasses.replace(address).url == url
