"""Which shares leave first, and what each of them pays for leaving early."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from mrmarket.money.pool.rows import LotRow
from mrmarket.money.pool.terms import BPS, EXIT_REFUSED


class Part(NamedTuple):
    """Shares of one lot that leave."""

    lot: str
    share_units: int
    exit_fee_bps: int


@dataclass(frozen=True, slots=True)
class Choice:
    """What a request to leave comes to."""

    parts: tuple[Part, ...]
    short: int
    """Share units that are asked for and that the user does not have free."""
    locked: int
    """Of the share units asked for, those that cannot leave before their lock ends."""
    locked_until_ms: int
    """When enough of these are free; 0 where nothing is locked."""


class Leaving(NamedTuple):
    """What one part is worth."""

    part: Part
    gross_units: int
    fee_units: int


def free_units(lots: Iterable[LotRow]) -> int:
    """Shares that are under no withdrawal."""
    return sum(lot.share_units - lot.held_units for lot in lots)


def choose(lots: Sequence[LotRow], shares: int, at_ms: int) -> Choice:
    """Take free shares first, then locked ones that may leave, cheapest first; the oldest of each first."""

    def order(lot: LotRow) -> tuple[bool, int, int, str]:
        locked = lot.locked_until_ms > at_ms
        return (locked, lot.exit_fee_bps if locked else 0, lot.opened_ms, lot.id)

    parts: list[Part] = []
    missing = shares
    barred: list[LotRow] = []
    for lot in sorted(lots, key=order):
        locked = lot.locked_until_ms > at_ms
        if locked and lot.exit_fee_bps == EXIT_REFUSED:
            barred.append(lot)
            continue
        taken = min(missing, lot.share_units - lot.held_units)
        if taken:
            parts.append(Part(lot.id, taken, lot.exit_fee_bps if locked else 0))
            missing -= taken
    until_ms = 0
    locked_units = 0
    for lot in sorted(barred, key=lambda lot: lot.locked_until_ms):
        taken = min(missing, lot.share_units - lot.held_units)
        if taken:
            locked_units += taken
            missing -= taken
            until_ms = lot.locked_until_ms
    return Choice(tuple(parts), missing, locked_units, until_ms)


def divide(total: int, parts: Sequence[Part]) -> list[Leaving]:
    """What each part gets of the worth of all, odd units to the last, and its exit fee, rounded up."""
    shares = sum(part.share_units for part in parts)
    leaving = []
    left = total
    for part in parts:
        gross = left if part is parts[-1] else total * part.share_units // shares
        left -= gross
        leaving.append(Leaving(part, gross, -(-gross * part.exit_fee_bps // BPS)))
    return leaving


def encode_parts(parts: Iterable[Part]) -> str:
    """As a withdrawal keeps them."""
    rows = [(part.lot, str(part.share_units), part.exit_fee_bps) for part in parts]
    return msgspec.json.encode(rows).decode()


def decode_parts(text: str) -> tuple[Part, ...]:
    """Read what `encode_parts` wrote."""
    rows = msgspec.json.decode(text, type=list[tuple[str, str, int]])
    return tuple(Part(lot, int(units), bps) for lot, units, bps in rows)
