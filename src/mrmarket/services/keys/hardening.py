"""What a process that holds keys does about core dumps, debuggers and its children."""

from __future__ import annotations

import ctypes
import os
import resource
import sys
from collections.abc import Iterable, Mapping
from typing import Final

_PR_SET_DUMPABLE: Final = 4
"""Source: linux/prctl.h."""
PRIVATE_FILES: Final = 0o077
"""What a new file is not: readable, writable or executable by anybody but its owner."""
_SECRET_VARIABLES: Final = frozenset({"MRMARKET_KEY", "MRMARKET_KEY_NEW", "CREDENTIALS_DIRECTORY"})
_SECRET_PREFIXES: Final = ("MRMARKET_API_", "MRMARKET_SECRET_")


def make_files_private() -> None:
    """Let every file and folder that this process makes be its owner's alone."""
    os.umask(PRIVATE_FILES)


def forbid_core_dumps() -> bool:
    """Keep what is in memory out of core files, and out of reach of other processes of the same user.

    Returns:
        Whether the system promises the second too (Linux only).
    """
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, hard))
    if sys.platform != "linux":
        return False
    answer: int = ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    return answer == 0


def child_environment(environ: Mapping[str, str], secret_names: Iterable[str] = ()) -> dict[str, str]:
    """What a child that needs no exchange key gets to see of the environment.

    Args:
        environ: ours.
        secret_names: further names that the configuration says hold secrets.
    """
    secret = _SECRET_VARIABLES | set(secret_names)
    return {
        name: value
        for name, value in environ.items()
        if name not in secret and not name.startswith(_SECRET_PREFIXES)
    }
