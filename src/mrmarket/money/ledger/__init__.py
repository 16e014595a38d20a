"""Double entry that can be proved: every unit that ever moved, chained and signed."""

from __future__ import annotations

from typing import Final

CRASH_POINTS: Final = (
    "ledger.begun",
    "ledger.decided",
    "ledger.groups_written",
    "ledger.transfers_written",
    "ledger.balances_written",
    "ledger.committed",
)
"""Labels between the effects of one commit."""
