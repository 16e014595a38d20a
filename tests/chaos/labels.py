"""Labelled points of the trading wing at which processes are told to end themselves."""

from __future__ import annotations

from typing import Final

from mrmarket import angel
from mrmarket.trading import execution

CRASH_LABELS: Final = execution.CRASH_POINTS
"""Of whoever holds runs."""

ANGEL_LABELS: Final = angel.CRASH_POINTS
