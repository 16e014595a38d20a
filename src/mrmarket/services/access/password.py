"""The owner's password, as argon2id."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Final

from mrmarket.services.access.errors import PasswordRefusedError

if TYPE_CHECKING:
    from argon2 import PasswordHasher

SHORTEST: Final = 10
LONGEST: Final = 256
_LANES: Final = 4


class Passwords:
    """Hashes and checks; the defaults are RFC 9106's second recommended option.

    Both take tens of milliseconds and 64 MiB on purpose, and are to be called from a worker thread.
    """

    def __init__(self, *, memory_kib: int = 64 * 1024, rounds: int = 3) -> None:
        self._memory_kib = memory_kib
        self._rounds = rounds

    @cached_property
    def _hasher(self) -> PasswordHasher:
        from argon2 import PasswordHasher  # noqa: PLC0415 - most commands and requests never need it

        return PasswordHasher(time_cost=self._rounds, memory_cost=self._memory_kib, parallelism=_LANES)

    @cached_property
    def _nobody(self) -> str:
        return self._hasher.hash("nobody's password")

    def hash(self, password: str) -> str:
        """The text to keep.

        Raises:
            PasswordRefusedError: too short, too long, or one character over and over.
        """
        if not SHORTEST <= len(password) <= LONGEST:
            raise PasswordRefusedError(f"{SHORTEST} to {LONGEST} characters")
        if len(set(password)) < SHORTEST // 2:
            raise PasswordRefusedError(f"at least {SHORTEST // 2} different characters")
        return self._hasher.hash(password)

    def check(self, hashed: str | None, password: str) -> bool:
        """Whether it is the password; without one to compare with it takes as long, and is no."""
        from argon2.exceptions import InvalidHashError, VerificationError  # noqa: PLC0415 - see above

        if len(password) > LONGEST:
            return False
        try:
            self._hasher.verify(hashed or self._nobody, password)
        except (VerificationError, InvalidHashError):
            return False
        return hashed is not None

    def outdated(self, hashed: str) -> bool:
        """Whether a hash was made with other parameters than today's."""
        return self._hasher.check_needs_rehash(hashed)
