"""The trading side of a process whose engines are elsewhere, with a screen that follows its own feed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

from mrmarket.core.clock import SystemClock
from mrmarket.services.candles import CandleStore
from mrmarket.services.engine.remote_side import RemoteSide
from mrmarket.services.trading_place import TradingPlace
from mrmarket.services.watch import RunWatch
from mrmarket.store.operations import OperationsStore
from mrmarket.trading.market.event import EventKind, MarketEvent


def remote_trading(
    node: str,
    operations: OperationsStore,
    place: TradingPlace,
    stream: str,
    watch: RunWatch,
    candles: CandleStore,
    follow: Callable[[], AsyncIterator[MarketEvent]] | None = None,
) -> RemoteSide:
    """The main run as its engine reports it, over a market that is watched here.

    Args:
        node: this process's name.
        operations: where engines report and are asked.
        place: the open public venue.
        stream: id of the main run.
        watch: told what has changed.
        candles: takes the trades.
        follow: the main pair's feed where others follow it, too; None: it is followed here alone.
    """

    def on_market(event: MarketEvent) -> None:
        if event.kind is EventKind.TRADE:
            candles.add(event)
        watch.on_market(event)

    return RemoteSide(
        node,
        operations,
        place.venue,
        place.symbol,
        stream,
        SystemClock(),
        on_market=on_market,
        on_report=watch.on_report,
        follow=follow,
    )
