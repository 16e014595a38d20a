"""The lean loop's fills beside those of hftbacktest, recorded by `benchmarks/hft_fills.py`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mrmarket.trading.backtest.loop import desk as room
from mrmarket.trading.backtest.loop.feed import to_feed
from mrmarket.trading.backtest.loop.forms import LoopResult, LoopSetting, load_loop
from mrmarket.trading.backtest.loop.quoters import quote_at_best
from mrmarket.trading.market.tape import open_tape
from mrmarket.trading.venue.simulated.book_arrays import QueueModel
from shared_data import SHARED, needs_shared

TAPE = SHARED / "market" / "binance_raw_20240808" / "usdm_btcusdt_20240808.gz"
LOTS = 10


pytestmark = [needs_shared, pytest.mark.compiled]


def theirs_and_ours(name: str, model: QueueModel, half_ticks: int) -> tuple[dict[str, Any], LoopResult]:
    """What was recorded, and W1 over the same tape."""
    pytest.importorskip("numba", reason="needs the extra `lab`")
    theirs = json.loads((Path(__file__).parent / f"hftbacktest_{name}.json").read_text(encoding="utf-8"))
    loop = load_loop(compiled=True)
    feed = to_feed(open_tape(TAPE).events(), loop.column)
    setting = LoopSetting(model=model, parameters=(half_ticks, 10 * LOTS, LOTS))
    return theirs, loop.run(feed, quote_at_best, setting)


@pytest.mark.parametrize("model", [QueueModel.POWER, QueueModel.RISK_AVERSE])
def test_every_order_fills_as_in_hftbacktest(model: QueueModel) -> None:
    """The same 483 orders fill on the same nanosecond at the same price, under both queue models.

    What differs, and why:

    - Partial fills. Ours fill by what history trades: a few orders take two or three prints where
      hftbacktest's `no_partial_fill_exchange` fills an order whole at its first. The rest follows
      while the order stands, so the sums agree.
    - Actions. hftbacktest sends 7 more of about 1,630. It keeps orders by price and wakes 8 times more,
      between rows of one update that its event order splits; ours wakes when an update is whole.
    - Position. hftbacktest adds floats: after ten fills of 0.01 the position may be 0.0999…, below the
      limit of 0.1, and it buys once more, five times on this tape. The recording rounds the position;
      ours counts lots.
    - At one nanosecond ours executes requests before the row of that time; no fill here depends on it.

    One tick behind the best price nearly all fills come from trades that go through, so the queue
    model changes none; the test below stands in the queue.
    """
    theirs, ours = theirs_and_ours("behind_best", model, 1)
    left = list(ours.trades)
    for at_ns, buys, price, lots in theirs["fills"]:
        first = next(trade for trade in left if (trade[1], trade[2]) == (buys, price))
        assert first[0] == at_ns
        filled = 0
        while filled < lots:
            part = next(trade for trade in left if (trade[1], trade[2]) == (buys, price))
            left.remove(part)
            filled += part[3]
        assert filled == lots == LOTS
    assert left == []
    assert len(theirs["fills"]) == 483
    assert ours.state[room.POSITION] == theirs["position"]
    assert all(maker for *_, maker in ours.trades)
    assert abs(theirs["actions"] - ours.state[room.SENT]) < 10


@pytest.mark.parametrize("model", [QueueModel.POWER, QueueModel.RISK_AVERSE])
def test_fills_in_the_queue_come_on_the_same_nanosecond(model: QueueModel) -> None:
    """At the best price itself 97 % of hftbacktest's fills happen in ours at the same time and price.

    The others follow from the differences above, which here change what happens next:

    - Ours fills by what the print leaves after the queue, theirs fills whole at the first lot: ours
      then waits for the rest, reaches the position limit later, and quotes or not accordingly.
    - Theirs rounds the queue to the nearest lot, so an order may fill with half a lot still before it;
      ours rounds what stood behind up to a whole lot. An order may fill one print earlier or later.
    - An update that half applied crosses the book for an instant fills theirs at once; ours looks at
      crossings when an update is whole.
    """
    theirs, ours = theirs_and_ours(f"at_best_{model.name.lower()}", model, 0)
    times = {(at_ns, buys, price) for at_ns, buys, price, *_ in ours.trades}
    same = sum((at_ns, buys, price) in times for at_ns, buys, price, _ in theirs["fills"])
    assert same / len(theirs["fills"]) > 0.97
    lots = sum(lots for _, _, _, lots, _ in ours.trades)
    assert abs(lots / sum(lots for *_, lots in theirs["fills"]) - 1) < 0.02
    assert abs(ours.state[room.POSITION] - theirs["position"]) <= 2 * LOTS
