"""Terms, deposits, withdrawals and fees of several pools."""

from __future__ import annotations

revision = "money_0004"
down_revision = "money_0003"


def upgrade() -> None:
    """Create the tables."""
