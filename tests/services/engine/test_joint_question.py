"""One question to a venue for several runs."""

from __future__ import annotations

import asyncio

import pytest

from mrmarket.services.engine.joint_question import JointQuestion


class Oracle:
    """Answers with the number of the question, when it is let."""

    def __init__(self) -> None:
        self.since: list[int] = []
        self.gate = asyncio.Event()
        self.error: Exception | None = None

    async def ask(self, since_ns: int) -> int:
        """One question."""
        self.since.append(since_ns)
        number = len(self.since)
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        return number


async def settle() -> None:
    """Let everything that can run do so."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_who_asks_together_shares_an_answer_and_who_is_late_the_next() -> None:
    """An answer is never older than the wish for it; the earliest time that anybody names is asked for."""
    oracle = Oracle()
    joint = JointQuestion(oracle.ask)
    early = [asyncio.create_task(joint.answer(since_ns)) for since_ns in (30, 10, 20)]
    await settle()
    late = [asyncio.create_task(joint.answer(since_ns)) for since_ns in (50, 40)]
    await settle()
    assert oracle.since == [10]
    oracle.gate.set()
    assert await asyncio.gather(*early) == [1, 1, 1]
    assert await asyncio.gather(*late) == [2, 2]
    assert oracle.since == [10, 40]
    assert await joint.answer(5) == 3
    assert joint.asked == 3


async def test_a_failure_is_everybodys_and_the_next_question_is_a_new_one() -> None:
    """Also where whoever asked has gone meanwhile."""
    oracle = Oracle()
    joint = JointQuestion(oracle.ask)
    oracle.error = ValueError("no answer")
    tasks = [asyncio.create_task(joint.answer()) for _ in range(2)]
    await settle()
    tasks[0].cancel()
    oracle.gate.set()
    with pytest.raises(asyncio.CancelledError):
        await tasks[0]
    with pytest.raises(ValueError, match="no answer"):
        await tasks[1]
    oracle.error = None
    assert await joint.answer() == 2
