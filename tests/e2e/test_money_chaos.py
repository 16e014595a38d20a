"""Real instances are killed between any two effects while money flows, and every unit is found again.

`MRMARKET_CHAOS=full` visits every point, and pairs of them; without it a few that a seed chooses.
"""

from __future__ import annotations

import os
import random
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from e2e.chaos_audit import forgotten_promises, unsettled, wrongs
from e2e.chaos_instance import ChaosInstance, GoneError
from e2e.chaos_people import Crowd
from e2e.running import reconcile
from mrmarket.money import ledger, payouts, pool, rewards
from mrmarket.money.ledger import seal_office
from mrmarket.money.solvency import watch
from mrmarket.services import rail
from mrmarket.services.rail.faults import RailFaultKind, RailFaultRule, RailFaults
from mrmarket.store.sql import SqliteReader

pytestmark = pytest.mark.e2e

FULL = os.environ.get("MRMARKET_CHAOS") == "full"
SEED = int(os.environ.get("MRMARKET_CHAOS_SEED", "8"))
ROOMS = {
    "ledger": ledger.CRASH_POINTS,
    "payouts": payouts.CRASH_POINTS,
    "pool": pool.CRASH_POINTS,
    "rewards": rewards.CRASH_POINTS,
    "seals": seal_office.CRASH_POINTS,
    "solvency": watch.CRASH_POINTS,
    "rail": rail.CRASH_POINTS,
}
ELSEWHERE = {
    "rewards.chunk_credited": "a run has a second part from 10,000 people on",
    "rewards.delivery_written": "nobody has asked for rewards to be paid out by themselves",
    "rewards.reduced": "nothing takes a reward back that is final",
    "solvency.blocked": "nothing is missing",
    "solvency.unblocked": "nothing was missing",
    "pool.accrued": "a window of fees is ten minutes long",
    "rotation.key_kept": "a command of the owner",
    "rotation.recorded": "a command of the owner",
}
"""Points that such a life does not come by; the tests of their rooms visit them."""

REACHABLE = [label for labels in ROOMS.values() for label in labels if label not in ELSEWHERE]
COUNTS = {"ledger": (1, 40, 90), "pool.expired": (1, 4, 12), "jobs": (1, 2, 5)}
"""At which visit points end the life that are passed all the time; others at the first or second."""

WITHIN_S = 240.0
SETTLED_S = 360.0

_TROUBLE = RailFaults(
    seed=SEED,
    rules=[
        RailFaultRule(kind=RailFaultKind.LOST_AFTER, match="POST /v1/sends", rate=0.3),
        RailFaultRule(kind=RailFaultKind.LOST_BEFORE, match="POST /v1/sends", rate=0.2),
        RailFaultRule(kind=RailFaultKind.SERVER_ERROR_AFTER, match="POST /v1/withdrawals", rate=0.3),
        RailFaultRule(kind=RailFaultKind.GARBAGE, match="GET /v1/sends/*", rate=0.2),
        RailFaultRule(kind=RailFaultKind.LOST_BEFORE, match="GET /v1/incoming", rate=0.2),
        RailFaultRule(kind=RailFaultKind.DUPLICATE, match="feed:*", rate=0.3),
        RailFaultRule(kind=RailFaultKind.REORDER, match="feed:*", rate=0.3),
        RailFaultRule(kind=RailFaultKind.GAP, match="feed:*", rate=0.1),
        RailFaultRule(kind=RailFaultKind.HIDE, match="find", rate=0.3, delay_ms=1_500),
        RailFaultRule(kind=RailFaultKind.STALL, match="send:*", rate=0.1, delay_ms=1_000),
        RailFaultRule(kind=RailFaultKind.REFUSE, match="send:*", rate=0.05),
        RailFaultRule(kind=RailFaultKind.RETRACT, match="pay:*", rate=0.05),
    ],
)

_CONFIG = """
[pool]
idle_buffer = "150"
[pool.terms]
minimum_deposit = "10"
deposit_fee_bps = 5
management_fee_bps = 100
performance_fee_bps = 1000
[rewards]
demo_amount = "{amount}"
demo_cycle_s = 5
[seal]
every_s = 10
[access]
writes_per_s = 1000
writes_burst = 10000
reads_per_s = 1000
sign_ins_per_s = 1000
sign_ins_burst = 10000
"""


