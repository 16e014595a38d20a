"""Pure market making once more, in decimals and step by step: what its integers must agree with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal
from typing import Final

from mrmarket.core.decimals import format_decimal
from mrmarket.core.side import Side
from mrmarket.trading.execution.targets import Quote, TargetQuotes, Term
from mrmarket.trading.strategy.parameters import Parameters, PriceSource
from mrmarket.trading.strategy.port import MarketView
from mrmarket.trading.strategy.state import HangingOrder, PureMarketMakingState

_TICK_DIGITS: Final = Decimal("0.001")
_MODEL_DIGITS: Final = Decimal("0.00000001")
_ONE: Final = Decimal(1)
_BPS: Final = Decimal(10_000)


@dataclass(frozen=True, slots=True)
class _Reference:
    """The price that quotes are placed around, and how it came about."""

    price: Decimal
    skewed: Decimal
    """After imbalance and inventory."""
    delta: Decimal
    """Inventory against target, -1 to 1 at the ends of the range."""
    terms: tuple[Term, ...]


@dataclass(frozen=True, slots=True)
class _Layer:
    number: int
    side: Side
    spread: Decimal
    amount: Decimal


def decimal_quotes(view: MarketView, parameters: Parameters, state: PureMarketMakingState) -> TargetQuotes:
    """What should stand in the market now."""
    reference = _reference(view, parameters, state)
    paused = {side: _pause(side, reference, view, parameters, state) for side in Side}
    notes = [f"{side.value}s pause: {reason}" for side, reason in paused.items() if reason]
    widening, widening_terms = _widening(view, parameters)
    skip = state.filled_balance if parameters.ping_pong_enabled else 0
    wanted: list[Quote] = []
    for layer in _layers(parameters):
        ahead = skip * layer.side.sign
        if paused[layer.side] or layer.number <= ahead:
            continue
        quote = _quote(view, parameters, state, reference, layer, widening, widening_terms)
        if isinstance(quote, str):
            notes.append(quote)
        else:
            wanted.append(quote)
    if skip:
        notes.append(f"{'buys' if skip > 0 else 'sells'} wait for the other side (ping-pong)")
    wanted.extend(_hanging(view, parameters, state, reference))
    hold = parameters.filled_order_delay > 0 and view.now_ns < state.quiet_until_ns
    if hold:
        notes.append("nothing new is placed for a while after a fill")
    return TargetQuotes(tuple(wanted), "; ".join(notes), hold=hold)


def _source(view: MarketView, parameters: Parameters, state: PureMarketMakingState) -> tuple[Decimal, str]:
    tick = view.instrument.tick_size
    source = parameters.price_source
    ticks: int | Decimal | None = None
    name = source.value.lower().replace("_", " ")
    if source is PriceSource.BEST_BID:
        ticks = view.bid[0]
    elif source is PriceSource.BEST_ASK:
        ticks = view.ask[0]
    elif source is PriceSource.MICROPRICE:
        (bid, bid_lots), (ask, ask_lots) = view.bid, view.ask
        if view.micro_offset_ticks is None:
            ticks = _rounded(Decimal(bid * ask_lots + ask * bid_lots) / (bid_lots + ask_lots))
            name = "weighted mid (the microprice is not fitted yet)"
        else:
            ticks = _rounded(Decimal(bid + ask) / 2 + Decimal(view.micro_offset_ticks))
    elif source is PriceSource.LAST_PRICE:
        ticks = view.last_trade_ticks
    elif source is PriceSource.OWN_LAST:
        ticks = state.last_fill_ticks
    elif source is PriceSource.INVENTORY_COST and state.held_lots:
        ticks = _rounded(Decimal(state.held_cost_grains) / state.held_lots)
    if ticks is not None:
        return ticks * tick, name
    if source is PriceSource.MID_PRICE:
        return view.mid, name
    return view.mid, f"mid price (there is no {name} yet)"


def _rounded(ticks: Decimal) -> Decimal:
    """To a thousandth of a tick, so that what is shown is what is used."""
    return ticks.quantize(_TICK_DIGITS)


def _reference(view: MarketView, parameters: Parameters, state: PureMarketMakingState) -> _Reference:
    price, name = _source(view, parameters, state)
    terms = [Term("reference", price, "quote"), Term("price source", name)]
    tick = view.instrument.tick_size
    skewed = price
    if parameters.imbalance_weight:
        bid_lots, ask_lots = view.bid[1], view.ask[1]
        lean = Decimal(bid_lots - ask_lots) / (bid_lots + ask_lots)
        half_market_spread = Decimal(view.ask[0] - view.bid[0]) / 2
        shift = _rounded(lean * half_market_spread * parameters.imbalance_weight) * tick
        skewed += shift
        terms.append(Term("imbalance", shift, "quote"))
    delta = Decimal(0)
    share = view.base_share
    if share is not None:
        delta = (share - parameters.inventory_target_ratio) / parameters.inventory_range
        delta = max(-_ONE, min(_ONE, delta)).quantize(_MODEL_DIGITS)
    if parameters.inventory_price_skew:
        shift = _rounded(-delta * parameters.inventory_price_skew * price / tick) * tick
        skewed += shift
        terms.append(Term("inventory skew", shift, "quote"))
    return _Reference(price, skewed, delta, tuple(terms))


def _widening(view: MarketView, parameters: Parameters) -> tuple[Decimal, tuple[Term, ...]]:
    total = Decimal(0)
    terms: list[Term] = []
    for name, value, multiplier in (
        ("volatility", view.sigma, parameters.sigma_multiplier),
        ("toxicity", view.markout, parameters.toxicity_multiplier),
    ):
        if multiplier and value is not None:
            part = (Decimal(max(value, 0.0)) * multiplier).quantize(_MODEL_DIGITS)
            total += part
            terms.append(Term(name, part * _BPS, "bps"))
    return total, tuple(terms)


def _pause(
    side: Side,
    reference: _Reference,
    view: MarketView,
    parameters: Parameters,
    state: PureMarketMakingState,
) -> str:
    price, buys = reference.price, side is Side.BUY
    limit = parameters.ceiling_price if buys else parameters.floor_price
    if limit is not None and (price - limit) * side.sign > 0:
        return f"the price is {'above the ceiling' if buys else 'below the floor'} {limit:f}"
    if parameters.moving_price_band_enabled and state.band_reference is not None:
        share = parameters.price_band_ceiling if buys else parameters.price_band_floor
        edge = state.band_reference * (1 + share * side.sign)
        if (price - edge) * side.sign > 0:
            return f"the price has left the band at {format_decimal(edge)}"
    pivot = parameters.inventory_pivot
    if pivot is not None and reference.delta * side.sign >= pivot:
        return f"the inventory has passed its pivot ({format_decimal(reference.delta)} of the range)"
    if parameters.inventory_skew_enabled and view.base_share is not None and reference.delta * side.sign >= 1:
        return "the inventory is at the end of its range"
    return ""


def _layers(parameters: Parameters) -> Iterator[_Layer]:
    if parameters.order_override:
        numbers = {Side.BUY: 0, Side.SELL: 0}
        for override in parameters.order_override:
            numbers[override.side] += 1
            yield _Layer(numbers[override.side], override.side, override.spread, override.amount)
        return
    for number in range(1, parameters.number_of_layers + 1):
        amount = parameters.layer_amount(number)
        yield _Layer(number, Side.BUY, parameters.bid_spread * number, amount)
        yield _Layer(number, Side.SELL, parameters.ask_spread * number, amount)


def _quote(
    view: MarketView,
    parameters: Parameters,
    state: PureMarketMakingState,
    reference: _Reference,
    layer: _Layer,
    widening: Decimal,
    widening_terms: tuple[Term, ...],
) -> Quote | str:
    instrument, side = view.instrument, layer.side
    slot = state.slot(side, layer.number)
    half, clamps = _half_spread(parameters, layer.spread, widening)
    ticks = _ticks(reference.skewed * (1 - half * side.sign), instrument.tick_size, side)
    if parameters.post_only:
        limit = view.ask[0] - 1 if side is Side.BUY else view.bid[0] + 1
        if (ticks - limit) * side.sign > 0:
            clamps = (*clamps, Term("kept off the other side", instrument.price(limit), "quote"))
            ticks = limit
    if ticks <= 0:
        return f"{slot} has no positive price"
    amount = layer.amount
    if parameters.inventory_skew_enabled:
        amount *= 1 - reference.delta * side.sign
    lots = int((amount / instrument.lot_size).to_integral_value(ROUND_DOWN))
    if lots < instrument.min_lots or instrument.notional(ticks, lots) < instrument.min_notional:
        return f"{slot} is smaller than {instrument.venue} takes"
    terms = (
        *reference.terms,
        Term("half spread", layer.spread * _BPS, "bps"),
        *widening_terms,
        *clamps,
        Term("maker fee", instrument.maker_fee * _BPS, "bps"),
        *_size_terms(layer.amount, amount, parameters),
        Term("price", instrument.price(ticks), "quote"),
    )
    away = "below" if side is Side.BUY else "above"
    bps = format_decimal(half * _BPS)
    why = f"layer {layer.number}: {bps} bps {away} {format_decimal(reference.skewed)}"
    return Quote(slot, side, ticks, lots, terms, why, worst_ticks=_worst(view, parameters, reference, side))


def _half_spread(
    parameters: Parameters, spread: Decimal, widening: Decimal
) -> tuple[Decimal, tuple[Term, ...]]:
    half = spread + widening
    highest = parameters.maximum_spread
    if highest is not None and half > highest and widening:
        half = max(spread, highest)
        return half, (Term("clamped to the maximum spread", half * _BPS, "bps"),)
    if half < parameters.minimum_spread:
        half = parameters.minimum_spread
        return half, (Term("clamped to the minimum spread", half * _BPS, "bps"),)
    return half, ()


def _size_terms(wanted: Decimal, amount: Decimal, parameters: Parameters) -> tuple[Term, ...]:
    if not parameters.inventory_skew_enabled or not wanted:
        return ()
    return (Term("size for the inventory", (amount / wanted).quantize(_MODEL_DIGITS)),)


def _worst(view: MarketView, parameters: Parameters, reference: _Reference, side: Side) -> int | None:
    if not parameters.minimum_spread:
        return None
    limit = reference.skewed * (1 - parameters.minimum_spread * side.sign)
    return _ticks(limit, view.instrument.tick_size, side.opposite)


def _ticks(price: Decimal, tick: Decimal, side: Side) -> int:
    """Down to the grid for a buy, up for a sell."""
    whole, rest = divmod(price, tick)
    return int(whole) + (1 if rest > 0 and side is Side.SELL else 0)


def _hanging(
    view: MarketView, parameters: Parameters, state: PureMarketMakingState, reference: _Reference
) -> Iterator[Quote]:
    far = set(_too_far(view, parameters, state))
    for order in state.hanging:
        if order.slot not in far:
            price = view.instrument.price(order.price_ticks)
            yield Quote(
                order.slot,
                order.side,
                order.price_ticks,
                order.size_lots,
                (*reference.terms, Term("price", price, "quote")),
                "hangs since the other side of its layer was filled",
                sticky=True,
            )


def _too_far(view: MarketView, parameters: Parameters, state: PureMarketMakingState) -> list[str]:
    price, _ = _source(view, parameters, state)
    return [order.slot for order in state.hanging if _is_too_far(order, view, parameters, price)]


def _is_too_far(order: HangingOrder, view: MarketView, parameters: Parameters, price: Decimal) -> bool:
    distance = abs(order.price_ticks * view.instrument.tick_size - price)
    return distance > price * parameters.hanging_orders_cancel_spread
