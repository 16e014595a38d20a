"""Virtual time, simulated processes, and the two together."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Coroutine
from typing import Any

import pytest

from mrmarket.core import crash
from mrmarket.simulation.disk import Disk
from mrmarket.simulation.loop import VirtualLoop
from mrmarket.simulation.machine import Machine, ProcessClock
from mrmarket.simulation.process import KilledError, Process


def new_loop(seed: int = 1) -> VirtualLoop:
    """A loop of its own chance."""
    return VirtualLoop(random.Random(seed))  # noqa: S311 - repeatable on purpose


def new_process(name: str = "engine") -> Process:
    """A process on a machine of its own."""
    return Process(name, 1, Machine("machine", Disk("disk")))


def begin(
    loop: VirtualLoop, work: Coroutine[Any, Any, Any], process: Process | None = None
) -> asyncio.Task[Any]:
    """A task, as a process or as the world."""
    return loop.create_task(work) if process is None else process.spawn(loop, work, "work")


def test_an_hour_passes_at_once() -> None:
    """A sleeper wakes at its virtual time, and the loop ends where it was told to."""
    loop, woken = new_loop(), []

    async def sleep() -> None:
        await asyncio.sleep(3_600)
        woken.append(loop.time())

    begin(loop, sleep())
    assert loop.run_until(3_599) is False
    assert woken == []
    loop.run_until(4_000)
    assert 3_600 <= woken[0] < 3_600.01
    assert 4_000 <= loop.time() < 4_000.01


def test_time_outs_are_virtual() -> None:
    """What asyncio builds on a loop's time works on virtual time."""
    loop, seen = new_loop(), []

    async def wait() -> None:
        try:
            async with asyncio.timeout(10):
                await asyncio.Event().wait()
        except TimeoutError:
            seen.append(round(loop.time()))

    begin(loop, wait())
    loop.run_until(60)
    assert seen == [10]


def test_a_condition_ends_the_run() -> None:
    """The loop stops at the moment that somebody waits for."""
    loop = new_loop()
    task = begin(loop, asyncio.sleep(5))
    assert loop.run_until(100, done=task.done) is True
    assert loop.time() < 6


def test_threads_are_a_drawn_moment() -> None:
    """A thread's work runs on the loop, a little later, and hands its error on."""
    loop, told = new_loop(), []

    def fail() -> None:
        raise ValueError("no")

    async def work() -> None:
        told.append(await asyncio.to_thread(lambda: 7))
        with pytest.raises(ValueError, match="no"):
            await asyncio.to_thread(fail)
        told.append(loop.time() > 0)

    begin(loop, work())
    loop.run_until(1)
    assert told == [7, True]


def test_the_dead_clean_nothing_up() -> None:
    """A killed process runs neither its next line nor its `finally`."""
    loop, process, lines = new_loop(), new_process(), []

    async def work() -> None:
        try:
            lines.append("began")
            await asyncio.sleep(10)
            lines.append("went on")
        finally:
            lines.append("cleaned up")

    task = begin(loop, work(), process)
    loop.run_until(5)
    process.kill()
    loop.run_until(100)
    assert lines == ["began"]
    assert not task.done()


def test_a_process_dies_after_its_steps() -> None:
    """Where the seed says so a process dies between two of its steps, and the world is told."""
    loop, process = new_loop(), new_process()
    buried: list[Process] = []
    loop.on_kill = buried.append
    count = 0

    async def work() -> None:
        nonlocal count
        while True:
            count += 1
            await asyncio.sleep(1)

    begin(loop, work(), process)
    process.steps_left = 5
    loop.run_until(100)
    assert buried == [process]
    assert count < 5


def test_a_process_dies_at_a_labelled_point() -> None:
    """`core.crash.reach` ends a simulated process at the visit that was planned, and no other process."""
    loop, process, other = new_loop(), new_process(), new_process("other")
    buried: list[Process] = []
    loop.on_kill = buried.append
    process.crash_label = ("ledger.", 2)
    lines: list[str] = []

    async def work(name: str) -> None:
        for turn in range(3):
            crash.reach("ledger.committed")
            lines.append(f"{name}{turn}")
            await asyncio.sleep(1)

    begin(loop, work("a"), process)
    begin(loop, work("b"), other)
    loop.run_until(100)
    assert buried == [process]
    assert process.died_at == "ledger.committed"
    assert sorted(lines) == ["a0", "b0", "b1", "b2"]


def test_the_frozen_go_on_later() -> None:
    """A frozen process stands still while the world goes on, and then does what is due."""
    loop, process, ticks = new_loop(), new_process(), []

    async def work() -> None:
        while True:
            await asyncio.sleep(1)
            ticks.append(loop.time())

    begin(loop, work(), process)
    loop.run_until(3.5)
    process.is_frozen = True
    loop.run_until(60)
    assert len(ticks) == 3
    loop.thaw(process)
    loop.run_until(62.5)
    assert len(ticks) == 6


def test_a_machine_has_one_clock() -> None:
    """A clock that leaps leaps for every process of its machine, and monotonic time does not."""
    loop, machine = new_loop(), Machine("machine", Disk("disk"))
    clocks = [ProcessClock(loop, Process(name, 1, machine)) for name in ("a", "b")]
    before = [clock.now_ns() for clock in clocks]
    machine.skew_ns = -5
    assert [clock.now_ns() for clock in clocks] == [each - 5 for each in before]
    assert clocks[0].monotonic_ns() == loop.now_ns()


def test_a_fault_of_the_world_is_raised() -> None:
    """An error in the model itself is no fault of a process and ends the run."""
    loop = new_loop()

    def fail() -> None:
        raise ZeroDivisionError

    loop.call_later(1, fail)
    with pytest.raises(ZeroDivisionError):
        loop.run_until(10)


def test_what_nobody_handles_is_kept() -> None:
    """An error that a process leaves unhandled is kept for the checkers; of a dead one it is not."""
    loop, process = new_loop(), new_process()

    def fail() -> None:
        raise ZeroDivisionError

    process.run(loop.call_later, 1, fail)
    loop.run_until(2)
    assert [type(fault["exception"]) for fault in loop.faults] == [ZeroDivisionError]


@pytest.mark.parametrize("steps", [None, 2])
def test_who_dies_as_its_task_fails_leaves_no_fault(steps: int | None) -> None:
    """Nobody is left to ask for the error, whether the process is dead or dies at that very step."""
    loop, process = new_loop(), new_process()
    seen: list[BaseException | None] = []

    async def fail() -> None:
        if steps is None:
            process.kill()
        raise ValueError

    process.steps_left = steps
    task = begin(loop, fail(), process)
    process.run(task.add_done_callback, lambda done: seen.append(done.exception()))
    del task
    loop.run_until(1.0)
    assert not process.is_alive
    assert seen == []
    assert loop.faults == []


def test_the_dead_are_served_nothing() -> None:
    """Whatever a dead process asks for raises what nothing of ours catches."""
    process = new_process()
    process.kill()
    with pytest.raises(KilledError):
        process.require_alive()


def test_a_seed_is_a_schedule() -> None:
    """The same seed gives the same times, another seed others."""

    def times(seed: int) -> list[float]:
        loop, seen = new_loop(seed), []

        async def work() -> None:
            for _ in range(20):
                await asyncio.to_thread(lambda: None)
                seen.append(loop.time())

        begin(loop, work())
        loop.run_until(10)
        return seen

    assert times(1) == times(1)
    assert times(1) != times(2)
