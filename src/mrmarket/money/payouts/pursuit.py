"""Finding out what became of something that was asked of the world: pure rules, no clock, no calls.

A time-out says nothing. What was asked is looked up until it is confirmed, refused, or its absence is
proved: nothing was found in several lookups that span more than the time the other side may take to know of
it. Only then is it asked for again, under the same key.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Final

import msgspec

from mrmarket.money.payouts.move import MoveRow
from mrmarket.money.payouts.payout import PayoutRow
from mrmarket.money.payouts.port import SendReport, SendState, clean_text

Jitter = Callable[[], float]
"""A random number from 0 up to 1."""

_MAX_DOUBLINGS: Final = 32


class Finding(StrEnum):
    """What a report comes to."""

    CONFIRMED = "confirmed"
    REFUSED = "refused"
    PENDING = "pending"
    """Under way; look again later."""
    UNKNOWN = "unknown"
    """Look again later."""
    ABSENT = "absent"
    """Proved: ask again under the same key."""


class Pursuit(msgspec.Struct, frozen=True):
    """What is known of one request. Payouts and moves have these fields."""

    sends: int
    polls: int
    absences: int
    absent_ms: int
    acknowledged: bool
    reference: str
    reason: str
    due_ms: int


class Patience(msgspec.Struct, frozen=True):
    """How long to wait between two questions, and what proves an absence."""

    proofs: int = 3
    """At least so many lookups in a row must have found nothing."""
    first_pause_ms: int = 1_000
    longest_pause_ms: int = 300_000

    def pause_ms(self, attempts: int, jitter: Jitter) -> int:
        """Doubles with every attempt up to the longest; from half of it to all of it, at random."""
        whole = min(self.longest_pause_ms, self.first_pause_ms << min(attempts, _MAX_DOUBLINGS))
        return whole // 2 + int((whole - whole // 2) * jitter())


def pursuit_of(row: PayoutRow | MoveRow) -> Pursuit:
    """The part of a row that is about the request."""
    return Pursuit(
        row.sends,
        row.polls,
        row.absences,
        row.absent_ms,
        row.acknowledged,
        row.reference,
        row.reason,
        row.due_ms,
    )


def asked(pursuit: Pursuit, now_ms: int) -> Pursuit:
    """The call is about to be made. Should it never be answered, it is looked up at once."""
    return msgspec.structs.replace(
        pursuit, sends=pursuit.sends + 1, polls=0, absences=0, absent_ms=0, due_ms=now_ms
    )


def weigh(
    pursuit: Pursuit,
    report: SendReport,
    *,
    looked_up: bool,
    now_ms: int,
    settle_ms: int,
    patience: Patience,
    jitter: Jitter,
) -> tuple[Pursuit, Finding]:
    """What is known after a report, and what it comes to.

    `looked_up` tells the answer of a lookup from that of the request itself: a request that is answered
    with `absent` proves nothing.
    """
    reference = clean_text(report.reference) or pursuit.reference
    reason = clean_text(report.reason)
    after = msgspec.structs.replace(pursuit, reference=reference, reason=reason)
    if report.state is SendState.CONFIRMED:
        return after, Finding.CONFIRMED
    if report.state is SendState.REFUSED:
        return after, Finding.REFUSED
    after = msgspec.structs.replace(
        after,
        polls=pursuit.polls + 1,
        due_ms=now_ms + patience.pause_ms(pursuit.polls, jitter),
    )
    if report.state in {SendState.SENDING, SendState.SENT}:
        return msgspec.structs.replace(after, acknowledged=True, absences=0, absent_ms=0), Finding.PENDING
    if report.state is SendState.ABSENT and looked_up:
        return _absent(after, now_ms=now_ms, settle_ms=settle_ms, patience=patience)
    return after, Finding.UNKNOWN


def _absent(pursuit: Pursuit, *, now_ms: int, settle_ms: int, patience: Patience) -> tuple[Pursuit, Finding]:
    first_ms = pursuit.absent_ms or now_ms
    after = msgspec.structs.replace(pursuit, absences=pursuit.absences + 1, absent_ms=first_ms)
    if after.absences < patience.proofs or now_ms - first_ms <= settle_ms:
        return after, Finding.UNKNOWN
    if pursuit.acknowledged:
        # Who admitted to it and forgot it may have forgotten the key as well, and would pay twice.
        reason = "it was accepted and is now unknown there; ask the provider, then send it again by hand"
        return msgspec.structs.replace(after, reason=reason), Finding.UNKNOWN
    reason = "it never arrived; asking again under the same key"
    return msgspec.structs.replace(after, reason=reason, due_ms=now_ms), Finding.ABSENT
