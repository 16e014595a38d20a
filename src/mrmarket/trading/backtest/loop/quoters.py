"""Two lean strategies, in the form that runs compiled: what the peers' benchmarks run, and examples."""

from __future__ import annotations

from typing import Final

from mrmarket.trading.backtest.loop.desk import (
    ASK,
    BID,
    LIVE,
    ORDERS,
    POSITION,
    Desk,
    cancel,
    place,
)

# Indices into `Desk.parameters`.
HALF_TICKS: Final = 0
"""Distance from the best price of the own side, in ticks."""
MOST_LOTS: Final = 1
"""No more is bought from this position on, and sold from its negative."""
ORDER_LOTS: Final = 2


def quote_at_best(desk: Desk) -> None:
    """Keep one order on each side at its distance from the best price; replace it when that moves."""
    state, own, parameters = desk.state, desk.own, desk.parameters
    if state[BID] <= 0 or state[ASK] <= state[BID]:
        return
    bid = state[BID] - parameters[HALF_TICKS]
    ask = state[ASK] + parameters[HALF_TICKS]
    buy = state[POSITION] < parameters[MOST_LOTS]
    sell = state[POSITION] > -parameters[MOST_LOTS]
    for row in range(state[ORDERS]):
        buys = own.buys[row] == 1
        if own.price_ticks[row] == (bid if buys else ask):
            if buys:
                buy = False
            else:
                sell = False
        elif own.stage[row] == LIVE:
            cancel(desk, row)
    if buy:
        place(desk, True, bid, parameters[ORDER_LOTS])
    if sell:
        place(desk, False, ask, parameters[ORDER_LOTS])


def replace_always(desk: Desk) -> None:
    """Cancel what stands and send both orders anew at every call; a side in flight is waited for."""
    state, own, parameters = desk.state, desk.own, desk.parameters
    if state[BID] <= 0 or state[ASK] <= state[BID]:
        return
    buy = state[POSITION] < parameters[MOST_LOTS]
    sell = state[POSITION] > -parameters[MOST_LOTS]
    for row in range(state[ORDERS]):
        if own.stage[row] == LIVE:
            cancel(desk, row)
        elif own.buys[row] == 1:
            buy = False
        else:
            sell = False
    if buy:
        place(desk, True, state[BID] - parameters[HALF_TICKS], parameters[ORDER_LOTS])
    if sell:
        place(desk, False, state[ASK] + parameters[HALF_TICKS], parameters[ORDER_LOTS])


def watch(desk: Desk) -> None:
    """Do nothing."""
