"""A chain as the instance lives with it: whatever stands in the way passes, and is shown until then."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from mrmarket.campaigns.errors import PartnerUnclearError
from mrmarket.core.clock import NS_PER_S, ManualClock
from mrmarket.partners.chains.book import ChainBook
from mrmarket.partners.chains.payment import PaymentRequest, PaymentState
from mrmarket.partners.chains.watch import Status
from mrmarket.services.partners.chain_room import ChainRoom, Sight
from mrmarket.services.partners.troubles import Troubles
from partners.chains.chain_samples import CHAIN_ID, DESTINATION, TOKEN, FakeChain, FakeSigner, Move
from services.partners.partner_samples import setting

_PATIENCE_S = 20.0


class TellingChain(FakeChain):
    """With what the room asks besides."""

    closed = False

    async def logs(self, block_hash: str, topics: object, address: str | None = None) -> list[dict[str, Any]]:
        """Nothing."""
        return []

    async def close(self) -> None:
        """Hang up."""
        self.closed = True

    def _called(self) -> None:
        super()._called()
        if self.down:
            raise PartnerUnclearError("the chain", "no node answers")


class OwnAddresses:
    """What of `Destinations` is asked."""

    def __init__(self) -> None:
        self.held: list[str] = []
        self.is_known = True

    def known(self, chain_id: int) -> list[str]:
        """That were told before."""
        assert chain_id == CHAIN_ID
        return self.held

    async def learn(self, chain_id: int) -> list[str]:
        """Ask."""
        if not self.is_known:
            raise PartnerUnclearError("destinations", "Mixin does not answer")
        self.held = [DESTINATION]
        return self.held


class Stage:
    """A room over a chain in memory."""

    def __init__(self, folder: Path, owner: str = "one", **changes: Any) -> None:
        self.clock = ManualClock()
        self.chain = TellingChain()
        self.book = ChainBook.open(folder / "chains.db")
        self.addresses = OwnAddresses()
        self.troubles = Troubles(self.clock)
        self.setting = setting(folder, clock=self.clock, **changes)
        self.room = self.new_room(owner)

    def new_room(self, owner: str) -> ChainRoom:
        """Another process's."""
        return ChainRoom(
            self.setting,
            self.setting.partners.chains[0],
            self.chain,
            self.book,
            FakeSigner(self.chain),
            self.addresses,  # type: ignore[arg-type] # what of it is asked
            self.troubles,
            owner,
        )

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """Everything that a room does, until the block ends."""
        tasks = [asyncio.ensure_future(work()) for _, work in self.room.works()]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def until(true: Callable[[], object]) -> None:
    """Wait for something that nobody is told of."""
    async with asyncio.timeout(_PATIENCE_S):
        while not true():  # noqa: ASYNC110 - nobody is told
            await asyncio.sleep(0.005)


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    """One room."""
    opened = Stage(tmp_path)
    yield opened
    await opened.room.close()
    opened.book.close()


async def test_a_room_watches_and_pays(stage: Stage) -> None:
    """A transfer becomes final, and a payment goes out to the address that was learned."""
    async with stage.at_work():
        await until(lambda: stage.room.vault)
        stage.chain.mine(Move("0x01", 50), count=4)
        await until(lambda: stage.room.observations.with_status(CHAIN_ID, Status.FINAL))
        assert stage.room.vault is not None
        await stage.room.vault.submit(PaymentRequest("p1", TOKEN, DESTINATION, 100))
        stage.chain.mine(count=6)
        await until(lambda: stage.chain.paid(stage.room.vault.account) if stage.room.vault else [])
        await until(lambda: stage.room.sight == Sight(10, 10))
        assert (stage.room.sight and stage.room.sight.lag, stage.troubles.standing()) == (0, {})


async def test_a_node_that_is_down_is_a_trouble_until_it_is_back(stage: Stage) -> None:
    """Both halves of the room say so, and go on by themselves."""
    stage.chain.down = True
    async with stage.at_work():
        await until(lambda: stage.troubles.of("chain fake"))
        stage.chain.down = False
        stage.chain.mine()
        await until(lambda: stage.room.vault and not stage.troubles.standing())


async def test_without_a_destination_there_is_no_vault_yet(stage: Stage) -> None:
    """It is asked for until Mixin tells it; the chain is watched meanwhile."""
    stage.addresses.is_known = False
    async with stage.at_work():
        await until(lambda: "Mixin does not answer" in stage.troubles.of("vault fake"))
        await until(lambda: stage.room.sight)
        assert stage.room.vault is None
        stage.addresses.is_known = True
        await until(lambda: stage.room.vault)


async def test_a_vault_that_somebody_else_holds_is_taken_when_it_is_free(stage: Stage) -> None:
    """Two processes on one book: the second waits, and takes over when the lease has run out."""
    other = stage.new_room("two")
    async with stage.at_work():
        await until(lambda: stage.room.vault)
    waiting = asyncio.ensure_future(other.pay())
    await until(lambda: "held" in stage.troubles.standing().get("vault fake", _NONE).code)
    stage.clock.advance(61 * NS_PER_S)
    await until(lambda: other.vault)
    async with stage.at_work():
        await until(lambda: stage.room.vault is None)
    waiting.cancel()
    await other.close()


async def test_a_deep_reorganisation_waits_for_a_persons_word(stage: Stage) -> None:
    """After it the chain is read on, and what the vault thought over is looked at again."""
    async with stage.at_work():
        await until(lambda: stage.room.vault)
        assert stage.room.vault is not None
        await stage.room.vault.submit(PaymentRequest("p1", TOKEN, DESTINATION, 100))
        stage.chain.mine(Move("0x01", 50), count=6)
        await until(lambda: _state(stage) is PaymentState.FINAL)
        await until(lambda: stage.room.observations.with_status(CHAIN_ID, Status.FINAL))
        stage.chain.drop(6)
        stage.chain.mine(count=8)
        await until(lambda: "reorganisation" in stage.troubles.standing().get("chain fake", _NONE).code)
        assert await stage.room.accept("owner") == 1
        await until(lambda: not stage.troubles.of("chain fake"))
        assert _state(stage) is not PaymentState.FINAL


async def test_a_nudge_wakes_the_watcher(tmp_path: Path) -> None:
    """A chain that is asked once an hour is read at once when somebody hears of a block."""
    chain = setting(tmp_path).partners.chains[0]
    slow = chain.__class__(
        name="fake", chain_id=CHAIN_ID, urls=chain.urls, poll_ms=3_600_000, websocket_url="ws://127.0.0.1:1"
    )
    stage = Stage(tmp_path, chains=[slow])
    assert [part for part, _ in stage.room.works()] == ["chain fake", "vault fake", "chain fake hints"]
    watching = asyncio.ensure_future(stage.room.watch())
    await until(lambda: stage.room.sight)
    stage.chain.mine(count=3)
    stage.room.nudge()
    await until(lambda: stage.room.sight == Sight(3, 3))
    watching.cancel()
    await stage.room.close()
    assert stage.chain.closed
    stage.book.close()


class _Quiet:
    code = ""


_NONE: Any = _Quiet()


def _state(stage: Stage) -> PaymentState | None:
    with stage.book.reading() as sql:
        rows = sql.rows("SELECT state FROM vault_payments WHERE key = 'p1'")
    return PaymentState(rows[0][0]) if rows else None
