"""What the models take for true, in words; every report carries them."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from mrmarket.core.clock import NS_PER_MS
from mrmarket.core.decimals import format_decimal
from mrmarket.core.instrument import Instrument
from mrmarket.trading.backtest.result import Assumption
from mrmarket.trading.backtest.setting import (
    BacktestSetting,
    ConstantLatency,
    LatencyModel,
    QueueChoice,
    RecordedLatency,
)


def _ms(value_ns: int) -> str:
    return f"{value_ns / NS_PER_MS:g} ms"


def _assume(name: str, value: str, meaning: str) -> Assumption:
    return Assumption(name=name, value=value, meaning=meaning)


def of_ticks(setting: BacktestSetting, instrument: Instrument) -> list[Assumption]:
    """Of a run over a tick tape; `setting` is complete."""
    return [
        *_money(setting, instrument),
        *_latency(setting.latency),
        *(_queue(choice) for choice in setting.queue),
        _assume(
            "market impact",
            "none on others",
            "History goes on as it was recorded: nobody reacts to our orders, and what we take comes back"
            " when the level is next updated. The larger our orders against the book, the kinder this is.",
        ),
        _assume(
            "fills",
            "partial",
            "A print at our price fills us with what exceeds the queue in front of us; one through our price"
            " fills us wholly, as does a best price of the other side that crosses ours.",
        ),
        _assume(
            "book",
            "updates and trades",
            "Best bids and asks that a feed sends beside its updates are left out, as in a live run.",
        ),
        _assume(
            "decisions",
            f"at most every {_ms(setting.decide_every_ns)}, at least every {_ms(setting.tick_ns)}",
            "A change of the best prices or sizes of others is answered at once within these bounds;"
            " answers of the exchange always are. Deciding itself takes no time.",
        ),
        _assume(
            "checks",
            "pre-trade checks of a live run",
            "Price band, balances and minimum sizes hold orders back as live; breakers, rate limits and"
            " outages of the exchange are not modelled.",
        ),
        *_window(setting),
    ]


def of_bars(setting: BacktestSetting, instrument: Instrument) -> list[Assumption]:
    """Of a run over bars; `setting` is complete."""
    return [
        *_money(setting, instrument),
        _assume(
            "fills",
            "strictly through the price",
            "A resting order is filled, at its own price, only when the bar's range goes beyond it;"
            " a touch fills nobody. The queue at a price is thereby taken to be in front of us always.",
        ),
        _assume(
            "inside a bar",
            "the worst fills first",
            "Of the orders a bar reaches, those that lose most at its close come first and take the volume.",
        ),
        _assume(
            "volume",
            f"{format_decimal(setting.volume_share * 100)} % of each bar",
            "Our fills in one bar never add up to more than this share of what was traded in it.",
        ),
        _assume(
            "latency",
            "none; orders last from close to close",
            "Decided at a bar's close, in the market for the whole next bar: no cancel comes too late, and"
            " none can react inside the bar.",
        ),
        _assume(
            "spread",
            "one tick around the close",
            "Bars carry no book. The strategy sees bid and ask one tick below and above the close, with"
            " sizes of half the bar's volume each.",
        ),
        _assume(
            "missing bars",
            "no market",
            "An interval without a bar had no trade: nothing is decided and nothing is filled in it.",
        ),
        *_window(setting),
    ]


def _money(setting: BacktestSetting, instrument: Instrument) -> Iterator[Assumption]:
    maker, taker = setting.maker_fee or Decimal(0), setting.taker_fee or Decimal(0)
    yield _assume(
        "fees",
        f"maker {format_decimal(maker * 10_000)} bp, taker {format_decimal(taker * 10_000)} bp",
        f"Of the notional, in {instrument.quote}; negative is a rebate.",
    )
    yield _assume(
        "balances",
        f"{format_decimal(setting.base or Decimal(0))} {instrument.base},"
        f" {format_decimal(setting.quote or Decimal(0))} {instrument.quote}",
        "Held at the start; no transfers, no borrowing. What was held at the start is not revalued.",
    )
    yield _assume(
        "grid",
        f"ticks of {format_decimal(instrument.tick_size)}, lots of {format_decimal(instrument.lot_size)}",
        "From the tape's header, or from the numbers on it.",
    )


def _latency(model: LatencyModel) -> Iterator[Assumption]:
    yield _assume(
        "feed latency",
        _ms(model.feed_ns),
        "The strategy sees the market as it was so long ago; constant.",
    )
    if isinstance(model, ConstantLatency):
        value = f"{_ms(model.order_ns)} there, {_ms(model.response_ns)} back"
        meaning = "The same for every request."
    elif isinstance(model, RecordedLatency):
        value = f"interpolated between {len(model.samples)} recorded orders"
        meaning = "By the time of sending; the nearest sample holds before the first and after the last."
    else:
        value = f"{_ms(model.base_ns)} and a lognormal rest of median {_ms(model.median_ns)} each way"
        meaning = (
            f"The logarithm of the rest has a standard deviation of {model.sigma:g}; drawn with the seed"
        )
        meaning += ", not correlated with how busy the market is."
    yield _assume("order latency", value, meaning)


def _queue(choice: QueueChoice) -> Assumption:
    if choice.model == "risk_averse":
        meaning = "Only trades move us forward; cancellations at our price stood behind us: a lower bound."
    else:
        share = f"x^{choice.exponent:g}" if choice.model == "power" else "ln(1 + x)"
        meaning = (
            f"A cancellation stood behind us with probability f(behind) / (f(behind) + f(ahead)),"
            f" f(x) = {share}."
        )
        if choice.fitted:
            meaning += f" The exponent is {choice.fitted}."
        elif choice.model == "power":
            meaning += " No own fills stand behind the exponent; `backtest calibrate` fits it to them."
    return _assume(f"queue model {choice.label}", choice.label, meaning)


def _window(setting: BacktestSetting) -> Iterator[Assumption]:
    window = setting.window
    yield _assume(
        "window",
        f"{window.begin:g} to {window.end:g} of the tape's time"
        if window.begin_ns is None and window.end_ns is None
        else f"{window.begin_ns} to {window.end_ns} ns",
        "The market before it warms the estimators up and is not traded in; nothing after it is seen.",
    )
    yield _assume(
        "inventory risk",
        "time mean of |base − base at the start|, at the mid",
        "What `pnl_per_exposure` divides by: it depends on what was held, not on where the price then went.",
    )
