"""What a stream adds up to at some point, so that a restart need not read it from its beginning."""

from __future__ import annotations

import msgspec


class RunFold(msgspec.Struct, frozen=True, kw_only=True):
    """A fold over the facts `1 … seq` of a stream. Only a help: whoever loads it checks the hash."""

    stream: str
    seq: int
    """The last fact that is in it."""
    hash: bytes
    """That fact's hash; a fold whose hash the log does not have at `seq` is thrown away."""
    at_ns: int
    """When it was taken."""
    fold: bytes
    """In the words of whoever folds."""
