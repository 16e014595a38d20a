"""How much a run may do, and every reason for which it may do less."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from types import MappingProxyType
from typing import Final

INSTANCE: Final = "instance"
"""The scope of everything in one instance."""
REARMED: Final = "re-armed by the owner"
"""What the fact says of a restriction that did not end by itself."""


class RiskState(IntEnum):
    """What may be sent; a higher state forbids whatever a lower one does."""

    ACTIVE = 0
    """Everything."""
    REDUCE = 1
    """Only orders that bring the base position nearer to its target."""
    CANCEL_ONLY = 2
    """No placements; quotes are pulled."""
    HALT = 3
    """The same, open orders are cancelled until proven gone, and only the owner ends it."""

    @property
    def word(self) -> str:
        """As it is written in facts and rows."""
        return self.name.lower()

    @classmethod
    def of(cls, word: str) -> RiskState:
        """Read the word back; a word that nobody knows is the strictest state."""
        return cls.__members__.get(word.upper(), cls.HALT)


class Cause(StrEnum):
    """Why a scope may not trade freely. The words are stable: facts, rows and alerts carry them."""

    LOSS_1M = "loss_1m"
    LOSS_1H = "loss_1h"
    LOSS_24H = "loss_24h"
    DRAWDOWN = "drawdown"
    REJECT_RATE = "reject_rate"
    RETRIES = "retries"
    UNKNOWN_ORDERS = "unknown_orders"
    BOOK_STALE = "book_stale"
    INDEX_GAP = "index_gap"
    FILL_RATE = "fill_rate"
    SLIPPAGE = "slippage"
    PNL_DEVIATION = "pnl_deviation"
    DIFFERENCE = "difference"
    RATE_BUDGET = "rate_budget"
    CLOCK_OFFSET = "clock_offset"
    VENUE_BANNED = "venue_banned"
    AUTH_REFUSED = "auth_refused"
    RUN_FAILED = "run_failed"
    BREAKER_FAULT = "breaker_fault"
    PARTIAL_LEG = "partial_leg"
    OWNER = "owner"
    KILL_SWITCH = "kill_switch"
    ANGEL = "angel"
    INHERITED = "inherited"
    """Orders of an earlier life are not proven gone."""


@dataclass(frozen=True, slots=True)
class CauseRule:
    """What a cause leads to."""

    state: RiskState
    text: str
    """For people: what has happened."""
    soft: bool = True
    """Whether it ends by itself once its condition is gone; HALT never does."""


RULES: Final[Mapping[Cause, CauseRule]] = MappingProxyType(
    {
        Cause.LOSS_1M: CauseRule(RiskState.REDUCE, "too much was lost within a minute"),
        Cause.LOSS_1H: CauseRule(RiskState.CANCEL_ONLY, "too much was lost within an hour"),
        Cause.LOSS_24H: CauseRule(RiskState.HALT, "too much was lost within a day", soft=False),
        Cause.DRAWDOWN: CauseRule(RiskState.HALT, "too much was lost since the high-water mark", soft=False),
        Cause.REJECT_RATE: CauseRule(RiskState.CANCEL_ONLY, "the venue refuses too many of our orders"),
        Cause.RETRIES: CauseRule(RiskState.CANCEL_ONLY, "too many orders had to be tried again"),
        Cause.UNKNOWN_ORDERS: CauseRule(RiskState.CANCEL_ONLY, "the fate of too many orders is unknown"),
        Cause.BOOK_STALE: CauseRule(RiskState.CANCEL_ONLY, "the book has been stale for too long"),
        Cause.INDEX_GAP: CauseRule(RiskState.CANCEL_ONLY, "our fair value is too far from the index"),
        Cause.FILL_RATE: CauseRule(RiskState.HALT, "orders are filled faster than they should", soft=False),
        Cause.SLIPPAGE: CauseRule(
            RiskState.CANCEL_ONLY, "taking orders trade too far from their decision price"
        ),
        Cause.PNL_DEVIATION: CauseRule(
            RiskState.CANCEL_ONLY, "profit stays too far behind what fills promised"
        ),
        Cause.DIFFERENCE: CauseRule(RiskState.REDUCE, "the venue says something else than we know"),
        Cause.RATE_BUDGET: CauseRule(
            RiskState.CANCEL_ONLY, "the requests kept for cancels are being used up"
        ),
        Cause.CLOCK_OFFSET: CauseRule(RiskState.CANCEL_ONLY, "our clock and the venue's are too far apart"),
        Cause.VENUE_BANNED: CauseRule(RiskState.HALT, "the venue has banned us", soft=False),
        Cause.AUTH_REFUSED: CauseRule(RiskState.HALT, "the venue refuses our key", soft=False),
        Cause.RUN_FAILED: CauseRule(RiskState.CANCEL_ONLY, "the run failed and cools down"),
        Cause.BREAKER_FAULT: CauseRule(RiskState.HALT, "a breaker itself failed", soft=False),
        Cause.PARTIAL_LEG: CauseRule(
            RiskState.HALT, "a pair of orders could be neither completed nor undone", soft=False
        ),
        Cause.OWNER: CauseRule(RiskState.HALT, "halted by the owner", soft=False),
        Cause.KILL_SWITCH: CauseRule(RiskState.HALT, "the kill switch was pulled", soft=False),
        Cause.ANGEL: CauseRule(RiskState.HALT, "the Angel has taken over", soft=False),
        Cause.INHERITED: CauseRule(RiskState.CANCEL_ONLY, "orders of an earlier life are not proven gone"),
    }
)
"""What each cause leads to."""


def run_scope(run: str) -> str:
    """The scope of one run."""
    return f"run:{run}"


def venue_scope(venue: str) -> str:
    """The scope of everything on one venue."""
    return f"venue:{venue}"
