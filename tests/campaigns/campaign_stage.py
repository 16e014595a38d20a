"""A world that campaigns live in: a partner, a chain, a vault and an engine, written out of lists.

With a folder everything that the world knows is in a file, so that it outlives a killed process.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec
from msgspec.structs import replace

from mrmarket.campaigns import audit
from mrmarket.campaigns.entity import Campaign
from mrmarket.campaigns.errors import JoinRefusedError, PartnerUnclearError
from mrmarket.campaigns.identity import identity
from mrmarket.campaigns.offer import Measure, Offer, RewardToken
from mrmarket.campaigns.pipeline import PayoutTerms
from mrmarket.campaigns.ports import (
    JoinState,
    JoinStatus,
    JoinVerdict,
    OfferList,
    OfferSeen,
    OfferState,
    PayoutPage,
    PayoutSeen,
    Sweep,
    SweepState,
)
from mrmarket.campaigns.repository import CampaignRepository
from mrmarket.campaigns.service import CampaignRounds, Doors, Houserules, Round
from mrmarket.campaigns.terms import ExecutionGoal, Limits, Progress
from mrmarket.core.clock import NS_PER_MS, ManualClock
from mrmarket.core.money import Asset
from mrmarket.money.ledger.draft import Draft
from mrmarket.money.ledger.group import Group
from mrmarket.money.ledger.ledger import Ledger
from mrmarket.money.ledger.port import LedgerStore
from mrmarket.money.ledger.sqlite_store import SqliteStore
from mrmarket.money.ledger.writer import LedgerWriter
from mrmarket.money.rewards import audit as reward_audit
from mrmarket.money.rewards.allocator import Allocator
from mrmarket.money.rewards.attribution import LpShare
from mrmarket.money.rewards.inputs import Sources
from mrmarket.money.rewards.integral import ShareChange, Step
from mrmarket.money.rewards.invariant import RewardBalance, reward_balances
from mrmarket.store.sql import Sql, SqliteReader, SqlReader

T = TypeVar("T")

START_MS: Final = 1_700_000_000_000
CYCLE_MS: Final = 60_000
CHAIN: Final = 1338
TOKEN: Final = "0xbb"
HMT: Final = Asset("mixin", "HMT", 8)
WALLET: Final = "0xwe"


def offer(name: str = "0xaa", measure: Measure = Measure.VOLUME, **changes: Any) -> Offer:
    """Three cycles of a minute each; the reward token has 18 digits, the ledger asset 8."""
    fields: dict[str, Any] = {
        "id": f"hufi-{CHAIN}-{name}",
        "partner": "hufi",
        "chain_id": CHAIN,
        "address": name,
        "measure": measure,
        "exchange": "mexc",
        "market": "ETH/USDT" if measure.is_traded else "HMT",
        "start_ms": START_MS,
        "end_ms": START_MS + 3 * CYCLE_MS,
        "token": RewardToken(CHAIN, TOKEN, "HMT", 18),
        "fund_units": 900 * 10**18,
        "target": Decimal(1000),
        "prizes": (Decimal(100),) if measure is Measure.RANKED_VOLUME else (),
        "cycle_ms": CYCLE_MS,
    }
    return Offer(**(fields | changes))


def payout(tx: str = "0x01", units: int = 10**18, cycle: int = 0, **changes: Any) -> PayoutSeen:
    """A final payout of the campaign."""
    seen = PayoutSeen(
        CHAIN, tx, 7, offer().id, cycle, TOKEN, units, "batch", START_MS + (cycle + 1) * CYCLE_MS, True
    )
    return replace(seen, **changes)


class World:
    """What is true outside of the process, and how it fails."""

    def __init__(self, folder: Path | None = None) -> None:
        self.path = None if folder is None else folder / "world.json"
        self.offers: list[OfferSeen] = [OfferSeen(offer(), OfferState.OPEN)]
        self.closed: str = ""
        self.pages: list[PayoutPage] = []
        self.verdict = JoinVerdict(True, "join", "it is worth it")
        self.cycle_progress: Progress | None = Progress(
            Decimal(0), Decimal(0), Decimal(0), Decimal(100), Decimal(10), 300, "hand"
        )
        self.lost: set[str] = set()
        """Deeds that are done and whose answer is lost, each time."""
        self.silent: set[str] = set()
        """Deeds that are not done."""
        self.sweep_state = SweepState.SETTLED
        self.sweep_cost = 0
        """In units of the ledger asset."""
        self.asked: list[str] = []
        self.joined_ms: dict[str, int] = {}
        self.sweeps: dict[str, int] = {}
        self.goals: dict[str, str] = {}
        if self.path is not None and self.path.exists():
            known = json.loads(self.path.read_text())
            self.joined_ms, self.sweeps, self.goals = known["joined"], known["sweeps"], known["goals"]

    async def list(self) -> OfferList:
        """Port `Offers`."""
        self._answer("list")
        return OfferList(self.offers)

    async def status(self, terms: Offer) -> JoinStatus:
        """Port `Participation`."""
        self._answer("status")
        if terms.id in self.joined_ms:
            return JoinStatus(JoinState.JOINED, self.joined_ms[terms.id])
        return (
            JoinStatus(JoinState.CLOSED, reason=self.closed)
            if self.closed
            else JoinStatus(JoinState.CAN_JOIN)
        )

    async def join(self, terms: Offer) -> None:
        """Port `Participation`."""
        self.asked.append(terms.id)
        self._deny("join")
        if self.closed or terms.id in self.joined_ms:
            raise JoinRefusedError(terms.id, self.closed or "already joined")
        self.joined_ms[terms.id] = START_MS + 5
        self._keep()
        self._answer("join")

    def judge(self, terms: Offer, others: Sequence[Campaign], at_ms: int) -> JoinVerdict:
        """Port `JoinPolicy`."""
        return self.verdict

    async def progress(self, campaign: Campaign, cycle: int) -> Progress | None:
        """Port `ProgressReport`."""
        self._answer("progress")
        return self.cycle_progress

    async def put(self, goal: ExecutionGoal) -> None:
        """Port `ExecutionGoals`."""
        self._deny("goal")
        self.goals[goal.key] = msgspec.json.encode(goal).decode()
        self._keep()
        self._answer("goal")

    @property
    def name(self) -> str:
        """Port `PayoutFeed`."""
        return f"chain:{CHAIN}"

    async def payouts(self, cursor: str, limit: int) -> PayoutPage:
        """Port `PayoutFeed`: page after page, the cursor is the number of the next."""
        self._answer("payouts")
        number = int(cursor or 0)
        if number >= len(self.pages):
            return PayoutPage([], [], cursor)
        return replace(self.pages[number], next_cursor=str(number + 1))

    async def sweep(self, key: str, chain_id: int, token: str, units: int) -> Sweep:
        """Port `RewardVault`: once per key, and never with another amount."""
        self._deny("sweep")
        assert self.sweeps.setdefault(key, units) == units
        self._keep()
        self._answer("sweep")
        cost = self.sweep_cost * 10**10
        return Sweep(key, self.sweep_state, "0xsweep", f"deposit of {key}", cost, 0)

    async def find(self, key: str) -> Sweep | None:
        """Port `RewardVault`."""
        return None if key not in self.sweeps else Sweep(key, self.sweep_state, "0xsweep", "", 0, 0)

    def _deny(self, deed: str) -> None:
        if deed in self.silent:
            raise PartnerUnclearError(deed, "nobody is there")

    def _answer(self, deed: str) -> None:
        self._deny(deed)
        if deed in self.lost:
            raise PartnerUnclearError(deed, "the answer was lost")

    def _keep(self) -> None:
        if self.path is not None:
            known = {"joined": self.joined_ms, "sweeps": self.sweeps, "goals": self.goals}
            self.path.write_text(json.dumps(known))


class Shares:
    """Two people hold shares of the pool, three to one."""

    def changes(self, sql: Sql, pool: str, start_ms: int, end_ms: int) -> Sequence[ShareChange]:
        """From the beginning on."""
        return [Step(START_MS, "user:ann", 3, 1, 1), Step(START_MS, "user:bob", 1, 1, 1)]


class CampaignStage:
    """Books, a world, and the rounds between them."""

    def __init__(self, store: LedgerStore, reader: SqlReader, world: World | None = None) -> None:
        self.clock = ManualClock(START_MS * NS_PER_MS)
        self.world = world or World()
        self.writer = LedgerWriter(Ledger(store, self.clock))
        self.reader = reader
        self.assets: dict[tuple[int, str], Asset] = {(CHAIN, TOKEN): HMT}
        self.terms = PayoutTerms("main", 100, lambda chain_id, token: self.assets.get((chain_id, token)))
        self.rules = Houserules(WALLET, {"mexc": "main"}, Limits(), self.terms, "mixin")
        self.allocator = Allocator(self.writer, reader, Sources((LpShare(Shares()),)))
        self.do(lambda draft: draft.post(Group("open", assets=(HMT,))))

    @classmethod
    def on_file(cls, folder: Path, world: World | None = None) -> CampaignStage:
        """Books in SQLite."""
        path = folder / "money.db"
        return cls(SqliteStore.open(path, "test"), SqliteReader.open(path), world)

    @property
    def rounds(self) -> CampaignRounds:
        """Built anew each time: there is nothing in them that could be lost."""
        world = self.world
        doors = Doors(world, world, world, world, world, [world], world)
        return CampaignRounds(self.writer, self.reader, self.clock, doors, self.rules)

    async def round(self) -> Round:
        """One round, and books that hold afterwards."""
        done = await self.rounds.step()
        self.check()
        return done

    def check(self) -> list[RewardBalance]:
        """Nothing that any audit finds; the equation."""
        assert self.read(lambda sql: list(audit.faults(sql))) == []
        assert self.read(lambda sql: list(reward_audit.faults(sql))) == []
        balances = self.read(reward_balances)
        assert all(one.ok for one in balances)
        assert self.read(lambda sql: identity(sql, deep=True)).faults == []
        return balances

    def pass_time(self, ms: int) -> None:
        """World time."""
        self.clock.advance(ms * NS_PER_MS)

    def do(self, work: Callable[[Draft], T]) -> T:
        """A unit of work."""
        return self.writer.perform(work).result()

    def read(self, work: Callable[[Sql], T]) -> T:
        """A reading of one snapshot."""
        with self.reader.snapshot() as sql:
            return work(sql)

    def repository(self, work: Callable[[CampaignRepository], T]) -> T:
        """A reading of the campaign tables."""
        return self.read(lambda sql: work(CampaignRepository(sql)))

    def campaign(self, name: str = "0xaa") -> Campaign:
        """A campaign as it stands."""
        return self.repository(lambda repository: repository.campaign(offer(name).id))

    def balance(self, account: str) -> int:
        """Units of HMT."""
        return self.do(lambda draft: draft.balance(account, HMT.id))

    def close(self) -> None:
        """Release everything."""
        self.writer.close()
        self.reader.close()
