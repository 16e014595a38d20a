"""Wanted quotes against live orders: the fewest cancels and placements that bring them together.

Pure. A slot never has two live orders: a replacement is a cancel first, and a placement only once
the cancelled order is proven closed. An order whose fate is in doubt keeps its slot blocked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

import msgspec

from mrmarket.core.clock import NS_PER_S
from mrmarket.core.side import Side
from mrmarket.trading.execution.order import Order, OrderStage
from mrmarket.trading.execution.targets import Quote, TargetQuotes


@dataclass(frozen=True, slots=True)
class RefreshRules:
    """When a live order gives way to a better one. Times are nanoseconds of the strategy's clock."""

    refresh_ns: int = 5 * NS_PER_S
    """An order younger than this is left alone, unless it is unwanted or beyond its worst price."""
    tolerance: Decimal = Decimal(0)
    """Fraction of the price by which a live order may be off and still stay."""
    size_tolerance: Decimal = Decimal("0.25")
    """Fraction of the wanted size by which the open rest may be off and still stay; a small change
    of size is not worth the place in the queue."""
    cancel_cooldown_ns: int = NS_PER_S
    """No second cancel of the same order within this time."""
    max_age_ns: int = 1800 * NS_PER_S
    """An older order is replaced even where it still fits."""


class Cancellation(msgspec.Struct, frozen=True):
    """One live order that has to go, and why."""

    order: Order
    reason: str
    urgent: bool = False
    """It must not stand: unwanted, or at a price that is no longer acceptable."""


class Plan(msgspec.Struct, frozen=True):
    """What to do now."""

    cancels: tuple[Cancellation, ...] = ()
    placements: tuple[Quote, ...] = ()
    waiting: tuple[tuple[str, str], ...] = ()
    """(slot, reason) of wanted quotes that cannot be placed yet."""
    rests_ns: int = 0
    """For so long (by the strategy's clock) time alone makes nothing due; 0 while anything is under way."""

    def __bool__(self) -> bool:
        return bool(self.cancels or self.placements)


class Allowance(msgspec.Struct, frozen=True):
    """What may be sent now."""

    cancels: int = 1_000
    placements: int = 1_000
    blocked_until_ns: Mapping[str, int] = msgspec.field(default_factory=dict)
    """Slots that were refused lately, and until when they rest."""


_ALL: Final = Allowance()
_FOR_GOOD_NS: Final = 2**62


class LiveOrder(msgspec.Struct, frozen=True):
    """An order that is not proven closed, with its ages in nanoseconds of the strategy's clock."""

    order: Order
    age_ns: int = 0
    since_cancel_ns: int = 0
    """Since its last cancel was sent; of no meaning before the first."""


def plan(
    targets: TargetQuotes,
    live: Sequence[LiveOrder],
    rules: RefreshRules,
    now_ns: int,
    allowance: Allowance = _ALL,
) -> Plan:
    """Compare and decide.

    Args:
        targets: what should stand.
        live: every order that is not proven closed, oldest first.
        rules: when a live order gives way.
        now_ns: by the clock that set the blocks in `allowance`.
        allowance: how much may be sent now; cancels come first, the urgent ones before the rest.
    """
    cancels = _cancels(targets, live, rules)[: allowance.cancels]
    if targets.hold:
        return Plan(tuple(cancels), rests_ns=0 if cancels else _rest_ns(targets, live, rules))
    placements, waiting = _placements(targets, live, now_ns, allowance)
    if cancels or placements or waiting:
        return Plan(tuple(cancels), tuple(placements), tuple(waiting))
    return Plan(rests_ns=_rest_ns(targets, live, rules))


def _rest_ns(targets: TargetQuotes, live: Sequence[LiveOrder], rules: RefreshRules) -> int:
    """Until the first order comes to an age at which it gives way; every live one fits by now."""
    sticky = {quote.slot for quote in targets.quotes if quote.sticky}
    rest_ns = _FOR_GOOD_NS
    for each in live:
        order = each.order
        if not order.is_resting or order.is_doubted or order.cancel_attempts:
            return 0
        if not targets.hold:
            young = each.age_ns < rules.refresh_ns and order.slot not in sticky
            due_ns = min(rules.refresh_ns, rules.max_age_ns) if young else rules.max_age_ns
            rest_ns = min(rest_ns, due_ns - each.age_ns)
    return max(0, rest_ns)


