"""What the Angel did is kept in its own file, whatever becomes of the database."""

from __future__ import annotations

from pathlib import Path

import pytest

from mrmarket.angel.diary import Journal, read_journal
from mrmarket.store.operations import AngelAction


def action(number: int) -> AngelAction:
    """Something that was done."""
    return AngelAction(id=str(number), angel="a", at_ms=number, incident="i", action="cancel")


def test_actions_are_read_back_newest_first_without_a_torn_line(tmp_path: Path) -> None:
    """A process that was killed in the middle of a line loses that line alone; others may not read it."""
    path = tmp_path / "angel" / "angel.jsonl"
    journal = Journal(path)
    for number in range(5):
        journal.append(action(number))
    with path.open("ab") as file:
        file.write(b'{"id": "5", "ang')
    assert [row.id for row in read_journal(path)] == ["4", "3", "2", "1", "0"]
    assert [row.id for row in read_journal(path, 2)] == ["4", "3"]
    assert path.stat().st_mode & 0o077 == 0


def test_a_disk_that_refuses_does_not_stop_the_angel(tmp_path: Path) -> None:
    """The newest actions are in memory all the same."""
    path = tmp_path / "angel.jsonl"
    path.mkdir()
    journal = Journal(path)
    journal.append(action(1))
    assert [row.id for row in journal.newest] == ["1"]
    assert read_journal(path) == []


@pytest.mark.parametrize("number", [201, 1_000])
def test_memory_keeps_only_the_newest(number: int) -> None:
    """A long intervention does not grow without bound."""
    journal = Journal(None)
    for each in range(number):
        journal.append(action(each))
    assert len(journal.newest) == 200
    assert journal.newest[-1].id == str(number - 1)
