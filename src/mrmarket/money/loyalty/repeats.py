"""Telling an event that happened twice from one that was delivered twice.

With a log index the answer is certain: a place in a transaction holds one event. The recorded formats have
none, and a vault that rebalances twice in one transaction leaves records that are equal in every field. But
a fetch lists a transaction's events of one kind in one unbroken stretch. So a repeat within the stretch, with
something else between it and the first, happened; a repeat after another transaction was delivered again; and
so was one that follows its original directly, unless it moves nothing and it does not matter.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from mrmarket.money.loyalty.errors import ConflictingEventError, DuplicateEventError
from mrmarket.money.loyalty.event import Remark


@dataclass(frozen=True, slots=True)
class Sighting:
    """What is needed of a record to judge it: where it stands and what it says.

    `stretch` is equal for events that one fetch lists without a break (transaction, pool, kind).
    """

    transaction: str
    log_index: int | None
    stretch: Hashable
    content: Hashable
    moves: bool


def kept(sightings: Sequence[Sighting], *, drop: bool) -> tuple[list[int], list[Remark]]:
    """Positions of the records that count, and what was found.

    Raises:
        DuplicateEventError: a copy, unless copies are to be dropped.
        ConflictingEventError: one place in the chain with two contents.
    """
    copies = _certain_copies(sightings)
    unplaced = [position for position, sighting in enumerate(sightings) if sighting.log_index is None]
    likely, repeats = _likely_copies(sightings, unplaced)
    copies |= likely
    remarks: list[Remark] = []
    if copies:
        if not drop:
            second, first = min(copies.items())
            raise DuplicateEventError(first, second, sightings[second].transaction, len(copies))
        remarks.append(
            Remark("duplicate_event", len(copies), "copies of events were delivered; each was counted once")
        )
    if repeats:
        sentence = (
            "events equal others of the same transaction in every field; "
            "they stand where a second one stands, so they count"
        )
        remarks.append(Remark("repeated_in_transaction", repeats, sentence))
    return [position for position in range(len(sightings)) if position not in copies], remarks


def _certain_copies(sightings: Sequence[Sighting]) -> dict[int, int]:
    """Copy → original, by place in the chain."""
    places: dict[tuple[str, int], int] = {}
    copies: dict[int, int] = {}
    for position, sighting in enumerate(sightings):
        if sighting.log_index is None:
            continue
        first = places.setdefault((sighting.transaction, sighting.log_index), position)
        if first == position:
            continue
        if sightings[first].content != sighting.content:
            raise ConflictingEventError(first, position, sighting.transaction, sighting.log_index)
        copies[position] = first
    return copies


def _likely_copies(sightings: Sequence[Sighting], positions: Sequence[int]) -> tuple[dict[int, int], int]:
    """Copy → original by where the records stand, and how many repeats are no copies.

    A transaction that was fetched several times counts as often as the fetch that saw most of it.
    """
    copies: dict[int, int] = {}
    originals: dict[Hashable, list[int]] = {}
    seen_here: dict[Hashable, int] = {}
    before: Sighting | None = None
    for position in positions:
        sighting = sightings[position]
        if before is None or sighting.stretch != before.stretch:
            seen_here = {}
            before = None
        known = originals.setdefault(sighting.content, [])
        if before is not None and before.content == sighting.content and sighting.moves:
            copies[position] = known[0]
            continue
        count = seen_here[sighting.content] = seen_here.get(sighting.content, 0) + 1
        if count <= len(known):
            copies[position] = known[count - 1]
        else:
            known.append(position)
        before = sighting
    return copies, sum(len(known) - 1 for known in originals.values())
