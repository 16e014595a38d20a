"""Client order ids that say whose they are, are never given twice, and read back."""

from __future__ import annotations

import hashlib
import re
from typing import Final

import msgspec

from mrmarket.core.errors import InvalidInputError

_DIGITS: Final = "0123456789abcdefghijklmnopqrstuvwxyz"
_TAG_WIDTH: Final = 5
_FENCE_WIDTH: Final = 3
_SEQUENCE_WIDTH: Final = 7
_SLOT: Final = re.compile(r"[a-z][0-9a-z]{0,9}", re.ASCII)
_SHAPE: Final = re.compile(
    rf"mm([0-9a-z]{{{_TAG_WIDTH}}})([0-9a-z]{{{_TAG_WIDTH}}})([0-9a-z]{{{_FENCE_WIDTH}}})"
    rf"([0-9a-z]{{{_SEQUENCE_WIDTH}}})([a-z][0-9a-z]{{0,9}})",
    re.ASCII,
)

MAX_LENGTH: Final = 32
"""The shortest limit among the venues we speak to (OKX); Binance and Bybit allow 36."""
MAX_FENCE: Final = 36**_FENCE_WIDTH - 1
MAX_SEQUENCE: Final = 36**_SEQUENCE_WIDTH - 1


class ParsedOrderId(msgspec.Struct, frozen=True):
    """What a client order id says."""

    prefix: str
    fence: int
    sequence: int
    slot: str


class OrderIds:
    """Makes `mm` + instance + run + fence + sequence + slot: lower-case ASCII letters and digits, at most 32.

    The first twelve characters name the instance and the run, so that recovery recognises its own
    orders. The sequence rises with every order of the run, the fence with every owner of it, so that
    no id is given twice although venues would accept one again after its first order closed.
    """

    def __init__(self, instance: str, run: str, *, fence: int = 0) -> None:
        if not 0 <= fence <= MAX_FENCE:
            raise InvalidInputError("fence", fence, f"a whole number from 0 to {MAX_FENCE}")
        self.prefix = order_prefix(instance, run)
        self._head = self.prefix + _base36(fence, _FENCE_WIDTH)

    def make(self, slot: str, sequence: int) -> str:
        """The id of one order: the same slot and sequence always give the same id."""
        check_slot(slot)
        if not 0 <= sequence <= MAX_SEQUENCE:
            raise InvalidInputError("order sequence", sequence, f"a whole number from 0 to {MAX_SEQUENCE}")
        return self._head + _base36(sequence, _SEQUENCE_WIDTH) + slot

    def owns(self, client_order_id: str) -> bool:
        """Whether this run, in this life or an earlier one, made an id."""
        return client_order_id.startswith(self.prefix) and _SHAPE.fullmatch(client_order_id) is not None


def order_prefix(instance: str, run: str) -> str:
    """The first twelve characters of every id of a run."""
    return "mm" + _tag(instance) + _tag(run)


def parse_order_id(client_order_id: str) -> ParsedOrderId | None:
    """Read an id back; None for one that is not of our making."""
    match = _SHAPE.fullmatch(client_order_id)
    if match is None:
        return None
    instance, run, fence, sequence, slot = match.groups()
    return ParsedOrderId(f"mm{instance}{run}", int(fence, 36), int(sequence, 36), slot)


def check_slot(slot: str) -> None:
    """Refuse a slot name that would not fit into an id."""
    if not _SLOT.fullmatch(slot):
        raise InvalidInputError("slot", slot, "a letter and at most nine lower-case letters or digits")


def _tag(name: str) -> str:
    digest = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")
    return _base36(digest % 36**_TAG_WIDTH, _TAG_WIDTH)


def _base36(value: int, width: int) -> str:
    digits = ""
    while value:
        value, digit = divmod(value, 36)
        digits = _DIGITS[digit] + digits
    return digits.rjust(width, "0")
