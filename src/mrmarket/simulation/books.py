"""The business core in the simulation: the real offices over a ledger in an SQLite database in memory."""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache, partial
from pathlib import Path
from random import Random
from typing import Final

from mrmarket.core.clock import Clock
from mrmarket.money.ledger.books import Holding
from mrmarket.money.ledger.chain import Record
from mrmarket.money.ledger.lease import TAKE_LEASE, lease_values
from mrmarket.money.ledger.sqlite_store import SqliteStore
from mrmarket.money.ledger.writer import LedgerWriter
from mrmarket.money.payouts.payment import Claimer
from mrmarket.money.payouts.port import PaymentRail, VenueFunding
from mrmarket.money.pool.plan import Founder, PoolPlan
from mrmarket.money.pool.settlement import FactReader
from mrmarket.money.pool.terms import Terms
from mrmarket.money.pool.treasury import Treasury
from mrmarket.services.money.face import MoneyOffice
from mrmarket.services.money.offices import Offices
from mrmarket.services.money.rounds import Rhythm, Rounds
from mrmarket.services.money.watch import SolvencyWatch
from mrmarket.services.money.world import PaymentWorld
from mrmarket.simulation.disk import Disk
from mrmarket.store.migration import MONEY_SCHEMA, prepare
from mrmarket.store.sql import Sql, SqliteSql
from mrmarket.store.sqlite import connect

_PATH: Final = Path("money.db")
_RHYTHM: Final = Rhythm(seal_ms=365 * 86_400_000, fees_ms=1_200_000)
_FORMAT_BYTES: Final = slice(18, 20)
"""Of a database's header: 2 for a file with a write-ahead log, 1 for one without."""

FOUNDERS: Final = (Founder("owner", 1),)


@lru_cache(maxsize=1)
def _template() -> bytes:
    """An empty `money.db` of today's schema."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "money.db"
        path.touch()
        prepare(path, MONEY_SCHEMA)
        connection = connect(path)
        image = bytearray(connection.serialize())
        connection.close()
    image[_FORMAT_BYTES] = b"\x01\x01"
    return bytes(image)


@lru_cache(maxsize=1)
def _master() -> sqlite3.Connection:
    """The same as a database, to be copied from."""
    connection = sqlite3.connect(":memory:", check_same_thread=False)
    connection.deserialize(_template())
    return connection


def new_database(path: Path | None = None) -> sqlite3.Connection:
    """What the disk holds of money; it outlives every process that writes to it. None is in memory."""
    if path is not None:
        path.write_bytes(_template())
    connection = sqlite3.connect(
        path or ":memory:", isolation_level=None, check_same_thread=False, cached_statements=512
    )
    if path is None:
        _master().backup(
            connection
        )  # not `deserialize`: that keeps a file in memory, and a cache of its pages
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA recursive_triggers = ON")
    connection.execute("PRAGMA journal_mode = MEMORY")
    return connection


class SimulatedLedgerStore(SqliteStore):
    """The real store, on a disk that may be full, away, or the last thing that its process sees."""

    def __init__(self, connection: sqlite3.Connection, disk: Disk) -> None:
        """Become the writer, deposing whoever was it."""
        if connection.in_transaction:
            connection.execute("ROLLBACK")  # of a process that died in the middle of it
        disk.begin()
        epoch = connection.execute(TAKE_LEASE, lease_values("instance")).fetchone()[0]
        super().__init__(_PATH, connection, epoch)
        self._disk = disk

    def begin(self) -> None:
        """Start a transaction, where the disk lets us."""
        self._disk.begin()
        super().begin()

    def commit(self, records: Sequence[Record], balances: Mapping[Holding, int]) -> None:
        """Commit; the process may not live to hear of it."""
        super().commit(records, balances)
        self._disk.committed()

    def close(self) -> None:
        """The database stays: it is the disk's."""


class SimulatedReader:
    """Reads through the writer's own connection: here nothing happens at the same time."""

    def __init__(self, connection: sqlite3.Connection, disk: Disk) -> None:
        self._connection = connection
        self._disk = disk

    @contextmanager
    def snapshot(self) -> Iterator[Sql]:
        """A block that sees the last commit."""
        self._disk.begin(writes=False)
        yield SqliteSql(_PATH, self._connection)

    def close(self) -> None:
        """Nothing to release."""


class Business:
    """One life of the business core: settles, moves money, and answers people."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        disk: Disk,
        facts: FactReader,
        plans: Sequence[PoolPlan],
        clock: Clock,
        rails: Mapping[str, PaymentRail],
        venues: Mapping[str, VenueFunding],
        rng: Random,
        claimers: Sequence[Claimer] = (),
    ) -> None:
        treasury = Treasury(
            plans,
            facts,
            SimulatedLedgerStore(connection, disk),
            SimulatedReader(connection, disk),
            clock,
            writer=partial(LedgerWriter, threaded=False),
        )
        self.offices = Offices(
            treasury,
            PaymentWorld(dict(rails), dict(venues)),
            clock,
            Path(),
            rng.random,
            _ids(rng),
            claimers,
        )
        self.offices.prepare(())
        watch = SolvencyWatch(self.offices)
        self._rounds = Rounds(self.offices, _RHYTHM, watch)
        self.office = MoneyOffice(
            self.offices, None, lambda: None, fills=lambda _limit: [], watch=watch, look=self._rounds.look
        )

    async def keep(self, every_s: float) -> None:
        """Settle what the engines wrote and move everything along, again and again."""
        treasury = self.offices.treasury
        while True:
            for plan in treasury.plans:
                await asyncio.to_thread(treasury.settle, plan.name)
            await self._rounds.step()
            await asyncio.sleep(every_s)


def pool_plan(name: str, stream: str, venue: str, quote: str, rail: str) -> PoolPlan:
    """A pool of the simulation: everybody may come and go at once, and it costs a little."""
    return PoolPlan(
        stream=stream,
        venue=venue,
        quote=quote,
        name=name,
        founders=FOUNDERS,
        terms=Terms(minimum_deposit="10", capacity="100000000", management_fee_bps=100),
        rail=rail,
    )


def _ids(rng: Random) -> Callable[[], str]:
    return lambda: f"{rng.getrandbits(96):024x}"
