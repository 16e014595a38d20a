"""The sentences of the report."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

MODEL_WORDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "twal": (
            "Time-weighted average liquidity: the time integral of the USD value, times ×1.0, ×1.2 "
            "(from 5 completed weeks), ×1.5 (from 13) or ×2.0 (from 21) since the position last rose "
            "to the minimum."
        ),
        "threshold": (
            "Thresholds: the time integral of the USD value, times ×1.0 above 1,000 USD for more than "
            "1 week, ×1.3 above 5,000 for more than 4, ×1.7 above 10,000 for more than 12, ×2.5 above "
            "20,000 for more than 20, each without a break until now; else nothing."
        ),
        "hybrid": (
            "Score: the time integral of the USD value, times 1 plus bonuses for consistency (up to "
            "0.3), diversity (up to 0.2) and growth (up to 0.3)."
        ),
        "last_balance": (
            "Last balance: the balance after a provider's last event counts for every day of the "
            "window, as the programme of 2024/25 was computed. Kept to compare with; it rewards who "
            "comes last."
        ),
    }
)
"""What each model pays for."""

ASSUMPTIONS: Final = (
    (
        "Balances are net deposited tokens; fees, swaps and price moves inside a pool do not change "
        "them. A Uniswap position counts as out when it is burnt, whether or not it was collected."
    ),
    (
        "The window is half open: an event at its first moment counts, one at its end does not. What "
        "was there before counts from the start on."
    ),
    (
        "A day's price is the quote nearest to its 00:00 UTC, of two equally near the later; it holds "
        "for the day. Quotes more than 12 hours away are refused unless holes are filled."
    ),
    (
        "Values are whole micro-USD, rounded down token by token before they are multiplied by "
        "milliseconds. A pool whose tokens together are below zero counts as zero."
    ),
    (
        "Weeks are counted from the moment a position last rose to the minimum, at the earliest from "
        "the start; the final tier multiplies the whole integral."
    ),
    (
        "The total is paid in full, also before the end: shares are rounded down, and the units left "
        "over go to the largest remainders, equal ones in the order of a salted hash."
    ),
)
"""What every figure rests on, whichever the model."""
