"""Whatever is altered in a campaign table, the audit finds it."""
# ruff: noqa: S608 - names from the catalogue

from __future__ import annotations

from pathlib import Path

import pytest

from campaigns.campaign_crash_child import live
from campaigns.campaign_stage import CampaignStage
from mrmarket.campaigns.audit import faults
from mrmarket.store.sqlite import connect


@pytest.fixture
async def lived(tmp_path: Path) -> Path:
    """Closed books with every kind of row."""
    (await live(tmp_path)).close()
    return tmp_path


async def test_every_altered_column_is_found(lived: Path) -> None:
    """Every table, every column but the seal itself, the first row."""
    connection = connect(lived / "money.db")
    tables = [
        row[0]
        for row in connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE 'campaign_%'"
        )
    ]
    assert len(tables) == 7
    for (name,) in connection.execute(
        "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name LIKE 'campaign_%'"
    ).fetchall():
        connection.execute(f"DROP TRIGGER {name}")
    connection.execute("PRAGMA ignore_check_constraints = ON")
    missed = []
    stage = CampaignStage.on_file(lived)
    for table in tables:
        columns = connection.execute(f"PRAGMA table_info({table})").fetchall()
        key = [column[1] for column in columns if column[5]]
        where = " AND ".join(f"{one} = ?" for one in key)
        whole = connection.execute(f"SELECT * FROM {table} LIMIT 1").fetchone()
        row = {column[1]: value for column, value in zip(columns, whole, strict=True)}
        first = [row[one] for one in key]
        for _, column, kind, *_ in columns:
            before = row[column]
            after = b"x" * 32 if kind == "BLOB" else before + 1_000 if kind == "INTEGER" else f"{before}1"
            connection.execute(f"UPDATE {table} SET {column} = ? WHERE {where}", (after, *first))
            if stage.read(lambda sql: next(iter(faults(sql)), None)) is None:
                missed.append(f"{table}.{column}")
            moved = [after if one == column else value for one, value in zip(key, first, strict=True)]
            connection.execute(f"UPDATE {table} SET {column} = ? WHERE {where}", (before, *moved))
            assert stage.read(lambda sql: list(faults(sql))) == []
    assert missed == []
    connection.close()
    stage.close()


@pytest.mark.parametrize(
    ("statement", "sentence"),
    [
        ("DELETE FROM campaign_steps WHERE seq = 2", "is missing"),
        ("DELETE FROM campaign_steps WHERE seq = 5", "last step left it"),
        ("DELETE FROM reward_entries", "not what the reward ledger has"),
    ],
)
async def test_what_is_gone_is_missed(lived: Path, statement: str, sentence: str) -> None:
    """Rows that were taken away leave a hole that is seen."""
    connection = connect(lived / "money.db")
    for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        connection.execute(f"DROP TRIGGER {name}")
    connection.execute(statement)
    stage = CampaignStage.on_file(lived)
    assert any(sentence in found for found in stage.read(lambda sql: list(faults(sql))))
    connection.close()
    stage.close()
