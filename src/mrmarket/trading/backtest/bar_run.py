"""A strategy that trades live, on bars: asked at each close, its orders in the market for the next bar."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Final

from mrmarket import __version__
from mrmarket.core.side import Side
from mrmarket.trading.backtest import assumptions
from mrmarket.trading.backtest.bar_driver import (
    LIMIT,
    POST_ONLY,
    REFUSED,
    TAKE,
    BarFill,
    BarMarket,
    play_bars,
)
from mrmarket.trading.backtest.bar_file import Bars, load_bars
from mrmarket.trading.backtest.completion import balances, completed, parameters_of, with_fees
from mrmarket.trading.backtest.consultation import Cause, Consultation
from mrmarket.trading.backtest.deadline import Deadline
from mrmarket.trading.backtest.errors import EmptyWindowError, StrategyFailedError, StrategyHungError
from mrmarket.trading.backtest.orders import OwnOrders, TapeTime
from mrmarket.trading.backtest.recording import Mids
from mrmarket.trading.backtest.result import BacktestResult, Failure, Pass
from mrmarket.trading.backtest.setting import BacktestSetting, TapeRef
from mrmarket.trading.backtest.tally import BILLION, Counts, Tally, Trade, fee_motes, samples_at
from mrmarket.trading.execution.differ import Allowance, Plan, plan
from mrmarket.trading.execution.risk.pretrade import MarketTop, PreTradeCheck, RiskLimits
from mrmarket.trading.execution.targets import TargetQuotes
from mrmarket.trading.market.estimators.markout import MarkoutTracker
from mrmarket.trading.market.estimators.volatility import VolatilityEstimator
from mrmarket.trading.strategy.port import MarketView, Strategy
from mrmarket.trading.strategy.registry import Registry
from mrmarket.trading.venue.port import OrderKind

KINDS: Final = {
    OrderKind.POST_ONLY: POST_ONLY,
    OrderKind.LIMIT: LIMIT,
    OrderKind.IOC: TAKE,
    OrderKind.FOK: TAKE,
    OrderKind.MARKET: TAKE,
}
_HALF_LIFE_BARS: Final = 60
_MARKOUT_BARS: Final = (1, 5, 20)
_PROGRESS_STEPS: Final = 100
_ANY_PRICE: Final = 2**40


def run_bars(
    setting: BacktestSetting, registry: Registry, tell: Callable[[float, str], None]
) -> BacktestResult:
    """Run one setting over a file of bars.

    Raises:
        BacktestError, TapeNotFoundError: the file cannot be used, as they say.
        ParameterRefusedError, ParametersRefusedError: a parameter is out of its range, or unknown.
    """
    tell(0.0, "reading the bars")
    wanted = str(setting.parameters.get("pair", setting.symbol))
    bars = load_bars(setting.tapes[0], wanted)
    instrument = with_fees(bars.instrument, setting)
    parameters, snapshot = parameters_of(setting, registry, [instrument.symbol])
    first_ns, last_ns = bars.close_ns[0] - bars.interval_ns, bars.close_ns[-1]
    begin_ns, end_ns = setting.window.bounds_ns(first_ns, last_ns)
    begin_ns, end_ns = max(begin_ns, first_ns), min(end_ns, last_ns + 1)
    begin, end = bisect_left(bars.close_ns, begin_ns), bisect_left(bars.close_ns, end_ns)
    if end - begin < 2:  # noqa: PLR2004 - decided at one close, filled in the next bar
        raise EmptyWindowError(bars.path, "fewer than two bars")
    mids = Mids()
    for at_ns, close in zip(bars.close_ns, bars.close, strict=True):
        mids.add(at_ns, 2 * close)
    held = balances(setting, bars.close[begin] * instrument.tick_size)
    ref = TapeRef(path=setting.tapes[0].path, sha256=bars.sha256)
    fees = (instrument.maker_fee, instrument.taker_fee)
    full = completed(setting, ref, parameters, snapshot, fees, held)
    run = _BarRun(bars, mids, registry.make(parameters), full, (begin, end))
    failure = run.play(lambda share: tell(share, "playing the bars"))
    tally = Tally(instrument, mids, begin_ns, end_ns)
    points = tally.points(run.trades, samples_at(bars.close_ns, begin_ns, end_ns))
    tell(1.0, "done")
    return BacktestResult(
        setting=full,
        digest=full.digest,
        kind="bars",
        instrument=instrument,
        begin_ns=begin_ns,
        end_ns=end_ns,
        rows=end - begin,
        passes=[
            Pass(
                queue="bars",
                totals=tally.totals(run.trades, points, run.counts),
                decisions=run.decisions,
                markouts=tally.markouts(run.trades, [each * bars.interval_ns for each in _MARKOUT_BARS]),
                curve=tally.curve(points),
                fills=tally.fills(run.trades),
            )
        ],
        assumptions=assumptions.of_bars(full, instrument),
        failure=failure,
        made_by=__version__,
    )


class _BarRun:
    def __init__(
        self,
        bars: Bars,
        mids: Mids,
        strategy: Strategy,
        full: BacktestSetting,
        window: tuple[int, int],
    ) -> None:
        self.trades: list[Trade] = []
        self._bars = bars
        self._mids = mids
        self._strategy = strategy
        self._setting = full
        self._instrument = with_fees(bars.instrument, full)
        self._begin, self._end = window
        self._clock = TapeTime(bars.close_ns[0])
        self._own = OwnOrders(self._instrument, self._clock, strategy.order_kind, self._instrument.quote)
        self._own.fund(full.base or Decimal(0), full.quote or Decimal(0))
        self._rules = strategy.rules
        self._check = PreTradeCheck(self._instrument, RiskLimits())
        # Closes are the only prices known, so a change is one from close to close.
        self._volatility = VolatilityEstimator(
            sample_ns=bars.interval_ns, half_life_ns=_HALF_LIFE_BARS * bars.interval_ns, offsets=1
        )
        self._markouts = MarkoutTracker(horizon_ns=bars.interval_ns)
        self._fees = (full.maker_fee or Decimal(0), full.taker_fee or Decimal(0))

    def play(self, progress: Callable[[float], None]) -> Failure | None:
        for bar in range(self._begin):
            self._hear(bar)
        failure: Failure | None = None
        with Deadline(self._setting.decision_limit_s) as deadline:
            self._consultation = Consultation(self._strategy, deadline)
            step = max(1, (self._end - self._begin) // _PROGRESS_STEPS)

            def on_bar(market: BarMarket, fills: Sequence[BarFill]) -> None:
                if (market.bar - self._begin) % step == 0:
                    progress((market.bar - self._begin) / (self._end - self._begin))
                self._on_bar(market, fills)

            try:
                play_bars(
                    self._bars,
                    on_bar,
                    begin=self._begin,
                    end=self._end,
                    volume_share=self._setting.volume_share,
                )
            except (StrategyHungError, StrategyFailedError) as error:
                failure = self._consultation.failure(error, self._clock.at_ns)
        self._own.look()
        tried = self._own.tried
        self.counts = Counts(
            tried.placed, tried.cancelled, tried.rejected, tried.lots_placed, self._own.uptime.share
        )
        self.decisions = self._consultation.decisions(self._check.counts)
        return failure

    def _hear(self, bar: int) -> None:
        self._clock.at_ns = self._bars.close_ns[bar]
        now_ns, double = self._clock.monotonic_ns(), 2 * self._bars.close[bar]
        self._volatility.observe(now_ns, double)
        self._markouts.observe(now_ns, double)

    def _on_bar(self, market: BarMarket, fills: Sequence[BarFill]) -> None:
        self._hear(market.bar)
        for fill in fills:
            if fill.lots:
                self._on_fill(fill)
            elif fill.end == REFUSED:
                self._own.rejected(fill.order)
            else:
                self._own.ended(fill.order)
        self._decide(market)
        self._own.look()

    def _on_fill(self, fill: BarFill) -> None:
        at_ns = self._clock.at_ns
        order = self._own.table.find(str(fill.order))
        assert order is not None  # noqa: S101 - the market names orders that we placed
        rate = self._fees[0] if fill.maker else self._fees[1]
        trade = Trade(
            at_ns,
            fill.sign,
            fill.price_ticks,
            fill.lots,
            fill.maker,
            order.slot,
            fill.order,
            self._mids.before(at_ns),
            fee_motes(fill.price_ticks, fill.lots, rate),
        )
        self.trades.append(trade)
        double = 2 * self._bars.close[fill.bar]
        fee = trade.fee_motes * self._instrument.grain / (2 * BILLION)
        own = self._own.filled(trade, len(self.trades), fee, double)
        now_ns = self._clock.monotonic_ns()
        self._markouts.on_fill(now_ns, own.fill.side, double)
        self._consultation.on_fill(own, now_ns, self._own.table.open())

    def _decide(self, market: BarMarket) -> None:
        view = self._view(market.bar)
        targets = self._consultation.quotes(view, Cause.BOOK)
        top = MarketTop(view.bid[0], view.ask[0])
        # What is cancelled is gone at once, so what takes its place can be placed at the same close.
        todo = self._planned(targets)
        for each in todo.cancels:
            number = int(each.order.client_order_id)
            self._own.cancel(each.order)
            market.cancel(number)
            self._own.cancelled(number)
        if todo.cancels:
            todo = self._planned(targets)
        if not todo.placements:
            return
        kind = self._strategy.order_kind
        holdings = self._own.account.holdings(self._own.table.open())
        for quote in todo.placements:
            if self._check.refusal(quote, kind, top, holdings) is not None:
                continue
            order = self._own.place(quote)
            sign = quote.side.sign
            price = quote.price_ticks if kind is not OrderKind.MARKET else _any_price(quote.side)
            number = market.place(sign, price, quote.size_lots, KINDS[kind])
            assert number == int(order.client_order_id)  # noqa: S101 - both count from 1, one by one
            self._own.accepted(number)

    def _planned(self, targets: TargetQuotes) -> Plan:
        allowance = Allowance(blocked_until_ns=self._own.blocked_until_ns)
        return plan(targets, self._own.table.live(), self._rules, self._clock.at_ns, allowance)

    def _view(self, bar: int) -> MarketView:
        close, half = self._bars.close[bar], max(1, self._bars.volume[bar] // 2)
        account = self._own.account
        return MarketView(
            self._instrument,
            self._clock.monotonic_ns(),
            (close - 1, half),
            (close + 1, half),
            account.base_total,
            account.quote_total,
            close,
            self._volatility.sigma,
            self._markouts.markout,
        )


def _any_price(side: Side) -> int:
    return _ANY_PRICE if side is Side.BUY else 1
