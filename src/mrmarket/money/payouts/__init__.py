"""Money in and out over payment rails, each payment exactly once."""

from __future__ import annotations

from typing import Final

CRASH_POINTS: Final = (
    "payouts.enqueued",
    "payouts.taken",
    "payouts.answered",
    "payouts.settled",
    "payments.fetched",
    "payments.booked",
    "payments.disposed",
    "moves.planned",
    "moves.taken",
    "moves.answered",
    "moves.noted",
)
"""Every point between two effects of this room, see `mrmarket.core.crash`.

`payouts.enqueued`, `moves.planned`: the hold and its row are committed, nothing has been called.
`payouts.taken`, `moves.taken`: the row says that the call is about to be made, and it has not been.
`payouts.answered`, `moves.answered`: the call was answered, and the answer is not written down.
`payouts.settled`, `moves.noted`: what the answer meant is committed.
`payments.fetched`: a page of the feed was read, and neither its payments nor the cursor are written.
`payments.booked`: its payments are in suspense and the cursor is moved, nobody has claimed them.
`payments.disposed`: a payment was claimed, sent back or parked.
"""
