"""The lines of a tape file: local nanoseconds, a blank, one JSON document; plain or gzip."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple, cast

from mrmarket.trading.market.errors import (
    NotATapeError,
    TapeCutError,
    TapeEmptyError,
    TapeLineError,
    TapeNotFoundError,
)

_GZIP_MAGIC: Final = b"\x1f\x8b"
_MAX_FIRST_LINE: Final = 16 * 2**20
_BUFFER_BYTES: Final = 2**18


class Line(NamedTuple):
    """One line of a tape."""

    number: int
    """From 1."""
    local_ns: int
    json: bytes
    whole: bool
    """False for a last line without an end, which may have been cut."""


def first_line(path: Path) -> bytes:
    """The first line of the file, unpacked.

    Raises:
        TapeNotFoundError: no readable file.
        TapeEmptyError: no bytes in it.
        NotATapeError: the line has no end, or the compression is not gzip's.
        TapeCutError: the compression ends early.
    """
    try:
        with _open(path) as file:
            line = file.readline(_MAX_FIRST_LINE)
    except EOFError as error:
        raise TapeCutError(path, 1) from error
    except (zlib.error, gzip.BadGzipFile) as error:
        raise NotATapeError(path, f"broken compression: {error}") from error
    except OSError as error:
        raise TapeNotFoundError(path, error.strerror or str(error)) from error
    if not line:
        raise TapeEmptyError(path, "nothing")
    if len(line) == _MAX_FIRST_LINE:
        raise NotATapeError(path, "its first line has no end")
    return line


def read_lines(path: Path, *, skip: int = 0) -> Iterator[Line]:
    """Every line after the first `skip`, as it stands in the file.

    Raises:
        TapeNotFoundError: no readable file.
        TapeCutError: the compression ends early.
        TapeLineError: a line does not start with nanoseconds, or the compression is damaged.
    """
    number = 0
    try:
        with _open(path) as file:
            for number, text in enumerate(file, 1):
                if number <= skip:
                    continue
                stamp, _, json = text.partition(b" ")
                if not stamp.isdigit() or len(stamp) > 19:  # noqa: PLR2004 - digits of 2^63
                    if not text.endswith(b"\n"):
                        raise TapeCutError(path, number)
                    raise TapeLineError(path, number, "no local nanoseconds at its start")
                yield Line(number, int(stamp), json.strip(), text.endswith(b"\n"))
    except EOFError as error:
        raise TapeCutError(path, number + 1) from error
    except (zlib.error, gzip.BadGzipFile) as error:
        raise TapeLineError(path, number + 1, f"broken compression ({error})") from error
    except OSError as error:
        raise TapeNotFoundError(path, error.strerror or str(error)) from error


def _open(path: Path) -> BinaryIO:
    file = path.open("rb")
    magic = file.read(len(_GZIP_MAGIC))
    file.seek(0)
    if magic != _GZIP_MAGIC:
        return file
    # GzipFile does not close a file object it was given, so it opens its own.
    file.close()
    return cast("BinaryIO", io.BufferedReader(gzip.open(path, "rb"), _BUFFER_BYTES))
