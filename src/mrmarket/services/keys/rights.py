"""What an exchange key may do, and what to say of it."""

from __future__ import annotations

from typing import Final

from mrmarket.services.keys.errors import KeyMayWithdrawError
from mrmarket.trading.venue.port import KeyPermissions

UNKNOWN: Final = KeyPermissions()


def judge_rights(name: str, rights: KeyPermissions, *, allow_withdraw: bool) -> list[str]:
    """What the owner should hear of a key before it is used; nothing if it is as it should be.

    Args:
        name: of the key.
        rights: what the exchange says it may do.
        allow_withdraw: the owner insists on using one that may withdraw.

    Raises:
        KeyMayWithdrawError: it may withdraw, and the owner did not insist.
    """
    heard = []
    if rights.withdraw:
        if not allow_withdraw:
            raise KeyMayWithdrawError(name)
        heard.append(
            f"the key {name!r} may withdraw money, as you allowed: whoever steals it empties the account"
        )
    elif rights.withdraw is None:
        heard.append(f"the exchange does not tell whether the key {name!r} may withdraw; look it up there")
    if rights.trade is False:
        heard.append(f"the key {name!r} may not trade: orders will be refused")
    if rights.read is False:
        heard.append(f"the key {name!r} may not read the account: balances and orders stay unknown")
    if rights.ip_restricted is False:
        heard.append(f"the key {name!r} works from any address; allow only this machine's at the exchange")
    return heard
