"""A difference stops payouts of that asset, and its end lets them go again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from money.solvency.solvency_world import (
    ALICE,
    OUTSIDE,
    PLACES,
    POOL,
    RAIL,
    RAIL_USDT,
    VENUE,
    VENUE_USDT,
    World,
)
from mrmarket.core.clock import ManualClock
from mrmarket.core.errors import InvalidInputError
from mrmarket.money.ledger.draft import Draft
from mrmarket.money.ledger.ledger import Ledger
from mrmarket.money.ledger.sqlite_store import SqliteStore
from mrmarket.money.ledger.verification import verify_ledger
from mrmarket.money.payouts.outbox import Outbox
from mrmarket.money.solvency.audit import faults
from mrmarket.money.solvency.comparison import Place, Span, Standing
from mrmarket.money.solvency.errors import UnknownIncidentError
from mrmarket.money.solvency.repository import Observation, SolvencyRepository
from mrmarket.money.solvency.view import asset_figures, incidents
from mrmarket.money.solvency.watch import CRASH_POINTS, lines_of, observe

if TYPE_CHECKING:
    from mrmarket.money.payouts.payout import Block


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Money in two places."""
    world = World(tmp_path / "money.db")
    yield world
    world.close()


def blocks(world: World) -> dict[str, str]:
    """Why payouts of each blocked code are kept in."""
    with world.reader.snapshot() as sql:
        found: list[Block] = Outbox().blocks(sql)
    return {block.asset_code: block.reason for block in found}


def standings(world: World) -> dict[str, Standing]:
    """By asset, without writing anything."""
    with world.reader.snapshot() as sql:
        return {line.asset: line.standing for line in lines_of(sql, PLACES, world.now_ms)}


def test_assets_that_are_there_are_left_alone(world: World) -> None:
    """Both places match; shares are owed by the pool and no place holds them."""
    world.see()
    found = world.look()
    assert found.is_sound
    assert [(line.asset, line.standing) for line in found.lines] == [
        ("rail:USDT", Standing.MATCHES),
        ("sim:USDT", Standing.MATCHES),
    ]
    assert blocks(world) == {}


def test_a_missing_unit_opens_an_incident_and_blocks_the_asset(world: World) -> None:
    """At once, with how much is missing and where; a second look opens no second incident."""
    world.see(rail=100 * 10**8 - 1)
    (incident,) = world.look().opened
    assert (incident.asset, incident.place, incident.difference_units) == ("rail:USDT", "rail", -1)
    assert blocks(world) == {"USDT": "reconciliation: rail lacks 1 units of rail:USDT"}
    world.see(rail=100 * 10**8 - 1)
    assert world.look().opened == []
    with world.reader.snapshot() as sql:
        assert [row.state for row in incidents(sql, 5)] == ["open"]
        (rail, _) = asset_figures(sql, lines_of(sql, PLACES, world.now_ms), world.now_ms)
    assert (rail.owed, rail.seen, rail.difference, rail.incident) == (
        "100",
        "99.99999999",
        "-0.00000001",
        incident.id,
    )


def test_it_is_over_after_two_looks_at_something_newer(world: World) -> None:
    """Looking twice at the same word counts once; after the second new one payouts go on."""
    world.see(rail=0)
    world.look()
    world.see()
    for _ in range(3):
        assert world.look().closed == []
    world.see()
    (closed,) = world.look().closed
    assert (closed.state, closed.closed_by) == ("closed", "reconciliation")
    assert blocks(world) == {}


def test_a_theft_while_nothing_trades_is_an_incident_until_it_is_given_back(world: World) -> None:
    """A venue that tells changes only says it once; after its slack the same word counts again."""
    patient = {**PLACES, "sim": Place("sim", 60_000, slack_ms=500, looks_to_open=3)}
    for venue, ended in ((50 * 10**18 - 1, "opened"), (50 * 10**18, "closed")):
        world.see(venue=venue)
        assert [getattr(world.look(places=patient), ended) for _ in range(5)] == [[]] * 5
        world.wait(501)
        found = [row.asset for _ in range(2) for row in getattr(world.look(places=patient), ended)]
        assert found == ["sim:USDT"]
    assert blocks(world) == {}


