"""History played against requests that arrive late and answers that are seen later still."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from exchange_world import ASKS, BIDS, depth, snapshot, top, trade
from mrmarket.trading.market.event import MarketEvent
from mrmarket.trading.venue.simulated.book_arrays import Market, new_market
from mrmarket.trading.venue.simulated.kernel import FOK, IOC, LIMIT, MARKET, POST_ONLY
from mrmarket.trading.venue.simulated.queue_position import visible
from mrmarket.trading.venue.simulated.session import (
    ACCEPTED,
    CANCEL,
    CANCEL_REJECTED,
    CANCELLED,
    ENDED,
    PLACE,
    REJECTED,
    TRADED,
    Reports,
    Requests,
    new_reports,
    new_requests,
    play,
    schedule,
    to_rows,
)

Report = tuple[int, int, int, int, int, int, int]


def at(now_ns: int, event: MarketEvent) -> MarketEvent:
    """The event at a time."""
    return MarketEvent(
        kind=event.kind,
        exchange_ns=now_ns,
        local_ns=now_ns,
        bids=event.bids,
        asks=event.asks,
        price_ticks=event.price_ticks,
        size_lots=event.size_lots,
        taker_buys=event.taker_buys,
    )


def read(reports: Reports) -> list[Report]:
    """(at, visible, kind, order, price, lots, maker) of every report."""
    rows = reports.rows[0]
    columns = [column[:rows] for column in reports[:7]]
    return list(zip(*columns, strict=True))


def run(
    events: list[MarketEvent], ask: Callable[[Requests], None], *, response_ns: int = 5
) -> tuple[Market, list[Report]]:
    """Play events against what `ask` schedules."""
    market = new_market(level_capacity=16, order_capacity=8)
    rows = to_rows(events)
    requests, reports = new_requests(capacity=4), new_reports(market)
    ask(requests)
    assert play(market, rows, 0, len(rows.code), requests, reports, response_ns) == len(rows.code)
    return market, read(reports)


def test_an_order_lives_from_its_arrival_on() -> None:
    """A print before the arrival is missed; the answer is seen a response later."""
    events = [
        at(10, snapshot()),
        at(20, trade(1000, 60, taker_buys=False)),
        at(30, trade(1000, 55, taker_buys=False)),
    ]

    def ask(requests: Requests) -> None:
        assert schedule(requests, 25, PLACE, LIMIT, True, 1000, 10, 1)

    _, reports = run(events, ask)
    assert reports == [(25, 30, ACCEPTED, 1, 1000, 10, 0), (30, 35, TRADED, 1, 1000, 5, 1)]


def test_requests_arrive_in_the_order_of_their_time() -> None:
    """A later-sent request with a shorter way arrives first; equals keep the order of sending."""
    events = [at(10, snapshot()), at(50, depth([(900, 1)]))]

    def ask(requests: Requests) -> None:
        schedule(requests, 40, CANCEL, LIMIT, True, 1000, 0, 1)
        schedule(requests, 30, PLACE, LIMIT, True, 1000, 10, 1)
        schedule(requests, 40, CANCEL, LIMIT, True, 1000, 0, 1)

    market, reports = run(events, ask)
    assert [(kind, lots) for _, _, kind, _, _, lots, _ in reports] == [
        (ACCEPTED, 10),
        (CANCELLED, 10),
        (CANCEL_REJECTED, 0),
    ]
    assert visible(market.bids, 1000) == 50


def test_every_kind_of_order_reports_its_end() -> None:
    """POST_ONLY that would take is rejected; IOC, FOK and MARKET end at once."""
    events = [at(10, snapshot()), at(50, depth([(900, 1)]))]

    def ask(requests: Requests) -> None:
        schedule(requests, 20, PLACE, POST_ONLY, True, 1001, 10, 1)
        schedule(requests, 21, PLACE, FOK, True, 1001, 61, 2)
        schedule(requests, 22, PLACE, IOC, False, 1000, 55, 3)
        schedule(requests, 23, PLACE, MARKET, True, 0, 60, 4)

    _, reports = run(events, ask)
    assert [(order, kind, lots) for _, _, kind, order, _, lots, _ in reports] == [
        (1, REJECTED, 10),
        (2, ACCEPTED, 61),
        (2, ENDED, 0),
        (3, ACCEPTED, 55),
        (3, TRADED, 50),
        (3, ENDED, 0),
        (4, ACCEPTED, 60),
        (4, TRADED, 60),
    ]


def test_ones_own_order_ends_instead_of_trading() -> None:
    """The resting order is reported ENDED and the new one rests."""
    events = [at(10, snapshot(BIDS, ASKS)), at(50, depth([(900, 1)]))]

    def ask(requests: Requests) -> None:
        schedule(requests, 20, PLACE, LIMIT, False, 1001, 10, 1)
        schedule(requests, 21, PLACE, LIMIT, True, 1001, 70, 2)

    market, reports = run(events, ask)
    assert [(order, kind, lots) for _, _, kind, order, _, lots, _ in reports[2:]] == [
        (2, TRADED, 60),
        (1, ENDED, 10),
    ]
    assert visible(market.bids, 1001) == 10


@pytest.mark.parametrize(("tops", "best"), [(True, 1), (False, 0)])
def test_tops_can_be_left_out(tops: bool, best: int) -> None:
    """With them the best quote moves the book; a snapshot replaces it."""
    events = [at(1, snapshot()), at(2, top((1000, 50), (1005, 3)))]
    market = new_market(level_capacity=16, order_capacity=8)
    rows = to_rows(events, tops=tops)
    reports = new_reports(market)
    play(market, rows, 0, len(rows.code), new_requests(), reports, 0)
    assert (visible(market.asks, -1001) == 0) is bool(best)
    again = to_rows([at(3, snapshot([(990, 1)], [(1001, 2)]))])
    play(market, again, 0, len(again.code), new_requests(), reports, 0)
    assert (visible(market.asks, -1001), visible(market.bids, 1000)) == (2, 0)


def test_full_reports_pause_the_play() -> None:
    """Playing goes on from the returned row once the reports were read; no request is lost."""
    market = new_market(level_capacity=1, order_capacity=1)
    events = [at(now, depth([(900, now)])) for now in range(1, 100)]
    rows = to_rows(events)
    requests, reports = new_requests(capacity=128), new_reports(market)
    for now in range(1, 90):
        assert schedule(requests, now, CANCEL, LIMIT, True, 1000, 0, now)
    row = seen = rounds = 0
    while row < len(rows.code):
        row = play(market, rows, row, len(rows.code), requests, reports, 0)
        seen += reports.rows[0]
        reports.rows[0] = 0
        rounds += 1
    assert seen == 89
    assert rounds > 1


def test_a_full_queue_of_requests_says_so() -> None:
    """Executed requests make room, waiting ones do not."""
    requests = new_requests(capacity=2)
    assert schedule(requests, 1, PLACE, LIMIT, True, 1000, 1, 1)
    assert schedule(requests, 2, PLACE, LIMIT, True, 1000, 1, 2)
    assert not schedule(requests, 3, PLACE, LIMIT, True, 1000, 1, 3)
    requests.span[0] = 1
    assert schedule(requests, 3, PLACE, LIMIT, True, 1000, 1, 3)
    assert requests.order_id == [2, 3]
