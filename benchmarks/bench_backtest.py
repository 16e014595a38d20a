"""Strategies over the five-minute tape in the lean loop and on bars, beside the peers on the same feed.

    .venv/bin/python benchmarks/bench_backtest.py [--json] [--runs N] [--tape FILE]

W1 keeps an order one tick behind each best price and moves it with them; W2 cancels and sends both
at every event. 5 ms each way, post-only, power queue model. As with the peers, reading the tape and
laying out memory is not counted. Ratios are of times for the same feed, as row counts differ by how
events are laid out. On bars: each trade is one bar, both orders follow the last price.
"""

from __future__ import annotations

import argparse
import gc
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

from mrmarket.trading.backtest.bar_driver import BarFill, BarMarket, play_bars
from mrmarket.trading.backtest.bar_file import Bars
from mrmarket.trading.backtest.loop.desk import (
    DROPPED,
    OWN,
    PRICES,
    SENT,
    WOKEN,
    Desk,
)
from mrmarket.trading.backtest.loop.feed import Feed, to_feed
from mrmarket.trading.backtest.loop.forms import (
    Decide,
    Loop,
    LoopSetting,
    PythonDesk,
    PythonStrategy,
    load_loop,
)
from mrmarket.trading.backtest.loop.quoters import quote_at_best, replace_always
from mrmarket.trading.market.event import EventKind
from mrmarket.trading.market.tape import Tape, open_tape
from peers import peer_seconds

TAPE: Final = (
    Path(__file__).resolve().parents[2]
    / "shared"
    / "data"
    / "market"
    / "binance_raw_20240808"
    / "usdm_btcusdt_20240808.gz"
)
MOST_LOTS, LOTS = 100, 10
EVERY: Final = LoopSetting(parameters=(1, MOST_LOTS, LOTS))
CHANGES: Final = LoopSetting(parameters=(1, MOST_LOTS, LOTS), wake_on=PRICES | OWN)
PEERS: Final = {
    "W1 compiled": ("hftbacktest mm_every_feed hashmap", "hftbacktest mm_every_feed roivec"),
    "W2 compiled": (
        "hftbacktest mm W2 replace-every-feed hashmap",
        "hftbacktest mm W2 replace-every-feed roivec",
    ),
    "W1 plain Python": (
        "hftbacktest mm W1 plain-Python strategy (no njit)",
        "nautilus mm W1 5ms latency L2",
    ),
    "W2 plain Python": ("nautilus mm W2 5ms latency L2",),
    "bars W1": ("basana mm W1",),
    "bars W2": ("basana mm W2 replace-every-bar",),
}
"""Ours, and whom it is compared with."""


class KeepAtBest:
    """W1 in plain Python."""

    def decide(self, desk: PythonDesk) -> None:
        """Move the orders with the best prices."""
        _, best_bid, _, best_ask, _, position = desk.state[:6]
        if best_bid <= 0 or best_ask <= best_bid:
            return
        bid, ask = best_bid - 1, best_ask + 1
        buy, sell = position < MOST_LOTS, position > -MOST_LOTS
        for row, (buys, price, _, live) in enumerate(desk.orders()):
            if price == (bid if buys else ask):
                if buys:
                    buy = False
                else:
                    sell = False
            elif live:
                desk.cancel(row)
        if buy:
            desk.place(True, bid, LOTS)
        if sell:
            desk.place(False, ask, LOTS)


class Replace:
    """W2 in plain Python."""

    def decide(self, desk: PythonDesk) -> None:
        """Cancel and send both anew."""
        _, best_bid, _, best_ask, _, position = desk.state[:6]
        if best_bid <= 0 or best_ask <= best_bid:
            return
        buy, sell = position < MOST_LOTS, position > -MOST_LOTS
        for row, (buys, _, _, live) in enumerate(desk.orders()):
            if live:
                desk.cancel(row)
            elif buys:
                buy = False
            else:
                sell = False
        if buy:
            desk.place(True, best_bid - 1, LOTS)
        if sell:
            desk.place(False, best_ask + 1, LOTS)


def compiled_run(loop: Loop, feed: Feed, decide: Decide, desks: list[Desk]) -> int:
    """Play the feed against a compiled strategy; how many requests it sent."""
    loop.drive(desks, *feed, loop.compile_strategy(decide))
    return int(desks[0].state[SENT])


def python_run(loop: Loop, feed: Feed, strategy: PythonStrategy, desks: list[Desk]) -> int:
    """Play the feed against one in plain Python; how many requests it sent."""
    desk = PythonDesk(loop, desks)
    state, decide, play_on = desk.state, strategy.decide, loop.steps(desks, feed)
    while play_on(desks, *feed) and state[WOKEN]:
        decide(desk)
    return int(state[SENT])


