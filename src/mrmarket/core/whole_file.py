"""Small files that others read while they are written: there whole, or not at all.

Whoever looks sees the old content, the new one or no file, never an empty or a torn one; a process that is
killed, or a power cut, in the middle leaves a draft beside it at worst.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def replace_whole(path: Path, content: bytes) -> None:
    """Put a content in the place of whatever is there, durably; its owner alone may read it.

    Raises:
        OSError: it cannot be written; what was there is there still.
    """
    with _draft(path, content) as draft:
        draft.replace(path)


def make_whole(path: Path, content: bytes) -> bool:
    """Make a file that is not there yet, durably; its owner alone may read it.

    Returns:
        False where something of that name, even a dangling link, is there already; that is left alone.

    Raises:
        OSError: it cannot be written; nothing is there.
    """
    with _draft(path, content) as draft:
        try:
            os.link(draft, path)
        except FileExistsError:
            return False
        except OSError:
            # A file system without second names (FAT, some network shares): between looking and renaming
            # another process could be first, which one process a folder rules out.
            if os.path.lexists(path):
                return False
            draft.replace(path)
    return True


@contextmanager
def _draft(path: Path, content: bytes) -> Iterator[Path]:
    """The content under another name beside it, on the disk; afterwards the folder is, too."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    draft = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        yield draft
    finally:
        draft.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
