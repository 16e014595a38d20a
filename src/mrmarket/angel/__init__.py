"""The watchdog: sees that an engine has fallen silent, and takes its orders off the exchanges."""

from __future__ import annotations

from typing import Final

CRASH_POINTS: Final = ("angel.seized", "angel.cancelled", "angel.recovered", "angel.released")
"""Every point between two effects of this room, see `mrmarket.core.crash`.

`angel.seized`: leases are taken, and the intervention has not heard of it.
`angel.cancelled`: a round of cancels has ended at a venue, and is written nowhere.
`angel.recovered`: nothing is left at any venue and the recovery has spoken; the leases are still ours.
`angel.released`: the leases are given back, and the intervention is not closed.
"""
