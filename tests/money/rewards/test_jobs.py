"""Windows of recurring work: in order, once, through crashes, failures and downtimes."""

from __future__ import annotations

import pytest

from money.rewards.conftest import StageOpener
from money.rewards.reward_stage import ALICE, CAMPAIGN, START_MS, Stage, held
from mrmarket.core.clock import NS_PER_MS, ManualClock
from mrmarket.money.ledger.errors import LedgerStoppedError
from mrmarket.money.rewards.daily import reward_job
from mrmarket.money.rewards.errors import JobsError
from mrmarket.money.rewards.job_repository import JobRepository, JobRow, JobState
from mrmarket.money.rewards.jobs import Job, JobRunner, Window
from mrmarket.store.errors import StaleFenceError


class Journal:
    """Work that is written down, and fails as often as it is told."""

    def __init__(self, failures: int = 0) -> None:
        self.windows: list[tuple[int, int]] = []
        self.failures = failures

    def run(self, window: Window) -> None:
        """One piece of work."""
        self.windows.append((window.start_ms, window.end_ms))
        if self.failures:
            self.failures -= 1
            raise RuntimeError("no such luck")


def rows(stage: Stage) -> list[JobRow]:
    """All windows, oldest first."""
    return sorted(
        stage.read(lambda sql: JobRepository(sql).listed(1_000)), key=lambda row: (row.scope, row.start_ms)
    )


def test_windows_are_caught_up_in_order(stage: Stage) -> None:
    """After a downtime every window is carried out, oldest first, a bounded number a step."""
    journal = Journal()
    runner = JobRunner(stage.writer, stage.clock, [Job("seal", "main", START_MS, 1_000, journal.run)])
    assert [runner.step(4), runner.step(4), runner.step(4), runner.step(4)] == [4, 4, 2, 0]
    assert journal.windows == [(START_MS + n * 1_000, START_MS + (n + 1) * 1_000) for n in range(10)]
    assert {row.state for row in rows(stage)} == {JobState.DONE}
    stage.clock.advance(999 * NS_PER_MS)
    assert runner.step() == 0
    stage.clock.advance(NS_PER_MS)
    assert runner.step() == 1


def test_a_short_last_window_ends_the_job(stage: Stage) -> None:
    """A job with an end has a last window that may be short, and none after it."""
    journal = Journal()
    job = Job("day", CAMPAIGN.id, CAMPAIGN.start_ms, CAMPAIGN.cycle_ms, journal.run, CAMPAIGN.end_ms)
    runner = JobRunner(stage.writer, stage.clock, [job])
    assert runner.step() == 4
    assert journal.windows[-1] == (START_MS + 3_000, START_MS + 3_500)
    assert runner.step() == 0


def test_a_failed_window_holds_up_the_rest_and_is_tried_again(stage: Stage) -> None:
    """Its reason is kept, the pause doubles, other scopes go on, and the order stays."""
    broken, sound = Journal(failures=2), Journal()
    runner = JobRunner(
        stage.writer,
        stage.clock,
        [Job("fees", "a", START_MS, 5_000, broken.run), Job("fees", "b", START_MS, 5_000, sound.run)],
    )
    assert runner.step() == 2
    first, second, *_ = rows(stage)
    assert (first.state, first.attempts, first.reason) == (JobState.FAILED, 1, "RuntimeError: no such luck")
    assert second.state is JobState.DUE
    assert runner.step() == 0
    stage.clock.advance(1_000 * NS_PER_MS)
    assert runner.step() == 0
    stage.clock.advance(1_000 * NS_PER_MS)
    assert (runner.step(), len(broken.windows)) == (0, 2)
    stage.clock.advance(1_000 * NS_PER_MS)
    assert runner.step() == 2
    assert broken.windows == [(START_MS, START_MS + 5_000)] * 3 + [(START_MS + 5_000, START_MS + 10_000)]
    assert rows(stage)[0].attempts == 3


def test_a_deposed_process_moves_no_window(open_stage: StageOpener) -> None:
    """When another writer has taken over, the old runner's step fails and marks nothing."""
    old = open_stage().open_books()
    open_stage()
    journal = Journal()
    runner = JobRunner(old.writer, old.clock, [Job("seal", "main", START_MS, 1_000, journal.run)])
    with pytest.raises((StaleFenceError, LedgerStoppedError)):
        runner.step()
    assert journal.windows == []


def test_days_of_a_campaign_are_allocated_by_a_job(open_stage: StageOpener) -> None:
    """The daily job gives each day's rewards; one that comes later is given by the sweep."""
    stage = open_stage(clock=ManualClock((START_MS + 2_200) * NS_PER_MS)).open_books()
    stage.history.steps = [held(ALICE, 1)]
    for day in range(3):
        stage.receive(f"tx{day}", 100, day)

    job = reward_job(stage.allocator, CAMPAIGN)
    runner = JobRunner(stage.writer, stage.clock, [job])
    assert (runner.step(), stage.balance(ALICE)) == (2, 200)
    stage.clock.advance(2_000 * NS_PER_MS)
    assert (runner.step(), stage.balance(ALICE)) == (2, 300)
    stage.receive("late", 7, 1)
    assert len(stage.allocator.allocate_due()) == 1
    assert stage.balance(ALICE) == 307
    stage.money()


def test_impossible_jobs_are_refused(stage: Stage) -> None:
    """A job without a period, one that ends before it starts, and one that is listed twice."""
    run = Journal().run
    with pytest.raises(JobsError):
        Job("a", "b", 0, 0, run)
    with pytest.raises(JobsError):
        Job("a", "b", 5, 1, run, 5)
    job = Job("a", "b", 0, 1, run)
    with pytest.raises(JobsError):
        JobRunner(stage.writer, stage.clock, [job, job])


def test_a_window_is_found_by_its_key(stage: Stage) -> None:
    """`(job, scope, start)` names a window."""
    runner = JobRunner(stage.writer, stage.clock, [Job("a", "b", START_MS, 10_000, Journal().run)])
    runner.step()
    found = stage.read(lambda sql: JobRepository(sql).find("a", "b", START_MS))
    assert found is not None
    assert found.state is JobState.DONE
    assert stage.read(lambda sql: JobRepository(sql).find("a", "b", 1)) is None
