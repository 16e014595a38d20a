"""What to do when an engine is dead: a few ways that come with the house, and a port for the owner's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Final, Protocol

from mrmarket.angel.port import WatchedVenue
from mrmarket.core.errors import MrMarketError
from mrmarket.core.side import Side

ENTRY_POINTS: Final = "mrmarket.failsafes"
"""Where an owner's package registers a factory without arguments: `name = "package.module:factory"`."""


class Verdict(StrEnum):
    """What a fail-safe wants done with the open orders."""

    SWEEP = "sweep"
    """Cancel them and prove that they are gone."""
    LEAVE = "leave"
    """Nothing: it has seen to them, or they are to stand."""


class Recorder(Protocol):
    """Writes down what was done."""

    def __call__(self, action: str, target: str = "", detail: str = "", *, alert: bool = False) -> None:
        """One action of the intervention at hand."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What a fail-safe is told and may use."""

    incident: str
    nodes: tuple[str, ...]
    runs: tuple[str, ...]
    venues: Sequence[WatchedVenue]
    record: Recorder
    whole: bool = True
    """Whether every engine is silent; else other engines trade, and only these runs are meant."""


class FailSafe(Protocol):
    """One way to make things safe. It is given a bounded time; if it fails, `cancel_all` runs instead."""

    name: str

    async def begin(self, scene: Scene) -> Verdict:
        """An engine is dead, and its leases are being taken."""
        ...

    async def finish(self, scene: Scene) -> None:
        """Every venue is proven empty (only after `SWEEP`)."""
        ...


class CancelAll:
    """The default: no order stays."""

    name = "cancel_all"

    async def begin(self, scene: Scene) -> Verdict:  # noqa: ARG002 - the port's
        """Sweep."""
        return Verdict.SWEEP

    async def finish(self, scene: Scene) -> None:
        """Nothing more."""


class AlertOnly:
    """Tells the owner and touches nothing."""

    name = "alert_only"

    async def begin(self, scene: Scene) -> Verdict:
        """Leave the orders as they are."""
        scene.record("alert_only", ", ".join(scene.nodes), "orders were left as they are", alert=True)
        return Verdict.LEAVE

    async def finish(self, scene: Scene) -> None:
        """Never called."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """What a run bought less what it sold."""

    run: str
    venue: str
    symbol: str
    base: Decimal


class Flattener(Protocol):
    """Reads positions and trades them away; has a key of its own with the right to trade."""

    async def positions(self, runs: Sequence[str]) -> list[Position]:
        """What the runs hold beyond what they began with."""
        ...

    async def touch(self, venue: str, symbol: str) -> tuple[Decimal, Decimal]:
        """Best bid and best ask."""
        ...

    async def immediate(
        self, venue: str, symbol: str, side: Side, base: Decimal, limit_price: Decimal
    ) -> Decimal:
        """A LIMIT order that is filled at once or cancelled; returns how much was filled."""
        ...


class Flatten:
    """Cancels everything, then brings each run's position to zero with bounded orders inside a band.

    One order a pair and intervention: never at market, never beyond `band_bps` from the touch, never for
    more than `max_quote`. What is left is recorded for the owner.
    """

    name = "flatten"

    def __init__(self, flattener: Flattener, *, band_bps: int, max_quote: Decimal) -> None:
        self._flattener = flattener
        self._band = Decimal(band_bps) / 10_000
        self._max_quote = max_quote

    async def begin(self, scene: Scene) -> Verdict:  # noqa: ARG002 - the port's
        """Sweep first: an order that stands could fill against us."""
        return Verdict.SWEEP

    async def finish(self, scene: Scene) -> None:
        """Trade each position away as far as the bounds allow."""
        for position in await self._flattener.positions(scene.runs):
            if not position.base:
                continue
            try:
                words = await self._flatten(position)
            except MrMarketError as error:
                scene.record("flatten_failed", position.symbol, str(error), alert=True)
                continue
            scene.record("flatten", position.symbol, words, alert=True)

    async def _flatten(self, position: Position) -> str:
        bid, ask = await self._flattener.touch(position.venue, position.symbol)
        side = Side.SELL if position.base > 0 else Side.BUY
        limit = bid * (1 - self._band) if side is Side.SELL else ask * (1 + self._band)
        wanted = abs(position.base)
        # A purchase may cost as much as its limit says, a sale brings no more than the touch.
        base = min(wanted, self._max_quote / (limit if side is Side.BUY else bid))
        filled = await self._flattener.immediate(position.venue, position.symbol, side, base, limit)
        return f"{side.value} {filled:f} of {wanted:f} within {self._band * 10_000:f} bps"
