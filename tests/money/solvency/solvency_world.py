"""A ledger with money on a rail and at a venue, for the tests of what is owed and what is there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from mrmarket.core.clock import NS_PER_MS, ManualClock
from mrmarket.core.money import Asset
from mrmarket.money.ledger.account import Account, AccountKind
from mrmarket.money.ledger.group import Answer, Group, Transfer, TransferKind
from mrmarket.money.ledger.ledger import Ledger
from mrmarket.money.ledger.seal_key import SealKey
from mrmarket.money.ledger.seal_office import seal_now
from mrmarket.money.ledger.sqlite_store import SqliteStore
from mrmarket.money.ledger.writer import LedgerWriter
from mrmarket.money.solvency.comparison import Place, Span
from mrmarket.money.solvency.repository import IncidentRow, Observation
from mrmarket.money.solvency.watch import Look, look, observe, release
from mrmarket.store.sql import SqliteReader

RAIL_USDT = Asset("rail", "USDT", 8)
VENUE_USDT = Asset("sim", "USDT", 18)
SHARE = Asset("pool", "main", 18)
RAIL = Account.of(AccountKind.RAIL, "rail")
OUTSIDE = Account.of(AccountKind.EXTERNAL, "sim")
VENUE = Account.of(AccountKind.VENUE, "sim")
ISSUER = Account.of(AccountKind.ISSUER, "main")
ALICE = Account.of(AccountKind.USER, "alice")
POOL = Account.of(AccountKind.POOL, "main")
PLACES = {"rail": Place("rail", 60_000), "sim": Place("sim", 60_000, slack_ms=500)}


class World:
    """Alice has 100 USDT on the rail, the pool has 50 at the venue and a share is out."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.clock = ManualClock()
        self.writer = LedgerWriter(Ledger(SqliteStore.open(path, "test"), self.clock))
        self.reader = SqliteReader(path)
        self.key = SealKey(bytes(32), bytes(32))
        assets, accounts = (RAIL_USDT, VENUE_USDT, SHARE), (RAIL, OUTSIDE, VENUE, ISSUER, ALICE, POOL)
        self.post(Group("open", assets=assets, accounts=accounts))
        self.move("in", RAIL, ALICE, RAIL_USDT, 100 * 10**8)
        self.move("lock", OUTSIDE, POOL, VENUE_USDT, 50 * 10**18)
        self.move("mint", ISSUER, ALICE, SHARE, 1)
        self.wait(60_000)

    @property
    def now_ms(self) -> int:
        """UTC ms."""
        return self.clock.now_ns() // NS_PER_MS

    def wait(self, delta_ms: int) -> None:
        """Let time pass."""
        self.clock.advance(delta_ms * NS_PER_MS)

    def post(self, group: Group) -> Answer:
        """Post and wait."""
        return self.writer.submit(group).result()

    def move(self, key: str, giver: Account, taker: Account, asset: Asset, units: int) -> Answer:
        """One transfer."""
        return self.post(Group(key, (Transfer(giver.id, taker.id, asset.id, units, TransferKind.DEPOSIT),)))

    def see(self, rail: int = 100 * 10**8, venue: int = 50 * 10**18) -> None:
        """Both places say, a second later, what they hold."""
        self.wait(1_000)
        words = [
            Observation("rail", "USDT", rail, 8, self.now_ms),
            Observation("sim", "USDT", venue, 18, self.now_ms),
        ]
        self.writer.perform(lambda draft: observe(draft, words)).result()

    def look(self, more: Iterable[Span] = (), places: Mapping[str, Place] = PLACES) -> Look:
        """Look at everything."""
        spans = list(more)
        return self.writer.perform(lambda draft: look(draft, places, spans)).result()

    def release(self, incident: str, reason: str = "counted by hand") -> IncidentRow:
        """The owner takes a difference as it is."""
        return self.writer.perform(lambda draft: release(draft, incident, "owner", reason)).result()

    def seal(self) -> None:
        """Seal the books."""
        seal_now(self.reader, self.writer, self.key, self.clock)

    def close(self) -> None:
        """End the writer."""
        self.reader.close()
        self.writer.close()
