"""What people and the API look at of a triangular run, and what its rounds came to."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Final

from mrmarket.core.instrument import Instrument
from mrmarket.trading.execution.order import Order
from mrmarket.trading.strategy.observer import RunState
from mrmarket.trading.strategy.triangular.amounts import Amounts, decimal_of
from mrmarket.trading.strategy.triangular.port import TriangleDecision
from mrmarket.trading.strategy.triangular.round import RoundStage

if TYPE_CHECKING:
    from mrmarket.trading.strategy.triangular.market import TriangleMarket

_ROUNDS_KEPT: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundRecord:
    """One round that is over. Amounts in the home asset."""

    number: int
    """A part of the ids of its orders."""
    at_ns: int
    """Wall time of its end."""
    why: str
    promised: Decimal
    made: Decimal
    """What came back less what went out; remainders in between count for nothing."""
    left_over: str
    stage: RoundStage
    end: str
    """How it ended, in words."""


class TriangleReadings:
    """The readings of a triangular run, which sets the attributes."""

    markets: Mapping[str, TriangleMarket]
    home: str

    def __init__(self) -> None:
        self.state = RunState.STARTING
        self.state_reason = "not started yet"
        self.failure: Exception | None = None
        """What made the run fail."""
        self.decision: TriangleDecision | None = None
        """The last one."""
        self.waits_for = ""
        """Why no decision is made now; empty while it looks for triangles."""
        self.rounds: deque[RoundRecord] = deque(maxlen=_ROUNDS_KEPT)
        """Rounds that are over, the newest last; since this start."""
        self.changed: Amounts = {}
        """What all its trades have changed since the run's first start."""
        self.capital: Decimal | None = None
        """What the account was worth in the home asset at the first prices of this start."""

    @property
    def instrument(self) -> Instrument:
        """Of the first pair."""
        return next(iter(self.markets.values())).instrument

    @property
    def pnl_home(self) -> Decimal | None:
        """What trading has earned since the first start, at the mids; None without one that is needed."""
        return self._worth(self.changed)

    @property
    def worth_home(self) -> Decimal | None:
        """What the account holds of the traded assets; None until prices and balances are known."""
        held: dict[str, Fraction] = {}
        for market in self.markets.values():
            account = market.execution.account
            if not account.is_known:
                return None
            held[market.instrument.base] = Fraction(account.base_total)
            held[market.instrument.quote] = Fraction(account.quote_total)
        return self._worth(held)

    @property
    def live_orders(self) -> list[Order]:
        """Orders that are not proven closed, of every pair."""
        return [order for market in self.markets.values() for order in market.execution.table.open()]

    def _worth(self, amounts: Amounts) -> Decimal | None:
        total = amounts.get(self.home, Fraction(0))
        for asset, amount in amounts.items():
            if asset == self.home or not amount:
                continue
            price = self._price(asset)
            if price is None:
                return None
            total += amount * price
        return decimal_of(total)

    def _price(self, asset: str) -> Fraction | None:
        """Home asset by the mid of the pair of both; 0 for an asset that has none here."""
        for market in self.markets.values():
            instrument = market.instrument
            if {instrument.base, instrument.quote} != {asset, self.home}:
                continue
            double = market.watch.double_mid_ticks
            if not double:
                return None
            mid = double * Fraction(instrument.tick_size) / 2
            return mid if instrument.base == asset else 1 / mid
        return Fraction(0)
