"""Payments that are owed, on their way, or coming in."""

from __future__ import annotations

revision = "money_0003"
down_revision = "money_0002"


def upgrade() -> None:
    """Create the tables."""
