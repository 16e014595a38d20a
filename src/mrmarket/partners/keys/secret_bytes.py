"""Seeds and private keys that show themselves to nobody by accident.

What Python can promise: the copy held here is overwritten by `close`, and no `repr`, `str`, format, pickle
or comparison shows it. What it cannot: a library that computes with a key needs it as `bytes`, and such
copies stay in freed memory until something else is written there. Close early, and let a process that
derives keys write no core dump and use no swap.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from types import TracebackType
from typing import Any, ClassVar, Final, NoReturn, Self

from mrmarket.partners.keys.errors import KeyRefusedError, SecretClosedError, SeedRefusedError

MASK: Final = "********"
SEED_BYTES: Final = 32
KEY_BYTES: Final = 32
_HD_SHORTEST, _HD_LONGEST = 16, 64


class SecretBytes:
    """Bytes in memory of their own, overwritten with zeros on `close`; a context manager."""

    __slots__ = ("_held",)
    kind: ClassVar[str] = "secret"

    def __init__(self, content: bytes | bytearray) -> None:
        """Take a copy of the content; the caller's own stays the caller's to overwrite."""
        self._held: bytearray | None = bytearray(content)

    def reveal(self) -> bytes:
        """The bytes themselves: a copy that nobody can overwrite, so ask late and keep it nowhere.

        Raises:
            SecretClosedError: it was closed.
        """
        return bytes(self._open())

    def close(self) -> None:
        """Overwrite it with zeros; afterwards it can be asked for nothing. Safe to repeat."""
        if self._held is not None:
            self._held[:] = bytes(len(self._held))
            self._held = None

    @property
    def closed(self) -> bool:
        """Whether it was overwritten."""
        return self._held is None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __eq__(self, other: object) -> bool:
        """In constant time for secrets of one kind and length."""
        return type(other) is type(self) and hmac.compare_digest(self._open(), other._open())

    __hash__ = None  # type: ignore[assignment] # its hash would tell of it

    def __repr__(self) -> str:
        return f"{type(self).__name__}({MASK})"

    def __str__(self) -> str:
        return MASK

    def __format__(self, _: str) -> str:
        return MASK

    def __copy__(self) -> NoReturn:
        raise TypeError("a secret is not copied")

    def __deepcopy__(self, _: dict[int, Any]) -> NoReturn:
        raise TypeError("a secret is not copied")

    def __reduce_ex__(self, _: Any) -> NoReturn:
        raise TypeError("a secret is not pickled")

    def _open(self) -> bytearray:
        if self._held is None:
            raise SecretClosedError(self.kind)
        return self._held


class Seed(SecretBytes):
    """The 32-byte master seed that every named key comes from."""

    __slots__ = ()
    kind = "seed"

    def __init__(self, content: bytes | bytearray) -> None:
        """Take 32 bytes.

        Raises:
            SeedRefusedError: another length, or nothing but zeros.
        """
        if len(content) != SEED_BYTES:
            raise SeedRefusedError(f"it has {len(content)} bytes; give {SEED_BYTES}")
        if not any(content):
            raise SeedRefusedError("it is all zeros, so everybody knows it; make one from a random source")
        super().__init__(content)

    @classmethod
    def from_hex(cls, text: str) -> Self:
        """Read 64 hexadecimal digits, with or without `0x`.

        Raises:
            SeedRefusedError: it is not that.
        """
        digits = text.removeprefix("0x")
        try:
            content = bytes.fromhex(digits)
        except ValueError:
            raise SeedRefusedError("it is not hexadecimal; give 64 hexadecimal digits") from None
        if len(digits) != 2 * SEED_BYTES:
            raise SeedRefusedError(f"it has {len(digits)} characters; give 64 hexadecimal digits")
        return cls(content)

    @classmethod
    def generate(cls, random: Callable[[int], bytes]) -> Self:
        """A new seed from a random source, such as `os.urandom`."""
        return cls(random(SEED_BYTES))


class HdSeed(SecretBytes):
    """A seed of 16 to 64 bytes for hierarchical derivation, as BIP-39 words give it."""

    __slots__ = ()
    kind = "seed"

    def __init__(self, content: bytes | bytearray) -> None:
        """Take 16 to 64 bytes.

        Raises:
            SeedRefusedError: another length.
        """
        if not _HD_SHORTEST <= len(content) <= _HD_LONGEST:
            raise SeedRefusedError(f"it has {len(content)} bytes; give {_HD_SHORTEST} to {_HD_LONGEST}")
        super().__init__(content)


class PrivateKey(SecretBytes):
    """A private key of 32 bytes: a secp256k1 scalar, or an ed25519 or sr25519 seed."""

    __slots__ = ()
    kind = "private key"

    def __init__(self, content: bytes | bytearray) -> None:
        """Take 32 bytes.

        Raises:
            KeyRefusedError: another length.
        """
        if len(content) != KEY_BYTES:
            raise KeyRefusedError(f"{KEY_BYTES} bytes")
        super().__init__(content)
