"""Tables of `control.db`: who is signed in, and what the roles of an instance tell each other."""

from __future__ import annotations

from typing import Final

from sqlalchemy import CheckConstraint, Index, MetaData, Table, text

from mrmarket.store.schema import shape

CONTROL: Final = MetaData()

SESSIONS: Final = Table(
    "sessions",
    CONTROL,
    shape.text("digest", primary_key=True),
    shape.text("role"),
    shape.text("account"),
    shape.whole("created_ms"),
    shape.whole("seen_ms"),
    CheckConstraint("length(digest) = 64", name="sessions_digest"),
    CheckConstraint("role IN ('user', 'admin')", name="sessions_role"),
    CheckConstraint("(role = 'user') = (account <> '')", name="sessions_account"),
    CheckConstraint("seen_ms >= created_ms", name="sessions_times"),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)
"""One row a session, under the SHA-256 of its token: who reads the file cannot sign in with it."""

Index("sessions_by_account", SESSIONS.c.account, SESSIONS.c.created_ms)

CREDENTIALS: Final = Table(
    "credentials",
    CONTROL,
    shape.text("name", primary_key=True),
    shape.text("hash"),
    shape.whole("created_ms"),
    shape.whole("expires_ms"),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)
"""Hashes of what the owner knows: the password (argon2id), a one-time set-up link (SHA-256).
`expires_ms` 0 is never."""

RUNS: Final = Table(
    "runs",
    CONTROL,
    shape.text("id", primary_key=True),
    shape.whole("revision"),
    shape.text("desired"),
    shape.text("spec"),
    CheckConstraint("desired IN ('running', 'paused', 'stopped')", name="runs_desired"),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)
"""What each strategy run is to do; `spec` is the whole of it as JSON."""

BEATS: Final = Table(
    "beats",
    CONTROL,
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
"""The last sign of life of every node that has not signed off."""

COMMANDS: Final = Table(
    "commands",
    CONTROL,
    shape.text("id", primary_key=True),
    shape.text("target"),
    shape.text("kind"),
    shape.text("arguments"),
    shape.text("asked_by"),
    shape.whole("asked_ms"),
    shape.text("state"),
    shape.text("answer"),
    shape.whole("ended_ms"),
    CheckConstraint("state IN ('asked', 'done', 'refused')", name="commands_state"),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)
Index(
    "commands_asked",
    COMMANDS.c.target,
    COMMANDS.c.asked_ms,
    sqlite_where=text("state = 'asked'"),
    postgresql_where=text("state = 'asked'"),
)

RESTRICTIONS: Final = Table(
    "restrictions",
    CONTROL,
    shape.text("scope", primary_key=True),
    shape.text("cause", primary_key=True),
    shape.text("state"),
    shape.text("detail"),
    shape.text("by_whom"),
    shape.whole("since_ms"),
    shape.whole("until_ms"),
    CheckConstraint("state IN ('reduce', 'cancel_only', 'halt')", name="restrictions_state"),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)
"""Why a scope may not trade freely; they outlive whoever found the reason."""

FINDINGS: Final = Table(
    "findings",
    CONTROL,
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
    CheckConstraint("times > 0", name="findings_times"),
    sqlite_strict=True,
)
"""Differences with a venue. One stands under a key at a time; those that are gone stay as history."""
Index(
    "findings_open",
    FINDINGS.c.key,
    unique=True,
    sqlite_where=text("closed_ms = 0"),
    postgresql_where=text("closed_ms = 0"),
)
Index("findings_by_time", FINDINGS.c.last_ms)

ANGEL_ACTIONS: Final = Table(
    "angel_actions",
    CONTROL,
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
Index("angel_actions_by_time", ANGEL_ACTIONS.c.at_ms)

RUN_REPORTS: Final = Table(
    "run_reports",
    CONTROL,
    shape.text("run", primary_key=True),
    shape.text("node"),
    shape.whole("fence"),
    shape.whole("at_ms"),
    shape.text("state"),
    shape.text("view"),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)
"""What the engine that holds a run last said of it."""

GOALS: Final = Table(
    "goals",
    CONTROL,
    shape.text("campaign", primary_key=True),
    shape.whole("cycle"),
    shape.whole("ends_ms"),
    shape.text("goal"),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)
"""What each campaign wants traded in its newest cycle; `goal` is the whole of it as JSON."""

SELECTION_NOTES: Final = Table(
    "selection_notes",
    CONTROL,
    shape.text("name", primary_key=True),
    shape.text("payload"),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)
"""Where the choice between strategies stands, and the thresholds in force; JSON."""

SELECTION_LOG: Final = Table(
    "selection_log",
    CONTROL,
    shape.text("kind", primary_key=True),
    shape.whole("at_ms", primary_key=True),
    shape.whole("number", primary_key=True),
    shape.text("payload"),
    CheckConstraint("kind IN ('decision', 'scores')", name="selection_log_kind"),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)
"""Decisions and scores as they were, oldest pruned; `number` tells apart what bears one time."""
