"""Signed reports follow each other and name the seal that commits to every claim."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from money.solvency.solvency_world import World
from mrmarket.money.ledger.draft import Draft
from mrmarket.money.ledger.seal import Signed
from mrmarket.money.ledger.seal_key import SealKey
from mrmarket.money.solvency.audit import faults
from mrmarket.money.solvency.errors import ReportError
from mrmarket.money.solvency.report import ReportDocument, open_report, write_report
from mrmarket.money.solvency.repository import SolvencyRepository
from mrmarket.money.solvency.view import latest_report


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Money in two places."""
    world = World(tmp_path / "money.db")
    yield world
    world.close()


def report(world: World, key: SealKey | None = None) -> ReportDocument:
    """Look and report."""
    lines = world.look().lines
    return world.writer.perform(lambda draft: write_report(draft, key or world.key, lines)).result()


def found(world: World) -> list[str]:
    """What an audit says."""
    with world.reader.snapshot() as sql:
        return list(faults(sql))


def test_a_report_states_what_is_owed_seen_and_sealed(world: World) -> None:
    """With the seal's number and hash; solvent where every line adds up."""
    world.see()
    with pytest.raises(ReportError, match="seal the ledger first"):
        report(world)
    world.seal()
    first = report(world)
    world.see(rail=1)
    second = report(world)
    with world.reader.snapshot() as sql:
        assert latest_report(sql) == second
        (stored, before) = SolvencyRepository(sql).reports(5)
    assert open_report(before) == first
    assert (first.solvent, second.solvent) == (True, False)
    assert [(line.asset, line.owed, line.sealed, line.seen) for line in second.lines] == [
        ("rail:USDT", "10000000000", "10000000000", "1"),
        ("sim:USDT", "5" + "0" * 19, "5" + "0" * 19, "5" + "0" * 19),
    ]
    assert (second.number, second.previous, second.seal) == (2, before.hash, 1)
    assert stored.hash != before.hash
    assert found(world) == []


def test_a_report_that_was_altered_is_found(world: World) -> None:
    """Signature, order, key and seal are checked with the books."""
    world.see()
    world.seal()
    report(world)
    report(world, SealKey(bytes([7]) * 32, bytes(32)))
    assert found(world) == ["solvency report 2 is signed by a key that signed no seal"]
    with world.reader.snapshot() as sql:
        (signed, _) = SolvencyRepository(sql).reports(2)
    world.writer.perform(lambda draft: SolvencyRepository(draft.sql).add_report(4, 1, signed)).result()
    assert "solvency report 3 is missing, or stands beside another number or time" in found(world)


@pytest.mark.parametrize("damage", ["text", "form", "signature"])
def test_a_document_that_is_not_as_signed_is_refused(world: World, damage: str) -> None:
    """One sentence each."""
    world.see()
    world.seal()
    report(world)
    with world.reader.snapshot() as sql:
        (signed,) = SolvencyRepository(sql).reports(1)
    wrong = {
        "text": Signed("{}", signed.signature),
        "form": Signed(signed.document + " ", signed.signature),
        "signature": replace(signed, signature="00" * 64),
    }[damage]
    with pytest.raises(ReportError):
        open_report(wrong)


@pytest.mark.parametrize(
    ("statement", "fault"),
    [
        ("UPDATE solvency_reports SET signature = zeroblob(64) WHERE number = 1", "report 1: is not signed"),
        ("UPDATE solvency_reports SET at_ms = at_ms + 1 WHERE number = 2", "report 2 is missing"),
        ("DELETE FROM solvency_reports WHERE number = 1", "report 1 is missing"),
        ("DELETE FROM seals", "refers to a seal that is not there"),
    ],
)
def test_reports_are_held_against_each_other_and_the_seals(world: World, statement: str, fault: str) -> None:
    """Whoever gets past the triggers is found all the same."""
    world.see()
    world.seal()
    report(world)
    report(world)
    assert found(world) == []

    def tamper(draft: Draft) -> None:
        for table in ("solvency_reports", "seals"):
            for verb in ("update", "delete"):
                draft.sql.run(f"DROP TRIGGER {table}_never_{verb}")
        draft.sql.run(statement)

    world.writer.perform(tamper).result()
    assert any(fault in sentence for sentence in found(world))


def test_a_report_that_follows_another_is_found(world: World) -> None:
    """Each names the hash of the one before."""
    world.see()
    world.seal()
    report(world)
    second = report(world)
    forged = replace(second, number=3)
    body = msgspec.json.encode(forged, order="sorted")
    signed = Signed(body.decode(), world.key.sign(body).hex())
    world.writer.perform(
        lambda draft: SolvencyRepository(draft.sql).add_report(3, forged.at_ms, signed)
    ).result()
    assert found(world) == ["solvency report 3 does not follow the one before it"]
