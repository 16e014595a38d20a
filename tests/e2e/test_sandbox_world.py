"""A whole world of campaigns: joined, paid, sent on, credited and taken home, whoever is killed on the way.

`MRMARKET_CHAOS=full` visits every point between two effects; without it one that a seed chooses.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest

from e2e.running import END_S, START_S, command
from mrmarket.campaigns.identity import identity, withdrawn
from mrmarket.campaigns.pipeline import CRASH_POINTS as CAMPAIGNS
from mrmarket.core.crash import VARIABLE
from mrmarket.partners.chains.book import ChainBook
from mrmarket.partners.chains.observations import CRASH_POINTS as CHAINS
from mrmarket.partners.chains.observations import Observations
from mrmarket.partners.chains.vault import CRASH_POINTS as VAULT
from mrmarket.partners.chains.word import ObservedWord
from mrmarket.partners.mixin.transfers import CRASH_POINTS as MIXIN
from mrmarket.services.audit import verify_money
from mrmarket.services.sandbox.endpoints import SandboxEndpoints
from mrmarket.store.sql import SqliteReader
from partners.chains.local_chain import needs_anvil

pytestmark = [pytest.mark.e2e, needs_anvil]

FULL = os.environ.get("MRMARKET_CHAOS") == "full"
SEED = int(os.environ.get("MRMARKET_CHAOS_SEED", "5"))
SPEED = "15"
"""A cycle of 60 world seconds takes four of ours."""
REWARDS = (
    "rewards.received",
    "rewards.planned",
    "rewards.recorded",
    "rewards.chunk_posted",
    "rewards.closed",
)
ROOMS = {"campaigns": CAMPAIGNS, "chains": CHAINS, "vault": VAULT, "mixin": MIXIN, "rewards": REWARDS}
WITHIN_S = 240.0


class WorldFolder:
    """Lives of one instance, and of the world that it starts, on one folder."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"
        self._log = folder / "instance.log"

    def start(self, *arguments: str, crash_at: str = "") -> subprocess.Popen[bytes]:
        """Begin a life."""
        environment = {**os.environ, "NO_COLOR": "1"}
        environment.pop(VARIABLE, None)
        if crash_at:
            environment[VARIABLE] = crash_at
        line = command(
            "run", "--world", "sandbox", "--data", str(self.data), "--port", "0", "--speed", SPEED, *arguments
        )
        with self._log.open("ab") as log:
            log.write(f"--- a life, to end at {crash_at or 'no point'}\n".encode())
            return subprocess.Popen(line, stdout=subprocess.PIPE, stderr=log, env=environment)

    def die_at(self, crash_at: str) -> None:
        """A life that ends at a labelled point."""
        life = self.start(crash_at=crash_at)
        try:
            status = life.wait(WITHIN_S)
        finally:
            _end(life)
        # The world watches the chain as we do, so that a point of watching may be its end, and then ours.
        ends = {-signal.SIGKILL} if crash_at.partition(":")[0] not in CHAINS else {-signal.SIGKILL, 3}
        assert status in ends, f"{crash_at}: {status}\n{self.last_words()}"

    def lose_the_world(self) -> None:
        """A life whose world is killed after the next payout was taken."""
        before = self.payouts()
        life = self.start()
        try:
            _poll(lambda: life.poll() is not None or self.payouts() > before)
            (world,) = [
                child for child in psutil.Process(life.pid).children() if "sandbox" in child.cmdline()
            ]
            world.kill()
            status = life.wait(END_S)
        finally:
            _end(life)
        assert status > 0, self.last_words()

    def live(self, world_s: int) -> dict[str, Any]:
        """A calm life of so many world seconds; its summary."""
        life = self.start("--for", str(world_s), "--json")
        try:
            said, _ = life.communicate(timeout=world_s + START_S)
        finally:
            _end(life)
        assert life.returncode == 0, f"{said!r}\n{self.last_words()}"
        found: dict[str, Any] = json.loads(said.splitlines()[-1])
        return found

    def payouts(self) -> int:
        """How many the books have."""
        with suppress(sqlite3.Error), closing(sqlite3.connect(self.data / "money.db")) as books:
            return int(books.execute("SELECT count(*) FROM campaign_payouts").fetchone()[0])
        return 0

    def last_words(self) -> str:
        """The end of what it has said."""
        logged = self.data / "mrmarket.log"
        return "\n".join(
            file.read_text(errors="replace")[-3_000:] for file in (self._log, logged) if file.exists()
        )

    def wrongs(self) -> list[str]:
        """What does not hold in the books, against the chain's book, and against the rail's own journal."""
        if not (self.data / "money.db").exists():
            return []  # it ended before there were books
        check = verify_money(self.data)
        found = [] if check.ok else [str(check)]
        endpoints = msgspec.json.decode(
            (self.data / "sandbox" / "endpoints.json").read_bytes(), type=SandboxEndpoints
        )
        book = ChainBook.open(self.data / "chains.db")
        reader = SqliteReader.open(self.data / "money.db")
        try:
            word = ObservedWord(
                Observations(book), [endpoints.chain.chain_id], [endpoints.chain.wallet_address]
            )
            with reader.snapshot() as sql:
                found += identity(sql, word, deep=True).faults
                found += _against_mixin(self.data / "sandbox" / "mixin.db", sql, endpoints)
        finally:
            reader.close()
            book.close()
        return found


