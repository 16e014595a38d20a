"""Target quotes become intents, intents become orders, and no order is ever lost."""

from __future__ import annotations

from typing import Final

CRASH_POINTS: Final = (
    "execution.intents_written",
    "execution.order_answered",
    "execution.cancel_answered",
    "execution.facts_written",
)
"""Every point between two effects of this room, see `mrmarket.core.crash`.

`execution.intents_written`: intents are in the journal, nothing is sent.
`execution.order_answered`: the venue has an order, and its answer is written nowhere.
`execution.cancel_answered`: the venue has cancelled an order, and its answer is written nowhere.
`execution.facts_written`: facts are in the event log, and nobody has acted on them.
"""
