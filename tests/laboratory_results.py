"""Backtest results to draw and compare, made up: a random walk and fills around it."""

from __future__ import annotations

import math
import random
from decimal import Decimal
from typing import Any

from mrmarket.core.instrument import Instrument
from mrmarket.trading.backtest.result import (
    Assumption,
    BacktestResult,
    Curve,
    Decisions,
    Failure,
    Fills,
    MarkoutRow,
    Pass,
    Totals,
)
from mrmarket.trading.backtest.setting import BOTH, BacktestSetting, QueueChoice, TapeRef

BTC = Instrument(
    venue="paper",
    symbol="BTC/USDT",
    base="BTC",
    quote="USDT",
    tick_size=Decimal("0.01"),
    lot_size=Decimal("0.00001"),
)
BEGIN_NS = 1_723_100_000_000_000_000
_MS = 1_000_000


def made_up_pass(queue: str, seed: int, *, points: int = 300, fills: int = 80) -> Pass:
    """A pass whose totals agree with its columns."""
    rng = random.Random(seed)  # noqa: S311 - made up, and the same each time
    at_ns = [BEGIN_NS + second * 1_000 * _MS for second in range(points)]
    mids = [60_000.0]
    for _ in range(points - 1):
        mids.append(round(mids[-1] * math.exp(rng.gauss(0, 3e-5)), 2))
    when = sorted(rng.sample(range(1, points - 1), fills))
    base = cash = spread = fees = 0.0
    columns: dict[str, list[Any]] = {name: [] for name in Fills.__struct_fields__}
    curve: dict[str, list[Any]] = {name: [] for name in Curve.__struct_fields__}
    waiting = list(when)
    for index, (at, mid) in enumerate(zip(at_ns, mids, strict=True)):
        if waiting and waiting[0] == index:
            waiting.pop(0)
            sign = 1 if rng.random() < 0.5 + 0.1 * (base < 0) - 0.1 * (base > 0) else -1
            price = round(mid * (1 - sign * abs(rng.gauss(1e-4, 5e-5))), 2)
            base, cash = base + sign * 0.01, cash - sign * 0.01 * price
            fee = 0.01 * price * 2e-5
            spread, fees = spread + sign * (mid - price) * 0.01, fees + fee
            row = {
                "at_ns": at,
                "venue": "paper",
                "side": "buy" if sign > 0 else "sell",
                "price": Decimal(str(price)),
                "size": Decimal("0.01"),
                "fee_quote": Decimal(str(round(fee, 8))),
                "maker": True,
                "slot": "b1" if sign > 0 else "s1",
                "order": index,
                "mid": Decimal(str(mid)),
                "base_after": Decimal(str(round(base, 8))),
            }
            for name, value in row.items():
                columns[name].append(value)
        pnl = cash + base * mid - fees
        point = (at, mid, round(base, 8), pnl, spread, fees)
        for name, value in zip(curve, point, strict=True):
            curve[name].append(value)
    pnl = curve["pnl_quote"][-1]
    exposure = sum(abs(held) * mid for held, mid in zip(curve["base"], mids, strict=True)) / points
    volume = sum(price * Decimal("0.01") for price in columns["price"])
    peak, drawdown = 0.0, 0.0
    for value in curve["pnl_quote"]:
        peak = max(peak, value)
        drawdown = max(drawdown, peak - value)
    totals = Totals(
        trades=fills,
        maker_fills=fills,
        maker_volume_quote=Decimal(volume),
        fees_quote=Decimal(str(round(fees, 8))),
        final_mid=Decimal(str(mids[-1])),
        base_change=Decimal(str(round(base, 8))),
        pnl_quote=Decimal(str(round(pnl, 8))),
        spread_quote=Decimal(str(round(spread, 8))),
        inventory_quote=Decimal(str(round(pnl - spread + fees, 8))),
        max_drawdown_quote=Decimal(str(round(drawdown, 8))),
        mean_exposure_quote=exposure,
        inventory_sd_quote=12.5,
        pnl_per_exposure=pnl / exposure if exposure else None,
        orders_placed=1_200,
        orders_cancelled=1_100,
        orders_rejected=3,
        lots_placed=1_200_000,
        lots_filled=fills * 1_000,
        fill_ratio=fills / 1_200,
        quote_uptime=0.934,
    )
    horizons = (100, 500, 1_000, 5_000, 15_000, 60_000)
    markouts = [
        MarkoutRow(horizon_ns=each * _MS, fills=fills, mean=2e-5 * math.log10(each), error=1.2e-5)
        for each in horizons
    ]
    return Pass(
        queue=queue,
        totals=totals,
        decisions=Decisions(
            decisions=2_000,
            by_book=1_400,
            by_order=100,
            by_time=500,
            without_quotes=40,
            held_back={"price_band": 2},
            reasons={"warming up: the volatility is not known yet": 40},
        ),
        markouts=markouts,
        curve=Curve(**curve),
        fills=Fills(**columns),
    )


def made_up_result(
    seed: int = 1,
    *,
    strategy: str = "glft",
    parameters: dict[str, Any] | None = None,
    queue: tuple[QueueChoice, ...] = BOTH,
    failure: Failure | None = None,
    fills: int = 80,
) -> BacktestResult:
    """A result of one pass for each queue model."""
    setting = BacktestSetting(
        tapes=(TapeRef(path="/tapes/usdm_btcusdt.gz", sha256="ab" * 32),),
        strategy=strategy,
        parameters={"order_amount": "0.01", "max_inventory": 10.0, **(parameters or {})},
        snapshot="cd" * 32,
        queue=queue,
        base=Decimal(10),
        quote=Decimal(600_000),
        seed=seed,
    )
    passes = [
        made_up_pass(each.label, seed, fills=fills - 20 * bool(number) if fills else 0)
        for number, each in enumerate(queue)
    ]
    return BacktestResult(
        setting=setting,
        digest=setting.digest,
        kind="ticks",
        instrument=BTC,
        begin_ns=passes[0].curve.at_ns[0],
        end_ns=passes[0].curve.at_ns[-1],
        rows=123_456,
        passes=passes,
        assumptions=[
            Assumption(
                name="order latency",
                value="5 ms",
                meaning="Every request reaches the exchange after the same time.",
            ),
            Assumption(
                name="queue", value="risk_averse", meaning="Only trades move an order forward in its queue."
            ),
            Assumption(name="own impact", value="none", meaning="History goes on as if we had not traded."),
        ],
        failure=failure,
        made_by="0.1.0",
    )
