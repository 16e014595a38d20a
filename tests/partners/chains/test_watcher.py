"""The watcher over a chain in memory: starting, halting, waiting, several at once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from mrmarket.core.clock import ManualClock
from mrmarket.partners.chains.book import ChainBook
from mrmarket.partners.chains.errors import (
    ChainStartError,
    ChainUnreachableError,
    CursorMovedError,
    DeepReorganisationError,
)
from mrmarket.partners.chains.observations import Observations
from mrmarket.partners.chains.settings import ChainSettings
from mrmarket.partners.chains.watch import Status
from mrmarket.partners.chains.watcher import StepReport, Watcher
from partners.chains.chain_samples import CHAIN_ID, WALLET, FakeChain, Move, chain_settings


@pytest.fixture
def book(tmp_path: Path) -> Iterator[ChainBook]:
    """An empty file."""
    opened = ChainBook.open(tmp_path / "chains.db")
    yield opened
    opened.close()


def watcher_of(chain: FakeChain, book: ChainBook, settings: ChainSettings | None = None) -> Watcher:
    """A watcher of one wallet."""
    return Watcher(settings or chain_settings(), chain, Observations(book), [WALLET.upper()], ManualClock())


async def caught_up(watcher: Watcher) -> StepReport:
    """Step until there is nothing to read."""
    while not (report := await watcher.step()).is_caught_up:
        pass
    return report


async def test_a_new_watcher_begins_as_deep_as_it_would_call_final(book: ChainBook) -> None:
    """So that the block it takes for granted is not one that is about to be replaced."""
    chain = FakeChain()
    chain.mine(Move("0x01"), count=4)
    chain.mine(Move("0x02"), count=3)
    watcher = watcher_of(chain, book)
    await caught_up(watcher)
    cursor = Observations(book).cursor(chain_settings())

    assert cursor is not None
    assert cursor.watch.blocks[0].number == 4
    assert cursor.watch.tip == chain.blocks[-1].header
    assert [one.transfer.key.tx_hash for one in Observations(book).with_status(CHAIN_ID, Status.SEEN)] == [
        "0x02"
    ]


async def test_a_start_block_is_read_itself(book: ChainBook) -> None:
    """The block that is named is the first whose transfers count."""
    chain = FakeChain()
    for number in range(1, 9):
        chain.mine(Move(f"0x{number:02x}"))
    await caught_up(watcher_of(chain, book, chain_settings(start_block=4)))
    final = Observations(book).with_status(CHAIN_ID, Status.FINAL)
    assert [one.transfer.key.tx_hash for one in final] == ["0x04", "0x05"]


async def test_a_node_without_the_first_block_is_refused(book: ChainBook) -> None:
    """A node that lies about its head, or was pruned, is no place to begin."""
    chain = FakeChain()
    chain.mine(count=6)
    chain.at_call = {2: partial(chain.drop, 6)}
    with pytest.raises(ChainStartError):
        await watcher_of(chain, book).step()


async def test_a_deep_reorganisation_halts_until_a_person_accepts_it(book: ChainBook) -> None:
    """It is said at every step and after every restart; what had been final is retracted as such."""
    chain = FakeChain()
    chain.mine(count=2)
    watcher = watcher_of(chain, book, chain_settings(start_block=1))
    chain.mine(Move("0x01"), count=5)
    await caught_up(watcher)
    chain.drop(5)
    chain.mine(count=6)

    for who in (watcher, watcher, watcher_of(chain, book)):
        with pytest.raises(DeepReorganisationError):
            await who.step()
    assert "halted" in Observations(book).halted(CHAIN_ID)
    assert [one.status for one in Observations(book).with_status(CHAIN_ID, Status.FINAL)] == [Status.FINAL]

    gone = await watcher.accept("owner")
    assert [(record.transfer.key.tx_hash, record.was_final) for record in gone] == [("0x01", True)]
    await caught_up(watcher)
    assert Observations(book).halted(CHAIN_ID) == ""
    last = Observations(book).feed(0, 100)[-1]
    assert (last.status, last.was_final, last.observation.status) == (
        Status.RETRACTED,
        True,
        Status.RETRACTED,
    )


async def test_accepting_without_need_changes_nothing_that_is_final(book: ChainBook) -> None:
    """A person who was too quick does no harm."""
    chain = FakeChain()
    chain.mine(Move("0x01"), count=6)
    watcher = watcher_of(chain, book, chain_settings(start_block=1))
    await caught_up(watcher)
    assert await watcher.accept("owner") == []
    assert len(Observations(book).with_status(CHAIN_ID, Status.FINAL)) == 1


async def test_a_reorganisation_beyond_memory_cannot_be_accepted(book: ChainBook) -> None:
    """Nobody knows then what the last block in common was."""
    chain = FakeChain()
    settings = chain_settings(start_block=1, remembered_blocks=6)
    chain.mine(count=12)
    watcher = watcher_of(chain, book, settings)
    await caught_up(watcher)
    chain.drop(12)
    chain.mine(count=13)
    with pytest.raises(DeepReorganisationError) as caught:
        await watcher.step()
    assert caught.value.agreed < 12 - 6
    with pytest.raises(DeepReorganisationError):
        await watcher.accept("owner")


async def test_a_node_far_behind_is_waited_for(book: ChainBook) -> None:
    """A head below everything remembered contradicts nothing, so that nothing final is touched."""
    chain = FakeChain()
    settings = chain_settings(start_block=1, remembered_blocks=6)
    chain.mine(Move("0x01"), count=12)
    watcher = watcher_of(chain, book, settings)
    await caught_up(watcher)
    away = chain.drop(11)
    report = await watcher.step()
    assert (report.head, report.tip) == (1, 9)
    chain.blocks.extend(away)
    assert (await caught_up(watcher)).tip == 12
    assert len(Observations(book).with_status(CHAIN_ID, Status.FINAL)) == 1


async def test_of_two_watchers_on_one_file_the_slower_is_refused(book: ChainBook) -> None:
    """The cursor moves only from where its writer knew it; then the writer reads it again."""
    chain = FakeChain()
    chain.mine(count=5)
    first, second = watcher_of(chain, book), watcher_of(chain, book)
    await caught_up(first)
    await caught_up(second)
    chain.mine(Move("0x01"))
    await caught_up(first)
    with pytest.raises(CursorMovedError):
        await second.step()
    await caught_up(second)
    assert len(Observations(book).feed(0, 10)) == 1


async def test_running_waits_out_a_node_that_is_down_and_looks_when_nudged(book: ChainBook) -> None:
    """Trouble that passes ends nothing, and a hint makes it look before its time."""
    chain = FakeChain()
    chain.mine(count=5)
    chain.down = True
    stop, tried = asyncio.Event(), asyncio.Event()
    chain.at_call = {2: tried.set}
    reports: asyncio.Queue[StepReport] = asyncio.Queue()
    watcher = watcher_of(chain, book)
    running = asyncio.create_task(watcher.run(stop, reports.put_nowait))
    await tried.wait()
    chain.down = False
    while not (await reports.get()).is_caught_up:
        pass
    chain.mine(Move("0x01"))
    watcher.nudge()
    while not (report := await reports.get()).records:
        pass
    stop.set()
    await running
    assert [record.status for record in report.records] == [Status.SEEN]


async def test_running_ends_with_what_does_not_pass(book: ChainBook) -> None:
    """A deep reorganisation is not waited out."""
    chain = FakeChain()
    watcher = watcher_of(chain, book, chain_settings(start_block=1))
    chain.mine(count=8)
    await caught_up(watcher)
    chain.drop(7)
    chain.mine(count=9)
    with pytest.raises(DeepReorganisationError):
        await watcher.run(asyncio.Event())


async def test_a_step_that_fails_is_forgotten(book: ChainBook) -> None:
    """The next step starts from what is stored."""
    chain = FakeChain()
    chain.mine(count=5)
    watcher = watcher_of(chain, book)
    await caught_up(watcher)
    chain.down = True
    with pytest.raises(ChainUnreachableError):
        await watcher.step()
    chain.down = False
    chain.mine(Move("0x01"))
    assert len((await watcher.step()).records) == 1
    assert Observations(book).find(next(iter(chain.keys()))) is not None
