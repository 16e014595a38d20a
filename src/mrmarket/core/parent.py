"""How a child process learns that its parent is gone."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from contextlib import suppress


def when_parent_ends(descriptor: int, ended: Callable[[], object]) -> None:
    """Call `ended` on the running loop when the parent has closed our standard input, however it died.

    Args:
        descriptor: of the standard input: a pipe, a terminal or a file.
        ended: called once; never where the loop is closed before.
    """
    loop = asyncio.get_running_loop()

    def read() -> None:
        # Unbuffered: a thread inside a buffered read would hold its lock when the interpreter ends.
        # A terminal that hangs up is an end too; and a loop that is closed needs no telling.
        with suppress(OSError):
            while os.read(descriptor, 65_536):
                continue
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(ended)

    threading.Thread(target=read, name="parent", daemon=True).start()
