"""One campaign's life as a pure state machine: `advance(campaign, event) -> campaign`."""

from __future__ import annotations

from enum import StrEnum
from types import MappingProxyType
from typing import Final

import msgspec
from msgspec.structs import replace

from mrmarket.campaigns.errors import OfferConflictError, StageConflictError
from mrmarket.campaigns.offer import Offer


class Stage(StrEnum):
    """How far a campaign has come, from our side."""

    DISCOVERED = "discovered"
    JOINABLE = "joinable"
    """The rules want it; the partner is to be asked."""
    JOINING = "joining"
    """Asked, and the answer is not here."""
    UNKNOWN = "unknown"
    """The answer was lost. Never asked to join again before the partner has said whether we are in."""
    JOINED = "joined"
    """We take part; it has not begun."""
    ACTIVE = "active"
    ENDED = "ended"
    """Its time is over or it is being cancelled; payouts may still come."""
    PAID_OUT = "paid_out"
    CANCELLED = "cancelled"
    REFUSED = "refused"
    """By our rules, or by the partner; the reason says which."""

    @property
    def is_final(self) -> bool:
        """Whether nothing more is expected."""
        return self in {Stage.PAID_OUT, Stage.CANCELLED, Stage.REFUSED}

    @property
    def takes_part(self) -> bool:
        """Whether we take part, or may do without knowing it."""
        return self in {Stage.JOINING, Stage.UNKNOWN, Stage.JOINED, Stage.ACTIVE}


class Event(StrEnum):
    """What happens to a campaign."""

    WANTED = "wanted"
    """The rules chose it."""
    UNWANTED = "unwanted"
    """The rules did not choose it this time; later they may."""
    ASKED = "asked"
    """Written down before the partner is asked."""
    JOINED = "joined"
    LOST = "lost"
    """No answer that can be relied on."""
    ABSENT = "absent"
    """The partner says that we are not in, and may still join."""
    REFUSED = "refused"
    STARTED = "started"
    ENDED = "ended"
    PAID_OUT = "paid_out"
    CANCELLED = "cancelled"


_MOVES: Final = MappingProxyType(
    {
        (Stage.DISCOVERED, Event.WANTED): Stage.JOINABLE,
        (Stage.DISCOVERED, Event.UNWANTED): Stage.DISCOVERED,
        (Stage.DISCOVERED, Event.JOINED): Stage.JOINED,  # joined by hand, or before our memory began
        (Stage.DISCOVERED, Event.REFUSED): Stage.REFUSED,
        (Stage.JOINABLE, Event.WANTED): Stage.JOINABLE,
        (Stage.JOINABLE, Event.UNWANTED): Stage.DISCOVERED,
        (Stage.JOINABLE, Event.ASKED): Stage.JOINING,
        (Stage.JOINABLE, Event.JOINED): Stage.JOINED,
        (Stage.JOINABLE, Event.REFUSED): Stage.REFUSED,
        (Stage.JOINING, Event.JOINED): Stage.JOINED,
        (Stage.JOINING, Event.LOST): Stage.UNKNOWN,
        (Stage.JOINING, Event.ABSENT): Stage.JOINABLE,
        (Stage.JOINING, Event.REFUSED): Stage.REFUSED,
        (Stage.UNKNOWN, Event.JOINED): Stage.JOINED,
        (Stage.UNKNOWN, Event.LOST): Stage.UNKNOWN,
        (Stage.UNKNOWN, Event.ABSENT): Stage.JOINABLE,
        (Stage.UNKNOWN, Event.REFUSED): Stage.REFUSED,
        (Stage.JOINED, Event.STARTED): Stage.ACTIVE,
        (Stage.JOINED, Event.ENDED): Stage.ENDED,
        (Stage.ACTIVE, Event.ENDED): Stage.ENDED,
        (Stage.ENDED, Event.PAID_OUT): Stage.PAID_OUT,
    }
)
"""Every move there is, but for `CANCELLED`, which any stage that is not final takes."""


class Campaign(msgspec.Struct, frozen=True):
    """A partner's campaign and where we stand with it."""

    offer: Offer
    stage: Stage
    wallet: str
    """That takes part, or would; lower case."""
    account: str
    """Label of the exchange account that takes part, or would."""
    joined_ms: int
    """Volume counts from then on; 0 while we are not in."""
    reason: str
    """Why it stands there, in one sentence; empty where that says itself."""
    changed_ms: int

    @property
    def id(self) -> str:
        """Ours; also of the reward campaign."""
        return self.offer.id


def discovered(offer: Offer, wallet: str, account: str, at_ms: int) -> Campaign:
    """A campaign that was seen for the first time."""
    return Campaign(offer, Stage.DISCOVERED, wallet, account, 0, "", at_ms)


def advance(
    campaign: Campaign, event: Event, at_ms: int, reason: str = "", *, joined_ms: int = 0
) -> Campaign:
    """The campaign after an event; the same one where the event changes nothing.

    An event that was already taken into account is harmless: being told twice that we are in, or that it
    ended, is no error.

    Raises:
        StageConflictError: if that cannot happen in its stage.
    """
    stage = _after(campaign, event)
    if stage is campaign.stage and (not reason or reason == campaign.reason):
        return campaign
    joined = campaign.joined_ms
    if event is Event.JOINED and stage is Stage.JOINED:
        joined = joined or joined_ms or at_ms
    return replace(campaign, stage=stage, joined_ms=joined, reason=reason, changed_ms=at_ms)


def seen_again(campaign: Campaign, offer: Offer) -> Campaign:
    """The same campaign, told of once more.

    Raises:
        OfferConflictError: if its terms are not those that are known.
    """
    if offer != campaign.offer:
        fields = tuple(
            name for name in offer.__struct_fields__ if getattr(offer, name) != getattr(campaign.offer, name)
        )
        raise OfferConflictError(campaign.id, fields)
    return campaign


def _after(campaign: Campaign, event: Event) -> Stage:
    stage = campaign.stage
    if event is Event.CANCELLED and not stage.is_final:
        return Stage.CANCELLED
    moved = _MOVES.get((stage, event))
    if moved is not None:
        return moved
    if event.value == stage.value or (event is Event.JOINED and stage in {Stage.ACTIVE, Stage.ENDED}):
        return stage
    if event is Event.STARTED and stage is Stage.ACTIVE:
        return stage
    raise StageConflictError(campaign.id, stage.value, event.value)
