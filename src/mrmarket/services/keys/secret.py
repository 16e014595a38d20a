"""A text that shows itself to nobody by accident."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import Any, Final, NoReturn

MASK: Final = "********"


class Secret:
    """Holds a secret in memory of its own that can be overwritten.

    `str`, `repr`, formatting, logging, copying into JSON and pickling all give the mask or fail; only
    `reveal` gives the text. What `reveal` returns is a Python string, which nobody can overwrite: call it
    as late as possible and keep the result nowhere.
    """

    __slots__ = ("_held",)

    def __init__(self, text: str | bytes | bytearray) -> None:
        self._held = bytearray(text.encode() if isinstance(text, str) else text)

    def reveal(self) -> str:
        """The text itself."""
        return self._held.decode()

    def wipe(self) -> None:
        """Overwrite it with zeros; afterwards it is empty."""
        self._held[:] = bytes(len(self._held))
        self._held.clear()

    def __bool__(self) -> bool:
        return bool(self._held)

    def __len__(self) -> int:
        return len(self._held)

    def __eq__(self, other: object) -> bool:
        """In constant time for secrets of one length."""
        return isinstance(other, Secret) and hmac.compare_digest(self._held, other._held)

    __hash__ = None  # type: ignore[assignment] # a secret is no key of a table, and its hash would tell of it

    def __repr__(self) -> str:
        return f"Secret({MASK})"

    def __str__(self) -> str:
        return MASK

    def __format__(self, _: str) -> str:
        return MASK

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, _: dict[int, Any]) -> Secret:
        return self

    def __reduce_ex__(self, _: Any) -> NoReturn:
        raise TypeError("a secret is not pickled")


Register = Callable[[str], None]
"""Takes a text that must never appear in a log."""


def unregistered(_: str) -> None:
    """Where nobody keeps a list of what to mask."""
