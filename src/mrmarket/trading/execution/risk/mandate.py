"""What is asked of a run's quotes from outside, as by a campaign: it narrows them and widens no limit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Final

from mrmarket.core.errors import InvalidInputError
from mrmarket.core.instrument import Instrument
from mrmarket.core.side import Side
from mrmarket.trading.execution.risk.listeners import Listeners
from mrmarket.trading.execution.risk.pretrade import MarketTop
from mrmarket.trading.execution.targets import Quote, TargetQuotes, Term, Told

_BPS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Mandate:
    """Bounds of one run's quotes; None is no bound."""

    min_spread_bps: int | None = None
    """Distance from the mid that no quote comes nearer to."""
    max_spread_bps: int | None = None
    """Distance from the mid within which the nearest quote of each side is to stand; where the two do not
    go together the smallest holds."""
    max_inventory: Decimal | None = None
    """So far, in quote, trading may take the position from where it was when this was first asked, with every
    open order filled. Towards its target it is always free to go."""
    idle: str = ""
    """Why nothing is to be quoted at all; empty where something is."""
    reason: str = ""
    """Who asks for it, in one sentence."""

    def __post_init__(self) -> None:
        for name in ("min_spread_bps", "max_spread_bps", "max_inventory"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise InvalidInputError(name, value, "above 0")

    @property
    def binds(self) -> bool:
        """Whether it says anything of the quotes."""
        return (self.min_spread_bps, self.max_spread_bps, self.max_inventory) != (None, None, None)


FREE: Final = Mandate()


class RunMandate:
    """One run's mandate: set by whoever knows what is asked for, obeyed at every decision."""

    __slots__ = ("_listeners", "now")

    def __init__(self, now: Mandate = FREE) -> None:
        self.now = now
        """What is in force."""
        self._listeners = Listeners()

    def set(self, mandate: Mandate) -> bool:
        """Another one from now on; say whether it differs."""
        if mandate == self.now:
            return False
        self.now = mandate
        self._listeners.tell()
        return True

    def listen(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Have changes told from now on, on the event loop; the returned call ends it."""
        return self._listeners.listen(listener)


class Mandates:
    """Every run's, by id."""

    def __init__(self) -> None:
        self.first = FREE
        """What a run begins with that nobody has said anything of."""
        self._by_run: dict[str, RunMandate] = {}

    def of(self, run: str) -> RunMandate:
        """The run's mandate: always the same object, so that a run may keep it."""
        found = self._by_run.get(run)
        if found is None:
            found = self._by_run[run] = RunMandate(self.first)
        return found


@dataclass(frozen=True, slots=True)
class Stand:
    """Where a position is, in lots of base."""

    gap_lots: int
    """Held less its target."""
    moved_lots: int
    """Bought less sold since a bound was first asked for."""

    def room(self, side: Side, most_lots: int) -> int:
        """How much more may be traded on a side."""
        return max(most_lots - side.sign * self.moved_lots, -side.sign * self.gap_lots)


def narrowed(
    targets: TargetQuotes, mandate: Mandate, instrument: Instrument, top: MarketTop, stand: Stand
) -> TargetQuotes:
    """The same wishes inside the mandate; the same object where it changes none of them.

    Prices give way before sizes do. A quote never comes nearer than the price that the strategy itself calls
    unacceptable, and one that is to keep its place (`sticky`) is not moved.

    Args:
        targets: what the strategy wants.
        mandate: the bounds.
        instrument: the pair.
        top: best prices of others.
        stand: where the position is.
    """
    kept = [quote for side in Side for quote in _of_side(targets, side, mandate, instrument, top, stand)]
    if len(kept) == len(targets.quotes) and all(quote in targets.quotes for quote in kept):
        return targets
    by_slot = {quote.slot: quote for quote in kept}
    quotes = tuple(by_slot[quote.slot] for quote in targets.quotes if quote.slot in by_slot)
    reason = targets.reason if quotes else f"the position is at its bound: {mandate.reason}"
    return TargetQuotes(quotes, reason=reason, hold=targets.hold)


def _of_side(
    targets: TargetQuotes,
    side: Side,
    mandate: Mandate,
    instrument: Instrument,
    top: MarketTop,
    stand: Stand,
) -> list[Quote]:
    quotes = [quote for quote in targets.quotes if quote.side is side]
    quotes.sort(key=lambda quote: -quote.price_ticks * side.sign)
    placed = [_placed(quote, mandate, top, nearest=place == 0) for place, quote in enumerate(quotes)]
    if mandate.max_inventory is None:
        return placed
    worth = top.double_mid_ticks * instrument.grain / 2
    room = stand.room(side, int(mandate.max_inventory / worth))
    within: list[Quote] = []
    for quote in placed:
        lots = min(quote.size_lots, room)
        room -= max(lots, 0)
        if lots == quote.size_lots:
            within.append(quote)
        elif lots >= instrument.min_lots and (
            instrument.notional(quote.price_ticks, lots) >= instrument.min_notional
        ):
            within.append(quote.resized(lots))
    return within


def _placed(quote: Quote, mandate: Mandate, top: MarketTop, *, nearest: bool) -> Quote:
    if quote.sticky:
        return quote
    double, side, ticks = top.double_mid_ticks, quote.side, quote.price_ticks
    if nearest and mandate.max_spread_bps is not None:
        far = _at(double, mandate.max_spread_bps, side, inside=True)
        if (far - ticks) * side.sign > 0:
            ticks = far if quote.worst_ticks is None else _farther(far, quote.worst_ticks, side)
            ticks = _farther(ticks, top.ask_ticks - 1 if side is Side.BUY else top.bid_ticks + 1, side)
            ticks = _nearer(ticks, quote.price_ticks, side)
    if mandate.min_spread_bps is not None:
        ticks = _farther(ticks, _at(double, mandate.min_spread_bps, side, inside=False), side)
    if ticks == quote.price_ticks or ticks <= 0:
        return quote
    explain = partial(_told, quote, abs(2 * ticks - double) * _BPS / Decimal(double), mandate.reason)
    return Quote(quote.slot, side, ticks, quote.size_lots, worst_ticks=quote.worst_ticks, explain=explain)


def _at(double_mid: int, bps: int, side: Side, *, inside: bool) -> int:
    """The price so far from the mid, rounded towards it (`inside`) or away from it."""
    numerator, denominator = double_mid * (_BPS - side.sign * bps), 2 * _BPS
    up = inside is (side is Side.BUY)
    return -(-numerator // denominator) if up else numerator // denominator


def _farther(one: int, other: int, side: Side) -> int:
    return min(one, other) if side is Side.BUY else max(one, other)


def _nearer(one: int, other: int, side: Side) -> int:
    return max(one, other) if side is Side.BUY else min(one, other)


def _told(quote: Quote, distance_bps: Decimal, reason: str) -> Told:
    bps = distance_bps.quantize(Decimal("0.01"))
    return (*quote.terms, Term("distance that was asked for", bps, "bps")), f"{quote.why}; {reason}"
