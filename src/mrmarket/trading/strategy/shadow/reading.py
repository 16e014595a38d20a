"""What a run has earned so far, live or on paper, and the stretches between two looks at it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from mrmarket.core.clock import NS_PER_S
from mrmarket.core.side import Side
from mrmarket.trading.strategy.observer import RunState
from mrmarket.trading.strategy.run import StrategyRun
from mrmarket.trading.strategy.selection.roi import Outcome

_LONGEST_S: Final = 600.0
"""A stretch that nobody has looked at for longer says nothing of any rate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Sums since a life began; amounts in quote."""

    life: str
    """Sums of two lives are never subtracted."""
    at_ns: int
    """Of the wall clock."""
    trading: bool
    """Whether it may trade right now."""
    profit: float
    """Net of fees, the position at the mid."""
    fees: float
    capital: float
    """What its accounts are worth."""
    used: float
    """… of which stands in orders."""
    attempts: int
    """Orders that were accepted, or opportunities that were taken up."""
    successes: int
    """… that traded, or came to their end."""
    volatility: float | None = None
    in_play: float = 0.0
    """Base held as it would be with every open buy filled: what a budget bounds."""


def reading_of(run: StrategyRun, life: str, now_ns: int) -> Reading | None:
    """What a quoting run has earned; None before it knows its account and a price."""
    mid = run.mid
    if mid is None or not run.account.is_known:
        return None
    totals, instrument = run.totals, run.instrument
    buys = sum(order.remaining_lots for order in run.live_orders if order.side is Side.BUY)
    standing = sum(order.price_ticks * order.remaining_lots for order in run.live_orders)
    return Reading(
        life=life,
        at_ns=now_ns,
        trading=run.state is RunState.RUNNING and not run.pulled,
        profit=float(totals.pnl_quote(mid)),
        fees=float(totals.fees_quote(mid)),
        capital=float(run.account.base_total * mid + run.account.quote_total),
        used=float(standing * instrument.grain),
        # An order that is replaced has not failed: what counts is whether the venue takes them.
        attempts=totals.orders_placed + run.refusals,
        successes=totals.orders_placed,
        volatility=run.watch.volatility.sigma,
        in_play=float((run.account.base_total + instrument.size(buys)) * mid),
    )


class Meter:
    """Turns readings into outcomes: what was earned between two of them while it could trade."""

    def __init__(self) -> None:
        self._last: Reading | None = None

    def take(self, reading: Reading | None) -> Outcome | None:
        """The stretch since the last reading; None where it says nothing of the strategy."""
        last, self._last = self._last, reading
        if reading is None or last is None or reading.life != last.life:
            return None
        seconds = (reading.at_ns - last.at_ns) / NS_PER_S
        # What changes while nothing is quoted is the inventory's price: that is no merit of the strategy.
        if not 0 < seconds <= _LONGEST_S or not (last.trading and reading.trading):
            return None
        fees = reading.fees - last.fees
        return Outcome(
            at_ns=reading.at_ns,
            seconds=seconds,
            profit=reading.profit - last.profit + fees,
            cost=fees,
            locked=last.capital,
            used=(last.used + reading.used) / 2,
            attempts=max(reading.attempts - last.attempts, 0),
            successes=max(reading.successes - last.successes, 0),
            volatility=reading.volatility,
        )
