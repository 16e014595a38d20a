"""Time-ordered identifiers (UUID version 7, RFC 9562)."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from uuid import UUID

from mrmarket.core.clock import NS_PER_MS, Clock

RandomBits = Callable[[int], int]


def uuid7(clock: Clock, random_bits: RandomBits = secrets.randbits) -> UUID:
    """Make an id whose text sorts by the clock's millisecond; the rest is random."""
    milliseconds = (clock.now_ns() // NS_PER_MS) & (2**48 - 1)
    value = milliseconds << 80 | 0x7 << 76 | random_bits(12) << 64 | 0b10 << 62 | random_bits(62)
    return UUID(int=value)
