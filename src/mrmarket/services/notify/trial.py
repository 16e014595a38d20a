"""One notice through every way, to see whether they work."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from mrmarket.core.clock import NS_PER_MS, Clock
from mrmarket.core.notice import Notice, Severity
from mrmarket.services.notify.delivery import DeliveryError, Way


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one way."""

    way: str
    delivered: bool
    problem: str = ""


async def try_ways(ways: Sequence[Way], clock: Clock) -> list[Trial]:
    """Send a notice once through each way, one after the other, and hang up."""
    notice = Notice(
        key="test",
        kind="test",
        severity=Severity.INFO,
        title="this is a test",
        text="If you can read this, notices reach you.",
        at_ms=clock.now_ns() // NS_PER_MS,
    )
    trials = []
    for way in ways:
        try:
            await way.send(notice)
        except DeliveryError as error:
            trials.append(Trial(way=way.name, delivered=False, problem=error.problem))
        else:
            trials.append(Trial(way=way.name, delivered=True, problem="delivered"))
        finally:
            await way.close()
    return trials
