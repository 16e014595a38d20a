"""What the owner earns, in exact integers.

Both fees are charged in newly minted shares. That needs no cash, so no inventory is sold and nothing is
owed, and it makes the management fee exact: a rate on a share of the pool is the same rate on the shares,
whatever they are worth, so it is an integral of share units over milliseconds that needs no price at all.
What is left below one share unit is carried into the next window, so that cutting a window in two changes
nothing.

The performance fee is a part of what a share has gained, low and after the management fee, above the
highest price that was ever paid for (the high-water mark), raised by the hurdle rate for the time since.
A pool has one class of shares and so one mark: tiers differ in promises and weights, not in price. It is
settled before anybody comes or goes, so whoever comes pays a price that owes nothing, and whoever enters
below the mark is not charged until the mark is passed again.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final, NamedTuple

from mrmarket.money.pool.plan import SHARE_DECIMALS
from mrmarket.money.pool.shares import shares_for, value_of
from mrmarket.money.pool.terms import BPS, YEAR_MS, TermsVersion, version_at

_ONE: Final = 10**SHARE_DECIMALS
_MANAGEMENT_SCALE: Final = BPS * YEAR_MS


class Performance(NamedTuple):
    """A performance fee, and the mark after it."""

    share_units: int
    value_units: int
    price_units: int
    """Of one share after the fee, rounded up."""


def rate_integral(versions: Sequence[TermsVersion], start_ms: int, end_ms: int) -> int:
    """Management fee over `[start_ms, end_ms)` in bps × ms, by the terms in effect at each moment."""
    turns = sorted(
        {start_ms, end_ms, *(v.effective_ms for v in versions if start_ms < v.effective_ms < end_ms)}
    )
    return sum(
        version_at(versions, turn).terms.management_fee_bps * (after - turn)
        for turn, after in pairwise(turns)
    )


def management_shares(base: int, integral: int, carry: int) -> tuple[int, int]:
    """Share units due on `base` share units for a rate integral, and what is carried on."""
    return divmod(base * integral + carry, _MANAGEMENT_SCALE)


def hurdle_price(high_water: int, hurdle_bps: int, elapsed_ms: int) -> int:
    """The high-water mark with the hurdle rate for the time since it was set, rounded up."""
    return high_water + -(-high_water * hurdle_bps * elapsed_ms // _MANAGEMENT_SCALE)


def price_up(supply: int, nav: int) -> int:
    """Price of one whole share in quote units, rounded up."""
    return value_of(_ONE, supply, nav) + 1


def performance_fee(supply: int, nav_low: int, threshold: int, bps: int) -> Performance:
    """Part of what all shares are worth above a price of one.

    The fee is rounded up, the shares for it down; what a share is worth never falls below the threshold.
    """
    gain = value_of(supply, supply, nav_low) + (-threshold * supply) // _ONE
    if gain <= 0 or bps == 0:
        return Performance(0, 0, price_up(supply, nav_low))
    fee = -(-gain * bps // BPS)
    shares = shares_for(fee, supply, nav_low - fee)
    return Performance(shares, fee, price_up(supply + shares, nav_low))
