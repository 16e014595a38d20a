"""Rewards: what came in, who gets which part of it, and the proof that nothing else happened."""

from __future__ import annotations

from typing import Final

CRASH_POINTS: Final = (
    "rewards.received",
    "rewards.reduced",
    "rewards.planned",
    "rewards.recorded",
    "rewards.chunk_posted",
    "rewards.chunk_credited",
    "rewards.closed",
    "rewards.delivery_written",
    "rewards.delivered",
    "jobs.opened",
    "jobs.started",
    "jobs.ran",
    "jobs.finished",
)
"""Every point between two effects of this room, see `mrmarket.core.crash`.

`rewards.received`, `rewards.reduced`: the posting is drafted and its row written, neither is committed.
`rewards.planned`: an allocation is computed and nothing of it is written.
`rewards.recorded`: run and rows are committed, nobody is credited.
`rewards.chunk_posted`: a part of the credits is drafted and not committed.
`rewards.chunk_credited`: a part of the credits is committed.
`rewards.closed`: the last part is committed, with it that the run is done.
`rewards.delivery_written`: a payout is drafted and its allocations are marked, neither is committed.
`rewards.delivered`: both are committed.
`jobs.opened`: the windows that have ended are committed as due.
`jobs.started`: a window is committed as running and has not run.
`jobs.ran`: it has run, and that is not written down.
`jobs.finished`: it is.
"""
