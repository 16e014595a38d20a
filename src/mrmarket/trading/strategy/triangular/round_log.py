"""What event log and journal say of a run's rounds: enough to go on with the last one after a crash."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction

from mrmarket.core.events import Fact, Filled, OrderCreated, RiskChanged
from mrmarket.core.instrument import Instrument
from mrmarket.core.side import Side
from mrmarket.store.order_journal import OrderRecord
from mrmarket.trading.execution.order_id import parse_order_id
from mrmarket.trading.execution.risk.pretrade import MarketTop
from mrmarket.trading.execution.risk.state import Cause
from mrmarket.trading.strategy.multileg.amounts import Amounts, added, changes_of
from mrmarket.trading.strategy.triangular.round_plan import (
    RoundPart,
    RoundPlan,
    RoundStep,
    parse_round_slot,
    step_of,
)


@dataclass(slots=True)
class LastRound:
    """The newest round that anything is known of."""

    number: int = 0
    changed: dict[str, Fraction] = field(default_factory=dict)
    """What its fills add up to, fees included."""
    first: tuple[str, Side] | None = None
    """Pair and side of its first order; None where nothing of that is known, and then it held nothing."""
    tried: dict[RoundPart, int] = field(default_factory=dict)
    """Attempts that were made."""
    halted: bool = False
    """The owner was told what it holds, and has it in hand."""


class RoundLog:
    """A fold over facts and open intents, in any order: only the round with the highest number is kept."""

    def __init__(self) -> None:
        self.last = LastRound()
        self.changed: dict[str, Fraction] = {}
        """What all rounds have changed since the run's first start."""

    def take(self, fact: Fact) -> None:
        """One fact of the run's stream."""
        if isinstance(fact, Filled):
            changes = changes_of_fact(fact)
            self.changed = added(self.changed, changes)
            self.fill(fact.client_order_id, fact.symbol, fact.side, changes)
        elif isinstance(fact, OrderCreated):
            self._order(fact.client_order_id, fact.symbol, fact.side)
        elif isinstance(fact, RiskChanged) and fact.cause == Cause.PARTIAL_LEG:
            self.last.halted |= fact.detail.startswith(f"round {self.last.number}:")

    def fill(self, client_order_id: str, symbol: str, side: Side, changes: Amounts) -> None:
        """One trade and what it changed."""
        found = self._order(client_order_id, symbol, side)
        if found is not None:
            found.changed = added(found.changed, changes)

    def intents(self, records: Iterable[OrderRecord]) -> None:
        """Orders that the journal holds as open; the log may not have them yet."""
        for record in records:
            self._order(record.client_order_id, record.symbol, record.side)

    def _order(self, client_order_id: str, symbol: str, side: Side) -> LastRound | None:
        parsed = parse_order_id(client_order_id)
        place = None if parsed is None else parse_round_slot(parsed.slot)
        if parsed is None or place is None or parsed.sequence < self.last.number:
            return None
        if parsed.sequence > self.last.number:
            self.last = LastRound(number=parsed.sequence)
        part, attempt = place
        if part is RoundPart.FIRST:
            self.last.first = symbol, side
        self.last.tried[part] = max(self.last.tried.get(part, 0), attempt + 1)
        return self.last


def changes_of_fact(fact: Filled) -> dict[str, Fraction]:
    """What a trade in the log changed."""
    size, fee = Decimal(fact.size), Decimal(fact.fee)
    notional = Decimal(fact.quote_size) if fact.quote_size else Decimal(fact.price) * size
    grid = _Pair(fact.base, fact.quote)
    return changes_of(grid, fact.side, notional, size, fee, fact.fee_asset)


@dataclass(frozen=True, slots=True)
class _Pair:
    base: str
    quote: str


def plan_home(
    last: LastRound, instruments: Mapping[str, Instrument], tops: Mapping[str, MarketTop]
) -> RoundPlan | None:
    """A plan by which an interrupted round's holdings go home near the prices of now.

    None where its pairs are not traded here any more.
    """
    if last.first is None or last.first[0] not in instruments:
        return None
    symbol, side = last.first
    one = _step(instruments[symbol], side, tops, back=True)
    home = one.spends
    between = {each for each, amount in last.changed.items() if amount and each not in (home, one.receives)}
    for third in instruments.values():
        if home not in (third.base, third.quote) or third.symbol == symbol:
            continue
        spends = third.base if third.quote == home else third.quote
        if between and spends not in between:
            continue
        last_side = Side.SELL if third.base == spends else Side.BUY
        for second in instruments.values():
            if {second.base, second.quote} == {one.receives, spends}:
                way = Side.BUY if second.base == spends else Side.SELL
                steps = (one, _step(second, way, tops), _step(third, last_side, tops))
                return RoundPlan(home, steps, 1)
    return None


def _step(
    instrument: Instrument, side: Side, tops: Mapping[str, MarketTop], *, back: bool = False
) -> RoundStep:
    """At the best opposite price of the direction in which it will be traded."""
    top = tops.get(instrument.symbol)
    trades = side.opposite if back else side
    price = 1 if top is None else top.ask_ticks if trades is Side.BUY else top.bid_ticks
    return step_of(instrument, side, price)