def seconds(
    run: Callable[[list[Desk]], int], prepare: Callable[[], list[Desk]], runs: int
) -> tuple[float, int]:
    """The median of some runs after one that is not counted, and the requests of the last."""
    sent = run(prepare())
    times = []
    for _ in range(runs):
        desks = prepare()
        gc.collect()
        began = time.perf_counter()
        sent = run(desks)
        times.append(time.perf_counter() - began)
        if any(desk.state[DROPPED] for desk in desks):
            raise RuntimeError("requests were dropped: the figures would mean nothing")
    return statistics.median(times), sent


def no_desks() -> list[Desk]:
    """Bars need none."""
    return []


def trade_bars(tape: Tape) -> Bars:
    """One bar of each trade."""
    trades = [event for event in tape.events() if event.kind is EventKind.TRADE]
    prices = [trade.price_ticks for trade in trades]
    volume = [trade.size_lots for trade in trades]
    times = [trade.exchange_ns for trade in trades]
    return Bars(tape.path, "", tape.instrument, 1, times, prices, prices, prices, prices, volume)


def bar_run(bars: Bars, always: bool, _desks: list[Desk]) -> int:
    """Both orders follow the last price by a tick; replaced when it moves, or at every bar."""
    live: dict[int, tuple[int, int]] = {}
    sent = 0

    def on_bar(market: BarMarket, _fills: Sequence[BarFill]) -> None:
        nonlocal sent
        close = bars.close[market.bar]
        for sign in (1, -1):
            price = close - sign
            number, stands_at = live.get(sign, (0, 0))
            if number and market.is_open(number):
                if stands_at == price and not always:
                    continue
                market.cancel(number)
                sent += 1
            live[sign] = (market.place(sign, price, LOTS), price)
            sent += 1

    play_bars(bars, on_bar)
    return sent


def measure(tape: Tape, runs: int) -> tuple[list[dict[str, Any]], dict[str, float]]:
    """Rows, and ratios to whoever was measured."""
    began = time.perf_counter()
    loop = load_loop(compiled=True)
    feed = to_feed(tape.events(), loop.column)
    count = len(feed.code)
    compiled_run(loop, feed, quote_at_best, loop.prepare(EVERY))
    rows: list[dict[str, Any]] = [
        {
            "name": "first result, tape read and compiled or loaded",
            "unit": "s",
            "value": time.perf_counter() - began,
        }
    ]
    cases: dict[str, tuple[Callable[[list[Desk]], int], LoopSetting]] = {
        "W1 compiled": (partial(compiled_run, loop, feed, quote_at_best), EVERY),
        "W2 compiled": (partial(compiled_run, loop, feed, replace_always), EVERY),
        "W1 plain Python": (partial(python_run, loop, feed, KeepAtBest()), CHANGES),
        "W2 plain Python": (partial(python_run, loop, feed, Replace()), EVERY),
    }
    took: dict[str, float] = {}
    for name, (run, setting) in cases.items():
        took[name], sent = seconds(run, partial(loop.prepare, setting), runs)
        rows.append({"name": name, "unit": "rows/s", "value": count / took[name]})
        if name.startswith("W2"):
            rows.append({"name": f"{name}, orders and cancels", "unit": "/s", "value": sent / took[name]})
    bars = trade_bars(tape)
    for name, always in (("bars W1", False), ("bars W2", True)):
        took[name], _ = seconds(partial(bar_run, bars, always), no_desks, runs)
        rows.append({"name": name, "unit": "bars/s", "value": len(bars) / took[name]})
    return rows, dict(ratios(took))


def ratios(took: dict[str, float]) -> Iterator[tuple[str, float]]:
    """Their time by ours, for the same feed."""
    theirs = peer_seconds()
    for name, rivals in PEERS.items():
        for rival in rivals:
            if rival in theirs:
                yield f"{name} to {rival}", theirs[rival] / took[name]


def main() -> int:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--json", action="store_true", help="print one JSON object")
    options.add_argument("--runs", type=int, default=7)
    options.add_argument("--tape", type=Path, default=TAPE)
    chosen = options.parse_args()
    if not chosen.tape.is_file():
        print(f"skipped: no recording at {chosen.tape}", file=sys.stderr)
        return 0
    rows, found = measure(open_tape(chosen.tape), chosen.runs)
    if chosen.json:
        print(json.dumps({"python": platform.python_version(), "rows": rows, "ratios": found}))
        return 0
    for row in rows:
        print(f"{row['name']:60} {row['value']:14,.0f} {row['unit']}")
    for name, ratio in found.items():
        print(f"{name:80} {ratio:8.2f} x")
    return 0


if __name__ == "__main__":
    sys.exit(main())
