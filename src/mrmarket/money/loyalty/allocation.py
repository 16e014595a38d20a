"""Sharing a whole number out by weight, to the last unit."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from mrmarket.core.errors import InvalidInputError


def share_out(total_units: int, weights: Mapping[str, int], salt: str) -> dict[str, int]:
    """Divide `total_units` in proportion to integer weights; the parts add up to it exactly.

    Each gets the floor of the exact share; what is left goes, one unit each, to the largest remainders.
    Equal remainders are ordered by `sha256(salt | name)`, so that no name wins every time (largest
    remainder method, Hamilton). With no weight at all nobody gets anything.

    Raises:
        InvalidInputError: a negative total or weight.
    """
    if total_units < 0:
        raise InvalidInputError("total", total_units, "a whole number of units from 0 on")
    for name, weight in weights.items():
        if weight < 0:
            raise InvalidInputError(f"weight of {name}", weight, "a whole number from 0 on")
    whole = sum(weights.values())
    if whole == 0:
        return dict.fromkeys(weights, 0)
    parts: dict[str, int] = {}
    remainders: dict[str, int] = {}
    for name, weight in weights.items():
        parts[name], remainders[name] = divmod(total_units * weight, whole)
    left = total_units - sum(parts.values())
    if left:
        # Only those level with the last to get a unit need a lot drawn.
        last = sorted(remainders.values(), reverse=True)[left - 1]
        ahead = [name for name, remainder in remainders.items() if remainder > last]
        level = [name for name, remainder in remainders.items() if remainder == last]
        level.sort(key=lambda name: _lot(salt, name))
        for name in (*ahead, *level[: left - len(ahead)]):
            parts[name] += 1
    return parts


def _lot(salt: str, name: str) -> bytes:
    """A place in the queue that cannot be chosen by choosing a name beforehand."""
    return hashlib.sha256(f"{salt}|{name}".encode()).digest()
