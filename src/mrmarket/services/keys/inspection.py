"""Asks an exchange what a key may do, and whether it works at all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Protocol

import msgspec
import structlog

from mrmarket.services.keys.rights import UNKNOWN, judge_rights
from mrmarket.trading.venue.port import (
    AuthenticationRefusedError,
    BalanceReport,
    KeyPermissions,
    VenueError,
)

_log: Final[Any] = structlog.get_logger("mrmarket.keys")


class TellsRights(Protocol):
    """What of a venue is needed at each start."""

    async def permissions(self) -> KeyPermissions:
        """What the key may do."""
        ...


class AskedVenue(TellsRights, Protocol):
    """What of a venue is needed to look at a key; the ccxt adapter is one."""

    async def open(self) -> None:
        """Connect, which proves the key."""
        ...

    async def close(self) -> None:
        """Let go."""
        ...

    async def balances(self) -> list[BalanceReport]:
        """Every asset with a balance."""
        ...

    @property
    def clock_offset_ms(self) -> int:
        """The venue's clock minus this machine's."""
        ...


class KeyReport(msgspec.Struct, frozen=True, kw_only=True):
    """What an exchange said of a key. Holds no amounts."""

    rights: KeyPermissions
    assets: int
    """How many have a balance."""
    clock_offset_ms: int
    warnings: Sequence[str]


async def inspect_key(name: str, venue: AskedVenue, *, allow_withdraw: bool) -> KeyReport:
    """Open a venue with the key, look, and close it again.

    Raises:
        VenueError: the exchange refuses the key, or cannot be reached.
        KeyMayWithdrawError: it may withdraw, and the owner did not insist.
    """
    try:
        await venue.open()
        rights = await venue.permissions()
        warnings = judge_rights(name, rights, allow_withdraw=allow_withdraw)
        balances = await venue.balances()
        return KeyReport(
            rights=rights,
            assets=len(balances),
            clock_offset_ms=venue.clock_offset_ms,
            warnings=warnings,
        )
    finally:
        await venue.close()


async def require_rights(name: str, venue: TellsRights, *, allow_withdraw: bool) -> KeyPermissions:
    """Ask an open venue what our key may do, before the first order; what the owner should hear is logged.

    A venue that does not answer this question now does not keep us from trading: after a crash, orders
    that nobody watches are the greater danger.

    Raises:
        KeyMayWithdrawError: it may withdraw, and the owner did not insist.
        AuthenticationRefusedError: the venue refuses the key.
    """
    try:
        rights = await venue.permissions()
    except AuthenticationRefusedError:
        raise
    except VenueError as error:
        _log.warning("key_rights_unknown", key_name=name, problem=str(error))
        rights = UNKNOWN
    for words in judge_rights(name, rights, allow_withdraw=allow_withdraw):
        _log.warning("key_rights", words=words)
    return rights
