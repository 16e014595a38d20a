"""Wherever the vault ends and whatever the chain does: no payment is made twice, and none is forgotten."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mrmarket.core.clock import NS_PER_S, ManualClock
from mrmarket.partners.chains import payments
from mrmarket.partners.chains.book import ChainBook
from mrmarket.partners.chains.errors import ChainUnreachableError, VaultError
from mrmarket.partners.chains.payment import PaymentState
from mrmarket.partners.chains.vault import CRASH_POINTS, Vault
from partners.chains.chain_samples import (
    WALLET,
    Crashed,
    FakeChain,
    FakeSigner,
    chain_settings,
    crashing,
    memory_folder,
    request,
    vault_settings,
)

CHAIN = chain_settings()
NAMES = ("a", "b", "c")
UNITS = {"a": 100, "b": 101, "c": 102}

_action = st.one_of(
    st.tuples(st.just("submit"), st.sampled_from(NAMES)),
    st.tuples(st.just("crash"), st.tuples(st.sampled_from(CRASH_POINTS), st.sampled_from((*NAMES, "")))),
    st.tuples(st.just("step"), st.none()),
    st.tuples(st.just("wait"), st.sampled_from([5, 20, 70])),
    st.tuples(st.just("mine"), st.booleans()),
    st.tuples(st.just("fork"), st.integers(1, CHAIN.confirmations)),
    st.tuples(st.just("price"), st.sampled_from([1, 10, 1_000, 10**12])),
    st.tuples(st.just("deaf"), st.booleans()),
    st.tuples(st.just("foreign"), st.integers(0, 3)),
    st.tuples(st.just("reverting"), st.booleans()),
    st.tuples(st.just("down"), st.none()),
)


class World:
    """A chain that outlives every vault."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "chains.db"
        self.chain = FakeChain()
        self.chain.mine(count=5)
        self.signer = FakeSigner(self.chain)
        self.clock = ManualClock()
        self.lives = 0
        self.wanted: set[str] = set()

    async def start(self) -> None:
        """Another process takes the vault when the lease of the last has run out."""
        self.lives += 1
        self.clock.advance(61 * NS_PER_S)
        self.book = ChainBook.open(self.path)
        owner = f"life {self.lives}"
        self.vault = Vault(CHAIN, vault_settings(), self.chain, self.signer, self.book, self.clock, owner)
        await self.vault.open()

    async def submit(self, name: str) -> None:
        """Ask for a payment; what is refused is not wanted."""
        try:
            await self.vault.submit(request(name, UNITS[name]))
        except (VaultError, ChainUnreachableError):
            return
        self.wanted.add(name)

    async def act(self, kind: str, what: object) -> None:  # noqa: C901 - a line each
        """One line of the script."""
        chain = self.chain
        if kind == "submit":
            await self.submit(str(what))
        elif kind == "crash":
            assert isinstance(what, tuple)
            try:
                with crashing(what[0]):
                    await (self.submit(what[1]) if what[1] else self.vault.step())
            except Crashed:
                self.book.close()
                await self.start()
        elif kind == "step":
            await self.vault.step()
        elif kind == "wait":
            assert isinstance(what, int)
            self.clock.advance(what * NS_PER_S)
        elif kind == "mine":
            chain.mine(take_pool=bool(what))
        elif kind == "fork":
            assert isinstance(what, int)
            depth = min(what, len(chain.blocks) - 1 - (chain.highest - CHAIN.confirmations))
            if depth > 0:
                chain.drop(depth)
                chain.mine(count=depth + 1, take_pool=False)
        elif kind == "foreign":
            assert isinstance(what, int)
            chain.foreign(WALLET, what)
        elif kind == "down":
            chain.down = True
            with pytest.raises(ChainUnreachableError):
                await self.vault.quote(request("never", 1))
            chain.down = False
        else:
            setattr(chain, {"price": "base_wei"}.get(kind, kind), what)

    async def settle(self) -> None:
        """A calm sea: everything comes to an end."""
        self.chain.deaf = self.chain.down = self.chain.reverting = False
        self.chain.base_wei = 1
        for _ in range(40):
            self.chain.mine()
            self.clock.advance(20 * NS_PER_S)
            await self.vault.step()
            with self.book.reading() as sql:
                if not payments.open_payments(sql, CHAIN.chain_id, WALLET):
                    return

    def check(self) -> None:
        """At most one transaction of each payment ever counts."""
        paid = Counter(units for _, units in self.chain.paid(WALLET))
        assert all(count == 1 for count in paid.values())

    def check_end(self) -> None:
        """Every payment is over, and what the vault says of it is what the chain says."""
        paid = {units for _, units in self.chain.paid(WALLET)}
        with self.book.reading() as sql:
            rows = {name: payments.find_payment(sql, name) for name in NAMES}
        for name, row in rows.items():
            assert (row is not None) or name not in self.wanted
            if row is not None:
                assert row.state.is_over, row
                assert (row.state is PaymentState.FINAL) == (UNITS[name] in paid), row


@settings(max_examples=30)
@given(st.lists(_action, min_size=1, max_size=25))
def test_no_payment_is_made_twice_and_none_is_forgotten(script: list[tuple[str, object]]) -> None:
    """Over crashes at every label, forks, dear gas, a stranger with the key, and nodes that lose bytes."""

    async def scenario(world: World) -> None:
        await world.start()
        for kind, what in script:
            await world.act(kind, what)
            world.check()
        await world.settle()
        world.check()
        world.check_end()

    with memory_folder() as folder:
        world = World(Path(folder))
        try:
            asyncio.run(scenario(world))
        finally:
            world.book.close()


@pytest.mark.parametrize("label", CRASH_POINTS)
def test_every_labelled_point_is_reached_and_survived(label: str) -> None:
    """A payment that was begun is made once by the next life; before its nonce it was not begun."""

    async def scenario(world: World) -> None:
        await world.start()
        with pytest.raises(Crashed), crashing(label):
            await world.submit("a")
        world.book.close()
        await world.start()
        await world.submit("a")
        await world.settle()
        world.check_end()
        assert len(world.chain.paid(WALLET)) == 1

    with memory_folder() as folder:
        world = World(Path(folder))
        try:
            asyncio.run(scenario(world))
        finally:
            world.book.close()
