"""Market making by a curve: a model says how far each side stands from the fair value, and this quotes it.

`targets` is a pure function of what is seen and the parameters; the strategy keeps nothing between decisions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Final, Protocol

import msgspec

from mrmarket.core.clock import NS_PER_S
from mrmarket.core.decimals import format_decimal
from mrmarket.core.side import Side
from mrmarket.trading.execution.desk import OwnFill
from mrmarket.trading.execution.differ import RefreshRules
from mrmarket.trading.execution.order import Order
from mrmarket.trading.execution.targets import TargetQuotes, Term
from mrmarket.trading.strategy.estimates import Estimate
from mrmarket.trading.strategy.formulas.sizing import linear_sizes
from mrmarket.trading.strategy.formulas.widening import clamped, floor_of_half, widening
from mrmarket.trading.strategy.models.fair_value import FairPrice, FairValue, fair_value
from mrmarket.trading.strategy.models.standing import Wish, figure, price_term, stand
from mrmarket.trading.strategy.port import MarketView
from mrmarket.trading.strategy.schema import ParameterRefusedError, StrategySchema, within
from mrmarket.trading.venue.port import OrderKind

_BPS: Final = 10_000
_LEAST_TICKS: Final = 0.5
"""From the centre, also where a rebate is larger than the half spread: our own two sides never meet."""


class CurveParameters(StrategySchema, frozen=True, kw_only=True):
    """What all quoting models share. Spreads are half spreads, as fractions of the price."""

    order_amount: Decimal = Decimal("0.01")
    """Base an order; the models count inventory in orders of this size."""
    order_refresh_time: Annotated[float, msgspec.Meta(gt=0, le=86_400)] = 2.0
    """A live order younger than this is left alone, unless its price is no longer acceptable."""
    order_refresh_tolerance: Decimal = Decimal("0.00002")
    """A live order that is off by no more keeps its place in the queue."""
    max_order_age: Annotated[float, msgspec.Meta(gt=0, le=2_592_000)] = 1_800.0
    number_of_layers: Annotated[int, msgspec.Meta(ge=1, le=20)] = 1
    """Per side; each further one stands `layer_step` further out."""
    layer_step: Decimal = Decimal("0.0002")
    """Fraction of the price between two layers."""
    inventory_target_ratio: Decimal = Decimal("0.5")
    """Share of the account's worth wanted in base; inventory is what is held beyond it."""
    max_inventory: Annotated[float, msgspec.Meta(gt=0.5, le=100_000)] = 20.0
    """Orders: so far from the target, only the side that brings it back is quoted."""
    size_skew: bool = False
    """Whether the side that adds to the inventory shrinks in a straight line to nothing at the maximum."""
    fair_value: str = "mid"
    """`mid`, `weighted_mid`, `microprice`, `microprice_ofi`, or a plug-in's name."""
    minimum_spread: Decimal = Decimal(0)
    """Least half spread, before skew and fee."""
    maximum_spread: Decimal = Decimal("0.02")
    """Greatest half spread, before skew and fee."""
    sigma_multiplier: Decimal = Decimal(0)
    """Standard deviations of one second that are added to each half spread."""
    toxicity_multiplier: Decimal = Decimal(0)
    """How much of the measured loss after our fills is added to each half spread."""
    cover_markout: bool = True
    """Whether the half spread is at least what the mid was measured to move against us after our fills."""
    post_only: bool = True
    """Never take: quotes are kept off the other side and the venue refuses what would cross."""

    def __post_init__(self) -> None:
        super().__post_init__()
        within("order_amount", self.order_amount, "0", "1e12", low_open=True, example="0.01")
        within("order_refresh_tolerance", self.order_refresh_tolerance, "0", "0.5", example="0.0001")
        within("layer_step", self.layer_step, "0", "0.1", low_open=True, example="0.0002")
        within("inventory_target_ratio", self.inventory_target_ratio, "0", "1", example="0.5")
        within("minimum_spread", self.minimum_spread, "0", "0.5", example="0.0001")
        within("maximum_spread", self.maximum_spread, "0", "0.5", low_open=True, example="0.01")
        within("sigma_multiplier", self.sigma_multiplier, "0", "1000", example="2")
        within("toxicity_multiplier", self.toxicity_multiplier, "0", "100", example="1")
        if self.maximum_spread < self.minimum_spread:
            raise ParameterRefusedError("maximum_spread", self.maximum_spread, "at least minimum_spread")
        fair_value(self.fair_value)


