"""Small tapes whose figures can be worked out by hand, random ones, and an obedient strategy."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from mrmarket.core.instrument import Instrument
from mrmarket.core.side import Side
from mrmarket.trading.backtest.setting import (
    RISK_AVERSE,
    BacktestSetting,
    ConstantLatency,
    TapeRef,
)
from mrmarket.trading.execution.desk import OwnFill
from mrmarket.trading.execution.differ import RefreshRules
from mrmarket.trading.execution.order import Order
from mrmarket.trading.execution.targets import Quote, TargetQuotes
from mrmarket.trading.market.event import EventKind, Level, MarketEvent
from mrmarket.trading.market.tape import TapeWriter
from mrmarket.trading.strategy.catalogue import BUILT_IN
from mrmarket.trading.strategy.estimates import Estimate
from mrmarket.trading.strategy.kind import StrategyKind
from mrmarket.trading.strategy.port import MarketView
from mrmarket.trading.strategy.registry import Registry
from mrmarket.trading.strategy.schema import StrategySchema
from mrmarket.trading.venue.port import OrderKind

MS = 1_000_000
BEGIN_NS = 1_700_000_000_000_000_000
GENERATED = Path(__file__).parent / "tapes" / "generated.tape.gz"
PAIR = Instrument(
    venue="simulated",
    symbol="BTC/USDT",
    base="BTC",
    quote="USDT",
    tick_size=Decimal("0.1"),
    lot_size=Decimal("0.001"),
    min_notional=Decimal("0.2"),
    maker_fee=Decimal("0.001"),
    taker_fee=Decimal("0.002"),
)
INSTANT = ConstantLatency(feed_ns=0, order_ns=0, response_ns=0)


def book(
    at_ms: float, bids: Sequence[Level] = (), asks: Sequence[Level] = (), *, whole: bool = False
) -> MarketEvent:
    """A snapshot or an update, so many milliseconds after the tape's begin."""
    at_ns = BEGIN_NS + round(at_ms * MS)
    kind = EventKind.SNAPSHOT if whole else EventKind.DEPTH
    return MarketEvent(kind=kind, exchange_ns=at_ns, local_ns=at_ns, bids=list(bids), asks=list(asks))


def trade(at_ms: float, price_ticks: int, lots: int, *, taker_buys: bool) -> MarketEvent:
    """One print."""
    at_ns = BEGIN_NS + round(at_ms * MS)
    return MarketEvent(
        kind=EventKind.TRADE,
        exchange_ns=at_ns,
        local_ns=at_ns,
        price_ticks=price_ticks,
        size_lots=lots,
        taker_buys=taker_buys,
    )


def write_tape(path: Path, events: Iterable[MarketEvent], instrument: Instrument = PAIR) -> Path:
    """A tape of ours."""
    with TapeWriter(path, instrument) as tape:
        for event in events:
            tape.write(event)
    return path


def wandering(seed: int, steps: int = 400) -> list[MarketEvent]:
    """A book of three levels a side that wanders by single ticks, with prints at its touch and through it."""
    rng = random.Random(seed)  # noqa: S311 - a made-up market
    mid, at_ms = 1_000, 0.0

    def sides() -> tuple[list[Level], list[Level]]:
        bids = [(mid - step, rng.randint(5, 60)) for step in (1, 2, 3)]
        asks = [(mid + step, rng.randint(5, 60)) for step in (1, 2, 3)]
        return bids, asks

    bids, asks = sides()
    events = [book(0, bids, asks, whole=True), trade(1, mid + 1, 1, taker_buys=True)]
    for _ in range(steps):
        at_ms += rng.choice((3.0, 20.0, 70.0)) + 2.0
        if rng.random() < 0.4:
            buys = rng.random() < 0.5
            reach = rng.choice((1, 1, 1, 2))
            price = mid + reach if buys else mid - reach
            events.append(trade(at_ms, price, rng.randint(1, 80), taker_buys=buys))
            continue
        before = {price: 0 for price, _ in bids}, {price: 0 for price, _ in asks}
        mid += rng.choice((-1, 0, 0, 1))
        bids, asks = sides()
        events.append(
            book(at_ms, [*{**before[0], **dict(bids)}.items()], [*{**before[1], **dict(asks)}.items()])
        )
    return events


class StillParameters(StrategySchema, frozen=True, kw_only=True, tag="still"):
    """Where it stands and what it does wrong."""

    bid_ticks: int = 999
    """0 is no bid."""
    ask_ticks: int = 1_001
    lots: int = 10
    layers: int = 1
    gap_ticks: int = 1
    """Between two layers."""
    refresh_s: float = 3_600.0
    order_kind: str = "post_only"
    raises_at: int = 0
    """The decision that raises; 0 is none."""
    raises_on_fill: bool = False
    hangs_at: int = 0
    hangs_s: float = 0.0
    wants: tuple[str, ...] = ()
    """Estimates."""


class Still:
    """Keeps a bid and an ask where they are, once; a filled one is not renewed."""

    name = "still"
    inventory_target = Decimal("0.5")

    def __init__(self, parameters: StillParameters) -> None:
        self.parameters = parameters
        self.symbol = parameters.pair
        self.rules = RefreshRules(refresh_ns=round(parameters.refresh_s * 1e9))
        self.order_kind = OrderKind(parameters.order_kind)
        self.estimates = frozenset(Estimate(word) for word in parameters.wants)
        self.views: list[MarketView] = []
        self.fills: list[OwnFill] = []
        self.done: set[str] = set()

    def quotes(self, view: MarketView) -> TargetQuotes:
        """What should stand now."""
        self.views.append(view)
        told = self.parameters
        if len(self.views) == told.raises_at:
            raise ValueError("the moon is full")
        if len(self.views) == told.hangs_at:
            end = time.monotonic() + told.hangs_s
            while time.monotonic() < end:
                pass
        wanted = []
        for letter, side, first in (("b", Side.BUY, told.bid_ticks), ("a", Side.SELL, told.ask_ticks)):
            for layer in range(told.layers):
                slot = f"{letter}{layer + 1}"
                if first and slot not in self.done:
                    ticks = first - side.sign * layer * told.gap_ticks
                    wanted.append(Quote(slot, side, ticks, told.lots))
        return TargetQuotes(tuple(wanted), reason="" if wanted else "all is done")

    def on_fill(self, own: OwnFill, now_ns: int, live: Sequence[Order]) -> None:
        """Remember it."""
        self.fills.append(own)
        if own.closes_order:
            self.done.add(own.slot)
        if self.parameters.raises_on_fill:
            raise KeyError("no such thing")

    def on_past_fill(self, side: Side, price_ticks: int, size_lots: int) -> None:
        """It has no past."""


def registry(make: Callable[[Any], Any] = Still) -> Registry:
    """Ours, and `still`, made by this factory."""
    still = StrategyKind(
        name="still", version="1", summary="Stands still.", schema=StillParameters, make=make
    )
    return Registry((*BUILT_IN, still), lambda: ())


def setting(path: Path, strategy: str = "still", **more: Any) -> BacktestSetting:
    """A setting without latency and with one queue model, unless said otherwise."""
    plain = BacktestSetting(
        tapes=(TapeRef(path=str(path)),),
        strategy=strategy,
        latency=INSTANT,
        queue=(RISK_AVERSE,),
        decide_every_ns=0,
        base=Decimal(10),
        quote=Decimal(10_000),
    )
    return msgspec.structs.replace(plain, **more)
