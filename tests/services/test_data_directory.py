"""The data folder: one holder, refused untouched, and no trace of a start that failed."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from mrmarket.services.data_directory import DataDirectory, DataDirectoryError, InstanceBusyError
from mrmarket.store.errors import DatabaseDamagedError, DatabaseTooNewError

REFUSED = DatabaseTooNewError(Path("money.db"), "money_9999", "money_0001")
"""Any error that ends a start."""


def litter(folder: Path) -> None:
    """What a start leaves that fails half way."""
    (folder / "trading.db").write_bytes(b"x")
    (folder / "venue").mkdir(exist_ok=True)
    (folder / "venue" / "plan.json").write_text("{}")


def fail_to_start(folder: Path, *, after_the_first_order: bool = False) -> None:
    """Enter a folder, leave something in it, and leave with an error."""
    with DataDirectory(folder) as directory:
        litter(folder)
        if after_the_first_order:
            directory.keep()
        raise REFUSED


def test_a_refused_start_leaves_no_new_folder(tmp_path: Path) -> None:
    """A folder that was made for the start goes with it."""
    folder = tmp_path / "deep" / "data"
    with pytest.raises(DatabaseTooNewError):
        fail_to_start(folder)
    assert not folder.exists()


def test_a_refused_start_leaves_an_empty_folder_empty(tmp_path: Path) -> None:
    """A folder of the owner's stays, without anything of ours."""
    with pytest.raises(DatabaseTooNewError):
        fail_to_start(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_left_in_peace_stays(tmp_path: Path) -> None:
    """Nothing is cleared by default: only an error on the way to the first order does it."""
    with DataDirectory(tmp_path):
        litter(tmp_path)
    assert (tmp_path / "trading.db").exists()


def test_what_was_there_before_stays(tmp_path: Path) -> None:
    """A folder that held anything is never cleared."""
    (tmp_path / "money.db").write_bytes(b"kept")
    with pytest.raises(DatabaseTooNewError):
        fail_to_start(tmp_path)
    assert (tmp_path / "money.db").read_bytes() == b"kept"
    assert (tmp_path / "trading.db").exists()


def test_a_kept_folder_stays(tmp_path: Path) -> None:
    """From the first order on nothing is cleared, however the run ends."""
    folder = tmp_path / "data"
    with pytest.raises(DatabaseTooNewError):
        fail_to_start(folder, after_the_first_order=True)
    assert (folder / "trading.db").exists()


def test_a_second_start_is_refused_and_clears_nothing(tmp_path: Path) -> None:
    """The holder is named, and its folder is left alone although it is new."""
    folder = tmp_path / "data"
    with DataDirectory(folder) as directory:
        directory.announce("http://127.0.0.1:1")
        with pytest.raises(InstanceBusyError, match="process"), DataDirectory(folder):
            raise AssertionError("two processes hold one folder")
        assert directory.whereabouts() is not None


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    """A file in the folder's place is refused, and nobody is said to be there."""
    file = tmp_path / "data"
    file.write_text("text")
    assert DataDirectory(file).whereabouts() is None
    with pytest.raises(DataDirectoryError, match="--data"), DataDirectory(file):
        raise AssertionError("a file was entered")


@pytest.mark.parametrize("name", ["money.db", "trading.db"])
def test_databases_are_looked_at_before_anything_else(tmp_path: Path, name: str) -> None:
    """A newer or a damaged database is found without a change to any file."""
    directory = DataDirectory(tmp_path)
    directory.require_current()
    with sqlite3.connect(tmp_path / name) as later:
        later.execute("CREATE TABLE schema_version (version_num TEXT NOT NULL)")
        later.execute("INSERT INTO schema_version VALUES (?)", (f"{name.removesuffix('.db')}_9999",))
    later.close()
    with pytest.raises(DatabaseTooNewError):
        directory.require_current()
    (tmp_path / name).write_bytes(b"no database at all" * 100)
    with pytest.raises(DatabaseDamagedError):
        directory.require_current()
    assert [path.name for path in tmp_path.iterdir()] == [name]