def _cancels(targets: TargetQuotes, live: Sequence[LiveOrder], rules: RefreshRules) -> list[Cancellation]:
    wanted = {quote.slot: quote for quote in targets.quotes}
    cancels: list[Cancellation] = []
    for each in live:
        # The oldest order of a slot is measured against the quote; a second one has no place.
        verdict = _verdict(each, wanted.pop(each.order.slot, None), rules, hold=targets.hold)
        if verdict is not None and _may_cancel(each, rules):
            cancels.append(verdict)
    if len(cancels) > 1:
        depth = _depths(each.order for each in cancels)
        cancels.sort(key=lambda each: (not each.urgent, depth[each.order.client_order_id]))
    return cancels


def _depths(orders: Iterable[Order]) -> dict[str, int]:
    """How many orders of its side stand nearer to the touch: those are hit first, so they go first."""
    nearest = sorted(orders, key=lambda order: -order.price_ticks * order.side.sign)
    counts = {Side.BUY: 0, Side.SELL: 0}
    depths: dict[str, int] = {}
    for order in nearest:
        depths[order.client_order_id] = counts[order.side]
        counts[order.side] += 1
    return depths


def _placements(
    targets: TargetQuotes, live: Sequence[LiveOrder], now_ns: int, allowance: Allowance
) -> tuple[list[Quote], list[tuple[str, str]]]:
    taken = {each.order.slot for each in live}
    if all(quote.slot in taken for quote in targets.quotes):
        return [], []
    bids = [each.order.price_ticks for each in live if each.order.side is Side.BUY]
    asks = [each.order.price_ticks for each in live if each.order.side is Side.SELL]
    standing = {Side.BUY: max(bids, default=None), Side.SELL: min(asks, default=None)}
    placements: list[Quote] = []
    waiting: list[tuple[str, str]] = []
    for quote in targets.quotes:
        if quote.slot in taken:
            continue
        sign = quote.side.sign
        opposite = standing[quote.side.opposite]
        if allowance.blocked_until_ns.get(quote.slot, now_ns) > now_ns:
            waiting.append((quote.slot, "rests after a refusal"))
        elif opposite is not None and (opposite - quote.price_ticks) * sign <= 0:
            waiting.append((quote.slot, "would trade with our own order"))
        elif len(placements) >= allowance.placements:
            waiting.append((quote.slot, "the rate budget is spent"))
        else:
            taken.add(quote.slot)
            placements.append(quote)
            own = standing[quote.side]
            if own is None or (quote.price_ticks - own) * sign > 0:
                standing[quote.side] = quote.price_ticks
    return placements, waiting


def _verdict(each: LiveOrder, quote: Quote | None, rules: RefreshRules, *, hold: bool) -> Cancellation | None:
    order = each.order
    if quote is None:
        return Cancellation(order, "not wanted", urgent=True)
    if quote.side is not order.side:
        return Cancellation(order, "the slot changed its side", urgent=True)
    if quote.worst_ticks is not None and (quote.worst_ticks - order.price_ticks) * order.side.sign < 0:
        return Cancellation(order, "its price is no longer acceptable", urgent=True)
    if hold or each.age_ns < (rules.max_age_ns if quote.sticky else min(rules.refresh_ns, rules.max_age_ns)):
        return None
    off_ticks = abs(quote.price_ticks - order.price_ticks)
    off_lots = abs(quote.size_lots - order.remaining_lots)
    reason = ""
    if each.age_ns >= rules.max_age_ns:
        reason = "it reached its greatest age"
    elif off_ticks > quote.price_ticks * rules.tolerance:
        reason = "the price moved"
    elif off_lots > quote.size_lots * rules.size_tolerance:
        reason = "the size changed"
    return Cancellation(order, reason) if reason else None


def _may_cancel(each: LiveOrder, rules: RefreshRules) -> bool:
    order = each.order
    # Before the venue has the order a cancel can overtake it; in doubt, a query answers first.
    if order.is_final or order.stage < OrderStage.ACKED or order.is_doubted:
        return False
    return not order.cancel_attempts or each.since_cancel_ns >= rules.cancel_cooldown_ns
