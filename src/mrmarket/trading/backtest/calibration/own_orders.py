"""Resting orders of one's own and when they were first filled, from the facts of a run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Final

import msgspec

from mrmarket.core.errors import InvalidInputError
from mrmarket.core.events import (
    Fact,
    Filled,
    OrderAccepted,
    OrderCancelled,
    OrderCreated,
    OrderRejected,
    decode_fact,
)
from mrmarket.core.instrument import Instrument, OffGridError
from mrmarket.core.side import Side

NEVER_NS: Final = 2**62


class OwnOrder(msgspec.Struct, frozen=True, kw_only=True):
    """One order that rested, in exchange time."""

    buys: bool
    price_ticks: int
    size_lots: int
    from_ns: int
    """When it took its place in the queue."""
    until_ns: int = NEVER_NS
    """When it left without having been filled at all."""
    filled_ns: int = 0
    """Its first fill as a maker; 0 if there was none. What it is filled afterwards says nothing more."""


class _Life:
    """What is known so far of one order."""

    __slots__ = ("accepted_ns", "created", "ended_ns", "filled_ns", "took")

    def __init__(self, created: OrderCreated) -> None:
        self.created = created
        self.accepted_ns = 0
        self.ended_ns = NEVER_NS
        self.filled_ns = 0
        self.took = False
        """It met somebody on its way in: where the rest of it stood is known to nobody."""


def orders_of(facts: Iterable[Fact], instrument: Instrument) -> list[OwnOrder]:
    """Every order of a pair that rested, ascending by the time it began to.

    Orders that the venue never confirmed, that took on arrival, or whose price or size does not lie on the
    instrument's grid are left out.
    """
    lives: dict[str, _Life] = {}
    for fact in facts:
        if isinstance(fact, OrderCreated):
            if fact.symbol == instrument.symbol:
                lives[fact.client_order_id] = _Life(fact)
        elif isinstance(fact, OrderAccepted | OrderCancelled | OrderRejected | Filled):
            life = lives.get(fact.client_order_id)
            if life is not None:
                _note(life, fact)
    found = [order for life in lives.values() if (order := _order(life, instrument)) is not None]
    return sorted(found, key=lambda order: order.from_ns)


def read_facts(path: Path) -> list[Fact]:
    """Facts from a file of JSON Lines, in their order.

    Raises:
        InvalidInputError: the file cannot be read, or a line is no fact.
    """
    try:
        lines: Sequence[bytes] = path.read_bytes().splitlines()
    except OSError as error:
        raise InvalidInputError("facts", str(path), f"a file ({error.strerror or error})") from error
    facts = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            facts.append(decode_fact(line))
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise InvalidInputError("facts", f"{path}:{number}", f"one fact a line ({error})") from error
    return facts


def _note(life: _Life, fact: OrderAccepted | OrderCancelled | OrderRejected | Filled) -> None:
    if isinstance(fact, OrderAccepted):
        life.accepted_ns = life.accepted_ns or fact.at_ns
    elif not isinstance(fact, Filled):
        life.ended_ns = min(life.ended_ns, fact.at_ns)
    elif not fact.maker:
        life.took = True
    elif not life.filled_ns or fact.at_ns < life.filled_ns:
        life.filled_ns = fact.at_ns


def _order(life: _Life, instrument: Instrument) -> OwnOrder | None:
    created = life.created
    if life.took or not life.accepted_ns or life.ended_ns < life.accepted_ns:
        return None
    try:
        price_ticks = instrument.price_to_ticks(Decimal(created.price))
        size_lots = instrument.size_to_lots(Decimal(created.size))
    except (OffGridError, ArithmeticError):
        return None
    if price_ticks <= 0 or size_lots <= 0:
        return None
    return OwnOrder(
        buys=created.side is Side.BUY,
        price_ticks=price_ticks,
        size_lots=size_lots,
        from_ns=life.accepted_ns,
        until_ns=life.ended_ns,
        filled_ns=life.filled_ns,
    )
