"""The owner's token: who can read the data folder owns the instance."""

from __future__ import annotations

import contextlib
import hmac
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final, Self

from mrmarket.services.access.secrets import digest_of, new_token

FILE: Final = "owner.token"


class OwnerToken:
    """A bearer token in a file that only the owner can read, new at every start."""

    def __init__(self, token: str, file: Path | None) -> None:
        self._digest = digest_of(token)
        self._file = file

    @classmethod
    def issue(cls, folder: Path, entropy: Callable[[int], bytes]) -> Self:
        """Write a new token into a data folder, instead of an old one."""
        token, file = new_token(entropy), folder / FILE
        draft = file.with_suffix(".new")
        with contextlib.suppress(FileNotFoundError):
            draft.unlink()  # one that was left behind might have other rights
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as out:
            out.write(token)
        draft.replace(file)
        return cls(token, file)

    def matches(self, token: str) -> bool:
        """Whether it is the token, in constant time."""
        return hmac.compare_digest(digest_of(token), self._digest)

    def withdraw(self) -> None:
        """Remove the file; with the instance gone the token opens nothing."""
        if self._file is not None:
            self._file.unlink(missing_ok=True)


def read_owner_token(folder: Path) -> str | None:
    """The token of the instance that holds a data folder; None if there is none or it may not be read."""
    try:
        return (folder / FILE).read_text(encoding="ascii").strip() or None
    except (OSError, UnicodeDecodeError):
        return None
