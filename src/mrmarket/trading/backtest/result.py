"""What a backtest found: exact totals, columns to draw, and every assumption behind them.

PnL is counted from the start of the window: cash flows plus the change of base at the final mid, less
fees; what was held at the start is not revalued. It splits without remainder:

    pnl = spread + inventory − fees + rebates

`spread` is what the fills were better than the mid of their moment, `inventory` what the mid did
afterwards to what they had changed.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

import msgspec

from mrmarket.core.instrument import Instrument
from mrmarket.trading.backtest.setting import BacktestSetting

REPORT_VERSION: Final = 1
ZERO: Final = Decimal(0)


class Assumption(msgspec.Struct, frozen=True, kw_only=True):
    """Something the model takes for true."""

    name: str
    value: str
    meaning: str
    """What follows from it, in one sentence."""


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """Why a run ended before its window did. What it had done until then is reported all the same."""

    code: str
    """Stable: `strategy_raised`, `strategy_hung`, or an error's own code."""
    message: str
    at_ns: int
    """Exchange time."""
    decision: int
    """How many decisions had been asked for, the fatal one included."""


class Totals(msgspec.Struct, frozen=True, kw_only=True):
    """What a pass adds up to. Quote and base amounts are exact decimals, ratios floats."""

    trades: int = 0
    """Fills; on several venues pairs of legs are counted by the strategy's own driver."""
    maker_fills: int = 0
    taker_fills: int = 0
    maker_volume_quote: Decimal = ZERO
    taker_volume_quote: Decimal = ZERO
    fees_quote: Decimal = ZERO
    """Paid, from 0 up; rebates are counted apart."""
    rebates_quote: Decimal = ZERO
    cash_quote: Decimal = ZERO
    """Sold less bought, before fees."""
    base_change: Decimal = ZERO
    """Bought less sold."""
    final_mid: Decimal = ZERO
    pnl_quote: Decimal = ZERO
    spread_quote: Decimal = ZERO
    inventory_quote: Decimal = ZERO
    max_drawdown_quote: Decimal = ZERO
    """Largest fall of the PnL from an earlier high, seen at fills and at the points of the curve."""
    mean_exposure_quote: float = 0.0
    """Time mean of |base − base at the start|, valued at the mid."""
    inventory_sd_quote: float = 0.0
    """Root of the summed squares of the inventory's gains from point to point of the curve."""
    pnl_per_exposure: float | None = None
    """PnL by unit of inventory risk: `pnl_quote / mean_exposure_quote`. The mean exposure is the measure
    because it depends on what the strategy held, not on what the price then happened to do; below zero
    more exposure looks better, so compare losses by `pnl_quote`. None without exposure."""
    orders_placed: int = 0
    orders_cancelled: int = 0
    orders_rejected: int = 0
    """By the exchange: a post-only order that would have taken."""
    lots_placed: int = 0
    lots_filled: int = 0
    fill_ratio: float | None = None
    """Lots filled by lots placed."""
    quote_uptime: float | None = None
    """Share of the window with orders standing on both sides."""


class MarkoutRow(msgspec.Struct, frozen=True, kw_only=True):
    """How far the mid moved against us after our fills; fractions of the price, positive is a loss."""

    horizon_ns: int
    fills: int
    mean: float
    error: float


class Decisions(msgspec.Struct, frozen=True, kw_only=True):
    """How the strategy was asked and what came of it."""

    decisions: int = 0
    by_book: int = 0
    """Caused by a change of the best prices."""
    by_order: int = 0
    """Caused by a fill, an acknowledgement or a refusal."""
    by_time: int = 0
    without_quotes: int = 0
    """Nothing was wanted."""
    held_back: dict[str, int] = {}
    """Orders the pre-trade check refused, by code."""
    reasons: dict[str, int] = {}
    """Why there were none or fewer quotes, the commonest first (at most 20)."""


