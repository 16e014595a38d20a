"""The loyalty programme: who held how much liquidity for how long, and what share of a total that earns."""

from __future__ import annotations

from typing import Final

CRASH_POINTS: Final[tuple[str, ...]] = (
    "loyalty.written",  # every file is in the temporary folder, none in its place
    "loyalty.set_aside",  # the folder of an earlier run has moved away, the new one is not yet there
    "loyalty.state_written",  # the new state is beside the old one, which is still in force
)
"""Places between two effects where a crash must leave a whole run or none; see `core.crash`."""
