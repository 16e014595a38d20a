"""A grid: orders on levels that stand still; what is bought on one level is sold on the next above.

The level of the last fill stays empty, so that the price must travel a whole step before it trades again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Annotated

import msgspec

from mrmarket.core.clock import NS_PER_S
from mrmarket.core.side import Side
from mrmarket.trading.execution.desk import OwnFill
from mrmarket.trading.execution.differ import RefreshRules
from mrmarket.trading.execution.order import Order
from mrmarket.trading.execution.targets import TargetQuotes, Term
from mrmarket.trading.strategy.formulas.grid import grid_level, grid_price
from mrmarket.trading.strategy.models.standing import Wish, price_term, stand
from mrmarket.trading.strategy.port import MarketView
from mrmarket.trading.strategy.schema import ParameterRefusedError, StrategySchema, within
from mrmarket.trading.venue.port import OrderKind


class GridParameters(StrategySchema, frozen=True, kw_only=True, tag="grid"):
    """Levels at `anchor · (1 + step)^n`. There is no stop: below the last level it holds what it bought."""

    order_amount: Decimal = Decimal("0.01")
    """Base a level."""
    step: Decimal = Decimal("0.0005")
    """Fraction of the price between two levels; what a round trip earns before fees."""
    levels: Annotated[int, msgspec.Meta(ge=1, le=25)] = 3
    """How many orders stand on each side."""
    anchor_price: Decimal | None = None
    """Where level 0 is. None: at the mid of the first decision, and again after each start."""
    lower_price: Decimal | None = None
    """No level below."""
    upper_price: Decimal | None = None
    """No level above."""
    order_refresh_time: Annotated[float, msgspec.Meta(gt=0, le=86_400)] = 5.0
    max_order_age: Annotated[float, msgspec.Meta(gt=0, le=2_592_000)] = 86_400.0
    inventory_target_ratio: Decimal = Decimal("0.5")
    """Where the owner's `flatten` and a breaker's restriction bring the account to."""

    def __post_init__(self) -> None:
        super().__post_init__()
        within("order_amount", self.order_amount, "0", "1e12", low_open=True, example="0.01")
        within("step", self.step, "0", "0.5", low_open=True, example="0.0005")
        within("inventory_target_ratio", self.inventory_target_ratio, "0", "1", example="0.5")
        for name in ("anchor_price", "lower_price", "upper_price"):
            within(name, getattr(self, name), "0", "1e18", low_open=True, example="60000")
        low, high = self.lower_price, self.upper_price
        if low is not None and high is not None and low >= high:
            raise ParameterRefusedError("lower_price", low, "less than upper_price")


@dataclass(frozen=True, slots=True)
class GridState:
    """What the grid remembers."""

    anchor_ticks: float = 0.0
    """0 before the first decision."""
    empty_level: int | None = None
    """Where nothing stands."""
    filled_ticks: int | None = None
    """A fill since the last decision."""


def seen(view: MarketView, parameters: GridParameters, state: GridState) -> GridState:
    """The state after a look at the market.

    The empty level follows fills. It follows the price only when that is two levels off, after a jump: a
    level that the price comes near must keep its order.
    """
    anchor = state.anchor_ticks
    if not anchor:
        given = parameters.anchor_price
        anchor = view.double_mid_ticks / 2 if given is None else float(given / view.instrument.tick_size)
    step = float(parameters.step)
    empty = state.empty_level
    if state.filled_ticks is not None:
        empty = grid_level(float(state.filled_ticks), anchor, step)
    here = grid_level(view.double_mid_ticks / 2, anchor, step)
    if empty is None or abs(empty - here) > 1:
        empty = here
    return GridState(anchor, empty)


def targets(view: MarketView, parameters: GridParameters, state: GridState) -> TargetQuotes:
    """What should stand now, by a state that has `seen` the market."""
    quotes, notes = stand(view, _wishes(view, parameters, state), post_only=False)
    return TargetQuotes(tuple(quotes), "; ".join(notes))


class Grid:
    """The strategy as the engine holds it."""

    name = "grid"
    order_kind = OrderKind.POST_ONLY

    def __init__(self, parameters: GridParameters) -> None:
        self.parameters = parameters
        self.state = GridState()

    @property
    def symbol(self) -> str:
        """The pair it quotes."""
        return self.parameters.pair

    @property
    def rules(self) -> RefreshRules:
        """When its live orders give way."""
        return RefreshRules(
            refresh_ns=int(self.parameters.order_refresh_time * NS_PER_S),
            max_age_ns=int(self.parameters.max_order_age * NS_PER_S),
        )

    @property
    def inventory_target(self) -> Decimal:
        """Share of the account's worth that it is brought to where somebody flattens it."""
        return self.parameters.inventory_target_ratio

    def quotes(self, view: MarketView) -> TargetQuotes:
        """What should stand now."""
        self.state = seen(view, self.parameters, self.state)
        return targets(view, self.parameters, self.state)

    def on_fill(self, own: OwnFill, now_ns: int, live: Sequence[Order]) -> None:  # noqa: ARG002 - the port's
        """Its level stays empty from now on. A part filled one goes on standing."""
        if own.closes_order:
            self.state = replace(self.state, filled_ticks=own.fill.price_ticks)

    def on_past_fill(self, side: Side, price_ticks: int, size_lots: int) -> None:  # noqa: ARG002 - the port's
        """The same, of an earlier life."""
        self.state = replace(self.state, filled_ticks=price_ticks)

    def restore_past(
        self,
        last_fill_ticks: int | None,
        held_lots: int,  # noqa: ARG002 - the port's
        held_cost_grains: int,  # noqa: ARG002 - the port's
    ) -> None:
        """The last fill of earlier lives."""
        self.state = replace(self.state, filled_ticks=last_fill_ticks)


def _wishes(view: MarketView, parameters: GridParameters, state: GridState) -> Iterator[Wish]:
    anchor, empty, step = state.anchor_ticks, state.empty_level or 0, float(parameters.step)
    tick = view.instrument.tick_size
    for side in Side:
        for number in range(1, parameters.levels + 1):
            level = empty - side.sign * number
            ticks = grid_price(anchor, step, level)
            price = Decimal(round(ticks)) * tick
            if (parameters.lower_price is not None and price < parameters.lower_price) or (
                parameters.upper_price is not None and price > parameters.upper_price
            ):
                continue
            if (ticks - (view.ask[0] if side is Side.BUY else view.bid[0])) * side.sign >= 0:
                continue  # the price is already beyond this level
            terms = (
                price_term(view, "anchor", anchor),
                Term("level", str(level)),
                Term("step", parameters.step * 10_000, "bps"),
                Term("maker fee", view.instrument.maker_fee * 10_000, "bps"),
            )
            why = f"level {level} of the grid, {number} from the empty level {empty}"
            yield Wish(_slot(level), side, ticks, parameters.order_amount, terms, why)


def _slot(level: int) -> str:
    """`u12` above the anchor, `d3` below: a level keeps its slot wherever the price is."""
    return f"u{level}" if level >= 0 else f"d{-level}"
