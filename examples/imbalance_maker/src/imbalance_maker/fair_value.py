"""A fair value: the last public trade, kept inside the spread."""

from __future__ import annotations

from mrmarket.trading.strategy.estimates import Estimate
from mrmarket.trading.strategy.models.fair_value import FairPrice
from mrmarket.trading.strategy.port import MarketView


class LastTrade:
    """The last trade's price between best bid and ask; the mid before the first trade."""

    estimates: frozenset[Estimate] = frozenset()

    def price(self, view: MarketView) -> FairPrice:
        """The fair value, and what it was taken from."""
        if view.last_trade_ticks is None:
            return FairPrice(view.double_mid_ticks / 2, "mid (nobody has traded yet)")
        inside = max(view.bid[0], min(view.ask[0], view.last_trade_ticks))
        return FairPrice(float(inside), "last trade, inside the spread")
