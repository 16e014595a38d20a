"""Shares for value and value for shares, always rounded in favour of those who stay.

As in ERC-4626 with virtual shares (OpenZeppelin's defence against the inflation attack): the pool is
counted as if somebody who never leaves had paid in `VIRTUAL` units of the quote asset for as many
shares. Whoever donates to an almost empty pool to make the next depositor's shares round to nothing
gives nearly all of it to that nobody; at 18 decimals a loss of 1 would cost an attacker a billion.
"""

from __future__ import annotations

from typing import Final

VIRTUAL: Final = 10**9
"""Units of the quote asset, and of the share: one billionth of a whole one each."""


def shares_for(value: int, supply: int, nav_high: int) -> int:
    """Shares minted for a deposit worth `value`, rounded down. All in units."""
    return value * (supply + VIRTUAL) // (nav_high + VIRTUAL)


def value_of(shares: int, supply: int, nav: int) -> int:
    """What shares are worth, rounded down. All in units."""
    return shares * (nav + VIRTUAL) // (supply + VIRTUAL)


def payout_for(shares: int, supply: int, nav_low: int) -> int:
    """Value paid for shares that are burned: what they are worth, and never more than there is.

    Where a share is worth less than one, the last to leave would else be owed some of the virtual units.
    """
    return min(value_of(shares, supply, nav_low), nav_low)


def price_of_one(supply: int, nav: int, decimals: int) -> int:
    """Net asset value of one whole share, in quote units, rounded down."""
    return value_of(10**decimals, supply, nav)
