"""Whatever a chain does and wherever the watcher ends: every final transfer is told once, no other ever."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from mrmarket.core.clock import ManualClock
from mrmarket.partners.chains.book import ChainBook
from mrmarket.partners.chains.errors import ChainUnreachableError
from mrmarket.partners.chains.observations import CRASH_POINTS, Observations
from mrmarket.partners.chains.watch import Status
from mrmarket.partners.chains.watcher import Watcher
from partners.chains.chain_samples import (
    WALLET,
    Crashed,
    FakeChain,
    Move,
    chain_settings,
    crashing,
    memory_folder,
)

CHAIN = chain_settings(start_block=1)
DEPTH = CHAIN.confirmations

_moves = st.integers(0, 3)
_change = st.one_of(
    st.tuples(st.just("mine"), _moves, st.integers(1, 6)),
    st.tuples(st.just("fork"), st.integers(1, DEPTH), st.integers(0, DEPTH + 1)),
    st.tuples(st.just("drop"), st.integers(1, DEPTH), st.just(0)),
)
_action = st.one_of(
    _change,
    _change,
    st.tuples(st.just("step"), st.just(0), st.just(0)),
    st.tuples(st.just("step"), st.just(0), st.just(0)),
    st.tuples(st.just("crash"), st.sampled_from([0, 1]), st.just(0)),
    st.tuples(st.just("down"), st.just(0), st.just(0)),
    st.tuples(st.just("during"), st.integers(1, 14), _change),
)


class World:
    """The chain, the file and whichever watcher lives now."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "chains.db"
        self.chain = FakeChain()
        self.chain.mine(count=5)
        self.made = 0
        self.spare: list[Move] = []
        self.base = 0
        self.start()

    def start(self) -> None:
        """A process begins."""
        self.book = ChainBook.open(self.path)
        self.observations = Observations(self.book)
        self.watcher = Watcher(CHAIN, self.chain, self.observations, [WALLET], ManualClock())

    def change(self, kind: str, first: int, second: int) -> None:
        """The chain does something; never to a block that anybody could have called final."""
        if kind == "mine":
            again = self.spare[: first // 2]
            del self.spare[: first // 2]
            fresh = [Move(f"0x{self.made + number:064x}") for number in range(first)]
            self.made += first
            self.chain.mine(*fresh, *again, count=second)
            return
        depth = min(first, len(self.chain.blocks) - 1 - (self.chain.highest - DEPTH))
        if depth <= 0:
            return
        for dropped in self.chain.drop(depth):
            self.spare.extend(dropped.moves)
        for _ in range(second):
            again = self.spare[:2]
            del self.spare[:2]
            # Another order in the block gives the same transaction another log index.
            self.chain.mine(*reversed(again))

    async def act(self, kind: str, first: int, second: object) -> None:
        """One line of the script."""
        if kind in {"mine", "fork", "drop"}:
            assert isinstance(second, int)
            self.change(kind, first, second)
        elif kind == "crash":
            try:
                with crashing(CRASH_POINTS[first]):
                    await self.watcher.step()
            except Crashed:
                self.book.close()
                self.start()
        elif kind == "down":
            self.chain.down = True
            try:
                await self.watcher.step()
            except ChainUnreachableError:
                self.chain.down = False
        else:
            if kind == "during":
                assert isinstance(second, tuple)
                change = second
                self.chain.at_call = {self.chain.calls + first: lambda: self.change(*change)}
            await self.watcher.step()
            self.chain.at_call = {}

    def check(self) -> None:
        """What was told as final stands on the chain, and nothing was told twice."""
        entries = self.observations.feed(0, 100_000)
        final = Counter(entry.observation.transfer.key for entry in entries if entry.status is Status.FINAL)
        assert all(count == 1 for count in final.values())
        assert final.keys() <= self.chain.keys(self.base)


@settings(max_examples=60)
@given(st.lists(_action, min_size=1, max_size=25))
def test_every_final_transfer_is_told_once_and_no_other(script: list[tuple[str, int, object]]) -> None:
    """Over forks, silent roll-backs, changes between two questions, crashes and outages."""

    async def scenario(world: World) -> None:
        for kind, first, second in script:
            await world.act(kind, first, second)
            world.check()
        world.chain.mine(count=world.chain.highest - len(world.chain.blocks) + 2 + DEPTH)
        while not (await world.watcher.step()).is_caught_up:
            pass
        world.check()
        tip = len(world.chain.blocks) - 1
        wanted = world.chain.moves_final(tip, DEPTH, world.base)
        final = world.observations.with_status(CHAIN.chain_id, Status.FINAL)
        seen = world.observations.with_status(CHAIN.chain_id, Status.SEEN)
        assert {one.transfer.key for one in final} == wanted
        assert {one.transfer.key for one in seen} == world.chain.keys(tip - DEPTH)

    with memory_folder() as folder:
        world = World(Path(folder))
        try:
            asyncio.run(scenario(world))
        finally:
            world.book.close()
