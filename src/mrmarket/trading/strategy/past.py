"""What a run's event log adds up to, kept now and then, so that a start reads only what came after.

A fold is a help and never the truth: one that the log does not confirm by its hash is thrown away, and the
log is read from its beginning.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final, Protocol, runtime_checkable

import msgspec

from mrmarket.core.clock import NS_PER_S, Clock
from mrmarket.core.decimals import format_decimal
from mrmarket.core.events import (
    DifferenceClosed,
    DifferenceFound,
    Fact,
    Filled,
    MarkObserved,
    OrderAccepted,
    OrderCancelled,
    OrderCreated,
    OrderRejected,
    RiskChanged,
)
from mrmarket.core.instrument import Instrument
from mrmarket.store.event_log import LoggedFact
from mrmarket.store.run_fold import RunFold
from mrmarket.trading.execution.risk.state import REARMED, Cause
from mrmarket.trading.strategy.state import PureMarketMakingState
from mrmarket.trading.strategy.totals import RunTotals

_FORMAT: Final = 1
_PAGE: Final = 5_000
_KEEP_EVERY: Final = 1_000
"""Facts between two folds that are kept."""
_TRADES_KEPT: Final = 5_000
_ENDED_KEPT: Final = 500
_EQUITY_EVERY_NS: Final = 60 * NS_PER_S
_EQUITY_KEPT: Final = 24 * 60
_TOLD: Final[dict[type[Fact], str]] = {
    OrderCreated: "created",
    OrderAccepted: "accepted",
    OrderRejected: "rejected",
    OrderCancelled: "cancelled",
}
_KINDS: Final = {word: kind for kind, word in _TOLD.items()}


class Equity(msgspec.Struct, frozen=True, array_like=True):
    """What trading was worth at a time."""

    at_ns: int
    quote: str


class _Told(msgspec.Struct, array_like=True):
    """What the log says of an order, and how much of it is open."""

    kinds: list[str]
    open: str


class Past(msgspec.Struct, frozen=True, kw_only=True):
    """A fold as it is kept."""

    format: int
    symbol: str
    facts: int
    """How many facts are in it: the number of the last one."""
    latest_ns: int
    orders_placed: int
    orders_cancelled: int
    fills: int
    maker_fills: int
    base_lots: int
    cash_grains: int
    volume_grains: int
    fees: dict[str, str]
    last_fill_ticks: int | None
    held_lots: int
    held_cost_grains: int
    trades: list[str]
    told: dict[str, _Told]
    differences: list[DifferenceFound]
    equity: list[Equity]
    highest: Equity | None


@dataclass(frozen=True, slots=True)
class History:
    """What a run's log holds: a fold, and the facts after it, oldest first."""

    past: Past | None = None
    facts: list[Fact] = field(default_factory=list)


class Reads(Protocol):
    """The part of a trading log that a start reads."""

    def load_fold(self, stream: str) -> RunFold | None:
        """The fold that was kept last."""
        ...

    def read_facts(self, stream: str, after_seq: int, limit: int) -> list[LoggedFact]:
        """Facts after a sequence number, in order."""
        ...


@runtime_checkable
class KeepsFolds(Protocol):
    """A journal that can keep a fold."""

    def save_fold(self, fold: RunFold) -> None:
        """Keep it in the place of the one before."""
        ...


@runtime_checkable
class TakesPast(Protocol):
    """A strategy that can be told at once what its past fills add up to."""

    def restore_past(self, last_fill_ticks: int | None, held_lots: int, held_cost_grains: int) -> None:
        """Last price, and what is bought and not sold with what it cost (ticks times lots)."""
        ...


def read_history(log: Reads, stream: str, *, with_fold: bool = True) -> History:
    """Everything a run must know of its stream; synchronous, a page at a time.

    `with_fold=False` reads the whole log, for a strategy that is no `TakesPast`.
    """
    after, past = 0, None
    kept = log.load_fold(stream) if with_fold else None
    if kept is not None:
        row = next(iter(log.read_facts(stream, kept.seq - 1, 1)), None)
        if row is not None and (row.seq, row.hash) == (kept.seq, kept.hash):
            past = _decode(kept.fold)
            after = kept.seq if past is not None else 0
    return History(past, list(_facts(log, stream, after)))


