"""A fit of the queue model as a file, for later backtests."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from mrmarket.core.errors import InvalidInputError
from mrmarket.trading.backtest.calibration.queue_fit import QueueFit
from mrmarket.trading.backtest.setting import QueueChoice

FIT_VERSION: Final = 1


class FitFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `mrmarket backtest calibrate --out` writes."""

    symbol: str
    tape: str
    """Its file's name."""
    tape_sha256: str
    fit: QueueFit
    version: int = FIT_VERSION

    @property
    def choice(self) -> QueueChoice:
        """The queue model to be played, with what stands behind it."""
        words = f"{self.fit.detail}, {self.symbol} on {self.tape}"
        if not self.fit.is_fitted:
            words = f"the default: {words}"
        return QueueChoice(model="power", exponent=self.fit.exponent, fitted=words)


def write_fit(path: Path, found: FitFile) -> None:
    """Write a fit; what was there goes.

    Raises:
        InvalidInputError: the file cannot be written.
    """
    text = msgspec.json.format(msgspec.json.encode(found), indent=2)
    try:
        path.write_bytes(text + b"\n")
    except OSError as error:
        raise InvalidInputError("out", str(path), f"a file to write ({error.strerror or error})") from error


def read_fit(path: Path) -> FitFile:
    """Read a fit back.

    Raises:
        InvalidInputError: there is none, or a newer release wrote it.
    """
    wanted = "a file that `mrmarket backtest calibrate --out` wrote"
    try:
        found = msgspec.json.decode(path.read_bytes(), type=FitFile)
    except OSError as error:
        raise InvalidInputError("queue", str(path), f"{wanted} ({error.strerror or error})") from error
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise InvalidInputError("queue", str(path), f"{wanted} ({error})") from error
    if found.version > FIT_VERSION:
        raise InvalidInputError("queue", str(path), f"version {FIT_VERSION} or older; update mrmarket")
    return found
