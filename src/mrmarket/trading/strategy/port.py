"""What a strategy is told, what it answers, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Final, Protocol, runtime_checkable

import msgspec

from mrmarket.core.instrument import Instrument
from mrmarket.core.side import Side
from mrmarket.trading.execution.desk import OwnFill
from mrmarket.trading.execution.differ import RefreshRules
from mrmarket.trading.execution.order import Order
from mrmarket.trading.execution.targets import TargetQuotes
from mrmarket.trading.market.estimators.intensity import Intensity
from mrmarket.trading.market.event import Level
from mrmarket.trading.venue.port import OrderKind

NEVER_NS: Final = 2**63 - 1
"""A time that does not come."""


class MarketView(msgspec.Struct, frozen=True):
    """The market and the account at one moment, as a strategy sees them. Our own orders are left out."""

    instrument: Instrument
    now_ns: int
    """Monotonic, of the strategy's clock."""
    bid: Level
    ask: Level
    base: Decimal
    """Held, free and locked."""
    quote: Decimal
    last_trade_ticks: int | None = None
    sigma: float | None = None
    """Volatility: standard deviation of the relative mid change, for one second (it grows with the
    root of time). None until enough was seen."""
    markout: float | None = None
    """Mean relative move of the mid against us in the seconds after our fills. None before the first."""
    intensity: Intensity | None = None
    """How often quotes at a distance are reached. None until enough was seen, or where nobody asked."""
    micro_offset_ticks: float | None = None
    """How far the microprice's fitted table puts the fair value above the mid. None as for `intensity`."""
    flow_move_ticks: float | None = None
    """What the recent order flow says of the mid's next move. None as for `intensity`."""
    trade_imbalance: float = 0.0
    """Aggressors' buys less sells as a share of the volume, −1 to 1."""

    @property
    def double_mid_ticks(self) -> int:
        """Twice the mid."""
        return self.bid[0] + self.ask[0]

    @property
    def mid(self) -> Decimal:
        """Quote per base."""
        return self.double_mid_ticks * self.instrument.tick_size / 2

    @property
    def base_share(self) -> Decimal | None:
        """Share of the account's worth that is base; None for an empty account."""
        base_worth = self.base * self.mid
        worth = base_worth + self.quote
        return base_worth / worth if worth else None


class Strategy(Protocol):
    """Decides what should stand in the market. It never sends an order and never waits."""

    @property
    def name(self) -> str:
        """For people."""
        ...

    @property
    def symbol(self) -> str:
        """The pair it quotes."""
        ...

    @property
    def rules(self) -> RefreshRules:
        """When its live orders give way."""
        ...

    @property
    def order_kind(self) -> OrderKind:
        """How its orders meet the book."""
        ...

    @property
    def inventory_target(self) -> Decimal:
        """Share of the account's worth that it wants in base."""
        ...

    def quotes(self, view: MarketView) -> TargetQuotes:
        """What should stand now."""
        ...

    def on_fill(self, own: OwnFill, now_ns: int, live: Sequence[Order]) -> None:
        """One of its orders was filled (durably); `live` are the orders that remain."""
        ...

    def on_past_fill(self, side: Side, price_ticks: int, size_lots: int) -> None:
        """A fill of an earlier life, in order, before the first decision."""
        ...


@runtime_checkable
class Steady(Protocol):
    """A strategy that says for how long time alone changes nothing; any other is asked at every tick."""

    def steady_until_ns(self, view: MarketView) -> int:
        """Until when (by the view's clock) it would give the answer that it has just given to this view.

        As long as bid, ask, account and fills stay what they are; `NEVER_NS` where time has no say.
        """
        ...
