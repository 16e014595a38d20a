"""Signed seals and what was seen of the assets."""

from __future__ import annotations

revision = "money_0006"
down_revision = "money_0005"


def upgrade() -> None:
    """Create the tables."""
