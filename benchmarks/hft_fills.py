"""The trades of W1 in hftbacktest, as JSON: what the lean loop's trades are compared with.

    PEERS/bin/python benchmarks/hft_fills.py btcusdt.npz power 1 > …/hftbacktest_behind_best.json

Runs in an environment with `hftbacktest` and without ours. The strategy is W1 of the peers'
benchmarks: both sides so many ticks behind the best prices, post-only, moved when those move; 5 ms
each way, whole fills; queue model `power` (n = 2) or `risk_averse`.
"""

from __future__ import annotations

import json
import sys

import numpy as np
from hftbacktest import (  # type: ignore[import-not-found]  # in the peers' environment alone
    BUY,
    FILLED,
    GTX,
    LIMIT,
    BacktestAsset,
    HashMapMarketDepthBacktest,
)

HALF = int(sys.argv[3])
data = np.load(sys.argv[1])["data"]
asset = (
    BacktestAsset()
    .data([data])
    .linear_asset(1.0)
    .constant_order_latency(5_000_000, 5_000_000)
    .no_partial_fill_exchange()
    .trading_value_fee_model(-0.00005, 0.0007)
    .tick_size(0.1)
    .lot_size(0.001)
)
asset = asset.power_prob_queue_model(2.0) if sys.argv[2] == "power" else asset.risk_adverse_queue_model()
hbt = HashMapMarketDepthBacktest([asset])
fills: list[tuple[int, bool, int, int]] = []
actions = 0
NO_PRICE = 10_000_000
while hbt.wait_next_feed(False, 1_000_000_000) != 1:
    orders = hbt.orders(0).values()
    while orders.has_next():
        order = orders.get()
        if order.status == FILLED:
            lots = round(order.exec_qty / 0.001)
            fills.append(
                (int(order.exch_timestamp), bool(order.side == BUY), int(order.exec_price_tick), lots)
            )
    hbt.clear_inactive_orders(0)
    depth = hbt.depth(0)
    if not (0 < depth.best_bid_tick < depth.best_ask_tick < NO_PRICE):
        continue
    position = round(
        hbt.position(0), 6
    )  # a sum of floats stays a hair below the limit and lets one order more
    bid, ask = depth.best_bid_tick - HALF, depth.best_ask_tick + HALF
    buy, sell = position < 0.1, position > -0.1
    orders = hbt.orders(0).values()
    while orders.has_next():
        order = orders.get()
        if order.price_tick == (bid if order.side == BUY else ask):
            if order.side == BUY:
                buy = False
            else:
                sell = False
        elif order.cancellable:
            hbt.cancel(0, order.order_id, False)
            actions += 1
    if buy:
        hbt.submit_buy_order(0, bid, bid * depth.tick_size, 0.01, GTX, LIMIT, False)
        actions += 1
    if sell:
        hbt.submit_sell_order(0, ask, ask * depth.tick_size, 0.01, GTX, LIMIT, False)
        actions += 1
fills.sort()
print(
    json.dumps(
        {"rows": len(data), "actions": actions, "position": round(hbt.position(0) / 0.001), "fills": fills}
    )
)
