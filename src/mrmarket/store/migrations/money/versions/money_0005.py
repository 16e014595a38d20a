"""Rewards received, allocated and paid."""

from __future__ import annotations

revision = "money_0005"
down_revision = "money_0004"


def upgrade() -> None:
    """Create the tables."""