class Curve(msgspec.Struct, frozen=True, kw_only=True):
    """The equity curve. Columns of one length; the first point is the start, the last the end."""

    at_ns: list[int] = []
    """Exchange time."""
    mid: list[float] = []
    base: list[float] = []
    """Change since the start."""
    pnl_quote: list[float] = []
    """The last one is the pass's PnL."""
    spread_quote: list[float] = []
    """Spread captured so far."""
    fees_quote: list[float] = []
    """Fees less rebates so far."""


class Fills(msgspec.Struct, frozen=True, kw_only=True):
    """Our trades in the order of the exchange. Columns of one length."""

    at_ns: list[int] = []
    """Exchange time."""
    venue: list[str] = []
    side: list[str] = []
    price: list[Decimal] = []
    size: list[Decimal] = []
    fee_quote: list[Decimal] = []
    """Negative is a rebate."""
    maker: list[bool] = []
    slot: list[str] = []
    order: list[int] = []
    """Number of the order within the pass."""
    mid: list[Decimal] = []
    """At the exchange, when it happened."""
    base_after: list[Decimal] = []
    """Change of base since the start, this fill included."""


class Pass(msgspec.Struct, frozen=True, kw_only=True):
    """One play of the window under one queue model."""

    queue: str
    """Label of the queue model, such as `risk_averse` or `power:2`; `bars` or `taker` where there is none."""
    totals: Totals
    decisions: Decisions = Decisions()
    markouts: list[MarkoutRow] = []
    curve: Curve = Curve()
    fills: Fills = Fills()


class BacktestResult(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a report says. `setting` is complete: it repeats the run."""

    setting: BacktestSetting
    digest: str
    """Of `setting`."""
    kind: str
    """`ticks`, `bars` or `venues`."""
    instrument: Instrument
    begin_ns: int
    """Of the window, exchange time."""
    end_ns: int
    rows: int
    """Changed levels and trades (or bars) that were played in each pass."""
    passes: list[Pass]
    """At least one; the first is the headline (pessimistic where the setting's order is the default's)."""
    assumptions: list[Assumption]
    failure: Failure | None = None
    made_by: str = ""
    """Version of Mr. Market."""
    report_version: int = REPORT_VERSION
    extra: dict[str, Any] = {}
    """Figures that only some drivers have, JSON values alone."""

    @property
    def totals(self) -> Totals:
        """Of the headline pass."""
        return self.passes[0].totals

    @property
    def model_risk_quote(self) -> Decimal | None:
        """PnL of the last pass less that of the first: how much hangs on the queue. None with one pass."""
        if len(self.passes) == 1:
            return None
        return self.passes[-1].totals.pnl_quote - self.totals.pnl_quote


def summary(result: BacktestResult) -> dict[str, Any]:
    """One flat JSON object: the headline's totals, the PnL of every pass, what it was run on."""
    found: dict[str, Any] = {
        "strategy": result.setting.strategy,
        "symbol": result.instrument.symbol,
        "kind": result.kind,
        "digest": result.digest,
        "snapshot": result.setting.snapshot,
        "begin_ns": result.begin_ns,
        "end_ns": result.end_ns,
        "rows": result.rows,
        "failed": result.failure is not None,
        "failure": result.failure,
        **msgspec.structs.asdict(result.totals),
        "queue": result.passes[0].queue,
        "passes": {
            each.queue: {
                "trades": each.totals.trades,
                "pnl_quote": each.totals.pnl_quote,
                "pnl_per_exposure": each.totals.pnl_per_exposure,
            }
            for each in result.passes
        },
        "model_risk_quote": result.model_risk_quote,
        **result.extra,
    }
    return found


def outcome_key(result: BacktestResult) -> tuple[Any, ...]:
    """What must be equal when a run is repeated: everything but where its tape lies and who ran it."""
    return (result.digest, result.begin_ns, result.end_ns, result.rows, result.passes, result.failure)
