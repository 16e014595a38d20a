"""One bid and one ask around a mid that is moved towards where the recent trades press."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from mrmarket.core.side import Side
from mrmarket.trading.execution.desk import OwnFill
from mrmarket.trading.execution.differ import RefreshRules
from mrmarket.trading.execution.order import Order
from mrmarket.trading.execution.targets import TargetQuotes, Term
from mrmarket.trading.strategy.estimates import Estimate
from mrmarket.trading.strategy.models.standing import Wish, figure, price_term, stand
from mrmarket.trading.strategy.port import MarketView
from mrmarket.trading.strategy.schema import StrategySchema, within
from mrmarket.trading.venue.port import OrderKind


class ImbalanceMakerParameters(StrategySchema, frozen=True, kw_only=True, tag="imbalance_maker"):
    """Its parameters."""

    half_spread: Decimal = Decimal("0.0003")
    """Distance of each quote from the moved mid, as a fraction of it."""
    lean: Decimal = Decimal("0.5")
    """How far the mid moves, in half spreads, when everybody trades in one direction."""
    order_amount: Decimal = Decimal("0.01")
    """Base an order."""

    def __post_init__(self) -> None:
        super().__post_init__()
        within("half_spread", self.half_spread, "0", "0.5", low_open=True, example="0.0003")
        within("lean", self.lean, "0", "1", example="0.5")
        within("order_amount", self.order_amount, "0", "1e12", low_open=True, example="0.01")


class ImbalanceMaker:
    """The strategy."""

    name = "imbalance_maker"
    order_kind = OrderKind.POST_ONLY
    inventory_target = Decimal("0.5")
    rules = RefreshRules()
    estimates = frozenset({Estimate.ORDER_FLOW})

    def __init__(self, parameters: ImbalanceMakerParameters) -> None:
        self.parameters = parameters

    @property
    def symbol(self) -> str:
        """The pair it quotes."""
        return self.parameters.pair

    def quotes(self, view: MarketView) -> TargetQuotes:
        """What should stand now."""
        mid = view.double_mid_ticks / 2
        half = mid * float(self.parameters.half_spread)
        moved = mid + view.trade_imbalance * float(self.parameters.lean) * half
        terms = (
            price_term(view, "mid", mid),
            Term("trade imbalance", figure(view.trade_imbalance)),
            price_term(view, "moved by", moved - mid),
            Term("half spread", self.parameters.half_spread * 10_000, "bps"),
        )
        wishes = [
            Wish(
                slot=f"{side.value[0]}1",
                side=side,
                ticks=moved - side.sign * half,
                amount=self.parameters.order_amount,
                terms=terms,
                why=f"leans with {view.trade_imbalance:.0%} of the recent trades",
            )
            for side in Side
        ]
        quotes, notes = stand(view, wishes, post_only=True)
        return TargetQuotes(tuple(quotes), "; ".join(notes))

    def on_fill(self, own: OwnFill, now_ns: int, live: Sequence[Order]) -> None:
        """Nothing to remember."""

    def on_past_fill(self, side: Side, price_ticks: int, size_lots: int) -> None:
        """The same."""