def test_a_payment_on_its_way_ends_no_incident_and_hides_no_theft(world: World) -> None:
    """What it may explain counts for neither side; only a look without any difference puts things right."""
    patient = {name: replace(place, looks_to_open=2) for name, place in PLACES.items()}
    on_its_way = [Span("rail:USDT", -50, 0, "a payment")]
    short = 100 * 10**8 - 50
    opened = []
    for more in ([], on_its_way, []):
        world.see(rail=short)
        opened += world.look(more, patient).opened
    assert [row.asset for row in opened] == ["rail:USDT"]
    for _ in range(3):
        world.see(rail=short)
        assert world.look(on_its_way, patient).closed == []
    for _ in range(2):
        world.see()
        found = world.look(on_its_way, patient)
    assert [row.asset for row in found.closed] == ["rail:USDT"]


def test_a_relapse_starts_the_count_again(world: World) -> None:
    """One good look between two bad ones ends nothing."""
    for rail in (0, 100 * 10**8, 0, 100 * 10**8):
        world.see(rail=rail)
        assert world.look().closed == []
    assert "USDT" in blocks(world)


def test_a_code_stays_blocked_while_any_place_is_short_of_it(world: World) -> None:
    """USDT is short on the rail and at the venue; the end of one incident does not let it go."""
    world.see(rail=0, venue=0)
    assert len(world.look().opened) == 2
    for _ in range(2):
        world.see(venue=0)
        found = world.look()
    assert [row.asset for row in found.closed] == ["rail:USDT"]
    assert "USDT" in blocks(world)
    for _ in range(2):
        world.see()
        world.look()
    assert blocks(world) == {}


def test_somebody_elses_block_stays(world: World) -> None:
    """A block with another reason is not ours to lift."""
    world.see(rail=0)
    world.look()
    world.writer.perform(lambda draft: Outbox().block(draft, "USDT", "the owner said so")).result()
    for _ in range(2):
        world.see()
        world.look()
    assert blocks(world) == {"USDT": "the owner said so"}


def test_the_owner_takes_a_difference_as_it_is(world: World) -> None:
    """It opens no other incident until it is another one; a reason must be given."""
    world.see(rail=7)
    (incident,) = world.look().opened
    with pytest.raises(InvalidInputError, match="reason"):
        world.release(incident.id, " ")
    with pytest.raises(UnknownIncidentError):
        world.release("rail:USDT@0")
    closed = world.release(incident.id)
    assert (closed.closed_by, closed.closed_why) == ("owner", "counted by hand")
    assert blocks(world) == {}
    world.see(rail=7)
    assert world.look().opened == []
    world.see(rail=6)
    assert len(world.look().opened) == 1
    with pytest.raises(UnknownIncidentError):
        world.release(incident.id)


def test_what_was_seen_too_long_ago_blocks(world: World) -> None:
    """Silence is no proof of assets."""
    world.see()
    world.wait(61_000)
    assert {line.standing for line in world.look().lines} == {Standing.STALE}
    assert "last said" in blocks(world)["USDT"]


def test_a_start_waits_once_for_the_first_word(world: World) -> None:
    """What nobody has seen yet blocks at the second look and not at the first."""
    assert world.look().opened == []
    assert len(world.look().opened) == 2


def test_units_that_moved_since_explain_a_difference(world: World) -> None:
    """A trade after the venue spoke, or within its slack, is no difference; one long before is."""
    world.see()
    world.move("trade", VENUE, POOL, VENUE_USDT, 5)
    assert standings(world)["sim:USDT"] is Standing.EXPLAINED
    world.wait(2_400)
    world.see()
    assert standings(world)["sim:USDT"] is Standing.DIFFERS
    world.see(venue=50 * 10**18 + 5)
    assert standings(world)["sim:USDT"] is Standing.MATCHES
    world.move("trade back", POOL, VENUE, VENUE_USDT, 5)
    assert standings(world)["sim:USDT"] is Standing.EXPLAINED


def test_what_users_move_among_themselves_explains_nothing(world: World) -> None:
    """Only units that come or go can be on their way."""
    world.see(rail=100 * 10**8 - 5)
    world.move("gift", ALICE, POOL, RAIL_USDT, 5)
    assert standings(world)["rail:USDT"] is Standing.DIFFERS


