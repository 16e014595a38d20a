"""Files that only their owner may read: read with care, written in one step."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final

from mrmarket.core.crash import reach
from mrmarket.services.keys.errors import KeyFileError, KeysExposedError

MODE: Final = 0o600
_OTHERS: Final = 0o077
_OTHERS_OF_A_CREDENTIAL: Final = 0o037
"""systemd grants the service's user access by an ACL, whose mask shows as the group's right to read."""


def read_private(path: Path, most_bytes: int, *, credential: bool = False) -> bytes:
    """The content of a file that nobody else may read.

    Args:
        path: an ordinary file; what is checked is the very file that is read.
        most_bytes: a longer one is refused.
        credential: it lies in systemd's folder of credentials.

    Raises:
        FileNotFoundError: there is none.
        KeysExposedError: others may read or change it.
        KeyFileError: it is no ordinary file, too long, or cannot be read.
    """
    try:
        # Not to hang on a named pipe, which is then refused as what it is.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise KeyFileError(path, f"cannot be read ({error.strerror})") from error
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise KeyFileError(path, "is no ordinary file")
        if status.st_mode & (_OTHERS_OF_A_CREDENTIAL if credential else _OTHERS):
            raise KeysExposedError(path)
        if status.st_uid not in (os.geteuid(), 0):
            raise KeyFileError(path, "belongs to another user; make it yours with chown")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            content = file.read(most_bytes + 1)
    except OSError as error:
        raise KeyFileError(path, f"cannot be read ({error.strerror})") from error
    finally:
        os.close(descriptor)
    if len(content) > most_bytes:
        raise KeyFileError(path, f"is longer than {most_bytes} bytes, so it is not ours")
    return content


def write_private(path: Path, content: bytes, label: str) -> None:
    """Replace a file in one step that a power cut cannot divide.

    Args:
        path: what to replace; a link is replaced, never followed.
        content: the whole of it.
        label: prefix of the two crash points, `<label>.drafted` and `<label>.replaced`.

    Raises:
        KeyFileError: it cannot be written; what was there is there still.
    """

    def write() -> None:
        draft = path.with_name(path.name + ".draft")
        draft.unlink(missing_ok=True)  # one that was left behind might have other rights
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, MODE)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        reach(f"{label}.drafted")
        draft.replace(path)
        sync_folder(path.parent)
        reach(f"{label}.replaced")

    attempt(path, write)


def rename_private(draft: Path, path: Path) -> None:
    """Put a file in another's place, durably.

    Raises:
        KeyFileError: it cannot be done.
    """

    def rename() -> None:
        draft.replace(path)
        sync_folder(path.parent)

    attempt(path, rename)


def sync_folder(folder: Path) -> None:
    """Make what was renamed in a folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def attempt(path: Path, action: Callable[[], None]) -> None:
    """Run something that writes; what the system refuses is one clear error.

    Raises:
        KeyFileError: with the system's reason.
    """
    try:
        action()
    except OSError as error:
        raise KeyFileError(
            path, f"cannot be written ({error.strerror}); check the folder and the disk"
        ) from error