@dataclass(frozen=True, slots=True)
class Sight:
    """What a model is given, in its units: ticks, orders, seconds."""

    view: MarketView
    fair_ticks: float
    inventory: float
    """Orders beyond the target; negative is short of it."""
    share: float
    """The same as a share of the account's worth, −1 to 1."""
    sigma: float
    """Ticks per root second."""
    fee_ticks: float


@dataclass(frozen=True, slots=True)
class Curve:
    """What a model answers, in ticks."""

    half: float
    """Half spread, before it is clamped; without the fee."""
    shift: float
    """How far both quotes move from the fair value against the inventory."""
    terms: tuple[Term, ...] = ()


class CurveModel(Protocol):
    """A quoting model: a pure function of what is seen."""

    @property
    def name(self) -> str:
        """The strategy's name."""
        ...

    @property
    def estimates(self) -> frozenset[Estimate]:
        """What has to be measured for it."""
        ...

    def curve(self, sight: Sight) -> Curve | str:
        """Where quotes go, or what the model still waits for."""
        ...


class CurveStrategy:
    """A quoting model as the engine holds it."""

    def __init__(self, parameters: CurveParameters, model: CurveModel) -> None:
        self.parameters = parameters
        self.model = model
        self._fair: FairValue = fair_value(parameters.fair_value)
        self.estimates = model.estimates | self._fair.estimates

    @property
    def name(self) -> str:
        """For people."""
        return self.model.name

    @property
    def symbol(self) -> str:
        """The pair it quotes."""
        return self.parameters.pair

    @property
    def rules(self) -> RefreshRules:
        """When its live orders give way."""
        return RefreshRules(
            refresh_ns=int(self.parameters.order_refresh_time * NS_PER_S),
            tolerance=self.parameters.order_refresh_tolerance,
            max_age_ns=int(self.parameters.max_order_age * NS_PER_S),
        )

    @property
    def order_kind(self) -> OrderKind:
        """How its orders meet the book."""
        return OrderKind.POST_ONLY if self.parameters.post_only else OrderKind.LIMIT

    @property
    def inventory_target(self) -> Decimal:
        """Share of the account's worth that it wants in base."""
        return self.parameters.inventory_target_ratio

    def quotes(self, view: MarketView) -> TargetQuotes:
        """What should stand now."""
        return targets(view, self.parameters, self.model, self._fair.price(view))

    def on_fill(self, own: OwnFill, now_ns: int, live: Sequence[Order]) -> None:
        """Nothing to remember: inventory is what the account holds."""

    def on_past_fill(self, side: Side, price_ticks: int, size_lots: int) -> None:
        """The same."""

    def restore_past(self, last_fill_ticks: int | None, held_lots: int, held_cost_grains: int) -> None:
        """The same."""


def targets(
    view: MarketView, parameters: CurveParameters, model: CurveModel, fair: FairPrice
) -> TargetQuotes:
    """What should stand in the market now."""
    if view.sigma is None:
        return TargetQuotes(reason="warming up: the volatility is not known yet")
    sight = _sight(view, parameters, fair, view.sigma)
    curve = model.curve(sight)
    if isinstance(curve, str):
        return TargetQuotes(reason=f"warming up: {curve}")
    quotes, notes = stand(view, _wishes(sight, parameters, fair, curve), post_only=parameters.post_only)
    limit = parameters.max_inventory
    if abs(sight.inventory) >= limit:
        side = "bought" if sight.inventory > 0 else "sold"
        notes.insert(
            0, f"nothing is {side}: the inventory is {sight.inventory:.1f} orders, at most {limit:g}"
        )
    return TargetQuotes(tuple(quotes), "; ".join(notes))