def test_what_somebody_else_knows_to_be_on_its_way_counts(world: World) -> None:
    """Spans from outside are added."""
    world.see(rail=100 * 10**8 - 5)
    span = Span("rail:USDT", -5, 0, "a trade that is not settled")
    assert world.look([span]).is_sound
    assert not world.look().is_sound


def test_a_later_word_is_not_overwritten_by_an_earlier(world: World) -> None:
    """Observations may come out of order."""
    world.see()
    stale = Observation("rail", "USDT", 0, 8, world.now_ms - 10)
    world.writer.perform(lambda draft: observe(draft, [stale])).result()
    assert standings(world)["rail:USDT"] is Standing.MATCHES


def test_coins_that_the_books_do_not_know_owe_nobody(world: World) -> None:
    """They are shown and block nothing; another number of decimals is brought to ours."""
    world.see()
    words = [
        Observation("rail", "SHIB", 5, 2, world.now_ms),
        Observation("sim", "USDT", 50 * 10**8, 8, world.now_ms + 1),
        Observation("rail", "USDT", 100 * 10**10 + 99, 10, world.now_ms + 1),
    ]
    world.writer.perform(lambda draft: observe(draft, words)).result()
    assert standings(world) == {
        "rail:SHIB": Standing.FOREIGN,
        "rail:USDT": Standing.MATCHES,
        "sim:USDT": Standing.MATCHES,
    }
    assert world.look().is_sound


def test_money_that_left_the_books_is_not_owed(world: World) -> None:
    """A withdrawal lowers what must be there."""
    world.move("out", POOL, OUTSIDE, VENUE_USDT, 10**18)
    world.move("back", ALICE, RAIL, RAIL_USDT, 10**8)
    world.wait(2_000)
    world.see(rail=99 * 10**8, venue=49 * 10**18)
    assert set(standings(world).values()) == {Standing.MATCHES}


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE asset_observations SET units = '1' WHERE place = 'rail'",
        "UPDATE solvency_looks SET bad = bad + 1",
        "UPDATE solvency_incidents SET why = 'nothing'",
        "DELETE FROM solvency_incidents",
        "DELETE FROM payout_blocks",
    ],
)
def test_an_altered_row_is_found(world: World, statement: str) -> None:
    """Rows that may change carry a seal of their own; an incident and its block are there together."""
    world.see(rail=0)
    world.look()
    with world.reader.snapshot() as sql:
        assert list(faults(sql)) == []
    world.writer.perform(lambda draft: draft.sql.run(statement)).result()
    with world.reader.snapshot() as sql:
        table = statement.removeprefix("DELETE FROM ").removeprefix("UPDATE ").split()[0]
        assert any(table in fault for fault in faults(sql))


def _crashing_child(path: Path) -> None:
    world = World(path)
    world.see(rail=0)
    world.look()
    for _ in range(2):
        world.see()
        world.look()


@pytest.mark.parametrize("label", CRASH_POINTS)
def test_an_incident_and_its_block_come_and_go_together(tmp_path: Path, label: str) -> None:
    """Killed between the two, neither is there; the next looks do it again."""
    path = tmp_path / "money.db"
    program = (
        "import sys; from pathlib import Path; from money.solvency.test_watch import _crashing_child;"
        "_crashing_child(Path(sys.argv[1]))"
    )
    tests = str(Path(__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)],
        env={**os.environ, "MRMARKET_CRASH_AT": label, "PYTHONPATH": tests},
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    assert verify_ledger(path).ok
    ledger = Ledger(SqliteStore.open(path, "heir"), ManualClock())

    def agree(draft: Draft) -> bool:
        held = {block.asset_code for block in Outbox().blocks(draft.sql)}
        return held == {row.asset.partition(":")[2] for row in SolvencyRepository(draft.sql).open_incidents()}

    (outcome,) = ledger.drain([agree])
    ledger.close()
    assert outcome.value is True


def test_rail_is_a_gate(world: World) -> None:
    """What came in through the rail is what is owed there."""
    with world.reader.snapshot() as sql:
        assert SolvencyRepository(sql).owed() == {"rail:USDT": 100 * 10**8, "sim:USDT": 50 * 10**18}
        ((units,),) = sql.rows("SELECT units FROM balances WHERE account = ?", RAIL.id)
    assert int(units) == -(100 * 10**8)
