"""The embedded payment rail: a small payment network of its own, outside the books, with play money."""

from __future__ import annotations

from typing import Final

CRASH_POINTS: Final[tuple[str, ...]] = (
    "rail.accepted",
    "rail.advanced",
    "rail.venue_credited",
    "rail.credit_booked",
    "rail.venue_debited",
    "rail.debit_booked",
)
"""Where a test may end the rail's process: after each durable step, before anybody is told of it."""
