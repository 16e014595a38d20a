"""What happened to somebody's liquidity, and where such facts come from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, order=True)
class Token:
    """A token as the events and the prices name it.

    `units` of it are base units: 10^`decimals` of them make one. `price_id` is its name in the prices.
    """

    symbol: str
    decimals: int
    price_id: str


@dataclass(frozen=True, slots=True, order=True)
class Pool:
    """A pool of some protocol, with its tokens in the order of the amounts of its events."""

    address: str
    tokens: tuple[Token, ...]


@dataclass(frozen=True, slots=True)
class LiquidityEvent:
    """A provider put liquidity into a pool or took it out.

    `units` has one signed integer a token of the pool: positive in, negative out.
    """

    provider: str
    time_ms: int
    pool: Pool
    units: tuple[int, ...]
    added: bool
    transaction: str


@dataclass(frozen=True, slots=True)
class Remark:
    """Something about the data that a reader of the result must know, though it did not stop the run."""

    code: str
    count: int
    sentence: str


@dataclass(frozen=True, slots=True)
class EventLog:
    """All events of a source, each once, in the source's order, with remarks on what was found."""

    events: Sequence[LiquidityEvent]
    remarks: tuple[Remark, ...]


class EventSource(Protocol):
    """A place where liquidity events come from: a file today, a chain's log later."""

    def read(self) -> EventLog:
        """Read everything, or raise a `LoyaltyError` and give nothing."""
        ...


def in_order(events: Sequence[LiquidityEvent]) -> list[LiquidityEvent]:
    """Events by provider and time, additions before removals, as the recorded programme counted them."""
    return sorted(events, key=lambda event: (event.provider, event.time_ms, not event.added))
