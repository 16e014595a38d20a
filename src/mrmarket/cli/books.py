"""How commands reach the books of an instance."""

from __future__ import annotations

from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from mrmarket.core.clock import NS_PER_MS, SystemClock
from mrmarket.core.errors import InvalidInputError

if TYPE_CHECKING:
    from mrmarket.store.sql import Sql


def open_books(data: Path, store: str) -> AbstractContextManager[Sql]:
    """One snapshot of an instance's ledger, whether it runs or not; leaves nothing behind.

    Args:
        data: the data folder.
        store: a PostgreSQL address; empty for the file in the folder.

    Raises:
        DatabaseMissingError: if there is no ledger.
        DatabaseTooNewError: if a newer version wrote it.
        LedgerOutdatedError: if an older version wrote it.
    """
    from mrmarket.services.store_address import StoreAddress

    return StoreAddress(data, store).read_books()


def account_id(name: str) -> str:
    """A person's account: `alice` is `user:alice`; other accounts are named with their kind."""
    return name if ":" in name else f"user:{name}"


def world_ms(data: Path) -> int:
    """UTC milliseconds of the world that a folder lives in: a sandbox's time, else the wall's.

    Raises:
        PartnerSetupError: if the folder's sandbox cannot be read.
    """
    now_ns = SystemClock().now_ns()
    if (data / "sandbox").is_dir():  # elsewhere nothing of it need be loaded
        from mrmarket.services.partners.setting import find_world

        world = find_world(data)
        now_ns = now_ns if world is None else world.time.world_ns(now_ns)
    return now_ns // NS_PER_MS


def moment_ms(text: str, field: str) -> int:
    """UTC milliseconds of a date (`2026-01-31`), an ISO 8601 time, or milliseconds since 1970.

    Raises:
        InvalidInputError: if it is none of these.
    """
    if text.isascii() and text.isdigit() and len(text) > len("20260131"):
        return int(text)
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidInputError(field, text, "a date such as 2026-01-31, or 2026-01-31T12:00:00Z") from None
    if found.tzinfo is None:
        found = found.replace(tzinfo=UTC)
    return round(found.timestamp() * 1_000)