def _sight(view: MarketView, parameters: CurveParameters, fair: FairPrice, sigma: float) -> Sight:
    mid = view.double_mid_ticks / 2
    worth = view.base + view.quote / view.mid
    target = parameters.inventory_target_ratio * worth
    beyond = view.base - target
    return Sight(
        view=view,
        fair_ticks=fair.ticks,
        inventory=float(beyond / parameters.order_amount),
        share=max(-1.0, min(1.0, float(beyond / worth))) if worth > 0 else 0.0,
        sigma=sigma * mid,
        fee_ticks=float(view.instrument.maker_fee) * mid,
    )


def _wishes(sight: Sight, parameters: CurveParameters, fair: FairPrice, curve: Curve) -> Iterator[Wish]:
    view, mid = sight.view, sight.view.double_mid_ticks / 2
    half, added = _widened(sight, parameters, curve, mid)
    terms = (
        price_term(view, "fair value", fair.ticks),
        Term("fair value model", fair.says),
        Term("inventory", figure(sight.inventory, 4), "orders"),
        Term("volatility", figure(sight.sigma / mid * _BPS, 4), "bps"),
        *curve.terms,
        Term("half spread", figure(curve.half / mid * _BPS, 4), "bps"),
        *added,
        price_term(view, "inventory skew", curve.shift),
        Term("maker fee", view.instrument.maker_fee * _BPS, "bps"),
    )
    limit = parameters.max_inventory
    shares = linear_sizes(sight.inventory, limit) if parameters.size_skew else (1.0, 1.0)
    step = float(parameters.layer_step) * mid
    for side, share in zip((Side.BUY, Side.SELL), shares, strict=True):
        if sight.inventory * side.sign >= limit:
            continue
        sized = (Term("size for the inventory", figure(share)),) if parameters.size_skew else ()
        amount = parameters.order_amount * Decimal(share)
        for layer in range(1, parameters.number_of_layers + 1):
            distance = max(half + sight.fee_ticks, _LEAST_TICKS) + (layer - 1) * step
            word = "below" if side is Side.BUY else "above"
            around = fair.ticks + curve.shift
            yield Wish(
                slot=f"{side.value[0]}{layer}",
                side=side,
                ticks=around - side.sign * distance,
                amount=amount,
                terms=(*terms, *sized),
                why=f"layer {layer}: {distance / mid * _BPS:.2f} bps {word} "
                f"{format_decimal(figure(around, 1) * view.instrument.tick_size)}",
                # An order that would earn less than its fee at today's fair value does not wait its time.
                worst_ticks=fair.ticks - side.sign * sight.fee_ticks,
            )


def _widened(
    sight: Sight, parameters: CurveParameters, curve: Curve, mid: float
) -> tuple[float, tuple[Term, ...]]:
    markout = (sight.view.markout or 0.0) * mid
    volatility, toxicity = widening(
        sight.sigma, float(parameters.sigma_multiplier), markout, float(parameters.toxicity_multiplier)
    )
    terms = [
        Term(name, figure(part / mid * _BPS, 4), "bps")
        for name, part in (("widened for volatility", volatility), ("widened for toxicity", toxicity))
        if part
    ]
    wanted = curve.half + volatility + toxicity
    # The fee is added to every distance later on.
    floor = floor_of_half(markout, 0.0) if parameters.cover_markout else 0.0
    least, most = float(parameters.minimum_spread) * mid, float(parameters.maximum_spread) * mid
    half = clamped(wanted, max(least, min(floor, most)), most)
    if half != wanted:
        word = "the maximum spread" if half < wanted else "the minimum spread"
        if half > max(wanted, least):
            word = "what fills have cost"
        terms.append(Term(f"clamped to {word}", figure(half / mid * _BPS, 4), "bps"))
    return half, tuple(terms)
