"""Holds, ceilings and clamped transfers."""

from __future__ import annotations

revision = "money_0002"
down_revision = "money_0001"


def upgrade() -> None:
    """Create the tables."""
