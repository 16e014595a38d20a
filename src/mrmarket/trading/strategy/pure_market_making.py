"""Pure market making: layers of quotes around a reference price, each of which says how it came about.

`quotes` is a pure function of what is seen, the parameters and a small state. Prices are computed in
exact integers and rounded away from the market: bids down, asks up.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from functools import partial
from typing import Final

from msgspec.structs import replace

from mrmarket.core.clock import NS_PER_S
from mrmarket.core.decimals import format_decimal
from mrmarket.core.side import Side
from mrmarket.trading.execution.desk import OwnFill
from mrmarket.trading.execution.differ import RefreshRules
from mrmarket.trading.execution.order import Order
from mrmarket.trading.execution.targets import NO_QUOTES, Quote, TargetQuotes
from mrmarket.trading.strategy.estimates import Estimate
from mrmarket.trading.strategy.lattice import MILLI, PARTS, Lattice, Layer, Ratio, nearest
from mrmarket.trading.strategy.layer_story import Reference, hanging_story, layer_story
from mrmarket.trading.strategy.parameters import Parameters, PriceSource
from mrmarket.trading.strategy.port import NEVER_NS, MarketView
from mrmarket.trading.strategy.state import HangingOrder, PureMarketMakingState
from mrmarket.trading.venue.port import OrderKind

__all__ = ["Parameters", "PureMarketMaking", "quotes"]

_TICK_DIGITS: Final = Decimal("0.001")
_SIDES: Final = (Side.BUY, Side.SELL)


def quotes(
    view: MarketView,
    parameters: Parameters,
    state: PureMarketMakingState,
    lattice: Lattice | None = None,
) -> TargetQuotes:
    """What should stand in the market now; `lattice` is the parameters on the view's instrument."""
    lattice = lattice or Lattice(parameters, view.instrument)
    reference = _reference(view, lattice, state)
    paused = {side: _pause(side, reference, lattice, state) for side in _SIDES}
    notes = [f"{side.value}s pause: {reason}" for side, reason in paused.items() if reason]
    skip = state.filled_balance if parameters.ping_pong_enabled else 0
    wanted: list[Quote] = []
    for layer in lattice.layers:
        if paused[layer.side] or layer.number <= skip * layer.sign:
            continue
        quote = _quote(lattice, state, reference, layer)
        if isinstance(quote, str):
            notes.append(quote)
        else:
            wanted.append(quote)
    if skip:
        notes.append(f"{'buys' if skip > 0 else 'sells'} wait for the other side (ping-pong)")
    if state.hanging:
        wanted.extend(_hanging(parameters, state, reference))
    hold = parameters.filled_order_delay > 0 and view.now_ns < state.quiet_until_ns
    if hold:
        notes.append("nothing new is placed for a while after a fill")
    return TargetQuotes(tuple(wanted), "; ".join(notes), hold=hold)


class PureMarketMaking:
    """The strategy as the engine holds it: parameters and the state that fills leave behind."""

    name = "pure_market_making"

    def __init__(self, parameters: Parameters) -> None:
        self.parameters = parameters
        self.state = PureMarketMakingState()
        needs_table = parameters.price_source is PriceSource.MICROPRICE
        self.estimates = frozenset({Estimate.MICROPRICE}) if needs_table else frozenset[Estimate]()
        self._lattice: Lattice | None = None
        self._seen: tuple[object, ...] = ()
        """What the last answer was given to."""
        self._seen_state = self.state
        self._targets = NO_QUOTES

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
        """What should stand now; the very same answer while nothing has changed that counts."""
        lattice = self._lattice
        if lattice is None or lattice.instrument is not view.instrument:
            lattice = self._lattice = Lattice(self.parameters, view.instrument)
        if self.parameters.moving_price_band_enabled:
            milli, _ = _source(view, lattice, self.state)
            self.state = self.state.with_band(_price(milli, lattice), view.now_ns, lattice.band_ns)
        if self.state.hanging:
            self.state = self.state.without_hanging(_too_far(view, lattice, self.state))
        seen = self._inputs(view, lattice)
        if seen != self._seen or self.state is not self._seen_state:
            self._targets = quotes(view, self.parameters, self.state, lattice)
            self._seen, self._seen_state = seen, self.state
        return self._targets

    def steady_until_ns(self, view: MarketView) -> int:
        """Until when its answer to the same market and account stays the same."""
        parameters, state = self.parameters, self.state
        if parameters.price_source is PriceSource.LAST_PRICE:
            return view.now_ns
        until_ns = NEVER_NS
        if parameters.filled_order_delay > 0 and view.now_ns < state.quiet_until_ns:
            until_ns = state.quiet_until_ns
        if parameters.moving_price_band_enabled and self._lattice is not None:
            until_ns = min(until_ns, state.band_taken_ns + self._lattice.band_ns)
        return until_ns

    def on_fill(self, own: OwnFill, now_ns: int, live: Sequence[Order]) -> None:
        """Remember the fill, start the pause, and let the other side's order hang where that is wanted."""
        fill = own.fill
        state = self.state.with_fill(fill.side, fill.price_ticks, fill.size_lots, completed=own.closes_order)
        state = replace(state, quiet_until_ns=now_ns + int(self.parameters.filled_order_delay * NS_PER_S))
        if own.closes_order and self.parameters.hanging_orders_enabled:
            state = state.with_hanging(own.slot, live)
        self.state = state

    def restore_past(self, last_fill_ticks: int | None, held_lots: int, held_cost_grains: int) -> None:
        """Take over what earlier fills add up to."""
        self.state = replace(
            self.state,
            last_fill_ticks=last_fill_ticks,
            held_lots=held_lots,
            held_cost_grains=held_cost_grains,
        )

    def on_past_fill(self, side: Side, price_ticks: int, size_lots: int) -> None:
        """Take a fill of an earlier life into the last price and the inventory's cost."""
        self.state = self.state.with_fill(side, price_ticks, size_lots, completed=False)

    def _inputs(self, view: MarketView, lattice: Lattice) -> tuple[object, ...]:
        """Everything in a view that an answer depends on."""
        parameters = self.parameters
        return (
            view.bid if lattice.sizes_matter else view.bid[0],
            view.ask if lattice.sizes_matter else view.ask[0],
            view.base,
            view.quote,
            view.last_trade_ticks if parameters.price_source is PriceSource.LAST_PRICE else None,
            view.micro_offset_ticks,
            view.sigma if parameters.sigma_multiplier else None,
            view.markout if parameters.toxicity_multiplier else None,
            parameters.filled_order_delay > 0 and view.now_ns < self.state.quiet_until_ns,
        )


