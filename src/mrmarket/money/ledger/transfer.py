"""Units that move at once, and units that are held first and moved or released later."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec

from mrmarket.core.errors import InvalidInputError
from mrmarket.core.money import MAX_UNITS

_MAX_MS: Final = 2**63


class TransferKind(StrEnum):
    """Why units moved."""

    DEPOSIT = "DEPOSIT"
    LOCK = "LOCK"
    """A user's funds go to work in a pool."""
    UNLOCK = "UNLOCK"
    """And come back."""
    MINT_SHARES = "MINT_SHARES"
    BURN_SHARES = "BURN_SHARES"
    SETTLE_MM_PNL = "SETTLE_MM_PNL"
    """One leg of a trade."""
    FEE = "FEE"
    MANAGEMENT_FEE = "MANAGEMENT_FEE"
    PERFORMANCE_FEE = "PERFORMANCE_FEE"
    DEPOSIT_FEE = "DEPOSIT_FEE"
    REWARD_RECEIVED = "REWARD_RECEIVED"
    CREDIT_REWARD = "CREDIT_REWARD"
    DEBIT_WITHDRAW = "DEBIT_WITHDRAW"
    ALLOCATION_RELEASE = "ALLOCATION_RELEASE"
    CUSTODY_MOVE = "CUSTODY_MOVE"
    """From one place of custody to another."""
    NETWORK_FEE = "NETWORK_FEE"
    REFUND = "REFUND"
    """A payment goes back to where it came from."""
    REVERSAL = "REVERSAL"
    ADJUSTMENT = "ADJUSTMENT"


class Phase(StrEnum):
    """Whether units move at once, or what happens to a hold on them."""

    PLAIN = "plain"
    """Units move."""
    PENDING = "pending"
    """Units are held: they stay with the giver, who can no longer spend them."""
    POST = "post"
    """Held units move, all or a part; the rest is released."""
    VOID = "void"
    """Held units are released."""
    EXPIRE = "expire"
    """Held units are released because their time has run out."""


_PLAIN: Final = Phase.PLAIN  # looking a member up costs more than the comparison
_SETTLING: Final = frozenset({Phase.POST, Phase.VOID, Phase.EXPIRE})
_MOVING: Final = frozenset({Phase.PLAIN, Phase.POST})


class Transfer(msgspec.Struct, frozen=True, gc=False):
    """Units of one asset move, or are held to move, from one account to another."""

    debit: str
    """Account id that gives; its balance falls."""
    credit: str
    """Account id that receives; its balance rises."""
    asset: str
    """Asset id."""
    units: int
    """Positive, in base units. Of a clamped request the most that may move, of its record what moved."""
    kind: TransferKind
    phase: Phase = Phase.PLAIN
    hold: str | None = None
    """Id of the hold that a POST, VOID or EXPIRE settles."""
    expires_ms: int | None = None
    """Of a PENDING: when the hold may no longer be posted; UTC ms."""
    clamp: bool = False
    """Move less where the giver has less above its floor, instead of nothing."""
    asked_units: int | None = None
    """Of the record of a clamped transfer: the most that was to move."""

    def __post_init__(self) -> None:
        if type(self.units) is not int or not 0 < self.units < MAX_UNITS:
            raise InvalidInputError("units", self.units, "a positive whole number below 2^127")
        if self.debit == self.credit:
            raise InvalidInputError("transfer", self.debit, "two different accounts")
        if (
            self.phase is not Phase.PLAIN
            or self.hold
            or self.expires_ms is not None
            or self.clamp
            or self.asked_units
        ):
            self._check_terms()

    @property
    def moves(self) -> bool:
        """Whether balances change, as opposed to what is held."""
        return self.phase in _MOVING

    @property
    def mirror(self) -> Transfer:
        """The transfer that undoes this one."""
        return Transfer(self.credit, self.debit, self.asset, self.units, TransferKind.REVERSAL)

    def _check_terms(self) -> None:
        if (self.phase in _SETTLING) is not (self.hold is not None):
            raise InvalidInputError("hold", self.hold, "the id of a hold with POST, VOID and EXPIRE alone")
        if self.expires_ms is not None:
            if self.phase is not Phase.PENDING:
                raise InvalidInputError("expires_ms", self.expires_ms, "a time with PENDING alone")
            if type(self.expires_ms) is not int or not 0 <= self.expires_ms < _MAX_MS:
                raise InvalidInputError("expires_ms", self.expires_ms, "whole UTC milliseconds")
        if self.clamp and self.hold is not None:
            raise InvalidInputError("clamp", self.clamp, "a clamp without a hold to settle")
        if self.asked_units is not None and not (self.clamp and self.units <= self.asked_units < MAX_UNITS):
            raise InvalidInputError("asked_units", self.asked_units, "what a clamped transfer was to move")


class HoldState(StrEnum):
    """Where a hold stands. It leaves `pending` once and for ever."""

    PENDING = "pending"
    POSTED = "posted"
    VOIDED = "voided"
    EXPIRED = "expired"


SETTLED_AS: Final = {
    Phase.POST: HoldState.POSTED,
    Phase.VOID: HoldState.VOIDED,
    Phase.EXPIRE: HoldState.EXPIRED,
}
"""What a hold becomes by each phase that ends it."""


class Hold(msgspec.Struct, frozen=True, gc=False):
    """Units that one account has set aside for another."""

    id: str
    """See `hold_id`."""
    debit: str
    credit: str
    asset: str
    units: int
    """What is or was held; a POST may have moved less."""
    kind: TransferKind
    expires_ms: int | None
    state: HoldState


def hold_id(key: str, position: int) -> str:
    """Name of the hold that a PENDING transfer makes: its group's key and its place there, from 0."""
    return f"{key}#{position}"


def post_hold(hold: Hold, units: int | None = None) -> Transfer:
    """Move what is held, or a part of it and release the rest."""
    wanted = hold.units if units is None else units
    return Transfer(hold.debit, hold.credit, hold.asset, wanted, hold.kind, phase=Phase.POST, hold=hold.id)


def void_hold(hold: Hold) -> Transfer:
    """Release what is held."""
    return _release(hold, Phase.VOID)


def expire_hold(hold: Hold) -> Transfer:
    """Release what is held because its time has run out."""
    return _release(hold, Phase.EXPIRE)


def transfer_form(transfer: Transfer) -> tuple[object, ...]:
    """How a transfer stands in canonical bytes; units as text, so that any JSON reader keeps them exact.

    Five texts; a sixth element, an object, is there only where there is something to say: `phase` unless
    plain, `hold`, `expires_ms`, and of a clamped transfer `clamp` (true) in a request or `asked` (the most
    that was to move) in a record.
    """
    kind = transfer.kind._value_
    plain = (transfer.debit, transfer.credit, transfer.asset, str(transfer.units), kind)
    if transfer.phase is _PLAIN and not transfer.clamp:
        return plain
    terms: dict[str, object] = {}
    if transfer.phase is not _PLAIN:
        terms["phase"] = transfer.phase.value
    if transfer.hold is not None:
        terms["hold"] = transfer.hold
    if transfer.expires_ms is not None:
        terms["expires_ms"] = transfer.expires_ms
    if transfer.asked_units is not None:
        terms["asked"] = str(transfer.asked_units)
    elif transfer.clamp:
        terms["clamp"] = True
    return (*plain, terms)


def _release(hold: Hold, phase: Phase) -> Transfer:
    return Transfer(hold.debit, hold.credit, hold.asset, hold.units, hold.kind, phase=phase, hold=hold.id)
