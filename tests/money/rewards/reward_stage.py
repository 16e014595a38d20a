"""Small books with a campaign, a share history that is written by hand, and everything to allocate with."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeVar

from mrmarket.core.clock import NS_PER_MS, ManualClock
from mrmarket.core.money import Asset
from mrmarket.money.ledger.account import Account, AccountKind
from mrmarket.money.ledger.draft import Draft
from mrmarket.money.ledger.group import Group, Transfer, TransferKind
from mrmarket.money.ledger.ledger import Ledger
from mrmarket.money.ledger.port import LedgerStore
from mrmarket.money.ledger.sqlite_store import SqliteStore
from mrmarket.money.ledger.writer import LedgerWriter
from mrmarket.money.rewards.allocator import Allocator
from mrmarket.money.rewards.attribution import LpShare, Ratio
from mrmarket.money.rewards.audit import faults
from mrmarket.money.rewards.campaign import Campaign, Span
from mrmarket.money.rewards.inputs import Sources
from mrmarket.money.rewards.integral import ShareChange, Step
from mrmarket.money.rewards.invariant import RewardBalance, reward_balances
from mrmarket.money.rewards.receipts import Receipt, receive, register, retract
from mrmarket.money.rewards.repository import RewardRepository
from mrmarket.money.rewards.rows import EntryRow, ReductionRow
from mrmarket.store.sql import Sql, SqliteReader, SqlReader

T = TypeVar("T")

USDT: Final = Asset("rail", "USDT", 8)
HMT: Final = Asset("rail", "HMT", 18)
START_MS: Final = 1_700_000_000_000
DAY_MS: Final = 1_000
CAMPAIGN: Final = Campaign("hufi-1", "main", START_MS, START_MS + 3_500, DAY_MS)
"""Days of one second each; the fourth and last is half as long."""

WORLD: Final = Account.of(AccountKind.EXTERNAL, "hufi")
RESERVE: Final = Account.of(AccountKind.OWNER, "reserve")
ALICE, BOB, CAROL = "user:alice", "user:bob", "user:carol"


@dataclass
class WrittenHistory:
    """A share history out of a list; also multipliers, exclusions and how often it was asked."""

    steps: list[ShareChange] = field(default_factory=list)
    ratios: dict[str, Ratio] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)

    def changes(self, sql: Sql, pool: str, start_ms: int, end_ms: int) -> Iterable[ShareChange]:
        """Everything; what is outside the window is the reader's business."""
        return list(self.steps)

    def multipliers(self, sql: Sql, campaign: Campaign, span: Span) -> Mapping[str, Ratio]:
        """As they stand."""
        return dict(self.ratios)

    def excluded(self, sql: Sql, campaign: Campaign, span: Span) -> Mapping[str, str]:
        """As they stand."""
        return dict(self.reasons)


class Stage:
    """One set of books, opened."""

    def __init__(
        self,
        store: LedgerStore,
        reader: SqlReader,
        *,
        history: WrittenHistory | None = None,
        credits_a_group: int = 2,
        dust: Mapping[str, int] | None = None,
        clock: ManualClock | None = None,
    ) -> None:
        self.clock = clock or ManualClock((START_MS + 10_000) * NS_PER_MS)
        self.writer = LedgerWriter(Ledger(store, self.clock))
        self.reader = reader
        self.history = history or WrittenHistory()
        self.sources = Sources((LpShare(self.history),), self.history, self.history, dust or {})
        self.allocator = Allocator(self.writer, reader, self.sources, credits_a_group=credits_a_group)

    @classmethod
    def on_file(
        cls, path: Path, *, history: WrittenHistory | None = None, clock: ManualClock | None = None
    ) -> Stage:
        """Books in SQLite."""
        store = SqliteStore.open(path, "test")
        return cls(store, SqliteReader.open(path), history=history, clock=clock)

    def open_books(self, reserve: int = 0) -> Stage:
        """Register assets and the campaign; the owner may bring a reserve."""
        self.do(lambda draft: draft.post(Group("open", assets=(USDT, HMT), accounts=(WORLD, RESERVE))))
        self.do(lambda draft: register(draft, CAMPAIGN))
        if reserve:
            self.bring_reserve(reserve)
        return self

    def bring_reserve(self, units: int, key: str = "reserve") -> None:
        """The owner pays into the reserve."""
        transfer = Transfer(WORLD.id, RESERVE.id, USDT.id, units, TransferKind.DEPOSIT)
        self.do(lambda draft: draft.post(Group(key, (transfer,))))

    def do(self, work: Callable[[Draft], T]) -> T:
        """A unit of work in the writer's transaction."""
        return self.writer.perform(work).result()

    def read(self, work: Callable[[Sql], T]) -> T:
        """A reading of one snapshot."""
        with self.reader.snapshot() as sql:
            return work(sql)

    def receive(self, ref: str, units: int, day: int = 0, asset: Asset = USDT) -> EntryRow:
        """A reward arrives from the world."""
        receipt = Receipt("chain:1", ref, CAMPAIGN.id, day, asset.id, units, START_MS)
        return self.do(lambda draft: receive(draft, receipt, WORLD))

    def retract(self, ref: str) -> ReductionRow:
        """A chain was reorganised."""
        return self.do(lambda draft: retract(draft, "chain:1", ref))

    def balance(self, account: str, asset: Asset = USDT) -> int:
        """Units of an account."""
        return self.do(lambda draft: draft.balance(account, asset.id))

    def balances(self, *accounts: str) -> list[int]:
        """Units of accounts in USDT."""
        return [self.balance(account) for account in accounts]

    def money(self) -> list[RewardBalance]:
        """The equation, which must hold, and nothing that the audit finds."""
        assert self.read(lambda sql: list(faults(sql))) == []
        return self.read(reward_balances)

    def repository(self, work: Callable[[RewardRepository], T]) -> T:
        """A reading of the reward tables."""
        return self.read(lambda sql: work(RewardRepository(sql)))

    def close(self) -> None:
        """Release everything."""
        self.writer.close()
        self.reader.close()


def held(user: str, shares: int, at_ms: int = 0, num: int = 1, den: int = 1) -> ShareChange:
    """From `at_ms` after the campaign's start on a user has so many shares."""
    return Step(START_MS + at_ms, user, shares, num, den)
