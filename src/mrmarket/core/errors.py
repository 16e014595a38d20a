"""The root of every error this project raises on purpose."""

from __future__ import annotations

from typing import ClassVar


class MrMarketError(Exception):
    """Something a person can act on.

    Subclasses carry their data as attributes and build one sentence that says what happened and
    what to do next. `code` is stable and safe to match on; `retryable` says whether the same call
    may succeed later without a change.
    """

    code: ClassVar[str] = "error"
    retryable: ClassVar[bool] = False


class InvalidInputError(MrMarketError):
    """A value from outside was refused; nothing was changed."""

    code = "invalid_input"

    def __init__(self, field: str, value: object, wanted: str) -> None:
        self.field = field
        self.value = value
        self.wanted = wanted
        super().__init__(f"{field}: {value!r} was refused; give {wanted}")
