"""What a process that holds keys does about core dumps, debuggers and its children."""

from __future__ import annotations

import ctypes
import os
import resource
import sys
from collections.abc import Mapping
from typing import Final

_PR_SET_DUMPABLE: Final = 4
"""Source: linux/prctl.h."""
PRIVATE_FILES: Final = 0o077
"""What a new file is not: readable, writable or executable by anybody but its owner."""
_PASSED_ON: Final = frozenset(
    {
        "PATH",
        "HOME",
        "USER",
        "LOGNAME",
        "SHELL",
        "TERM",
        "TZ",
        "TMPDIR",
        "LANG",
        "LANGUAGE",
        "NO_COLOR",
        "VIRTUAL_ENV",
        "LD_LIBRARY_PATH",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
        "MRMARKET_CRASH_AT",
    }
)
_PASSED_ON_PREFIXES: Final = ("LC_", "PYTHON", "NUMBA_", "COVERAGE_", "COV_")


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


def child_environment(environ: Mapping[str, str], *further: str) -> dict[str, str]:
    """What a child sees of our environment: where programs and words are, and no secret.

    What is not known to be needed stays here, because no list of secret names is ever complete.

    Args:
        environ: ours.
        further: names of variables that this child needs as well.
    """
    return {
        name: value
        for name, value in environ.items()
        if name in _PASSED_ON or name in further or name.startswith(_PASSED_ON_PREFIXES)
    }
