"""Dividing whole units by weight so that nothing is lost: the largest remainder, with a fair last unit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Final

from mrmarket.core.errors import InvalidInputError

_BITS: Final = 16


def divide(units: int, weights: Sequence[int], tie: Callable[[int], bytes]) -> list[int]:
    """Each place's part of `units`, in the order of the weights. The sum is exact.

    Everybody gets the whole part of `units × weight / sum of weights`; what is left goes, one unit each,
    to the largest remainders. Among equal remainders the smallest `tie(place)` comes first.

    Raises:
        InvalidInputError: if units or a weight are negative, or all weights are zero.
    """
    total = sum(weights)
    if units < 0 or total <= 0 or min(weights) < 0:
        raise InvalidInputError("weights", total, "units and weights that are not negative, one above zero")
    pairs = [divmod(units * weight, total) for weight in weights]
    parts = [whole for whole, _ in pairs]
    left = units - sum(parts)
    if left:
        remainders = [remainder for _, remainder in pairs]
        del pairs
        for place in _largest(remainders, left, total, tie):
            parts[place] += 1
    return parts


def salted_tie(salt: str, names: Sequence[str]) -> Callable[[int], bytes]:
    """SHA-256 of `salt|name`: fixed for one allocation, another order in the next."""

    def tie(place: int) -> bytes:
        return sha256(f"{salt}|{names[place]}".encode()).digest()

    return tie


def _largest(remainders: list[int], count: int, total: int, tie: Callable[[int], bytes]) -> list[int]:
    """Places of the `count` largest.

    Sorting a million big numbers would cost more than all the rest, so they are counted by their leading
    bits first, and only the class that the border runs through is sorted.
    """
    bits = min(_BITS, len(remainders).bit_length())  # a few are not worth so many classes
    shift = max(0, total.bit_length() - bits)
    classes = [remainder >> shift for remainder in remainders]
    sizes = [0] * (1 << bits)
    for leading in classes:
        sizes[leading] += 1
    border, above = len(sizes) - 1, 0
    while above + sizes[border] < count:
        above += sizes[border]
        border -= 1
    chosen = [place for place, leading in enumerate(classes) if leading > border]
    rivals = [place for place, leading in enumerate(classes) if leading == border]
    rivals.sort(key=remainders.__getitem__, reverse=True)
    wanted = count - len(chosen)
    worst = remainders[rivals[wanted - 1]]
    sure = [place for place in rivals if remainders[place] > worst]
    tied = sorted((place for place in rivals if remainders[place] == worst), key=tie)
    return chosen + sure + tied[: wanted - len(sure)]
