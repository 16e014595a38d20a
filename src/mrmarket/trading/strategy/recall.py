"""Giving a run back what its earlier lives have left in the event log."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Final

from mrmarket.core.clock import Clock
from mrmarket.core.events import (
    Fact,
    Filled,
    OrderAccepted,
    OrderCancelled,
    OrderCreated,
    OrderRejected,
)
from mrmarket.core.instrument import Instrument
from mrmarket.trading.execution.assembly import Execution
from mrmarket.trading.execution.journal import OrderJournal
from mrmarket.trading.strategy.past import (
    History,
    KeepsFolds,
    Past,
    PastFold,
    TakesPast,
    equity_of,
    restore_totals,
    told_of,
)
from mrmarket.trading.strategy.port import Strategy
from mrmarket.trading.strategy.run_risk import RunRisk
from mrmarket.trading.strategy.totals import RunTotals

_OrderFact: Final = OrderCreated | OrderAccepted | OrderRejected | OrderCancelled


def recall(
    history: History | Iterable[Fact],
    stream: str,
    instrument: Instrument,
    journal: OrderJournal,
    execution: Execution,
    strategy: Strategy,
    totals: RunTotals,
    risk: RunRisk,
    wall: Clock,
) -> None:
    """Restore totals, strategy, risk and differences, and say from when on the venue is asked for fills.

    A fold in the history stands for everything before its facts. From now on each fact that the log takes is
    folded, and the fold kept now and then where the journal can.
    """
    kept = history if isinstance(history, History) else History(facts=list(history))
    past = kept.past if isinstance(strategy, TakesPast) else None
    if kept.past is not None and past is None:
        raise TypeError(f"{strategy.name} takes no fold of its past: read its log from the beginning")
    fold = PastFold(stream, instrument, wall, past)
    told: set[tuple[type[Fact], str]] = set()
    open_ids = {record.client_order_id for record in journal.open_intents(stream)}
    latest_ns = 0
    if past is not None:
        latest_ns = past.latest_ns
        told = {each for each in told_of(past) if each[1] in open_ids}
        _restore(past, execution, strategy, totals, risk)
    for fact in risk.recall(kept.facts, totals):
        if isinstance(fact, _OrderFact) and fact.client_order_id in open_ids:
            told.add((type(fact), fact.client_order_id))
        totals.replay(fact)
        fold.replay(fact)
        execution.differences.replay(fact)
        latest_ns = max(latest_ns, fact.at_ns)
        if isinstance(fact, Filled):
            execution.reconciler.know_trade(fact.trade_id)
            price = instrument.price_to_ticks(Decimal(fact.price))
            strategy.on_past_fill(fact.side, price, instrument.size_to_lots(Decimal(fact.size)))
    execution.desk.know_told(frozenset(told))
    if latest_ns:
        execution.reconciler.know_fills_until(latest_ns)
    if isinstance(journal, KeepsFolds) and isinstance(strategy, TakesPast):
        execution.facts.fold_into(fold, journal.save_fold)


def _restore(past: Past, execution: Execution, strategy: Strategy, totals: RunTotals, risk: RunRisk) -> None:
    restore_totals(totals, past)
    if isinstance(strategy, TakesPast):
        strategy.restore_past(past.last_fill_ticks, past.held_lots, past.held_cost_grains)
    for trade_id in past.trades:
        execution.reconciler.know_trade(trade_id)
    for difference in past.differences:
        execution.differences.replay(difference)
    for equity in equity_of(past):
        risk.recall_equity(equity.at_ns, Decimal(equity.quote))
