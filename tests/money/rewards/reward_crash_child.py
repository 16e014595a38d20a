"""A process in which rewards arrive, are allocated, adjusted and paid out; started by the crash tests.

    reward_crash_child.py FOLDER

Where `MRMARKET_CRASH_AT` names a label it ends there by SIGKILL. Started again it does the same from the top:
everything in it is safe to repeat.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from money.rewards.reward_stage import CAMPAIGN, USDT, Stage, WrittenHistory, held
from mrmarket.money.payouts.outbox import Outbox
from mrmarket.money.rewards.daily import reward_job
from mrmarket.money.rewards.distribution import Distributor
from mrmarket.money.rewards.jobs import JobRunner
from mrmarket.money.rewards.repository import RewardRepository
from mrmarket.money.rewards.rows import Preference

USERS: Final = [f"user:u{number}" for number in range(7)]


def stage_of(folder: Path) -> Stage:
    """The books; credits go in groups of two."""
    steps = [held(user, 10 + number, 13 * number) for number, user in enumerate(USERS)]
    return Stage.on_file(folder / "money.db", history=WrittenHistory(steps))


def live(folder: Path) -> None:
    """Everything once."""
    stage = stage_of(folder).open_books(reserve=10_000)
    outbox = Distributor(stage.writer, Outbox(), lambda _: "rail")
    stage.do(lambda draft: outbox.prefer(draft, Preference(USERS[0], USDT.id, "somewhere", "", 1, 0)))
    stage.receive("tx0", 1_000_003)
    stage.receive("tx1", 77_777, 1)
    stage.receive("gone", 5_000)
    stage.retract("gone")
    stage.allocator.resume()

    JobRunner(stage.writer, stage.clock, [reward_job(stage.allocator, CAMPAIGN)]).step()
    stage.receive("late", 12_345)
    stage.retract("tx1")
    stage.allocator.allocate_due()
    outbox.step()
    assert stage.read(lambda sql: RewardRepository(sql).open_runs()) == []
    stage.close()


if __name__ == "__main__":
    live(Path(sys.argv[1]))