def _source(view: MarketView, lattice: Lattice, state: PureMarketMakingState) -> tuple[int, str]:
    """(the price in thousandths of a tick, what it is called)."""
    source = lattice.parameters.price_source
    bid, ask = view.bid[0], view.ask[0]
    middle = (bid + ask) * (MILLI // 2)
    if source is PriceSource.MID_PRICE:
        return middle, "mid price"
    name = source.value.lower().replace("_", " ")
    ticks: int | None = None
    if source is PriceSource.BEST_BID:
        ticks = bid
    elif source is PriceSource.BEST_ASK:
        ticks = ask
    elif source is PriceSource.MICROPRICE:
        return _microprice(view, name)
    elif source is PriceSource.LAST_PRICE:
        ticks = view.last_trade_ticks
    elif source is PriceSource.OWN_LAST:
        ticks = state.last_fill_ticks
    elif state.held_lots:
        # What is left is the inventory's cost.
        return nearest(state.held_cost_grains * MILLI, state.held_lots), name
    if ticks is not None:
        return ticks * MILLI, name
    return middle, f"mid price (there is no {name} yet)"


def _microprice(view: MarketView, name: str) -> tuple[int, str]:
    (bid, bid_lots), (ask, ask_lots) = view.bid, view.ask
    if view.micro_offset_ticks is None:
        milli = nearest((bid * ask_lots + ask * bid_lots) * MILLI, bid_lots + ask_lots)
        return milli, "weighted mid (the microprice is not fitted yet)"
    ticks = (Decimal(bid + ask) / 2 + Decimal(view.micro_offset_ticks)).quantize(_TICK_DIGITS)
    return int(ticks * MILLI), name


def _price(milli: int, lattice: Lattice) -> Decimal:
    """Quote per base."""
    return Decimal(milli).scaleb(-3) * lattice.instrument.tick_size


def _reference(view: MarketView, lattice: Lattice, state: PureMarketMakingState) -> Reference:
    parameters = lattice.parameters
    milli, name = _source(view, lattice, state)
    imbalance: int | None = None
    if parameters.imbalance_weight:
        (bid, bid_lots), (ask, ask_lots) = view.bid, view.ask
        weight, per = lattice.imbalance_weight
        imbalance = nearest(
            (bid_lots - ask_lots) * (ask - bid) * weight * MILLI, (bid_lots + ask_lots) * 2 * per
        )
    delta = _delta(view, lattice)
    skew: int | None = None
    if parameters.inventory_price_skew:
        share, per = lattice.price_skew
        skew = nearest(-(delta or 0) * share * milli, PARTS * per)
    return Reference(
        view,
        lattice,
        milli,
        name,
        milli + (imbalance or 0) + (skew or 0),
        imbalance,
        skew,
        delta,
        _part(view.sigma, lattice.sigma_multiplier),
        _part(view.markout, lattice.toxicity_multiplier),
    )


def _delta(view: MarketView, lattice: Lattice) -> int | None:
    """Inventory against target in `PARTS`, ±1 at the ends of the range; None for an empty account."""
    base, base_per = view.base.as_integer_ratio()
    quote, quote_per = view.quote.as_integer_ratio()
    tick, tick_per = lattice.tick
    held = base * quote_per * (view.bid[0] + view.ask[0]) * tick
    worth = held + quote * base_per * 2 * tick_per
    if not worth:
        return None
    target, target_per = lattice.inventory_target
    span, span_per = lattice.inventory_range
    delta = nearest(
        (held * target_per - target * worth) * span_per * PARTS,
        worth * target_per * span,
    )
    return max(-PARTS, min(PARTS, delta))


def _part(value: float | None, multiplier: Ratio) -> int | None:
    """A measured fraction times its weight, in `PARTS`; None where there is none."""
    factor, per = multiplier
    if not factor or value is None:
        return None
    if value <= 0.0:
        return 0
    measured, measured_per = value.as_integer_ratio()
    return nearest(measured * factor * PARTS, measured_per * per)


def _pause(side: Side, reference: Reference, lattice: Lattice, state: PureMarketMakingState) -> str:
    parameters, buys, sign = lattice.parameters, side is Side.BUY, side.sign
    limit = lattice.ceiling if buys else lattice.floor
    if limit is not None and (reference.milli * limit[1] - limit[0]) * sign > 0:
        edge = parameters.ceiling_price if buys else parameters.floor_price
        return f"the price is {'above the ceiling' if buys else 'below the floor'} {edge:f}"
    if parameters.moving_price_band_enabled and state.band_reference is not None:
        share = parameters.price_band_ceiling if buys else parameters.price_band_floor
        edge = state.band_reference * (1 + share * sign)
        if (_price(reference.milli, lattice) - edge) * sign > 0:
            return f"the price has left the band at {format_decimal(edge)}"
    delta = reference.delta
    if delta is None:
        delta = 0
    pivot = lattice.pivot_parts
    if pivot is not None and delta * sign >= pivot:
        told = format_decimal(Decimal(delta).scaleb(-8))
        return f"the inventory has passed its pivot ({told} of the range)"
    if parameters.inventory_skew_enabled and reference.delta is not None and delta * sign >= PARTS:
        return "the inventory is at the end of its range"
    return ""


def _quote(lattice: Lattice, state: PureMarketMakingState, reference: Reference, layer: Layer) -> Quote | str:
    side, sign, one = layer.side, layer.sign, lattice.one
    slot = state.slot(side, layer.number) if state.generations else layer.slot
    half, clamp = _half_spread(lattice, layer.spread, reference.widening)
    ticks = _ticks(reference.skewed * (one - half * sign), one * MILLI, side)
    kept_off: int | None = None
    if lattice.parameters.post_only:
        limit = reference.view.ask[0] - 1 if sign > 0 else reference.view.bid[0] + 1
        if (ticks - limit) * sign > 0:
            ticks = kept_off = limit
    if ticks <= 0:
        return f"{slot} has no positive price"
    wanted, per = layer.lots
    delta = reference.delta
    if delta and lattice.parameters.inventory_skew_enabled:
        lots = wanted * (PARTS - delta * sign) // (per * PARTS)
    else:
        lots = wanted // per
    if lots < lattice.instrument.min_lots or ticks * lots < lattice.least_grains:
        return f"{slot} is smaller than {lattice.instrument.venue} takes"
    worst = None
    if lattice.minimum:
        worst = _ticks(reference.skewed * (one - lattice.minimum * sign), one * MILLI, side.opposite)
    story = partial(layer_story, reference, layer, half, clamp, kept_off, ticks)
    return Quote(slot, side, ticks, lots, worst_ticks=worst, explain=story)


def _half_spread(lattice: Lattice, spread: int, widening: int) -> tuple[int, str]:
    """(parts of one, what it was clamped to)."""
    half = spread + widening * lattice.one // PARTS
    highest = lattice.maximum
    if highest is not None and half > highest and widening:
        return max(spread, highest), "maximum"
    if half < lattice.minimum:
        return lattice.minimum, "minimum"
    return half, ""


def _ticks(numerator: int, denominator: int, side: Side) -> int:
    """Down to the grid for a buy, up for a sell."""
    return numerator // denominator if side is Side.BUY else -(-numerator // denominator)


def _hanging(parameters: Parameters, state: PureMarketMakingState, reference: Reference) -> Iterator[Quote]:
    price = _price(reference.milli, reference.lattice)
    for order in state.hanging:
        if not _is_too_far(order, parameters, price, reference.lattice):
            yield Quote(
                order.slot,
                order.side,
                order.price_ticks,
                order.size_lots,
                sticky=True,
                explain=partial(hanging_story, reference, order.price_ticks),
            )


def _too_far(view: MarketView, lattice: Lattice, state: PureMarketMakingState) -> list[str]:
    milli, _ = _source(view, lattice, state)
    price = _price(milli, lattice)
    return [order.slot for order in state.hanging if _is_too_far(order, lattice.parameters, price, lattice)]


def _is_too_far(order: HangingOrder, parameters: Parameters, price: Decimal, lattice: Lattice) -> bool:
    distance = abs(lattice.instrument.price(order.price_ticks) - price)
    return distance > price * parameters.hanging_orders_cancel_spread
