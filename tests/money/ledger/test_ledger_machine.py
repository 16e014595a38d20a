"""A random life of the ledger, on two stores at once, against a model of a few lines."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from money.ledger_samples import ALICE, BOB, BTC, USD, WORLD, ask, deposit, move, opened
from mrmarket.core.clock import ManualClock
from mrmarket.core.money import Asset
from mrmarket.money.ledger.account import Account
from mrmarket.money.ledger.errors import IdempotencyConflictError
from mrmarket.money.ledger.group import Answer, Group, Posted, reversal_of
from mrmarket.money.ledger.ledger import Ledger
from mrmarket.money.ledger.memory_store import MemoryStore
from mrmarket.money.ledger.sqlite_store import SqliteStore
from mrmarket.money.ledger.verification import verify_ledger

KEYS = st.sampled_from([f"k{number}" for number in range(12)])
USERS = st.sampled_from([ALICE, BOB])
ASSETS = st.sampled_from([USD, BTC])
UNITS = st.integers(1, 100) | st.integers(10**30, 10**38)


class LedgerMachine(RuleBasedStateMachine):
    """Deposits, payments, reversals, repeats, conflicts and restarts in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "money.db"
        self.sqlite = SqliteStore.open(self.path, "machine")
        self.memory = MemoryStore()
        self.ledgers = [opened(self.sqlite), opened(self.memory)]
        self.balances: dict[tuple[str, str], int] = {}
        self.answers: dict[str, tuple[Group, str]] = {}
        self.reversed: set[str] = set()

    @rule(key=KEYS, user=USERS, asset=ASSETS, units=UNITS)
    def come_in(self, key: str, user: Account, asset: Asset, units: int) -> None:
        """A deposit."""
        self.ask(deposit(key, units, user, asset))

    @rule(key=KEYS, asset=ASSETS, units=st.lists(UNITS, min_size=1, max_size=3))
    def pay(self, key: str, asset: Asset, units: list[int]) -> None:
        """Several payments from Alice to Bob, all or none."""
        self.ask(Group(key, tuple(move(ALICE, BOB, each, asset) for each in units)))

    @rule(key=KEYS, undone=KEYS)
    def undo(self, key: str, undone: str) -> None:
        """A reversal of something, which may never have happened."""
        original = self.answers.get(undone, (deposit(undone, 1), ""))[0]
        self.ask(reversal_of(original, key))

    @rule()
    def restart(self) -> None:
        """Both stores are opened again; the deposed SQLite writer is forgotten."""
        self.sqlite.connection.close()
        self.sqlite = SqliteStore.open(self.path, "machine")
        self.ledgers = [Ledger(self.sqlite, ManualClock()), Ledger(self.memory, ManualClock())]

    @invariant()
    def books_equal_the_model(self) -> None:
        """Both stores hold what the model holds, and every asset sums to zero."""
        for ledger in self.ledgers:
            held = {holding: units for holding, units in ledger.state.balances.items() if units}
            assert held == {holding: units for holding, units in self.balances.items() if units}
            for asset in (USD, BTC):
                assert sum(units for (_, code), units in held.items() if code == asset.id) == 0

    def ask(self, group: Group) -> None:
        """Ask both ledgers and the model, and compare."""
        wanted = self.model(group)
        for ledger in self.ledgers:
            assert outcome_of(ledger, group) == wanted

    def model(self, group: Group) -> str:
        """What must be answered, by the plainest code there is."""
        if group.key in self.answers:
            known, outcome = self.answers[group.key]
            same = (known.transfers, known.reverses) == (group.transfers, group.reverses)
            return outcome if same else "conflict"
        outcome = "refused"
        original = self.answers.get(group.reverses or "")
        may_reverse = original is not None and original[1] == "posted" and group.reverses not in self.reversed
        if group.reverses is None or may_reverse:
            after = dict(self.balances)
            for each in group.transfers:
                after[each.debit, each.asset] = after.get((each.debit, each.asset), 0) - each.units
                after[each.credit, each.asset] = after.get((each.credit, each.asset), 0) + each.units
            sound = all(
                abs(units) < 2**127 and (units >= 0 or who == WORLD.id) for (who, _), units in after.items()
            )
            if sound:
                self.balances, outcome = after, "posted"
                if group.reverses is not None:
                    self.reversed.add(group.reverses)
        self.answers[group.key] = (group, outcome)
        return outcome

    def teardown(self) -> None:
        """At the end of a life the file verifies."""
        self.sqlite.close()
        check = verify_ledger(self.path)
        self.folder.cleanup()
        assert check.ok, check.reason
        assert set(check.assets.values()) == {"0"}


def outcome_of(ledger: Ledger, group: Group) -> str:
    """One word for an answer."""
    try:
        answer: Answer = ask(ledger, group)
    except IdempotencyConflictError:
        return "conflict"
    return "posted" if isinstance(answer, Posted) else "refused"


TestLedgerMachine = LedgerMachine.TestCase
TestLedgerMachine.settings = settings(max_examples=25, stateful_step_count=30, deadline=None)
