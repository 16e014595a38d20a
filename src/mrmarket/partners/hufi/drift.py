"""Where HuFi's answers are not what this program was written for: noted under stable keys."""

from __future__ import annotations

import types
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Union, get_args, get_origin, get_type_hints

import msgspec

from mrmarket.core.clock import NS_PER_MS, Clock

_MOST: Final = 1_000
"""Keys that are kept; a partner that invents a new field with each answer must not fill the memory."""
_SHOWN: Final = 80


class DriftKind(StrEnum):
    """What changed."""

    UNKNOWN_FIELD = "unknown_field"
    UNKNOWN_VALUE = "unknown_value"
    """A word that a field did not have before, such as a new campaign type."""
    UNREADABLE = "unreadable"
    """A field is missing or has another form."""
    RETIRED_ROUTE = "retired_route"
    NEW_PERMISSION = "new_permission"
    """A permission is asked for that was never asked for."""


@dataclass(frozen=True, slots=True)
class Drift:
    """One difference."""

    kind: DriftKind
    route: str
    subject: str
    """Path of the field, or the word."""
    count: int
    first_ms: int
    last_ms: int

    @property
    def key(self) -> str:
        """Stable: the same difference always has the same."""
        return f"{self.kind.value}:{self.route}:{self.subject}"


class DriftReport:
    """What was noticed since the start. Owned by whoever composes the clients; they share one."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._found: dict[str, Drift] = {}
        self._beyond = 0

    def note(self, kind: DriftKind, route: str, subject: str) -> None:
        """Note a difference; noting it again counts it."""
        now_ms = self._clock.now_ns() // NS_PER_MS
        new = Drift(kind, route, _printable(subject), 1, now_ms, now_ms)
        known = self._found.get(new.key)
        if known is not None:
            new = Drift(kind, route, known.subject, known.count + 1, known.first_ms, now_ms)
        elif len(self._found) >= _MOST:
            self._beyond += 1
            return
        self._found[new.key] = new

    def compare(self, route: str, raw: object, kind: Any) -> None:
        """Note the fields of an answer that its type does not have."""
        for path in unknown_fields(raw, kind):
            self.note(DriftKind.UNKNOWN_FIELD, route, path)

    @property
    def found(self) -> tuple[Drift, ...]:
        """Everything, by key."""
        return tuple(self._found[key] for key in sorted(self._found))

    @property
    def beyond(self) -> int:
        """How many notes of further keys were not kept."""
        return self._beyond


def unknown_fields(raw: object, kind: Any, path: str = "") -> Iterator[str]:
    """Paths such as `results[].details` of names that a value has and its type has not; each once."""
    if isinstance(raw, list):
        items = [argument for argument in get_args(kind) if argument is not Ellipsis]
        if items and get_origin(kind) in {list, tuple}:
            yield from dict.fromkeys(
                found for item in raw for found in unknown_fields(item, items[0], f"{path}[]")
            )
        return
    if not isinstance(raw, dict):
        return
    if get_origin(kind) in {types.UnionType, Union}:
        for member in get_args(kind):
            if isinstance(member, type) and issubclass(member, msgspec.Struct):
                yield from unknown_fields(raw, member, path)
        return
    if not (isinstance(kind, type) and issubclass(kind, msgspec.Struct)):
        return
    hints = get_type_hints(kind)
    named = {
        wire: hints[name]
        for wire, name in zip(kind.__struct_encode_fields__, kind.__struct_fields__, strict=True)
    }
    for name, value in raw.items():
        place = f"{path}.{name}" if path else str(name)
        if name not in named:
            yield place
        else:
            yield from unknown_fields(value, named[name], place)


def _printable(text: str) -> str:
    return "".join(sign if sign.isascii() and sign.isprintable() else "?" for sign in text[:_SHOWN])
