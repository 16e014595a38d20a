"""A pool's money on its way between a rail and a venue: what is asked, where it stands."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import msgspec

from mrmarket.core.errors import InvalidInputError
from mrmarket.core.money import MAX_UNITS, Asset
from mrmarket.money.payouts.errors import InexactAmountError
from mrmarket.money.payouts.payout import derived_id


class Direction(StrEnum):
    """Which way the money goes."""

    TO_VENUE = "to_venue"
    TO_RAIL = "to_rail"


class MoveState(StrEnum):
    """Where a move stands."""

    PLANNED = "planned"
    """Its units are held, nobody has been asked."""
    MOVING = "moving"
    """The venue was asked; what it pays has not arrived."""
    UNKNOWN = "unknown"
    """The venue was asked and nobody knows what came of it."""
    DONE = "done"
    REFUSED = "refused"
    """It will not happen; the hold is released."""


MOVES_PENDING = (MoveState.PLANNED, MoveState.MOVING, MoveState.UNKNOWN)
"""States in which the move's units are held."""


@dataclass(frozen=True, slots=True)
class Move:
    """What is to be moved. A cause has one move: asking again for the same is harmless."""

    cause_key: str
    account: str
    """Account id of the pool whose money it is, at both ends."""
    direction: Direction
    rail_asset: Asset
    venue_asset: Asset
    units: int
    """In base units of the asset that is given: the rail's on the way to the venue, else the venue's."""

    def __post_init__(self) -> None:
        if not self.cause_key or not self.cause_key.isprintable():
            raise InvalidInputError("cause_key", self.cause_key, "printable text")
        if self.rail_asset.code != self.venue_asset.code:
            raise InvalidInputError("move", self.venue_asset.id, f"the venue's {self.rail_asset.code}")
        if type(self.units) is not int or not 0 < self.units < MAX_UNITS:
            raise InvalidInputError("units", self.units, "a positive whole number below 2^127")

    @property
    def id(self) -> str:
        """UUIDv5 of the cause; also the venue's idempotency key."""
        return derived_id("move", self.cause_key)

    @property
    def rail_units(self) -> int:
        """What the rail carries.

        Raises:
            InexactAmountError: if the rail's asset has too few digits for it.
        """
        if self.direction is Direction.TO_VENUE:
            return self.units
        return convert_units(self.units, self.venue_asset.decimals, self.rail_asset.decimals)

    @property
    def venue_units(self) -> int:
        """What the venue gives or gets.

        Raises:
            InexactAmountError: if the venue's asset has too few digits for it.
        """
        if self.direction is Direction.TO_RAIL:
            return self.units
        return convert_units(self.units, self.rail_asset.decimals, self.venue_asset.decimals)


class MoveRow(msgspec.Struct, frozen=True):
    """A move as it is kept."""

    id: str
    cause_key: str
    account: str
    direction: Direction
    rail: str
    venue: str
    asset_code: str
    rail_units: int
    venue_units: int
    state: MoveState
    hold: str
    """Ledger hold of the venue's units; empty on the way to the venue, where the payout holds the rail's."""
    payout_id: str
    """On the way to the venue; else empty."""
    sends: int
    polls: int
    absences: int
    absent_ms: int
    acknowledged: bool
    reference: str
    reason: str
    fee_units: int
    """What the venue keeps of its units, as it says."""
    final_ms: int
    """When the venue called the withdrawal final; 0 for not yet."""
    due_ms: int
    planned_ms: int
    changed_ms: int
    ended_ms: int

    @property
    def rail_asset(self) -> str:
        """Asset id on the rail."""
        return f"{self.rail}:{self.asset_code}"

    @property
    def venue_asset(self) -> str:
        """Asset id at the venue."""
        return f"{self.venue}:{self.asset_code}"

    @property
    def memo(self) -> str:
        """What the payment on the rail carries."""
        return MEMO_PREFIX + self.id


MEMO_PREFIX = "move:"
"""Of the memo by which a payment from the venue is known."""


def convert_units(units: int, from_decimals: int, to_decimals: int) -> int:
    """The same amount of another asset with the same code, exactly.

    Raises:
        InexactAmountError: if digits would be lost; it says which part fits.
    """
    if to_decimals >= from_decimals:
        return units * _power(to_decimals - from_decimals)
    whole, lost = divmod(units, _power(from_decimals - to_decimals))
    if lost:
        raise InexactAmountError(units, from_decimals, to_decimals)
    return whole


def _power(digits: int) -> int:
    return int(10**digits)
