"""A door that only reads and cancels fit through, hung before everything that leaves for an exchange."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final
from urllib.parse import urlsplit

from mrmarket.core.errors import MrMarketError

Fetch = Callable[..., Awaitable[Any]]
_NEVER: Final = ("withdraw", "transfer", "replace", "amend", "edit", "create")
"""Words that make a path another thing than a read or a cancel, whatever else stands in it."""


class NotACancelError(MrMarketError):
    """Something tried to send an exchange more than a read or a cancel."""

    code = "not_a_cancel"

    def __init__(self, method: str, path: str) -> None:
        self.method = method
        self.path = path
        super().__init__(f"{method} {path} is neither a read nor a cancel; the Angel sends nothing else")


def may_pass(method: str, path: str) -> bool:
    """Whether a request is a read or a cancel."""
    words = path.lower()
    if method == "GET":
        return "withdraw/apply" not in words
    if any(word in words for word in _NEVER):
        return False
    return method == "DELETE" or "cancel" in words


def guarded(fetch: Fetch) -> Fetch:
    """The same HTTP call, for reads and cancels alone; anything else is refused before it is sent."""

    async def fetch_if_harmless(url: str, method: str = "GET", headers: Any = None, body: Any = None) -> Any:
        path = urlsplit(url).path
        if not may_pass(method, path):
            raise NotACancelError(method, path)
        return await fetch(url, method, headers, body)

    return fetch_if_harmless
