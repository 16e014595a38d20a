"""Work that waits for a database which is away for a while, and is then done again from its beginning."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import structlog

from mrmarket.store.errors import DatabaseBusyError, DatabaseDisconnectedError

_T = TypeVar("_T")

_PAUSE_S: Final = 0.5
PATIENCE_S: Final = 120.0
"""How long a server may restart before whoever needs it gives up."""

_log = structlog.get_logger("mrmarket.store")


async def through_outages(
    what: str, work: Callable[[], Awaitable[_T]], *, patience_s: float = PATIENCE_S
) -> _T:
    """Do work that may be done twice, again and again while its database does not answer.

    Args:
        what: what is being done, for the log.
        work: the same from its beginning each time; everything that it writes has a key.
        patience_s: after so long the error is raised.

    Raises:
        StoreError: what cannot be waited for, or has been for too long.
    """
    loop = asyncio.get_running_loop()
    since: float | None = None
    while True:
        try:
            done = await work()
        except (DatabaseDisconnectedError, DatabaseBusyError) as error:
            now = loop.time()
            if since is None:
                since = now
                _log.warning("the database is away; waiting for it", work=what, reason=str(error))
            if now - since >= patience_s:
                raise
            await asyncio.sleep(_PAUSE_S)
        else:
            if since is not None:
                _log.info("the database is back", work=what, after_s=round(loop.time() - since, 1))
            return done
