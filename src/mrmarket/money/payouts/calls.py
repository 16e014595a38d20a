"""Calls to the world that may fail in any way, and units of work that may be refused."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any, TypeVar

from mrmarket.core.errors import MrMarketError
from mrmarket.money.ledger.draft import Draft
from mrmarket.money.ledger.errors import LedgerStoppedError
from mrmarket.money.ledger.writer import LedgerWriter
from mrmarket.money.payouts.port import SendReport, SendState, clean_text
from mrmarket.store.errors import StoreError
from mrmarket.store.sql import Sql, SqlReader

T = TypeVar("T")


Stumble = Callable[[Draft, str], None]
"""Notes, in a transaction of its own, why a unit of work was undone: where people see it."""


async def reported(call: Awaitable[SendReport], timeout_s: float) -> SendReport:
    """What the world answered. Whatever else happens to the call, its outcome is unknown."""
    try:
        async with asyncio.timeout(timeout_s):
            return await call
    except TimeoutError:
        return SendReport(SendState.UNKNOWN, reason=f"no answer within {timeout_s:g} s")
    except Exception as error:  # noqa: BLE001 - a call that failed may have had its effect; the row keeps why
        return SendReport(SendState.UNKNOWN, reason=said(error))


async def read(reader: SqlReader, query: Callable[[Sql], T]) -> T:
    """Ask one snapshot of the database, in a thread."""

    def ask() -> T:
        with reader.snapshot() as sql:
            return query(sql)

    return await asyncio.to_thread(ask)


async def perform(writer: LedgerWriter, work: Callable[[Draft], T]) -> T:
    """Carry out a unit of work and wait until it is on the disk."""
    return await asyncio.wrap_future(writer.perform(work))


async def perform_or_note(writer: LedgerWriter, work: Callable[[Draft], T], stumble: Stumble) -> T | None:
    """Carry out a unit of work; if its own rules refuse it, note why and go on with the others.

    Raises:
        StoreError, LedgerStoppedError: if the books cannot be written at all.
    """
    try:
        return await perform(writer, work)
    except (StoreError, LedgerStoppedError):
        raise
    except Exception as error:  # noqa: BLE001 - rules of other rooms; the row keeps what they said
        reason = said(error)
        await perform(writer, lambda draft: stumble(draft, reason))
        return None


async def side_by_side(tasks: Iterable[Coroutine[Any, Any, T]], at_once: int) -> list[T]:
    """Run coroutines, so many at once; the first error is raised when all have ended."""
    door = asyncio.Semaphore(at_once)

    async def enter(task: Coroutine[Any, Any, T]) -> T:
        async with door:
            return await task

    results = await asyncio.gather(*map(enter, tasks), return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return [result for result in results if not isinstance(result, BaseException)]


def said(error: Exception) -> str:
    """An error as one line for people."""
    if isinstance(error, MrMarketError):
        return clean_text(f"{error.code}: {error}")
    return clean_text(f"{type(error).__name__}: {error}")
