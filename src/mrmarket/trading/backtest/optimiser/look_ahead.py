"""Does a strategy know what is still to come? It is run again without a future, and with another one.

The tape is copied up to a cut, and once more with a mirrored market after the cut. Whatever was decided
before the cut must be the same each time: only what came later was changed.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from mrmarket.core.instrument import Instrument
from mrmarket.trading.backtest.optimiser.errors import LookAheadError
from mrmarket.trading.backtest.runner import run_backtest
from mrmarket.trading.backtest.setting import BacktestSetting, TapeRef, Window
from mrmarket.trading.execution.targets import TargetQuotes
from mrmarket.trading.market.book import OrderBook
from mrmarket.trading.market.event import EventKind, Level, MarketEvent
from mrmarket.trading.market.tape import Tape, TapeWriter, open_tape
from mrmarket.trading.strategy.port import MarketView, Strategy
from mrmarket.trading.strategy.registry import Listed, Registry
from mrmarket.trading.strategy.schema import StrategyParameters

CUT_SHARE: Final = 0.5
"""Of the window's time."""

Decision = tuple[int, tuple[tuple[str, str, int, int], ...]]
"""(time of the strategy's clock, (slot, side, ticks, lots) of each quote)."""


@dataclass(frozen=True, slots=True)
class LookAheadCheck:
    """A check that was passed."""

    cut_ns: int
    """Exchange time of the cut."""
    decisions: int
    """Decisions before it that were compared, each with and without its future."""


class _Heard:
    """A strategy whose decisions are written down; in everything else it is that strategy."""

    def __init__(self, strategy: Strategy, decisions: list[Decision]) -> None:
        self._strategy = strategy
        self._decisions = decisions

    def quotes(self, view: MarketView) -> TargetQuotes:
        targets = self._strategy.quotes(view)
        quotes = ((q.slot, q.side.value, q.price_ticks, q.size_lots) for q in targets.quotes)
        self._decisions.append((view.now_ns, tuple(quotes)))
        return targets

    def __getattr__(self, name: str) -> Any:
        return getattr(self._strategy, name)


class _Listening(Registry):
    """Finds what another registry finds; what it makes is heard."""

    def __init__(self, inner: Registry) -> None:
        super().__init__()
        self._inner = inner
        self.decisions: list[Decision] = []

    def find(self, name: str) -> Listed:
        return self._inner.find(name)

    def make(self, parameters: StrategyParameters) -> Strategy:
        heard: Any = _Heard(self._inner.make(parameters), self.decisions)
        made: Strategy = heard
        return made


def check_look_ahead(
    setting: BacktestSetting, *, registry: Registry | None = None, cut_share: float = CUT_SHARE
) -> LookAheadCheck:
    """Run a setting on three copies of its tape and compare what was decided before the cut.

    A parameter that is the tape's path becomes the copy's: a strategy that reads the recording itself is
    found out as well.

    Raises:
        LookAheadError: a decision before the cut depends on what comes after it.
        TapeError, BacktestError: as `run_backtest`.
    """
    registry = registry or Registry()
    tape = open_tape(Path(setting.tapes[0].path))
    times = [event.exchange_ns for event in tape.events()]
    begin_ns, end_ns = setting.window.bounds_ns(times[0], times[-1])
    cut_ns = begin_ns + round((end_ns - begin_ns) * cut_share)
    # The clock of a run begins with its tape. No decision after the last event that is kept is compared.
    limit_ns = max((at_ns for at_ns in times if at_ns < cut_ns), default=times[0]) - times[0]
    window = Window(begin_ns=begin_ns, end_ns=end_ns)
    with tempfile.TemporaryDirectory(prefix="mrmarket-look-ahead-") as folder:

        def decided(name: str, events: Iterator[MarketEvent]) -> list[Decision]:
            copy = Path(folder, f"{name}.tape")
            _write(copy, tape.instrument, events)
            listening = _Listening(registry)
            run_backtest(_on(setting, copy, window), registry=listening)
            return [decision for decision in listening.decisions if decision[0] < limit_ns]

        whole = decided("whole", tape.events())
        for name, events in (
            ("removed", (event for event in tape.events() if event.exchange_ns < cut_ns)),
            ("altered", mirrored(tape, cut_ns)),
        ):
            _compare(name, whole, decided(name, events))
    return LookAheadCheck(cut_ns, len(whole))


def mirrored(tape: Tape, cut_ns: int) -> Iterator[MarketEvent]:
    """The tape up to the cut, and from there on a market that falls where the other one rises."""
    book = OrderBook(tape.instrument)
    around = 0
    for event in tape.events():
        if event.exchange_ns >= cut_ns:
            if not around:
                bid, ask = book.best_bid, book.best_ask
                around = bid[0] + ask[0] if bid and ask else 0
                if around:
                    yield _snapshot(book, event, around)
            if around:
                yield _mirror(event, around)
            continue
        if event.kind in {EventKind.SNAPSHOT, EventKind.DEPTH}:
            book.apply(event)
        yield event


def _snapshot(book: OrderBook, at: MarketEvent, around: int) -> MarketEvent:
    depth = 10_000
    return MarketEvent(
        kind=EventKind.SNAPSHOT,
        exchange_ns=at.exchange_ns,
        local_ns=at.local_ns,
        bids=_reflected(book.asks(depth), around),
        asks=_reflected(book.bids(depth), around),
    )


def _mirror(event: MarketEvent, around: int) -> MarketEvent:
    return msgspec.structs.replace(
        event,
        bids=_reflected(event.asks, around),
        asks=_reflected(event.bids, around),
        price_ticks=max(1, around - event.price_ticks) if event.kind is EventKind.TRADE else 0,
        taker_buys=event.kind is EventKind.TRADE and not event.taker_buys,
    )


def _reflected(levels: list[Level], around: int) -> list[Level]:
    return [(around - price, lots) for price, lots in levels if price < around]


def _write(path: Path, instrument: Instrument, events: Iterator[MarketEvent]) -> None:
    with TapeWriter(path, instrument) as writer:
        for event in events:
            # Checked for holes when it was read; the mirrored market has numbers of its own.
            writer.write(msgspec.structs.replace(event, first_id=0, last_id=0, prev_id=0))


def _on(setting: BacktestSetting, copy: Path, window: Window) -> BacktestSetting:
    original = setting.tapes[0].path
    parameters = {
        name: str(copy) if value == original else value for name, value in setting.parameters.items()
    }
    return msgspec.structs.replace(
        setting,
        tapes=(TapeRef(path=str(copy)),),
        parameters=parameters,
        snapshot="",
        queue=setting.queue[:1],
        window=window,
    )


def _compare(what: str, whole: list[Decision], other: list[Decision]) -> None:
    for known, found in zip(whole, other, strict=False):
        if known != found:
            raise LookAheadError(what, min(known[0], found[0]), _said(known), _said(found))
    if len(whole) != len(other):
        longer = max(whole, other, key=len)[min(len(whole), len(other))]
        here, there = (_said(longer), "nothing") if len(whole) > len(other) else ("nothing", _said(longer))
        raise LookAheadError(what, longer[0], here, there)


def _said(decision: Decision) -> str:
    quotes = ", ".join(f"{slot} {side} {lots} at {ticks}" for slot, side, ticks, lots in decision[1])
    return quotes or "no quotes"
