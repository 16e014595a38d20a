"""One pass over a tick tape: the live strategy, the live differ and estimators, the kernel as the exchange.

Three clocks run through it. The exchange is at `at`; the strategy sees the feed as it was `feed_ns` ago;
what it sends arrives `order_ns` later and is answered `response_ns` after that. The market is played
just far enough that nothing which is decided later could have arrived in what was played.
"""

from __future__ import annotations

import heapq
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from mrmarket.core.clock import NS_PER_MS
from mrmarket.core.side import Side
from mrmarket.trading.backtest.consultation import Cause, Consultation
from mrmarket.trading.backtest.deadline import Deadline
from mrmarket.trading.backtest.errors import StrategyFailedError, StrategyHungError
from mrmarket.trading.backtest.latency import Delays
from mrmarket.trading.backtest.orders import OwnOrders, TapeTime
from mrmarket.trading.backtest.recording import MOVED, Recording
from mrmarket.trading.backtest.result import Decisions, Failure
from mrmarket.trading.backtest.signals import Signals
from mrmarket.trading.backtest.tally import BILLION, Counts, Trade, fee_motes
from mrmarket.trading.execution.differ import Allowance, plan
from mrmarket.trading.execution.order import Order
from mrmarket.trading.execution.risk.pretrade import MarketTop, PreTradeCheck, RiskLimits
from mrmarket.trading.market.estimators.markout import MarkoutTracker
from mrmarket.trading.strategy.port import MarketView, Strategy
from mrmarket.trading.venue.port import OrderKind
from mrmarket.trading.venue.simulated import session
from mrmarket.trading.venue.simulated.book_arrays import QueueModel, new_market
from mrmarket.trading.venue.simulated.compiled import Kernel
from mrmarket.trading.venue.simulated.kernel import FOK, IOC, LIMIT, MARKET, POST_ONLY
from mrmarket.trading.venue.simulated.session import CANCEL, PLACE, new_reports, new_requests

KINDS: Final = {
    OrderKind.LIMIT: LIMIT,
    OrderKind.POST_ONLY: POST_ONLY,
    OrderKind.IOC: IOC,
    OrderKind.FOK: FOK,
    OrderKind.MARKET: MARKET,
}
_NEVER_NS: Final = 2**62
LEAST_TICK_NS: Final = 50 * NS_PER_MS
"""How often a live run looks whether time alone has made something due."""
_PROGRESS_STEPS: Final = 100
_REQUESTS: Final = 1_024


@dataclass(frozen=True, slots=True, kw_only=True)
class TickPlan:
    """What one pass needs to know beside the tape."""

    begin_ns: int
    end_ns: int
    base: Decimal
    quote: Decimal
    maker_fee: Decimal
    taker_fee: Decimal
    feed_ns: int
    decide_every_ns: int
    tick_ns: int
    decision_limit_s: float
    queue: QueueModel
    exponent_milli: int


@dataclass(frozen=True, slots=True)
class TickOutcome:
    """What one pass left."""

    trades: list[Trade]
    counts: Counts
    decisions: Decisions
    failure: Failure | None