class PastFold:
    """Folds each fact as the log takes it, and says when the fold is to be kept."""

    def __init__(self, stream: str, instrument: Instrument, clock: Clock, past: Past | None = None) -> None:
        """`past` is where the fold goes on from."""
        self._stream = stream
        self._instrument = instrument
        self._clock = clock
        self._totals = RunTotals(instrument)
        self._memory = PureMarketMakingState()
        self._latest_ns = 0
        self._trades: deque[str] = deque(maxlen=_TRADES_KEPT)
        self._told: dict[str, _Told] = {}
        self._ended: OrderedDict[str, None] = OrderedDict()
        self._differences: dict[tuple[str, str], DifferenceFound] = {}
        self._equity: deque[Equity] = deque(maxlen=_EQUITY_KEPT)
        self._highest: Equity | None = None
        self._facts = 0
        self._whole = True
        self._unkept = 0
        self._row: LoggedFact | None = None
        if past is not None:
            self._restore(past)

    def replay(self, fact: Fact) -> None:
        """Fold one fact."""
        self._facts += 1
        self._latest_ns = max(self._latest_ns, fact.at_ns)
        self._totals.replay(fact)
        if isinstance(fact, Filled):
            self._trades.append(fact.trade_id)
            instrument = self._instrument
            self._memory = self._memory.with_fill(
                fact.side,
                instrument.price_to_ticks(Decimal(fact.price)),
                instrument.size_to_lots(Decimal(fact.size)),
                completed=False,
            )
            self._less_open(fact)
        elif isinstance(fact, MarkObserved):
            self._value(fact)
        elif isinstance(fact, RiskChanged):
            if fact.detail == REARMED and fact.cause in (Cause.DRAWDOWN, Cause.LOSS_24H):
                # What was lost until then has been dealt with.
                self._equity.clear()
                self._highest = None
        elif isinstance(fact, DifferenceFound):
            self._differences[fact.kind, fact.subject] = fact
        elif isinstance(fact, DifferenceClosed):
            self._differences.pop((fact.kind, fact.subject), None)
        elif isinstance(fact, OrderCreated | OrderAccepted | OrderRejected | OrderCancelled):
            self._tell(fact)

    def take(self, row: LoggedFact) -> None:
        """Fold one row that the log has just taken; after a gap the fold is no fold of the log any more."""
        self._whole = self._whole and row.seq == self._facts + 1
        self.replay(row.fact)
        self._row = row
        self._unkept += 1

    def due(self, *, now: bool = False) -> RunFold | None:
        """The fold that is to be kept, if there is enough new in it, or anything at all with `now`."""
        row = self._row
        if row is None or not self._whole or self._unkept < (1 if now else _KEEP_EVERY):
            return None
        self._unkept = 0
        return RunFold(
            stream=self._stream,
            seq=row.seq,
            hash=row.hash,
            at_ns=self._clock.now_ns(),
            fold=msgspec.json.encode(self.past()),
        )

    def past(self) -> Past:
        """The fold as it is kept."""
        totals, memory = self._totals, self._memory
        return Past(
            format=_FORMAT,
            symbol=self._instrument.symbol,
            facts=self._facts,
            latest_ns=self._latest_ns,
            orders_placed=totals.orders_placed,
            orders_cancelled=totals.orders_cancelled,
            fills=totals.fills,
            maker_fills=totals.maker_fills,
            base_lots=totals.base_lots,
            cash_grains=totals.cash_grains,
            volume_grains=totals.volume_grains,
            fees={asset: format_decimal(fee) for asset, fee in totals.fees.items()},
            last_fill_ticks=memory.last_fill_ticks,
            held_lots=memory.held_lots,
            held_cost_grains=memory.held_cost_grains,
            trades=list(self._trades),
            told=dict(self._told),
            differences=list(self._differences.values()),
            equity=list(self._equity),
            highest=self._highest,
        )

    def _restore(self, past: Past) -> None:
        restore_totals(self._totals, past)
        self._memory = PureMarketMakingState(
            last_fill_ticks=past.last_fill_ticks,
            held_lots=past.held_lots,
            held_cost_grains=past.held_cost_grains,
        )
        self._facts = past.facts
        self._latest_ns = past.latest_ns
        self._trades.extend(past.trades)
        self._told = {key: _Told(list(told.kinds), told.open) for key, told in past.told.items()}
        self._ended.update(dict.fromkeys(key for key, told in past.told.items() if not told.open))
        self._differences = {(each.kind, each.subject): each for each in past.differences}
        self._equity.extend(past.equity)
        self._highest = past.highest

    def _tell(self, fact: OrderCreated | OrderAccepted | OrderRejected | OrderCancelled) -> None:
        key = fact.client_order_id
        told = self._told.setdefault(key, _Told([], "?"))
        word = _TOLD[type(fact)]
        if word not in told.kinds:
            told.kinds.append(word)
        if isinstance(fact, OrderCreated):
            told.open = fact.size
        elif isinstance(fact, OrderRejected | OrderCancelled):
            self._end(key, told)

    def _less_open(self, fact: Filled) -> None:
        told = self._told.get(fact.client_order_id)
        if told is None or told.open in ("", "?"):
            return
        left = Decimal(told.open) - Decimal(fact.size)
        told.open = format_decimal(left)
        if left <= 0:
            self._end(fact.client_order_id, told)

    def _end(self, key: str, told: _Told) -> None:
        """What is closed is remembered for a while: the journal may not know yet."""
        told.open = ""
        self._ended[key] = None
        while len(self._ended) > _ENDED_KEPT:
            oldest, _ = self._ended.popitem(last=False)
            self._told.pop(oldest, None)

    def _value(self, mark: MarkObserved) -> None:
        if not self._totals.fills:
            return
        mid = (Decimal(mark.bid) + Decimal(mark.ask)) / 2
        worth = self._totals.pnl_quote(mid)
        equity = Equity(mark.at_ns, format_decimal(worth))
        if self._highest is None or worth > Decimal(self._highest.quote):
            self._highest = equity
        if not self._equity or mark.at_ns - self._equity[-1].at_ns >= _EQUITY_EVERY_NS:
            self._equity.append(equity)


