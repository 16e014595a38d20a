"""How long execution waits before it draws a conclusion. All wall time."""

from __future__ import annotations

from dataclasses import dataclass

from mrmarket.core.clock import NS_PER_MS, NS_PER_S


@dataclass(frozen=True, slots=True)
class Timing:
    """Nanoseconds; the defaults suit a venue with a receive window of 2 s and a clock within 1 s."""

    doubt_ns: int = 3 * NS_PER_S
    """A request without an answer is looked into after this: receive window plus clock skew."""
    propagation_ns: int = 2 * NS_PER_S
    """A venue may deny knowing an order that is younger than this."""
    reconcile_ns: int = 10 * NS_PER_S
    """Open orders and balances are compared this often."""
    missing_fill_ns: int = NS_PER_S
    """A fill that a report counted and the stream has not brought is fetched after this."""
    overlap_ns: int = 60 * NS_PER_S
    """Fills are fetched from this long before the last known one."""
    fill_grace_ns: int = 10 * NS_PER_S
    """A fill that is still missing after this is a difference."""
    balance_grace_ns: int = 20 * NS_PER_S
    """A balance that nothing has explained for this long is a difference."""
    refusal_rest_ns: int = 100 * NS_PER_MS
    """A slot rests this long after a refusal; doubled by each further one, up to `longest_rest_ns`."""
    longest_rest_ns: int = 10 * NS_PER_S
    first_book_ns: int = 2 * NS_PER_S
    """A start that has taken over live orders gives the first book this long before it pulls them."""
    stop_timeout_ns: int = 10 * NS_PER_S
    """Stopping reports what remains after this."""
    poll_ns: int = 100 * NS_PER_MS
    """How often stopping looks again."""
    tick_ns: int = 50 * NS_PER_MS
    """How often a run looks whether time alone has made something due."""
    maintenance_ns: int = 100 * NS_PER_MS
    """How often a run asks whether a comparison with the venue is due."""