@dataclass
class Chaos:
    """One folder, its people, and where its lives ended."""

    instance: ChaosInstance
    crowd: Crowd
    restless: Path
    calm: Path

    @classmethod
    def begin(cls, folder: Path, seed: int) -> Chaos:
        """A folder in which nothing has happened."""
        restless, calm = folder / "restless.toml", folder / "calm.toml"
        restless.write_text(_CONFIG.format(amount="7.00000001"))
        calm.write_text(_CONFIG.format(amount="0"))
        instance = ChaosInstance(folder)
        return cls(instance, Crowd(instance, seed), restless, calm)

    def live_until(self, crash_at: str) -> None:
        """One life full of trouble that ends at a labelled point; fails if it never comes there."""
        instance = self.instance
        deadline = time.monotonic() + WITHIN_S
        if instance.start(self.restless, crash_at):
            disturbed = False
            while instance.is_alive:
                assert time.monotonic() < deadline, f"{crash_at} was never reached"
                try:
                    if not disturbed:
                        instance.set_faults(_TROUBLE)
                        disturbed = True
                    self.crowd.act()
                except GoneError:
                    pass
                time.sleep(0.1)  # people pause; nothing waits for this
            instance.require_planned_end(crash_at)

    def live_until_everything_dies(self) -> None:
        """One life that ends for instance, exchange and rail in the same moment, with deeds half done."""
        instance = self.instance
        assert instance.start(self.restless)
        instance.set_faults(_TROUBLE)
        for _ in range(12):
            try:
                self.crowd.act()
            except GoneError:
                assert instance.is_alive, instance.last_words()
            time.sleep(0.1)  # people pause; nothing waits for this
        instance.kill_everything()

    def settle(self) -> list[str]:
        """A last calm life in which everything comes to its end; what is wrong afterwards."""
        instance = self.instance
        assert instance.start(self.calm)
        deadline = time.monotonic() + SETTLED_S
        try:
            left = ["the people are not done"]
            while left:
                assert time.monotonic() < deadline, left[:5]
                time.sleep(0.3)  # polling what other processes do
                try:
                    self.crowd.finish()
                except GoneError:
                    assert instance.is_alive, instance.last_words()
                    continue
                with SqliteReader.open(instance.data / "money.db").snapshot() as sql:
                    left = list(unsettled(sql))
            assert instance.interrupt() == 0, instance.last_words()
        finally:
            instance.kill()
        differences = {line.asset: line.difference for line in reconcile(instance.data)}
        astray = [f"{asset} differs by {units}" for asset, units in differences.items() if units != "0"]
        forgotten = forgotten_promises(instance.data, self.crowd.promised())
        return [*wrongs(instance.data), *astray, *forgotten, *self.crowd.unexpected()]


def visits(seed: int, rounds: int) -> list[str]:
    """`label:n` for every point, `rounds` times, in an order and with counts that a seed chooses."""
    rng = random.Random(seed)  # noqa: S311 - repeatable on purpose
    chosen = []
    for _ in range(rounds):
        labels = rng.sample(REACHABLE, len(REACHABLE))
        chosen += [f"{label}:{_nth(label, rng)}" for label in labels]
    return chosen


def _nth(label: str, rng: random.Random) -> int:
    return rng.choice(COUNTS.get(label) or COUNTS.get(label.partition(".")[0]) or (1, 1, 2))


def few(seed: int) -> list[str]:
    """One point of each room."""
    rng = random.Random(seed)  # noqa: S311 - repeatable on purpose
    chosen = []
    for labels in ROOMS.values():
        known = [label for label in labels if label in REACHABLE]
        if known:
            label = rng.choice(known)
            chosen.append(f"{label}:{_nth(label, rng)}")
    return chosen


@pytest.mark.timeout(7_200 if FULL else 1_800)
def test_money_survives_kills_at_any_point(tmp_path: Path) -> None:
    """Whatever point the process dies at: it starts again, and no unit is lost, doubled or owed twice."""
    chaos = Chaos.begin(tmp_path, SEED)
    points = visits(SEED, rounds=2) if FULL else few(SEED)
    try:
        for place, point in enumerate(points):
            if place % 10 == 3:
                chaos.live_until_everything_dies()
            chaos.live_until(point)
        assert chaos.settle() == []
    finally:
        chaos.instance.kill()
    print(f"{chaos.instance.lives} lives, {len(chaos.crowd.over)} deeds")  # noqa: T201 - what was visited