def _against_mixin(journal: Path, sql: Any, endpoints: SandboxEndpoints) -> list[str]:
    """Nobody was paid twice or without being owed; no deposit was taken twice or overlooked."""
    asset = endpoints.mixin.asset_id
    people = {person.user_id for person in endpoints.people}
    with closing(sqlite3.connect(journal)) as mixin:
        paid = mixin.execute(
            "SELECT hash, opponent_id, units FROM snapshots WHERE asset = ? AND units LIKE '-%'", (asset,)
        ).fetchall()
        came = mixin.execute(
            "SELECT id, units FROM snapshots WHERE asset = ? AND deposit_hash <> ''", (asset,)
        ).fetchall()
    wrongs = []
    rows = sql.rows("SELECT reference, destination, units, state FROM payouts WHERE rail = 'mixin'")
    owed = {name: (destination, int(units), state) for name, destination, units, state in rows if name}
    unheard = [
        (destination, int(units)) for name, destination, units, _ in rows if not name
    ]  # of which the answer was lost with the process that asked
    made = [name for name, receiver, _ in paid if receiver in people]
    wrongs += [f"{name} was made {made.count(name)} times" for name in set(made) if made.count(name) > 1]
    for name, receiver, units in paid:
        made_of = (receiver, -int(units))
        known = owed.get(name)
        if known is None and made_of in unheard:
            unheard.remove(made_of)
        elif receiver in people and (known is None or known[:2] != made_of):
            wrongs.append(f"{receiver} was paid {units} by {name}, and the books say {known}")
    confirmed = {name for name, (_, _, state) in owed.items() if state == "confirmed"}
    wrongs += [f"{name} counts as paid and is not there" for name in sorted(confirmed - set(made))]
    taken = {
        name: int(units)
        for name, units in sql.rows("SELECT id, units FROM payments WHERE claim = 'campaign_arrival'")
    }
    deposits = {name: int(units) for name, units in came}
    wrongs += [f"{name} was taken in and never came" for name in sorted(taken.keys() - deposits.keys())]
    wrongs += [f"{name} came as {deposits[name]}" for name in taken if taken[name] != deposits.get(name)]
    return wrongs


def _poll(done: Any) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.1)  # polling what other processes do


def _end(life: subprocess.Popen[bytes]) -> None:
    if life.poll() is None:
        life.kill()
    life.wait(END_S)
    if life.stdout is not None:
        life.stdout.close()


def points() -> list[str]:
    """Where lives end."""
    if FULL:
        return [_visit(label) for labels in ROOMS.values() for label in labels]
    rng = random.Random(SEED)  # noqa: S311 - repeatable on purpose
    return [_visit(rng.choice(ROOMS[rng.choice(sorted(ROOMS))]))]


def _visit(label: str) -> str:
    """Watching begins at once, and everything else with the first payout."""
    return f"{label}:{30 if label in CHAINS else 1}"


@pytest.mark.timeout(7_200 if FULL else 900)
def test_whoever_is_killed_every_unit_is_found_again(tmp_path: Path) -> None:
    """Lives end at labelled points, one with its world; then all is joined, paid and equal to the unit."""
    folder = WorldFolder(tmp_path)
    for point in points():
        folder.die_at(point)
        assert folder.wrongs() == [], point
    folder.lose_the_world()
    summary = folder.live(240)
    assert summary["campaigns_joined"] >= 1
    assert summary["identity_ok"] is True, summary["identity_faults"]
    for figure in ("rewards_received", "credited", "withdrawn"):
        assert float(summary[figure]["mixin:HMT"]) > 0, summary
    assert folder.wrongs() == []
    with SqliteReader.open(folder.data / "money.db").snapshot() as sql:
        assert withdrawn(sql)["mixin:HMT"] > 0
