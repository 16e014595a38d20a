"""What the roles of an instance tell each other."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from mrmarket.store.schema import shape

revision = "control_0002"
down_revision = "control_0001"


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "runs",
        shape.text("id", primary_key=True),
        shape.whole("revision"),
        shape.text("desired"),
        shape.text("spec"),
        sa.CheckConstraint("desired IN ('running', 'paused', 'stopped')", name="runs_desired"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "beats",
        shape.text("node", primary_key=True),
        shape.text("role"),
        shape.whole("seq"),
        shape.whole("started_ms"),
        shape.whole("at_ms"),
        shape.text("host"),
        shape.whole("pid"),
        shape.text("detail"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "commands",
        shape.text("id", primary_key=True),
        shape.text("target"),
        shape.text("kind"),
        shape.text("arguments"),
        shape.text("asked_by"),
        shape.whole("asked_ms"),
        shape.text("state"),
        shape.text("answer"),
        shape.whole("ended_ms"),
        sa.CheckConstraint("state IN ('asked', 'done', 'refused')", name="commands_state"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index(
        "commands_asked",
        "commands",
        ["target", "asked_ms"],
        sqlite_where=sa.text("state = 'asked'"),
        postgresql_where=sa.text("state = 'asked'"),
    )
    op.create_table(
        "restrictions",
        shape.text("scope", primary_key=True),
        shape.text("cause", primary_key=True),
        shape.text("state"),
        shape.text("detail"),
        shape.text("by_whom"),
        shape.whole("since_ms"),
        shape.whole("until_ms"),
        sa.CheckConstraint("state IN ('reduce', 'cancel_only', 'halt')", name="restrictions_state"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "findings",
        shape.text("key"),
        shape.text("run"),
        shape.text("kind"),
        shape.text("subject"),
        shape.text("ours"),
        shape.text("theirs"),
        shape.text("detail"),
        shape.whole("first_ms"),
        shape.whole("last_ms"),
        shape.whole("times"),
        shape.whole("closed_ms"),
        sa.CheckConstraint("times > 0", name="findings_times"),
        sqlite_strict=True,
    )
    op.create_index(
        "findings_open",
        "findings",
        ["key"],
        unique=True,
        sqlite_where=sa.text("closed_ms = 0"),
        postgresql_where=sa.text("closed_ms = 0"),
    )
    op.create_index("findings_by_time", "findings", ["last_ms"])
    op.create_table(
        "angel_actions",
        shape.text("id", primary_key=True),
        shape.text("angel"),
        shape.whole("at_ms"),
        shape.text("incident"),
        shape.text("action"),
        shape.text("target"),
        shape.text("detail"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index("angel_actions_by_time", "angel_actions", ["at_ms"])
    op.create_table(
        "run_reports",
        shape.text("run", primary_key=True),
        shape.text("node"),
        shape.whole("fence"),
        shape.whole("at_ms"),
        shape.text("state"),
        shape.text("view"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
