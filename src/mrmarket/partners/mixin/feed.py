"""Reading snapshots so that none is skipped: ties, pages, late-comers and crashes between.

Snapshots are asked for by time, which is not unique and not quite in order. The cursor is a time `floor` and
the ids taken at or after it: what was before the floor has been taken, what is not among the ids has not.
It is kept by whoever takes the payments, in the transaction that takes them; a lost cursor costs
repetitions, never a payment.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec

from mrmarket.core.clock import NS_PER_S
from mrmarket.core.errors import InvalidInputError
from mrmarket.partners.mixin.client import MAX_PAGE
from mrmarket.partners.mixin.errors import MixinDriftError, MixinFeedStuckError
from mrmarket.partners.mixin.messages import Snapshot

OVERLAP_NS: Final = 5 * NS_PER_S
"""How late a snapshot may appear, measured by its own time."""
_REMEMBERED: Final = 2_000
"""Ids that a cursor holds at most, unless more carry one time: of a busy feed the overlap is shorter."""
_STEP_BACK_NS: Final = 1_000
"""An offset may be exclusive, and be kept in microseconds: asking from a bit earlier loses nothing."""
_NANOS: Final = 9
_TIME: Final = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?Z", re.ASCII)

AskSnapshots = Callable[[str, int], Awaitable[list[Snapshot]]]
"""Snapshots from an offset (RFC 3339) on, the oldest first, at most so many."""


class FeedMark(msgspec.Struct, frozen=True):
    """A cursor, read."""

    floor_ns: int = 0
    taken: tuple[tuple[int, str], ...] = ()
    """Time and id of what was taken at or after the floor, in this order."""


def read_mark(cursor: str) -> FeedMark:
    """The mark in a cursor; the empty one is the beginning. Raises InvalidInputError."""
    if not cursor:
        return FeedMark()
    try:
        return msgspec.json.decode(cursor, type=FeedMark)
    except (msgspec.MsgspecError, UnicodeEncodeError) as strange:
        raise InvalidInputError(
            "cursor", cursor[:40], "a cursor that this feed gave, or the empty one"
        ) from strange


def write_mark(mark: FeedMark) -> str:
    """The cursor of a mark."""
    return msgspec.json.encode(mark).decode()


async def next_snapshots(
    ask: AskSnapshots, mark: FeedMark, limit: int, *, overlap_ns: int = OVERLAP_NS
) -> tuple[list[Snapshot], FeedMark]:
    """At most `limit` snapshots that the mark does not have, the oldest first, and the mark after them.

    Raises:
        MixinFeedStuckError: if more snapshots carry one time than a page holds.
        MixinDriftError: if a page is not in order, so that a time would say nothing.
    """
    known = {name for _, name in mark.taken}
    fresh: list[tuple[int, Snapshot]] = []
    offset_ns, begun = mark.floor_ns, ""
    wanted = min(MAX_PAGE, limit + len(mark.taken))
    while len(fresh) < limit:
        page = await ask(_offset(offset_ns), wanted)
        times = [parse_time(snapshot.created_at) for snapshot in page]
        if times != sorted(times):
            raise MixinDriftError("GET /safe/snapshots", "snapshots are not in the order of their time")
        for at_ns, snapshot in zip(times, page, strict=True):
            if at_ns >= mark.floor_ns and snapshot.snapshot_id not in known:
                known.add(snapshot.snapshot_id)
                fresh.append((at_ns, snapshot))
        if len(page) < wanted:
            break
        if page[0].snapshot_id == begun:
            # It begins where the one before did: more carry one time than were asked for.
            if wanted == MAX_PAGE:
                raise MixinFeedStuckError(page[-1].created_at, len(page))
            begun, wanted = "", MAX_PAGE
            continue
        begun = page[0].snapshot_id
        offset_ns = times[-1]
    told = sorted(fresh, key=lambda item: (item[0], item[1].snapshot_id))[:limit]
    return [snapshot for _, snapshot in told], _after(mark, told, overlap_ns)


def _after(mark: FeedMark, told: Sequence[tuple[int, Snapshot]], overlap_ns: int) -> FeedMark:
    if not told:
        return mark
    taken = sorted({*mark.taken, *((at_ns, snapshot.snapshot_id) for at_ns, snapshot in told)})
    # A late-comer moves nothing: the floor follows the youngest that was taken, and never the other way.
    floor_ns = max(mark.floor_ns, taken[-1][0] - overlap_ns, 0)
    if len(taken) > _REMEMBERED:
        floor_ns = max(floor_ns, taken[-_REMEMBERED][0])
    return FeedMark(floor_ns, tuple(item for item in taken if item[0] >= floor_ns))


def parse_time(text: str) -> int:
    """Nanoseconds since 1970 of an RFC 3339 time in UTC. Raises MixinDriftError."""
    match = _TIME.fullmatch(text)
    try:
        if match is None:
            seconds = None
        else:
            seconds = int(datetime.fromisoformat(match[1]).replace(tzinfo=UTC).timestamp())
    except ValueError:
        seconds = None
    if match is None or seconds is None:
        raise MixinDriftError("time", f"{text[:40]!r} is no time in UTC")
    return seconds * NS_PER_S + int((match[2] or "").ljust(_NANOS, "0"))


def format_time(at_ns: int) -> str:
    """RFC 3339 in UTC with nine digits."""
    seconds, nanos = divmod(at_ns, NS_PER_S)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{nanos:09d}Z"


def _offset(at_ns: int) -> str:
    return format_time(at_ns - _STEP_BACK_NS) if at_ns > _STEP_BACK_NS else ""
