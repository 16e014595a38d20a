"""Whoever alters a reward table behind the ledger's back is found out."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from money.rewards.reward_stage import ALICE, BOB, CAMPAIGN, START_MS, USDT, Stage, held
from mrmarket.money.ledger.verification import verify_ledger
from mrmarket.money.payouts.outbox import Outbox
from mrmarket.money.rewards.audit import check_rewards, faults
from mrmarket.money.rewards.distribution import Distributor
from mrmarket.money.rewards.jobs import Job, JobRunner
from mrmarket.money.rewards.replay import replay_day, replay_run
from mrmarket.money.rewards.rows import Preference


@pytest.fixture
def lived_in(tmp_path: Path) -> Path:
    """Books in which everything has happened once, closed."""
    path = tmp_path / "money.db"
    stage = Stage.on_file(path).open_books(reserve=500)
    distributor = Distributor(stage.writer, Outbox(), lambda _: "rail")
    stage.do(lambda draft: distributor.prefer(draft, Preference(ALICE, USDT.id, "a", "", 1, 0)))
    stage.history.steps = [held(ALICE, 3), held(BOB, 1)]
    stage.receive("tx1", 1_000)
    stage.allocator.allocate_due()
    stage.receive("tx2", 400)
    stage.retract("tx1")
    stage.allocator.allocate_due()
    distributor.step()
    JobRunner(stage.writer, stage.clock, [Job("a", "b", START_MS, 10_000, lambda _: None)]).step()
    stage.money()
    stage.close()
    return path


def tampered(path: Path, statement: str) -> list[str]:
    """What the audit says after somebody with the file in hand ran a statement."""
    connection = sqlite3.connect(path)
    for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        connection.execute(f"DROP TRIGGER {name}")
    assert connection.execute(statement).rowcount > 0
    connection.commit()
    connection.close()
    stage = Stage.on_file(path)
    found = stage.read(lambda sql: list(faults(sql)))
    stage.close()
    return found


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("UPDATE reward_campaigns SET fee_bps = 1", "reward_campaigns"),
        ("UPDATE reward_entries SET units = '2' WHERE ref = 'tx1'", "reward_entries"),
        ("UPDATE reward_reductions SET payer = 'elsewhere'", "reward_reductions"),
        ("UPDATE reward_runs SET kept_units = '0' WHERE ordinal = 1", "reward_runs"),
        ("UPDATE reward_rows SET integral = '1' WHERE account = 'user:bob'", "reward_rows"),
        ("UPDATE reward_rows SET chunk = 5 WHERE account = 'user:bob'", "reward_rows"),
        ("DELETE FROM reward_rows WHERE account = 'user:bob'", "reward_rows"),
        ("DELETE FROM reward_runs WHERE ordinal = 0", "reward_rows"),
        ("INSERT INTO reward_open_runs SELECT id FROM reward_runs", "reward_open_runs"),
        ("UPDATE reward_preferences SET destination = 'mine'", "reward_preferences"),
        ("UPDATE reward_deliveries SET units = '9'", "reward_deliveries"),
        ("UPDATE reward_delivery_rows SET delivery = 'x'", "reward_delivery_rows"),
        ("DELETE FROM reward_delivery_rows", "reward_deliveries"),
        ("DELETE FROM reward_deliveries", "reward_deliveries"),
        ("UPDATE job_windows SET state = 'failed'", "job_windows"),
        ("DELETE FROM reward_entries WHERE ref = 'tx2'", "rewards of main"),
    ],
)
def test_an_altered_row_is_named(lived_in: Path, statement: str, named: str) -> None:
    """Every table of the room is covered, by a seal, by the run's hash or by the ledger itself."""
    assert any(sentence.startswith(named) for sentence in tampered(lived_in, statement))


def test_the_ledgers_verification_asks_this_room_too(lived_in: Path) -> None:
    """With the side check, `verify` is content with sound tables and names what is not sound."""
    assert verify_ledger(lived_in, (check_rewards,)).ok
    connection = sqlite3.connect(lived_in)
    connection.execute("UPDATE job_windows SET attempts = 9")
    connection.commit()
    connection.close()
    found = verify_ledger(lived_in, (check_rewards,))
    assert (found.ok, str(found.reason).split(":")[0]) == (False, "job_windows")


def test_a_replay_names_the_rows_that_were_altered(lived_in: Path) -> None:
    """Who changes a row has to change what everybody can compute."""
    tampered(lived_in, "UPDATE reward_rows SET due_units = '999' WHERE account = 'user:bob'")
    history_stage = Stage.on_file(lived_in)
    history_stage.history.steps = [held(ALICE, 3), held(BOB, 1)]
    replays = history_stage.read(lambda sql: replay_day(sql, history_stage.sources, CAMPAIGN.id, 0))
    history_stage.close()
    assert [replay.ok for replay in replays] == [False, False]
    assert {difference.account for replay in replays for difference in replay.differences} == {BOB}


def test_a_replay_without_entries_says_so(lived_in: Path) -> None:
    """A run whose entries were removed follows from nothing."""
    tampered(lived_in, "DELETE FROM reward_entries WHERE asset = 'rail:USDT'")
    stage = Stage.on_file(lived_in)
    runs = stage.repository(lambda repository: repository.all_runs())
    replay = stage.read(lambda sql: replay_run(sql, stage.sources, runs[0]))
    stage.close()
    assert replay.reasons == ("its entries are gone",)
