"""The lean loop: what a strategy hears, when its orders arrive, and that every form gives the same."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest

from mrmarket.core.errors import InvalidInputError
from mrmarket.trading.backtest.loop import desk as room
from mrmarket.trading.backtest.loop.desk import FEED, OWN, PRICES, Desk, cancel, place
from mrmarket.trading.backtest.loop.feed import Feed, to_feed
from mrmarket.trading.backtest.loop.forms import (
    FeedBacklogError,
    LoopResult,
    LoopSetting,
    PythonDesk,
    load_loop,
)
from mrmarket.trading.backtest.loop.quoters import quote_at_best, replace_always, watch
from mrmarket.trading.market.event import EventKind, MarketEvent
from mrmarket.trading.market.tape import open_tape
from mrmarket.trading.venue.simulated.book_arrays import QueueModel
from mrmarket.trading.venue.simulated.kernel import LIMIT

GENERATED = Path(__file__).resolve().parents[3] / "tapes" / "generated.tape.gz"
MS = 1_000_000
QUOTER = (1, 60_000, 2_000)
"""One tick behind the best price, 30 orders' worth of position, the tape's usual size."""


def book(at_ms: int, bid: int, ask: int, lots: int = 10, late_ms: int = 2) -> MarketEvent:
    """A snapshot of one level a side."""
    return MarketEvent(
        kind=EventKind.SNAPSHOT,
        exchange_ns=at_ms * MS,
        local_ns=(at_ms + late_ms) * MS,
        bids=[(bid, lots)],
        asks=[(ask, lots)],
    )


def trade(at_ms: int, price: int, lots: int, *, taker_buys: bool, late_ms: int = 2) -> MarketEvent:
    """One print."""
    return MarketEvent(
        kind=EventKind.TRADE,
        exchange_ns=at_ms * MS,
        local_ns=(at_ms + late_ms) * MS,
        price_ticks=price,
        size_lots=lots,
        taker_buys=taker_buys,
    )


def feed_of(*events: MarketEvent, least_ms: int = 2) -> Feed:
    """Rows of events with that latency."""
    return to_feed(events, least_latency_ns=least_ms * MS)


class Quoter:
    """`quote_at_best` in plain Python."""

    def decide(self, desk: PythonDesk) -> None:
        """Keep one order a tick behind each best price."""
        if desk.bid_ticks <= 0 or desk.ask_ticks <= desk.bid_ticks:
            return
        bid, ask = desk.bid_ticks - 1, desk.ask_ticks + 1
        wanted = {True: desk.position_lots < QUOTER[1], False: desk.position_lots > -QUOTER[1]}
        for row, (buys, price, lots, live) in enumerate(desk.orders()):
            assert 0 < lots <= QUOTER[2]
            if price == (bid if buys else ask):
                wanted[buys] = False
            elif live:
                desk.cancel(row)
        for buys, price in ((True, bid), (False, ask)):
            if wanted[buys]:
                desk.place(buys, price, QUOTER[2])


class Notes:
    """Writes down what it hears; sends one order on its first call."""

    def __init__(self, price: int) -> None:
        self.price = price
        self.heard: list[tuple[int, int, int, int]] = []

    def decide(self, desk: PythonDesk) -> None:
        """Note the time, the prices and why it was called."""
        if not self.heard:
            desk.place(True, self.price, 3)
        self.heard.append((desk.now_ns // MS, desk.bid_ticks, desk.ask_ticks, desk.state[room.WOKEN]))


@pytest.fixture(scope="module")
def generated() -> list[MarketEvent]:
    """The beginning of the committed tape."""
    return list(islice(open_tape(GENERATED).events(), 6_000))


def without_wakes(result: LoopResult) -> tuple[list[int], list[tuple[int, bool, int, int, bool]]]:
    """All that does not say how often, or why, a strategy was called."""
    state = [value for at, value in enumerate(result.state) if at not in (room.WAKES, room.WOKEN)]
    return state, result.trades


def test_news_come_when_the_feed_brings_them() -> None:
    """Best prices are heard of at the local time, in order, however late each event is."""
    feed = feed_of(book(10, 100, 102), book(20, 99, 102, late_ms=9), book(21, 99, 103))
    notes = Notes(90)
    load_loop().run_python(feed, notes, LoopSetting())
    assert [at for at, *_ in notes.heard] == [12, 29, 29]
    assert [prices for _, *prices, _ in notes.heard] == [[100, 102], [99, 102], [99, 103]]


def test_an_order_arrives_after_its_latency_and_is_heard_of_after_the_answers() -> None:
    """Sent at 12 ms, there at 17: the print at 16 passes by, that at 18 fills, heard of after 23."""
    feed = feed_of(
        book(10, 100, 102, lots=1),
        trade(16, 99, 5, taker_buys=False),
        trade(18, 99, 4, taker_buys=False),
        trade(22, 105, 1, taker_buys=True),
        trade(30, 105, 1, taker_buys=True),
    )
    notes = Notes(100)
    result = load_loop().run_python(feed, notes, LoopSetting(order_kind=LIMIT))
    assert result.trades == [(18 * MS, True, 100, 3, True)]
    assert [(at, why & OWN) for at, *_, why in notes.heard] == [(12, 0), (18, 0), (20, 0), (24, OWN), (32, 0)]
    assert result.state[room.POSITION] == 3
    assert result.state[room.CASH] == -300
    assert result.state[room.MAKER_GRAINS] == 300


def test_a_strategy_is_called_only_for_what_it_asks_for() -> None:
    """Prices that stay and events without an answer of ours call nobody who wants those alone."""
    feed = feed_of(
        book(10, 100, 102),
        trade(12, 101, 1, taker_buys=True),
        book(14, 100, 102, lots=7),
        book(30, 100, 103),
    )
    notes = Notes(90)
    load_loop().run_python(feed, notes, LoopSetting(wake_on=PRICES | OWN))
    assert [(at, why & (PRICES | OWN)) for at, *_, why in notes.heard] == [(12, PRICES), (32, PRICES | OWN)]


def test_a_post_only_order_that_would_take_is_refused() -> None:
    """It is gone from the desk and counted."""
    result = load_loop().run_python(
        feed_of(book(10, 100, 102), book(40, 100, 102)), Notes(102), LoopSetting()
    )
    assert result.state[room.REFUSED] == 1
    assert result.state[room.ORDERS] == 0
    assert result.trades == []


def test_orders_without_room_are_counted() -> None:
    """A desk that sends without end is told by a figure that is anything but 0."""

    def flood(desk: Desk) -> None:
        for _ in range(room.OWN_CAPACITY + 2):
            place(desk, True, 90, 1)

    result = load_loop().run(feed_of(book(10, 100, 102)), flood, LoopSetting())
    assert result.state[room.DROPPED] == 2


def test_a_cancel_without_room_is_counted() -> None:
    """The order stays what it was."""
    desk = room.new_desks()[0]
    place(desk, True, 90, 1)
    desk.requests.span[1] = len(desk.requests.due_ns)
    cancel(desk, 0)
    assert desk.state[room.DROPPED] == 1
    assert desk.own.stage[0] == room.SENT_OUT


def test_answers_that_were_heard_of_make_room_for_new_ones() -> None:
    """What was not heard of stays, in order."""
    desk = room.new_desks()[0]
    reports = desk.reports
    most = len(reports.kind)
    for row in range(most):
        reports.order_id[row] = row
    reports.rows[0] = most
    room.make_room(desk)
    assert reports.rows[0] == most
    desk.progress[0] = most - 1
    room.make_room(desk)
    assert (reports.rows[0], desk.progress[0], reports.order_id[0]) == (1, 0, most - 1)


def test_more_news_than_there_is_room_for_end_the_run() -> None:
    """With the reason, in both kinds of run."""
    count = room.RING + 2
    feed = Feed([8] * count, [1] * count, [1] * count, list(range(1, count + 1)), [10**9] * count)
    for kind in (FEED, PRICES):
        with pytest.raises(FeedBacklogError, match="latency"):
            load_loop().run(feed, watch, LoopSetting(wake_on=kind))
    with pytest.raises(FeedBacklogError):
        load_loop().run_python(feed, Quoter(), LoopSetting())


def test_a_tape_without_the_exchanges_time_is_refused() -> None:
    """Nothing could be placed in time."""
    with pytest.raises(InvalidInputError, match="exchange"):
        to_feed([book(0, 100, 102)])


def test_events_that_change_nothing_make_no_rows() -> None:
    """Best prices beside the updates and empty updates are left out; nothing makes an empty feed."""
    top = MarketEvent(kind=EventKind.TOP, exchange_ns=1, local_ns=2, bids=[(1, 1)], asks=[(2, 1)])
    empty = MarketEvent(kind=EventKind.DEPTH, exchange_ns=1, local_ns=2)
    assert to_feed([top, empty]) == Feed([], [], [], [], [])


@pytest.mark.parametrize("latency_ms", [0, 5, 40])
def test_plain_python_and_a_function_over_a_desk_do_the_same(
    generated: list[MarketEvent], latency_ms: int
) -> None:
    """Called for every event or only for what can change its mind, the quoter leaves the same."""
    feed = to_feed(generated)
    loop = load_loop()
    setting = LoopSetting(order_ns=latency_ms * MS, response_ns=latency_ms * MS, parameters=QUOTER)
    function = loop.run(feed, quote_at_best, setting)
    plain = loop.run_python(feed, Quoter(), setting)
    few = LoopSetting(
        order_ns=latency_ms * MS, response_ns=latency_ms * MS, parameters=QUOTER, wake_on=PRICES | OWN
    )
    seldom = loop.run_python(feed, Quoter(), few)
    assert without_wakes(function) == without_wakes(plain) == without_wakes(seldom)
    assert len(function.trades) > 5
    assert seldom.state[room.WAKES] < plain.state[room.WAKES]


def test_sums_are_those_of_the_trades(generated: list[MarketEvent]) -> None:
    """Position, cash, volume and the count add up over what was written down."""
    result = load_loop().run(to_feed(generated), replace_always, LoopSetting(parameters=QUOTER))
    state = result.state
    signed = [(1 if buys else -1, price, lots) for _, buys, price, lots, _ in result.trades]
    assert state[room.TRADES] == len(result.trades) > 5
    assert state[room.POSITION] == sum(sign * lots for sign, _, lots in signed)
    assert state[room.CASH] == -sum(sign * lots * price for sign, price, lots in signed)
    assert state[room.MAKER_LOTS] + state[room.TAKER_LOTS] == sum(lots for *_, lots in signed)
    assert state[room.MAKER_GRAINS] + state[room.TAKER_GRAINS] == sum(
        price * lots for _, price, lots in signed
    )
    assert state[room.DROPPED] == 0


@pytest.mark.compiled
@pytest.mark.parametrize("model", list(QueueModel))
def test_the_compiled_loop_gives_what_the_plain_one_gives(
    generated: list[MarketEvent], model: QueueModel
) -> None:
    """State and trades are equal, for compiled strategies and for those in plain Python."""
    pytest.importorskip("numba", reason="needs the extra `lab`")
    plain, compiled = load_loop(), load_loop(compiled=True)
    lists, arrays = to_feed(generated), to_feed(generated, compiled.column)
    setting = LoopSetting(model=model, parameters=QUOTER)
    for decide in (quote_at_best, replace_always):
        assert plain.run(lists, decide, setting) == compiled.run(arrays, decide, setting)
    assert compiled.run_python(arrays, Quoter(), setting) == plain.run(lists, quote_at_best, setting)


def one_order(desk: Desk) -> None:
    """A strategy of somebody else's module."""
    if desk.memory[0] == 0:
        desk.memory[0] = place(desk, True, desk.state[room.BID], 1)


@pytest.mark.compiled
def test_a_strategy_of_another_module_runs_compiled() -> None:
    """It calls the compiled forms of what it calls by name."""
    pytest.importorskip("numba", reason="needs the extra `lab`")
    events = [book(10, 100, 102, lots=1), trade(30, 100, 9, taker_buys=False), book(60, 100, 102)]
    compiled = load_loop(compiled=True)
    result = compiled.run(to_feed(events, compiled.column), one_order, LoopSetting())
    assert result == load_loop().run(to_feed(events), one_order, LoopSetting())
    assert [trade[1:4] for trade in result.trades] == [(True, 100, 1)]
