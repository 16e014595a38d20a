"""A recording's file as a setting names it: there, and the one that was run on before."""

from __future__ import annotations

from pathlib import Path

from mrmarket.trading.backtest.errors import TapeChangedError
from mrmarket.trading.backtest.setting import TapeRef, sha256_of
from mrmarket.trading.market.errors import TapeNotFoundError


def checked_ref(ref: TapeRef, file: Path | None = None) -> TapeRef:
    """The reference with the hash of the file as it lies; `file` where the reference names its folder.

    Raises:
        TapeNotFoundError: it cannot be read.
        TapeChangedError: the reference names another hash.
    """
    path = file or Path(ref.path)
    try:
        found = sha256_of(path)
    except OSError as error:
        raise TapeNotFoundError(path, error.strerror or str(error)) from error
    if ref.sha256 and ref.sha256 != found:
        raise TapeChangedError(path, ref.sha256, found)
    return TapeRef(path=ref.path, sha256=found)
