"""A strategy that cheats: it reads the recording and quotes towards where the price will go."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

from mrmarket.core.side import Side
from mrmarket.trading.execution.desk import OwnFill
from mrmarket.trading.execution.differ import RefreshRules
from mrmarket.trading.execution.order import Order
from mrmarket.trading.execution.targets import TargetQuotes
from mrmarket.trading.market.event import EventKind
from mrmarket.trading.market.tape import open_tape
from mrmarket.trading.strategy.kind import StrategyKind
from mrmarket.trading.strategy.models.standing import Wish, price_term, stand
from mrmarket.trading.strategy.port import MarketView
from mrmarket.trading.strategy.registry import Registry
from mrmarket.trading.strategy.schema import StrategySchema
from mrmarket.trading.venue.port import OrderKind


class PeekingParameters(StrategySchema, frozen=True, kw_only=True, tag="peeking"):
    """Where it looks things up."""

    tape: str = ""
    ahead_s: float = 20.0


class Peeking:
    """Quotes around the last trade of some seconds later."""

    name = "peeking"
    order_kind = OrderKind.POST_ONLY
    inventory_target = Decimal("0.5")
    rules = RefreshRules()

    def __init__(self, parameters: PeekingParameters) -> None:
        self.parameters = parameters
        self._at_ns: list[int] = []
        self._ticks: list[int] = []
        if parameters.tape:
            for event in open_tape(Path(parameters.tape)).events():
                if event.kind is EventKind.TRADE or not self._at_ns:
                    self._at_ns.append(event.exchange_ns)
                    self._ticks.append(event.price_ticks)

    @property
    def symbol(self) -> str:
        """The pair it quotes."""
        return self.parameters.pair

    def quotes(self, view: MarketView) -> TargetQuotes:
        """One bid and one ask around what it should not know."""
        later_ns = self._at_ns[0] + view.now_ns + int(self.parameters.ahead_s * 1e9)
        later = self._ticks[bisect_right(self._at_ns, later_ns) - 1] or view.double_mid_ticks / 2
        wishes = [
            Wish(
                f"{side.value[0]}1",
                side,
                later - side.sign * 10,
                Decimal("0.01"),
                (price_term(view, "later", later),),
                "",
            )
            for side in Side
        ]
        quotes, notes = stand(view, wishes, post_only=True)
        return TargetQuotes(tuple(quotes), "; ".join(notes))

    def on_fill(self, own: OwnFill, now_ns: int, live: Sequence[Order]) -> None:
        """Nothing."""

    def on_past_fill(self, side: Side, price_ticks: int, size_lots: int) -> None:
        """Nothing."""


PEEKING = StrategyKind(name="peeking", version="1", summary="Cheats.", schema=PeekingParameters, make=Peeking)


def peeking_registry() -> Registry:
    """A registry that knows nothing else."""
    return Registry(built_in=(PEEKING,), plugins=list)