def restore_totals(totals: RunTotals, past: Past) -> None:
    """Take the sums over from a fold."""
    totals.orders_placed = past.orders_placed
    totals.orders_cancelled = past.orders_cancelled
    totals.fills = past.fills
    totals.maker_fills = past.maker_fills
    totals.base_lots = past.base_lots
    totals.cash_grains = past.cash_grains
    totals.volume_grains = past.volume_grains
    totals.fees = {asset: Decimal(fee) for asset, fee in past.fees.items()}


def told_of(past: Past) -> Iterator[tuple[type[Fact], str]]:
    """(kind, client order id) of what the log says of orders that may be open."""
    for key, told in past.told.items():
        yield from ((_KINDS[word], key) for word in told.kinds)


def equity_of(past: Past) -> list[Equity]:
    """What trading was worth, oldest first, with its highest."""
    known = [*past.equity, *([past.highest] if past.highest else [])]
    return sorted(known, key=lambda each: each.at_ns)


def _decode(blob: bytes) -> Past | None:
    try:
        past = msgspec.json.decode(blob, type=Past)
    except msgspec.MsgspecError:
        return None
    return past if past.format == _FORMAT else None


def _facts(log: Reads, stream: str, after: int) -> Iterator[Fact]:
    while rows := log.read_facts(stream, after, _PAGE):
        yield from (row.fact for row in rows)
        after = rows[-1].seq
