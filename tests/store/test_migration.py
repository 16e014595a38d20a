"""Schema versions: made once, upgraded whole, refused untouched."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest
from sqlalchemy import MetaData, create_engine

from mrmarket.store.errors import (
    DatabaseDamagedError,
    DatabaseForeignError,
    DatabaseMissingError,
    DatabaseTooNewError,
    DatabaseUnavailableError,
    StoreError,
)
from mrmarket.store.migration import (
    CONTROL_SCHEMA,
    MONEY_SCHEMA,
    TRADING_SCHEMA,
    VERSION_TABLE,
    SchemaFamily,
    check_version,
    prepare,
)
from mrmarket.store.schema.control import CONTROL
from mrmarket.store.schema.money import MONEY
from mrmarket.store.schema.trading import TRADING
from mrmarket.store.trading_store import TradingStore

FAMILIES = [(TRADING_SCHEMA, TRADING), (MONEY_SCHEMA, MONEY), (CONTROL_SCHEMA, CONTROL)]


def definitions(path: Path) -> dict[str, str]:
    """Every table, index and trigger of a file as normalised SQL, by name."""
    connection = sqlite3.connect(path)
    rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    connection.close()
    return {name: " ".join(sql.split()) for name, sql in rows if name != VERSION_TABLE}


@pytest.mark.parametrize(("family", "metadata"), FAMILIES, ids=["trading", "money", "control"])
def test_migrations_end_at_the_one_definition(
    tmp_path: Path, family: SchemaFamily, metadata: MetaData
) -> None:
    """Walking all steps gives exactly the tables, indexes and triggers of the schema module."""
    prepare(tmp_path / "migrated.db", family)
    engine = create_engine(f"sqlite:///{tmp_path / 'defined.db'}")
    metadata.create_all(engine)
    engine.dispose()
    assert definitions(tmp_path / "migrated.db") == definitions(tmp_path / "defined.db")


@pytest.mark.parametrize("family", [family for family, _ in FAMILIES], ids=["trading", "money", "control"])
def test_the_newest_step_is_the_one_that_the_code_names(tmp_path: Path, family: SchemaFamily) -> None:
    """A forgotten version bump is caught."""
    prepare(tmp_path / "a.db", family)
    assert check_version(tmp_path / "a.db", family) == family.head


def test_a_current_file_is_opened_without_the_migration_tool(tmp_path: Path) -> None:
    """A second start loads neither Alembic nor SQLAlchemy."""
    prepare(tmp_path / "trading.db", TRADING_SCHEMA)
    program = (
        "import sys; from pathlib import Path; from mrmarket.store.trading_store import TradingStore;"
        "TradingStore.open(Path(sys.argv[1])).close();"
        "sys.exit(len({'alembic', 'sqlalchemy'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path / "trading.db")], check=False)
    assert done.returncode == 0


def test_a_newer_database_is_refused_untouched(tmp_path: Path) -> None:
    """A file of a later version is left byte for byte as it was, with a sentence that says what to do."""
    path = tmp_path / "trading.db"
    TradingStore.open(path).close()
    connection = sqlite3.connect(path)
    connection.execute("UPDATE schema_version SET version_num = 'trading_0007'")
    connection.commit()
    connection.close()
    before = sha256(path.read_bytes()).digest()
    with pytest.raises(DatabaseTooNewError) as caught:
        TradingStore.open(path)
    assert (caught.value.found, caught.value.known) == ("trading_0007", TRADING_SCHEMA.head)
    assert "install a newer mrmarket" in str(caught.value)
    assert sha256(path.read_bytes()).digest() == before
    assert [file.name for file in tmp_path.iterdir()] == ["trading.db"]


@pytest.mark.parametrize("content", ["another family", "other tables", "no version row"])
def test_a_foreign_database_is_refused(tmp_path: Path, content: str) -> None:
    """Tables of something else are never migrated over."""
    path = tmp_path / "trading.db"
    if content == "another family":
        prepare(path, MONEY_SCHEMA)
    else:
        connection = sqlite3.connect(path)
        table = "photos" if content == "other tables" else VERSION_TABLE
        connection.execute(f"CREATE TABLE {table} (version_num TEXT)")
        connection.close()
    with pytest.raises(DatabaseForeignError):
        prepare(path, TRADING_SCHEMA)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    """A text file under the database's name is reported as damaged and left alone."""
    path = tmp_path / "trading.db"
    path.write_text("not a database at all, but long enough to look at\n" * 50)
    before = path.read_bytes()
    with pytest.raises(DatabaseDamagedError):
        prepare(path, TRADING_SCHEMA)
    assert path.read_bytes() == before


def test_an_unusable_place_is_named(tmp_path: Path) -> None:
    """A directory in the file's place, or a file in the directory's place, gives one clear error."""
    (tmp_path / "trading.db").mkdir()
    with pytest.raises(DatabaseUnavailableError):
        prepare(tmp_path / "trading.db", TRADING_SCHEMA)
    (tmp_path / "file").write_text("")
    with pytest.raises(DatabaseUnavailableError):
        prepare(tmp_path / "file" / "trading.db", TRADING_SCHEMA)
    with pytest.raises(DatabaseMissingError):
        check_version(tmp_path / "absent.db", TRADING_SCHEMA)


def test_a_first_start_without_disk_space_leaves_no_tables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All steps are one transaction: a file is either without tables or current."""
    real = sqlite3.connect

    def tiny(*args: object, **options: object) -> sqlite3.Connection:
        connection: sqlite3.Connection = real(*args, **options)  # type: ignore[call-overload]  # passed on as they came
        connection.execute("PRAGMA max_page_count = 4")
        return connection

    monkeypatch.setattr(sqlite3, "connect", tiny)
    with pytest.raises(StoreError) as caught:
        prepare(tmp_path / "trading.db", TRADING_SCHEMA)
    monkeypatch.undo()
    assert caught.value.code == "database_full"
    assert check_version(tmp_path / "trading.db", TRADING_SCHEMA) is None
    prepare(tmp_path / "trading.db", TRADING_SCHEMA)
    assert check_version(tmp_path / "trading.db", TRADING_SCHEMA) == TRADING_SCHEMA.head


def test_only_the_owner_may_read_the_files(tmp_path: Path) -> None:
    """Database, log and index carry mode 0600 whatever the umask says."""
    path = tmp_path / "new" / "trading 100%.db"
    store = TradingStore.open(path)
    modes = {file.name: file.stat().st_mode & 0o777 for file in path.parent.iterdir()}
    store.close()
    assert modes == {path.name + suffix: 0o600 for suffix in ("", "-wal", "-shm")}
    assert path.parent.stat().st_mode & 0o777 == 0o700
