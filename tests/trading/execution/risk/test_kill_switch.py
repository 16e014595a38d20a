"""The kill switch: a file, a signal or a call; it asks nobody and survives a restart."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mrmarket.core.clock import ManualClock
from mrmarket.trading.execution.risk.board import RiskBoard
from mrmarket.trading.execution.risk.kill_switch import (
    HALT_FILE,
    LOOK_EVERY_NS,
    HaltFile,
    KillSwitch,
    install,
)
from mrmarket.trading.execution.risk.state import INSTANCE, RiskState


class Note:
    """A note in memory, of which any part may fail."""

    def __init__(self) -> None:
        self.text: str | None = None
        self.broken: set[str] = set()

    def _may(self, what: str) -> None:
        if what in self.broken:
            raise OSError(f"{what} failed")

    def exists(self) -> bool:
        """Whether it is there."""
        self._may("exists")
        return self.text is not None

    def read(self) -> str:
        """Its text."""
        self._may("read")
        return self.text or ""

    def write(self, reason: str) -> None:
        """Make it."""
        self._may("write")
        self.text = reason

    def remove(self) -> None:
        """Drop it."""
        self._may("remove")
        self.text = None


def house(note: Note | HaltFile) -> tuple[RiskBoard, KillSwitch]:
    """A board and its switch."""
    board = RiskBoard(ManualClock())
    return board, KillSwitch(board, note)


def test_the_file_halts_everything_and_its_removal_ends_it(tmp_path: Path) -> None:
    """Its text is the reason; other restrictions stay."""
    board, switch = house(HaltFile(tmp_path))
    assert not switch.look()
    (tmp_path / HALT_FILE).write_text("smoke in the server room\n")
    assert switch.look()
    assert board.state("any", "venue") is RiskState.HALT
    assert board.explain("any", "venue") == "halt: smoke in the server room"
    board.halt(INSTANCE, "owner", "somebody")
    (tmp_path / HALT_FILE).unlink()
    assert not switch.look()
    assert [row.cause for row in board.restrictions()] == ["owner"]


def test_it_survives_a_restart(tmp_path: Path) -> None:
    """A new process with the file there is halted before its first order."""
    _, switch = house(HaltFile(tmp_path))
    switch.pull("a hand on the button")
    switch.pull("another hand")
    board, heir = house(HaltFile(tmp_path))
    assert heir.look()
    assert board.explain("r", "v") == "halt: a hand on the button"
    heir.lift()
    assert not heir.is_pulled
    assert board.state() is RiskState.ACTIVE
    assert not (tmp_path / HALT_FILE).exists()


def test_a_file_of_any_kind_counts(tmp_path: Path) -> None:
    """A folder, a dangling link, bytes that are no text: whoever made it wants to halt."""
    file = HaltFile(tmp_path)
    file.path.symlink_to(tmp_path / "nowhere")
    board, switch = house(file)
    assert switch.look()
    assert board.explain("r", "v") == "halt: the kill switch was pulled"
    file.path.unlink()
    file.path.write_bytes(b"\xff" * 5_000)
    assert len(file.read()) == 500


def test_pulling_does_not_depend_on_the_note() -> None:
    """Where it cannot be written everything is halted all the same, and stays so until the owner re-arms."""
    note = Note()
    note.broken = {"write"}
    board, switch = house(note)
    switch.pull("disk full")
    assert board.state() is RiskState.HALT
    assert switch.failure == "write failed"
    assert switch.look(), "a note that was never there has not been removed"
    switch.lift()
    assert [row.cause for row in board.restrictions()] == ["owner"]
    assert "disk full" in board.explain("r", "v")


def test_a_folder_that_cannot_be_read_changes_nothing() -> None:
    """Neither does it halt what trades, nor free what is halted."""
    note = Note()
    board, switch = house(note)
    note.broken = {"exists"}
    assert not switch.look()
    note.broken, note.text = {"read"}, "secret"
    assert switch.look()
    note.broken = {"exists"}
    assert switch.look()
    note.broken = {"remove"}
    switch.lift()
    assert board.state() is RiskState.HALT
    assert switch.failure == "remove failed"


async def test_it_looks_often_enough() -> None:
    """Twice in 100 ms, so that the file is noticed within them."""
    assert LOOK_EVERY_NS * 2 <= 100_000_000
    note = Note()
    board, switch = house(note)
    pulled = asyncio.Event()
    board.listen(lambda _: pulled.set())
    watching = asyncio.create_task(switch.watch())
    await asyncio.sleep(0)
    assert not pulled.is_set()
    note.text = "now"
    async with asyncio.timeout(60):
        await pulled.wait()
    watching.cancel()


async def test_a_signal_pulls_it() -> None:
    """SIGUSR1 halts this process and leaves the note; afterwards the signal is nobody's again."""
    note = Note()
    board, switch = house(note)
    pulled = asyncio.Event()
    board.listen(lambda _: pulled.set())
    remove = install(switch, signal.SIGUSR1)
    try:
        os.kill(os.getpid(), signal.SIGUSR1)
        async with asyncio.timeout(60):
            await pulled.wait()
            await switch.settle()
    finally:
        remove()
    assert note.text == "signal"
    assert signal.getsignal(signal.SIGUSR1) is signal.SIG_DFL


