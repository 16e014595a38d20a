"""A random life of the ledger, on every store at once, against a model of a few lines."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from money.ledger_samples import ALICE, BOB, BTC, OPENING, USD, WORLD, ask, deposit, move
from mrmarket.core.clock import NS_PER_MS, ManualClock
from mrmarket.core.money import Asset
from mrmarket.money.ledger.account import Account, AccountKind
from mrmarket.money.ledger.draft import Draft
from mrmarket.money.ledger.errors import IdempotencyConflictError
from mrmarket.money.ledger.group import (
    Answer,
    Group,
    Hold,
    Phase,
    Posted,
    Transfer,
    TransferKind,
    reversal_of,
)
from mrmarket.money.ledger.ledger import Ledger
from mrmarket.money.ledger.memory_store import MemoryStore
from mrmarket.money.ledger.port import LedgerStore
from mrmarket.money.ledger.postgres_store import PostgresStore
from mrmarket.money.ledger.sqlite_store import SqliteStore
from mrmarket.money.ledger.verification import verify_ledger
from postgres_server import PostgresServer

KEYS = st.sampled_from([f"k{number}" for number in range(14)])
USERS = st.sampled_from([ALICE, BOB])
ASSETS = st.sampled_from([USD, BTC])
UNITS = st.integers(1, 100) | st.integers(10**30, 10**38)
PURSE = Account("user:purse", AccountKind.USER, 0, 150)
"""Takes no more than 150 of anything."""
START_MS = 1_700_000_000_000


@dataclass
class Promise:
    """A hold, as the model has it."""

    giver: str
    taker: str
    asset: str
    units: int
    expires_ms: int | None
    open: bool = True


@dataclass
class Model:
    """The rules by the plainest code there is: every question is answered from whole lists."""

    now_ms: int = START_MS
    balances: dict[tuple[str, str], int] = field(default_factory=dict)
    promises: dict[str, Promise] = field(default_factory=dict)
    answers: dict[str, tuple[Group, str]] = field(default_factory=dict)
    moved: dict[str, list[Transfer] | None] = field(default_factory=dict)
    """What each posted group moved; None if it made promises."""
    reversed: set[str] = field(default_factory=set)

    def held(self, who: str, asset: str) -> int:
        """Balance."""
        return self.balances.get((who, asset), 0)

    def promised(self, who: str, asset: str) -> int:
        """What somebody has promised to others."""
        return sum(p.units for p in self.promises.values() if p.open and (p.giver, p.asset) == (who, asset))

    def awaited(self, who: str, asset: str) -> int:
        """What others have promised to somebody."""
        return sum(p.units for p in self.promises.values() if p.open and (p.taker, p.asset) == (who, asset))

    def ask(self, group: Group) -> str:
        """What must be answered."""
        if group.key in self.answers:
            known, outcome = self.answers[group.key]
            same = (known.transfers, known.reverses) == (group.transfers, group.reverses)
            return outcome if same else "conflict"
        before = (dict(self.balances), {name: Promise(**vars(p)) for name, p in self.promises.items()})
        moved = self.carry_out(group)
        if moved is None:
            self.balances, self.promises = before
        else:
            pending = any(each.phase is Phase.PENDING for each in group.transfers)
            self.moved[group.key] = None if pending else moved
            if group.reverses is not None:
                self.reversed.add(group.reverses)
        self.answers[group.key] = (group, "refused" if moved is None else "posted")
        return self.answers[group.key][1]

    def carry_out(self, group: Group) -> list[Transfer] | None:
        """What moved, or None if a rule was broken half-way."""
        if group.reverses is not None and not self.may_reverse(group):
            return None
        moved: list[Transfer] = []
        touched: set[tuple[str, str]] = set()
        for position, each in enumerate(group.transfers):
            units = each.units
            if each.clamp and each.debit != WORLD.id:
                available = self.held(each.debit, each.asset) - self.promised(each.debit, each.asset)
                units = min(units, available)
            if units <= 0:
                return None
            if each.phase is Phase.PENDING:
                if each.expires_ms is not None and each.expires_ms <= self.now_ms:
                    return None
                self.promises[f"{group.key}#{position}"] = Promise(
                    each.debit, each.credit, each.asset, units, each.expires_ms
                )
            elif each.phase is not Phase.PLAIN and not self.may_settle(each):
                return None
            if each.phase in {Phase.PLAIN, Phase.POST}:
                self.balances[each.debit, each.asset] = self.held(each.debit, each.asset) - units
                self.balances[each.credit, each.asset] = self.held(each.credit, each.asset) + units
                moved.append(Transfer(each.debit, each.credit, each.asset, units, each.kind))
            touched |= {(each.debit, each.asset), (each.credit, each.asset)}
        return moved if all(self.sound(*holding) for holding in touched) else None

    def may_reverse(self, group: Group) -> bool:
        """Whether the group undoes what another one moved, for the first time."""
        moved = self.moved.get(group.reverses or "")
        if moved is None or group.reverses in self.reversed:
            return False
        return list(group.transfers) == [each.mirror for each in reversed(moved)]

    def may_settle(self, each: Transfer) -> bool:
        """Whether the promise can be kept or dropped; if so, it is no longer open."""
        promise = self.promises.get(each.hold or "")
        if promise is None or not promise.open:
            return False
        late = promise.expires_ms is not None and self.now_ms >= promise.expires_ms
        if each.units > promise.units or (each.phase is Phase.POST and late):
            return False
        if each.phase is Phase.EXPIRE and not late:
            return False
        promise.open = False
        return True

    def sound(self, who: str, asset: str) -> bool:
        """Whether a holding is within its limits."""
        low = self.held(who, asset) - self.promised(who, asset)
        high = self.held(who, asset) + self.awaited(who, asset)
        if low <= -(2**127) or high >= 2**127:
            return False
        return (who == WORLD.id or low >= 0) and (who != PURSE.id or high <= 150)


class LedgerMachine(RuleBasedStateMachine):
    """Deposits, payments, holds, reversals, repeats, conflicts and restarts in any order."""

    server: ClassVar[PostgresServer | None] = None

    def __init__(self) -> None:
        super().__init__()
        self.cleanup = ExitStack()
        self.path = Path(self.cleanup.enter_context(tempfile.TemporaryDirectory())) / "money.db"
        self.clock = ManualClock(START_MS * NS_PER_MS)
        memory = MemoryStore()
        self.openers: list[Callable[[], LedgerStore]] = [
            lambda: memory,
            partial(SqliteStore.open, self.path, "machine"),
        ]
        if self.server is not None:
            address = self.cleanup.enter_context(self.server.database())
            self.openers.append(partial(PostgresStore.open, address, "machine"))
        self.model = Model()
        self.stores: list[LedgerStore] = []
        self.ledgers: list[Ledger] = []
        self.restart()
        for ledger in self.ledgers:
            ask(ledger, OPENING)
            ask(ledger, Group("purse", accounts=(PURSE,)))

    @rule(key=KEYS, user=USERS, asset=ASSETS, units=UNITS)
    def come_in(self, key: str, user: Account, asset: Asset, units: int) -> None:
        """A deposit."""
        self.ask(deposit(key, units, user, asset))

    @rule(key=KEYS, asset=ASSETS, units=st.lists(UNITS, min_size=1, max_size=3))
    def pay(self, key: str, asset: Asset, units: list[int]) -> None:
        """Several payments from Alice to Bob, all or none."""
        self.ask(Group(key, tuple(move(ALICE, BOB, each, asset) for each in units)))

    @rule(key=KEYS, asset=ASSETS, units=UNITS)
    def fill_purse(self, key: str, asset: Asset, units: int) -> None:
        """A payment to an account with a ceiling."""
        self.ask(Group(key, (move(ALICE, PURSE, units, asset),)))

    @rule(key=KEYS, giver=USERS, asset=ASSETS, units=UNITS, lasts_ms=st.none() | st.integers(0, 20))
    def set_aside(self, key: str, giver: Account, asset: Asset, units: int, lasts_ms: int | None) -> None:
        """Two holds at once, one of them clamped, towards the account with a ceiling or Bob."""
        expires_ms = None if lasts_ms is None else self.model.now_ms + lasts_ms
        first, second = (
            Transfer(
                giver.id,
                (PURSE if clamp else WORLD).id,
                asset.id,
                units,
                TransferKind.LOCK,
                Phase.PENDING,
                expires_ms=expires_ms,
                clamp=clamp,
            )
            for clamp in (False, True)
        )
        self.ask(Group(key, (first, second)))

    @rule(key=KEYS, user=USERS, asset=ASSETS, units=UNITS)
    def sweep(self, key: str, user: Account, asset: Asset, units: int) -> None:
        """Whatever is there, at most so much, goes out."""
        self.ask(Group(key, (Transfer(user.id, WORLD.id, asset.id, units, TransferKind.FEE, clamp=True),)))

    @rule(
        key=KEYS,
        made=KEYS,
        position=st.integers(0, 1),
        phase=st.sampled_from([Phase.POST, Phase.VOID, Phase.EXPIRE]),
        part=st.integers(1, 4),
    )
    def settle(self, key: str, made: str, position: int, phase: Phase, part: int) -> None:
        """End a hold, which may never have been or be over already; a POST moves a quarter to all of it."""
        promise = self.model.promises.get(f"{made}#{position}")
        promise = promise or Promise(ALICE.id, WORLD.id, USD.id, 7, None)
        units = max(1, promise.units * part // 4) if phase is Phase.POST else promise.units
        self.ask(
            Group(
                key,
                (
                    Transfer(
                        promise.giver,
                        promise.taker,
                        promise.asset,
                        units,
                        TransferKind.LOCK,
                        phase,
                        f"{made}#{position}",
                    ),
                ),
            )
        )

    @rule(key=KEYS, undone=KEYS)
    def undo(self, key: str, undone: str) -> None:
        """A reversal of something, which may never have happened."""
        original = self.model.answers.get(undone, (deposit(undone, 1), ""))[0]
        if any(each.moves for each in original.transfers):
            self.ask(reversal_of(original, key))

    @rule(ms=st.integers(1, 10))
    def wait(self, ms: int) -> None:
        """Time passes."""
        self.clock.advance(ms * NS_PER_MS)
        self.model.now_ms += ms

    @rule()
    def restart(self) -> None:
        """Every store is opened again; the deposed writers are forgotten."""
        self.release()
        self.stores = [opener() for opener in self.openers]
        self.ledgers = [Ledger(store, self.clock) for store in self.stores]

    @invariant()
    def books_equal_the_model(self) -> None:
        """Every store holds what the model holds, and every asset sums to zero."""
        for ledger in self.ledgers:
            held = {holding: units for holding, units in ledger.state.balances.items() if units}
            assert held == {holding: units for holding, units in self.model.balances.items() if units}
            for asset in (USD, BTC):
                assert sum(units for (_, code), units in held.items() if code == asset.id) == 0
            assert {name: hold.units for name, hold in ledger.state.holds.items()} == {
                name: promise.units for name, promise in self.model.promises.items() if promise.open
            }
            for holding, waiting in ledger.state.pending.items():
                assert waiting == (self.model.promised(*holding), self.model.awaited(*holding))

    @invariant()
    def late_holds_are_found(self) -> None:
        """What has run out is listed, and nothing else."""
        late = {
            name
            for name, promise in self.model.promises.items()
            if promise.open and promise.expires_ms is not None and promise.expires_ms <= self.model.now_ms
        }

        def look(draft: Draft) -> list[Hold]:
            return draft.expired_holds(100)

        for ledger in self.ledgers:
            (outcome,) = ledger.drain([look])
            assert {hold.id for hold in outcome.value} == late

    def ask(self, group: Group) -> None:
        """Ask every ledger and the model, and compare."""
        wanted = self.model.ask(group)
        answers = [outcome_of(ledger, group) for ledger in self.ledgers]
        assert {word for word, _ in answers} == {wanted}
        assert len({answer for _, answer in answers}) == 1  # down to the number and the reason

    def release(self) -> None:
        """Let go of files and connections."""
        for store in self.stores:
            store.close()
        self.stores = []

    def teardown(self) -> None:
        """At the end of a life the file verifies."""
        self.release()
        check = verify_ledger(self.path)
        self.cleanup.close()
        assert check.ok, check.reason
        assert set(check.assets.values()) == {"0"}


def outcome_of(ledger: Ledger, group: Group) -> tuple[str, str]:
    """One word for an answer, and all that it says but the writer's epoch."""
    try:
        answer: Answer = ask(ledger, group)
    except IdempotencyConflictError as error:
        return "conflict", str(error)
    if isinstance(answer, Posted):
        return "posted", str(answer.seq)
    return "refused", f"{answer.seq} {answer.code} {answer.message}"


def test_a_life_on_memory_and_sqlite() -> None:
    """Many lives on the two stores that are quick to open."""
    run_state_machine_as_test(
        LedgerMachine, settings=settings(max_examples=30, stateful_step_count=40, deadline=None)
    )


def test_a_life_on_all_three(postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A few lives with the server among them."""
    monkeypatch.setattr(LedgerMachine, "server", postgres_server)
    run_state_machine_as_test(
        LedgerMachine, settings=settings(max_examples=5, stateful_step_count=30, deadline=None)
    )