class TickDriver:
    """Plays one window once."""

    def __init__(
        self,
        recording: Recording,
        signals: Signals,
        strategy: Strategy,
        kernel: Kernel,
        delays: Delays,
        tick_plan: TickPlan,
        progress: Callable[[float], None] | None = None,
    ) -> None:
        """`recording.instrument` carries the fees that the strategy sees."""
        self._recording = recording
        self._feed = recording.feed
        self._signals = signals
        self._strategy = strategy
        self._kernel = kernel
        self._delays = delays
        self._plan = tick_plan
        self._progress = progress
        self._instrument = recording.instrument
        self._clock = TapeTime(recording.first_ns)
        self._own = OwnOrders(self._instrument, self._clock, strategy.order_kind, self._instrument.quote)
        self._own.fund(tick_plan.base, tick_plan.quote)
        self._rules = strategy.rules
        self._check = PreTradeCheck(self._instrument, RiskLimits())
        self._markouts = MarkoutTracker()
        self._market = new_market(
            kernel.column, model=tick_plan.queue, exponent_milli=tick_plan.exponent_milli
        )
        self._requests = new_requests(kernel.column, _REQUESTS)
        self._reports = new_reports(self._market, kernel.column)
        # The kernel stops once half of the buffer is full. Counting from there it stops at the first answer,
        # before anything happens that what the strategy makes of it could still change.
        self._first_report = len(self._reports.kind) // 2
        sole = kernel.column.sole
        self._played_on = sole(self._market), sole(self._requests), sole(self._reports)
        markets, requests, reports = self._played_on
        self._play = kernel.direct("play_stretch", markets, recording.rows, 0, 0, requests, reports, 0)
        # Looked up once: behind these names are records, which take microseconds to find a column.
        self._reported = self._reports.rows
        self._reported[0] = self._first_report
        self._span, self._dues = self._requests.span, self._requests.due_ns
        self._row_times = recording.rows.at_ns
        self._row = 0
        self._is_out = False
        """Whether an order or a request is or may be at the exchange; else it need not be played."""
        self._answers: list[tuple[int, int, int, int, Trade | None]] = []
        self._answered = 0
        self._trades: list[Trade] = []
        self._point = -1
        self._touch = 0
        self._stale = 0

    def run(self) -> TickOutcome:
        """Play the window; a strategy that raises or hangs ends it early and is reported as a failure."""
        failure: Failure | None = None
        with Deadline(self._plan.decision_limit_s) as deadline:
            self._consultation = asked = Consultation(self._strategy, deadline)
            try:
                self._play_window()
            except (StrategyHungError, StrategyFailedError) as error:
                failure = asked.failure(error, self._clock.at_ns)
        self._own.look()
        tried = self._own.tried
        return TickOutcome(
            self._trades,
            Counts(tried.placed, tried.cancelled, tried.rejected, tried.lots_placed, self._own.uptime.share),
            asked.decisions(self._check.counts),
            failure,
        )

    def _play_window(self) -> None:
        todo, feed_ns = self._plan, self._plan.feed_ns
        at_ns, touches = self._feed.at_ns, self._recording.touches
        count = len(touches)
        self._clock.at_ns = todo.begin_ns
        self._own.look()
        self._see(todo.begin_ns - feed_ns)
        rest_until_ns = 0
        tick_at_ns = todo.begin_ns
        step_ns = max(1, (todo.end_ns - todo.begin_ns) // _PROGRESS_STEPS)
        tell_at_ns = todo.begin_ns if self._progress else _NEVER_NS
        while True:
            book_ns = _NEVER_NS
            if self._touch < count:
                book_ns = max(at_ns[touches[self._touch]] + feed_ns, rest_until_ns)
            now_ns = min(book_ns, tick_at_ns)
            if self._answers and self._answers[0][0] <= now_ns:
                now_ns = self._answers[0][0]
            if now_ns >= todo.end_ns:
                if not self._played(todo.end_ns - 1):
                    break
                continue
            if self._played(now_ns):
                continue  # an answer has come up, and may be heard before
            self._clock.at_ns = now_ns
            by_book = self._see(now_ns - feed_ns)
            by_order = self._hear(now_ns)
            if by_book or by_order or now_ns >= tick_at_ns:
                cause = Cause.ORDER if by_order else Cause.BOOK if by_book else Cause.TIME
                tick_at_ns = now_ns + min(todo.tick_ns, max(self._decide(cause), LEAST_TICK_NS))
                if by_book:
                    rest_until_ns = now_ns + todo.decide_every_ns
            if now_ns >= tell_at_ns and self._progress is not None:
                self._progress((now_ns - todo.begin_ns) / (todo.end_ns - todo.begin_ns))
                tell_at_ns = now_ns + step_ns
        self._clock.at_ns = todo.end_ns

    # The exchange.

    def _played(self, until_ns: int) -> bool:
        """Play history up to and including a moment, or to the first answer; say whether there was one."""
        if not self._is_out:
            return False
        stop = bisect_right(self._row_times, until_ns, self._row)
        if stop > self._row:
            self._play_to(stop)
        reported = self._reported
        if reported[0] == self._first_report and self._row == stop:
            span = self._span
            if span[0] < span[1] and self._dues[span[0]] <= until_ns:
                self._kernel.arrive(self._market, self._requests, self._reports, until_ns, 0)
        if reported[0] == self._first_report:
            return False
        self._collect()
        return True

    def _play_to(self, stop: int) -> None:
        markets, requests, reports = self._played_on
        self._row = self._play(markets, self._recording.rows, self._row, stop, requests, reports, 0)

    def _catch_up(self, now_ns: int) -> None:
        """Play what was left out while nothing of ours was at the exchange; nobody can be filled by it."""
        stop = bisect_right(self._row_times, now_ns, self._row)
        if stop > self._row:
            self._play_to(stop)

    def _collect(self) -> None:
        reports = self._reports
        times, kinds, numbers = reports.at_ns, reports.kind, reports.order_id
        for row in range(self._first_report, int(self._reported[0])):
            at_ns, kind, number = int(times[row]), int(kinds[row]), int(numbers[row])
            trade = None
            if kind == session.TRADED:
                trade = self._trade(row, at_ns, number)
                self._trades.append(trade)
            seen_ns = at_ns + self._delays.response_ns(at_ns)
            self._answered += 1
            heapq.heappush(self._answers, (seen_ns, self._answered, kind, number, trade))
        self._reported[0] = self._first_report

    def _trade(self, row: int, at_ns: int, number: int) -> Trade:
        reports = self._reports
        order = self._own.table.find(str(number))
        assert order is not None  # noqa: S101 - the exchange names orders that we placed
        price, lots = int(reports.price_ticks[row]), int(reports.lots[row])
        maker = bool(reports.maker[row])
        rate = self._plan.maker_fee if maker else self._plan.taker_fee
        return Trade(
            at_ns,
            order.side.sign,
            price,
            lots,
            maker,
            order.slot,
            number,
            self._recording.mids.before(at_ns),
            fee_motes(price, lots, rate),
        )

    def _send(self, action: int, order: Order, lots: int) -> None:
        now_ns = self._clock.at_ns
        if not self._is_out:
            self._catch_up(now_ns)
        sent = self._kernel.schedule(
            self._requests,
            now_ns + self._delays.order_ns(now_ns),
            action,
            KINDS[order.kind],
            order.side is Side.BUY,
            order.price_ticks,
            lots,
            int(order.client_order_id),
        )
        assert sent  # noqa: S101 - 1,024 requests on the way are more than any allowance
        self._is_out = True

    # The strategy's side.

    def _see(self, until_ns: int) -> bool:
        """Take the feed in up to a moment of the exchange; say whether the touch changed."""
        feed, point, last = self._feed, self._point, len(self._feed) - 1
        origin_ns = self._recording.first_ns
        while point < last and feed.at_ns[point + 1] <= until_ns:
            point += 1
            if feed.kind[point] == MOVED and feed.bid[point] and feed.ask[point]:
                heard_ns = feed.at_ns[point] + self._plan.feed_ns - origin_ns
                self._markouts.observe(heard_ns, feed.bid[point] + feed.ask[point])
        self._point = point
        touches, before = self._recording.touches, self._touch
        while self._touch < len(touches) and touches[self._touch] <= point:
            self._touch += 1
        return self._touch != before

    def _hear(self, now_ns: int) -> bool:
        """Take in the answers that have come; say whether there were any."""
        heard = False
        while self._answers and self._answers[0][0] <= now_ns:
            _, number, kind, order, trade = heapq.heappop(self._answers)
            heard = True
            if trade is not None:
                self._on_fill(trade, number)
            elif kind == session.ACCEPTED:
                self._own.accepted(order)
            elif kind == session.REJECTED:
                self._own.rejected(order)
            elif kind == session.CANCELLED:
                self._own.cancelled(order)
            elif kind == session.ENDED:
                self._own.ended(order)
        if heard:
            self._own.look()
            self._is_out = bool(self._own.table.open())
        return heard

    def _on_fill(self, trade: Trade, number: int) -> None:
        feed, point = self._feed, self._point
        seen = feed.bid[point] + feed.ask[point] if feed.bid[point] and feed.ask[point] else None
        fee = trade.fee_motes * self._instrument.grain / (2 * BILLION)
        own = self._own.filled(trade, number, fee, seen)
        now_ns = self._clock.monotonic_ns()
        self._markouts.on_fill(now_ns, own.fill.side, seen)
        self._consultation.on_fill(own, now_ns, self._own.table.open())

    def _decide(self, cause: Cause) -> int:
        """Ask and send; returns for how long time alone makes nothing due."""
        view = self._view()
        targets = self._consultation.quotes(view, cause)
        top = None if isinstance(view, str) else MarketTop(view.bid[0], view.ask[0])
        live = self._own.table.live()
        if not live and not targets.quotes:
            return _NEVER_NS
        allowance = Allowance(blocked_until_ns=self._own.blocked_until_ns)
        todo = plan(targets, live, self._rules, self._clock.at_ns, allowance)
        for each in todo.cancels:
            self._own.cancel(each.order)
            self._send(CANCEL, each.order, 0)
        if todo.placements and top is not None:
            holdings = self._own.account.holdings([each.order for each in live])
            for quote in todo.placements:
                if self._check.refusal(quote, self._strategy.order_kind, top, holdings) is None:
                    self._send(PLACE, self._own.place(quote), quote.size_lots)
        return todo.rests_ns

    def _view(self) -> MarketView | str:
        """What the strategy sees, or why it sees nothing."""
        feed, point = self._feed, self._point
        if point < 0 or not feed.bid[point] or not feed.ask[point]:
            return "nobody quotes both sides"
        stale, heard_ns = self._recording.stale, self._clock.at_ns - self._plan.feed_ns
        while self._stale < len(stale) and stale[self._stale][1] <= heard_ns:
            self._stale += 1
        if self._stale < len(stale) and stale[self._stale][0] <= heard_ns:
            return "the book is stale"
        signals, account = self._signals, self._own.account
        return MarketView(
            self._instrument,
            self._clock.monotonic_ns(),
            (feed.bid[point], feed.bid_lots[point]),
            (feed.ask[point], feed.ask_lots[point]),
            account.base_total,
            account.quote_total,
            feed.trade_ticks[point] or None,
            _known(signals.sigma[point]),
            self._markouts.markout,
            signals.intensity[point] if signals.intensity else None,
            _known(signals.micro[point]),
            _known(signals.flow[point]),
            signals.imbalance[point],
        )


def _known(value: float) -> float | None:
    return None if value != value else value  # noqa: PLR0124 - NaN alone is not itself
