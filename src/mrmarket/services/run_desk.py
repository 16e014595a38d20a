"""One run for the screen: out of this process, or out of the report of the engine that holds it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final, Protocol

import msgspec

from mrmarket.core.clock import NS_PER_MS, Clock
from mrmarket.core.decimals import format_decimal
from mrmarket.core.side import Side
from mrmarket.services import views
from mrmarket.services.api import schema
from mrmarket.trading.strategy.observer import RunState
from mrmarket.trading.strategy.run import StrategyRun

LEVELS: Final = 15
_REPORTED_ORDERS: Final = 200


class RunLook(msgspec.Struct, frozen=True, kw_only=True):
    """How a run is doing."""

    state: RunState
    reason: str
    book_age_ms: int | None = None
    user_stream_connected: bool = False
    open_orders: int = 0
    asked: str = ""
    """What campaigns ask of its quotes; empty where they ask nothing."""


class RunCard(msgspec.Struct, frozen=True, kw_only=True):
    """All that the screen shows of a run: the view of its report."""

    look: RunLook
    market: schema.MarketView
    quotes: schema.QuotesView
    orders: list[schema.OrderView]
    performance: schema.PerformanceView


class RunDesk(Protocol):
    """One run, wherever it is. Nothing here waits."""

    def look(self) -> RunLook:
        """How it is doing."""
        ...

    def market(self, levels: int) -> schema.MarketView:
        """Book, last price and instrument."""
        ...

    def quotes(self) -> schema.QuotesView:
        """What the strategy wants, and why."""
        ...

    def orders(self) -> list[schema.OrderView]:
        """Open orders, newest first."""
        ...

    def performance(self) -> schema.PerformanceView:
        """What trading has done."""
        ...


class LocalDesk:
    """A run of this process; another incarnation takes its place when the run was claimed again."""

    def __init__(self, run: StrategyRun, wall: Clock) -> None:
        self.run = run
        self._wall = wall

    def look(self) -> RunLook:
        """How it is doing."""
        run = self.run
        age_ns = run.watch.tracker.age_ns
        return RunLook(
            state=run.state,
            reason=run.state_reason or run.pulled or ("" if run.live_orders else run.targets.reason),
            book_age_ms=None if age_ns is None else age_ns // NS_PER_MS,
            user_stream_connected=run.user_stream_connected,
            open_orders=len(run.live_orders),
            asked=run.risk.mandate.now.reason,
        )

    def market(self, levels: int = LEVELS) -> schema.MarketView:
        """Book, last price and instrument."""
        run = self.run
        tracker, instrument, own = run.watch.tracker, run.instrument, run.live_orders
        book, last, mid = tracker.book, tracker.last_trade, run.mid
        return schema.MarketView(
            instrument=views.instrument_view(instrument),
            book=schema.BookView(
                bids=views.book_levels(instrument, book.bids(levels), own, Side.BUY),
                asks=views.book_levels(instrument, book.asks(levels), own, Side.SELL),
                at_ms=(self._wall.now_ns() - (tracker.age_ns or 0)) // NS_PER_MS,
                stale=tracker.stale is not None,
            ),
            last_price=None if last is None else instrument.price_text(last.price_ticks),
            mid=None if mid is None else format_decimal(mid),
            spread_bps=views.spread_bps(tracker.best_bid, tracker.best_ask),
        )

    def quotes(self) -> schema.QuotesView:
        """What the strategy wants, and why."""
        run = self.run
        why_not = "" if run.state is RunState.RUNNING else f"{run.state.value}: {run.state_reason}"
        return views.quotes_view(
            run.strategy.name,
            run.instrument,
            run.targets,
            run.live_orders,
            why_not or run.pulled,
            self._wall.now_ns(),
        )

    def orders(self) -> list[schema.OrderView]:
        """Open orders, newest first."""
        run = self.run
        return [views.order_view(run.instrument, order) for order in reversed(run.live_orders)]

    def performance(self) -> schema.PerformanceView:
        """What trading has done."""
        run, totals = self.run, self.run.totals
        mid = run.mid or Decimal(0)
        p50, p99 = run.latency_us
        view = run.watch.view(run.account)
        share = view.base_share if view is not None else None
        return schema.PerformanceView(
            orders_placed=totals.orders_placed,
            orders_cancelled=totals.orders_cancelled,
            fills=totals.fills,
            maker_fills=totals.maker_fills,
            volume_quote=format_decimal(totals.volume_quote),
            fees_quote=format_decimal(totals.fees_quote(mid)),
            inventory_base=format_decimal(totals.inventory_base),
            inventory_share=None if share is None else float(share),
            inventory_target=float(run.strategy.inventory_target),
            pnl_quote=format_decimal(totals.pnl_quote(mid)),
            spread_captured_bps=totals.spread_captured_bps,
            spread_captured_histogram=list(totals.captured_bins),
            quote_uptime=run.uptime.share,
            quote_latency_us_p50=p50,
            quote_latency_us_p99=p99,
        )


def report_view(run: StrategyRun, wall: Clock) -> dict[str, Any]:
    """The view of a run's report."""
    desk = LocalDesk(run, wall)
    card = RunCard(
        look=desk.look(),
        market=desk.market(LEVELS),
        quotes=desk.quotes(),
        orders=desk.orders()[:_REPORTED_ORDERS],
        performance=desk.performance(),
    )
    view: dict[str, Any] = msgspec.to_builtins(card)
    return view