class StuckNote(Note):
    """A note on a disk that answers only once it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.answers = threading.Event(), threading.Event()

    @property
    def is_written(self) -> bool:
        """Whether the disk has it."""
        return self.text is not None

    def exists(self) -> bool:
        """Hang, then tell."""
        self.asked.set()
        self.answers.wait(60)
        return super().exists()

    def write(self, reason: str) -> None:
        """Hang, then write."""
        self.answers.wait(60)
        super().write(reason)


async def test_a_disk_that_hangs_holds_up_nothing() -> None:
    """The board is halted at once and the loop goes on; the note is written when the disk answers."""
    note = StuckNote()
    board, switch = house(note)
    watching = asyncio.create_task(switch.watch())
    await asyncio.to_thread(note.asked.wait)
    switch.pull("the disk hangs")
    assert board.state() is RiskState.HALT
    await asyncio.sleep(0)
    assert not note.is_written
    note.answers.set()
    await switch.settle()
    assert note.text == "the disk hangs"
    assert switch.is_pulled, "that there was no note before it was written lifts nothing"
    watching.cancel()


async def test_it_is_noticed_while_every_thread_waits_for_a_database() -> None:
    """The loop's own threads may all hang; the switch has its own."""
    loop, freed = asyncio.get_running_loop(), threading.Event()
    loop.set_default_executor(ThreadPoolExecutor(1))
    hung = asyncio.ensure_future(asyncio.to_thread(freed.wait, 60))
    note = Note()
    board, switch = house(note)
    pulled = asyncio.Event()
    board.listen(lambda _: pulled.set())
    watching = asyncio.create_task(switch.watch())
    note.text = "now"
    async with asyncio.timeout(60):
        await pulled.wait()
    assert not hung.done()
    freed.set()
    await hung
    watching.cancel()


async def test_lifting_while_the_note_is_being_written_leaves_none() -> None:
    """Whatever the order in which the disk does it, the last word counts."""
    note = StuckNote()
    board, switch = house(note)
    switch.pull("a mistake")
    switch.lift()
    assert board.state() is RiskState.ACTIVE
    note.answers.set()
    await switch.settle()
    await asyncio.sleep(0)
    assert note.text is None
    assert not switch.is_pulled


async def test_a_failed_note_is_told_on_a_loop_too() -> None:
    """The owner's HALT stands beside it."""
    note = Note()
    note.broken = {"write"}
    board, switch = house(note)
    switch.pull("disk full")
    await switch.settle()
    await asyncio.sleep(0)
    assert switch.failure == "write failed"
    assert [row.cause for row in board.restrictions()] == ["kill_switch", "owner"]


def test_a_missing_folder_is_told(tmp_path: Path) -> None:
    """There is no note where there is no folder, and none can be made."""
    file = HaltFile(tmp_path / "gone")
    assert not file.exists()
    with pytest.raises(FileNotFoundError):
        file.write("why")


def test_a_full_disk_still_halts(tmp_path: Path) -> None:
    """Where there is no room for the reason, the name alone is made, and a restart finds it."""
    file = HaltFile(tmp_path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        file.write("no room for words")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    board, heir = house(file)
    assert heir.look()
    assert board.explain("r", "v") == "halt: the kill switch was pulled"
    assert [path.name for path in tmp_path.iterdir()] == [HALT_FILE]
