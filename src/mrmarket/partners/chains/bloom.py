"""A block's bloom: 2,048 bits in its header that say what is certainly not in its logs.

Source: Ethereum's yellow paper, section 4.4.1. Of each address and topic three bits are set, by the first
three pairs of bytes of its keccak256.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

_PAIRS: Final = (0, 2, 4)
_BITS: Final = 2_047


def bits_of(value: str) -> int:
    """The bits of an address or a topic, given as 0x and hexadecimal digits."""
    from eth_hash.auto import keccak  # noqa: PLC0415 - loads only where chains are used

    digest = keccak(bytes.fromhex(value[2:]))
    bits = 0
    for first in _PAIRS:
        bits |= 1 << (int.from_bytes(digest[first : first + 2], "big") & _BITS)
    return bits


def may_hold(bloom: int, values: Iterable[str]) -> bool:
    """Whether a log with all of these can be in the block; False is certain, True is not."""
    return all(bloom & bits == bits for bits in map(bits_of, values))


def bloom_of(entries: Iterable[Mapping[str, Any]]) -> int:
    """The bloom that a block with these log entries and no others has."""
    bloom = 0
    known: dict[str, int] = {}
    for entry in entries:
        for value in (entry["address"], *entry["topics"]):
            if value not in known:
                known[value] = bits_of(value)
            bloom |= known[value]
    return bloom
