"""Rewards that come, go, come late and are reconsidered, in any order: the same few things hold."""

from __future__ import annotations

import tempfile
from pathlib import Path

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from money.rewards.reward_stage import CAMPAIGN, RESERVE, USDT, WORLD, Stage, WrittenHistory, held
from mrmarket.money.rewards.receipts import cover_shortages
from mrmarket.money.rewards.repository import RewardRepository

USERS = ["user:a", "user:b", "user:c"]
UNITS = st.integers(1, 10_000)


class RewardsMachine(RuleBasedStateMachine):
    """One day of one campaign, over its whole life."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        history = WrittenHistory([held(user, 1) for user in USERS])
        self.stage = Stage.on_file(Path(self._folder.name) / "money.db", history=history).open_books()
        self.alive: list[str] = []
        self.count = 0
        self.brought = 0
        self.most = dict.fromkeys(USERS, 0)

    def teardown(self) -> None:
        """Nothing is left over."""
        self.stage.close()
        self._folder.cleanup()

    @rule(units=UNITS)
    def receive(self, units: int) -> None:
        """A reward comes in."""
        self.count += 1
        self.alive.append(f"tx{self.count}")
        self.stage.receive(f"tx{self.count}", units)

    @precondition(lambda self: self.alive)
    @rule(data=st.data())
    def retract(self, data: st.DataObject) -> None:
        """A chain is reorganised."""
        ref = data.draw(st.sampled_from(self.alive))
        self.alive.remove(ref)
        self.stage.retract(ref)

    @rule(shares=st.lists(st.integers(0, 5), min_size=3, max_size=3), excluded=st.sampled_from([*USERS, ""]))
    def correct(self, shares: list[int], excluded: str) -> None:
        """The history turns out to have been another."""
        self.stage.history.steps = [held(user, units) for user, units in zip(USERS, shares, strict=True)]
        self.stage.history.reasons = {excluded: "found out"} if excluded else {}

    @rule(units=UNITS)
    def fill_reserve(self, units: int) -> None:
        """The owner brings money."""
        self.brought += units
        self.stage.bring_reserve(units, f"reserve {self.brought}")

    @rule()
    def cover(self) -> None:
        """The reserve pays what it can."""
        self.stage.do(cover_shortages)

    @rule(reconsider=st.booleans())
    def allocate(self, reconsider: bool) -> None:
        """The day is allocated, and then there is nothing left to do."""
        self.stage.allocator.allocate(CAMPAIGN.id, 0, reconsider=reconsider)
        assert self.stage.allocator.allocate_due() == []
        runs = self.stage.repository(lambda repository: repository.runs(CAMPAIGN.id, 0, USDT.id))
        if not runs:
            return
        last = runs[-1]
        rows = {
            row.account: row for row in self.stage.repository(lambda repository: repository.rows(last.id))
        }
        for user in USERS:
            due = rows[user].due_units if user in rows else 0
            assert self.stage.balance(user) >= due or last.short_units
        (money,) = self.stage.money()
        if not last.short_units:
            # The reserve bears exactly what users keep beyond their due; the rest of the day is divided.
            assert money.charged + money.reserve == last.kept_units
            assert money.in_transit == 0

    @invariant()
    def every_unit_is_accounted_for(self) -> None:
        """The equation holds, nobody's balance ever fell, and no account is below zero."""
        if self.count:
            (money,) = self.stage.money()
            assert money.ok
        for user in USERS:
            balance = self.stage.balance(user)
            assert balance >= self.most[user]
            self.most[user] = balance
        assert self.stage.balance(RESERVE.id) >= 0

    @invariant()
    def the_world_got_back_what_it_took_back(self) -> None:
        """What came in less what was retracted is what the world is owed, but for the shortage."""
        entries = self.stage.repository(RewardRepository.all_entries)
        if not entries:
            return
        alive = sum(entry.units for entry in entries if entry.ref in self.alive)
        (money,) = self.stage.money()
        assert -self.stage.balance(WORLD.id) == alive + self.brought + money.shortage


RewardsMachine.TestCase.settings = settings(max_examples=25, stateful_step_count=20, deadline=None)
TestRewards = RewardsMachine.TestCase
