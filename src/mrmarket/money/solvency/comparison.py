"""What is owed against what was seen, as one pure function.

Looking takes time: between the moment at which a place said what it holds and now, units have moved, and some
are on their way. Each such movement is a span by which what was seen may differ from what is owed. A
difference inside the sum of the spans is explained; what lies outside is missing, or too much.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

import msgspec


class Standing(StrEnum):
    """What a comparison came to."""

    MATCHES = "matches"
    EXPLAINED = "explained"
    """It differs by no more than what is on its way."""
    DIFFERS = "differs"
    STALE = "stale"
    """What was seen is too old to say anything."""
    UNSEEN = "unseen"
    """Something is owed and nobody has looked."""
    FOREIGN = "foreign"
    """Something was seen that the books do not know; nobody is owed any of it."""


SOUND = frozenset({Standing.MATCHES, Standing.EXPLAINED, Standing.FOREIGN})
"""Where the assets are there."""


@dataclass(frozen=True, slots=True)
class Place:
    """A place of custody: the namespace of its assets, and how closely it is watched."""

    name: str
    max_age_ms: int
    """What was seen earlier than this says nothing."""
    tolerance_units: int = 0
    """Difference that is let pass, in base units."""
    slack_ms: int = 0
    """How long a place takes to show what has happened, and how far its clock may be from ours."""
    looks_to_open: int = 1
    """Looks in a row until a difference is an incident; at something newer, or older than `slack_ms`."""
    looks_to_close: int = 2
    """Looks in a row that add up until the incident is over."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a place said it holds."""

    units: int
    at_ms: int


class Span(msgspec.Struct, frozen=True):
    """By how much what was seen may differ from what is owed, and why.

    Where both bounds are the same it does differ by that: so much is known to be elsewhere.
    """

    asset: str
    low: int
    high: int
    """Not below `low`."""
    why: str


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One asset at one place, in base units."""

    asset: str
    place: str
    owed: int
    seen: int | None
    seen_at_ms: int | None
    difference: int | None
    """Seen less owed."""
    unexplained: int
    """The part of the difference that nothing on its way accounts for."""
    spans: tuple[Span, ...]
    standing: Standing
    why: str
    """One sentence where it does not add up; else empty."""

    @property
    def is_sound(self) -> bool:
        """Whether the assets are there."""
        return self.standing in SOUND


def compare(
    owed: Mapping[str, int],
    seen: Mapping[str, Seen],
    spans: Iterable[Span],
    places: Mapping[str, Place],
    now_ms: int,
) -> list[Line]:
    """A line for every asset that is owed or was seen, by asset id.

    Args:
        owed: units by asset id, shares of pools left out.
        seen: units by asset id.
        spans: everything on its way.
        places: by name, which is the namespace of its assets.
        now_ms: UTC ms.
    """
    by_asset: dict[str, list[Span]] = {}
    for span in spans:
        by_asset.setdefault(span.asset, []).append(span)
    return [
        _line(
            asset,
            owed.get(asset, 0),
            seen.get(asset),
            tuple(by_asset.get(asset, ())),
            places.get(asset.partition(":")[0]),
            now_ms,
        )
        for asset in sorted(owed.keys() | seen.keys())
        if owed.get(asset) or (asset in seen and (seen[asset].units or asset in owed))
    ]


def _line(
    asset: str, owed: int, seen: Seen | None, spans: tuple[Span, ...], place: Place | None, now_ms: int
) -> Line:
    difference = None if seen is None else seen.units - owed
    unexplained = 0 if difference is None else _outside(difference, spans)
    standing, why = Standing.MATCHES, ""
    if place is None or seen is None:
        standing, why = Standing.UNSEEN, f"{owed} units of {asset} are owed and nobody has looked for them"
    elif now_ms - seen.at_ms > place.max_age_ms:
        age_s = (now_ms - seen.at_ms) // 1_000
        standing, why = Standing.STALE, f"{place.name} last said {age_s} s ago what it holds of {asset}"
    elif abs(unexplained) > place.tolerance_units:
        standing = Standing.DIFFERS
        lacks = "lacks" if unexplained < 0 else "has too many"
        why = f"{place.name} {lacks} {abs(unexplained)} units of {asset}"
    elif difference and not _is_shift(difference, spans):
        standing = Standing.EXPLAINED
    return Line(
        asset=asset,
        place=asset.partition(":")[0],
        owed=owed,
        seen=None if seen is None else seen.units,
        seen_at_ms=None if seen is None else seen.at_ms,
        difference=difference,
        unexplained=unexplained,
        spans=spans,
        standing=standing,
        why=why,
    )


def _is_shift(difference: int, spans: tuple[Span, ...]) -> bool:
    """Whether it differs by just what is known to be elsewhere, and nothing on its way could hide more."""
    return sum(span.low for span in spans) == sum(span.high for span in spans) == difference


def _outside(difference: int, spans: tuple[Span, ...]) -> int:
    low, high = sum(span.low for span in spans), sum(span.high for span in spans)
    if difference < low:
        return difference - low
    return max(difference - high, 0)
