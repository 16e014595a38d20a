"""The queue model's exponent comes back from fills that were made with a known one."""

from __future__ import annotations

import random
from decimal import Decimal
from pathlib import Path

import pytest

from mrmarket.core.errors import InvalidInputError
from mrmarket.core.events import (
    Fact,
    Filled,
    OrderAccepted,
    OrderCancelled,
    OrderCreated,
    OrderRejected,
    encode_fact,
)
from mrmarket.core.instrument import Instrument
from mrmarket.core.side import Side
from mrmarket.trading.backtest.calibration.exposures import Exposure, exposures_of
from mrmarket.trading.backtest.calibration.fit_file import FitFile, read_fit, write_fit
from mrmarket.trading.backtest.calibration.own_orders import OwnOrder, orders_of, read_facts
from mrmarket.trading.backtest.calibration.queue_fit import DEFAULT_EXPONENT, LEAST_FILLS, fit_queue
from mrmarket.trading.backtest.options import parse_queue
from mrmarket.trading.market.event import EventKind, MarketEvent
from mrmarket.trading.venue.simulated.book_arrays import QueueModel, new_market
from mrmarket.trading.venue.simulated.kernel import POST_ONLY
from mrmarket.trading.venue.simulated.session import (
    ACCEPTED,
    CANCEL,
    PLACE,
    TRADED,
    new_reports,
    new_requests,
    play,
    schedule,
    to_rows,
)

PAIR = Instrument("binance", "BTC/USDT", "BTC", "USDT", Decimal("0.01"), Decimal("0.00001"))
MS = 1_000_000
BID, ASK = 10_000, 10_001


def snapshot(at_ms: int, bid: int, ask: int) -> MarketEvent:
    """A book of one level a side, so many lots each."""
    return MarketEvent(
        kind=EventKind.SNAPSHOT, exchange_ns=at_ms * MS, local_ns=0, bids=[(BID, bid)], asks=[(ASK, ask)]
    )


def resized(at_ms: int, *, bid: int | None = None, ask: int | None = None) -> MarketEvent:
    """Best levels that now hold so many lots."""
    return MarketEvent(
        kind=EventKind.DEPTH,
        exchange_ns=at_ms * MS,
        local_ns=0,
        bids=[] if bid is None else [(BID, bid)],
        asks=[] if ask is None else [(ASK, ask)],
    )


def trade(at_ms: int, price: int, lots: int, *, taker_buys: bool) -> MarketEvent:
    """One print."""
    return MarketEvent(
        kind=EventKind.TRADE,
        exchange_ns=at_ms * MS,
        local_ns=0,
        price_ticks=price,
        size_lots=lots,
        taker_buys=taker_buys,
    )


def market_of(seed: int, steps: int) -> list[MarketEvent]:
    """A market whose best levels grow, shrink and are traded at, and never move."""
    draw = random.Random(seed)  # noqa: S311 - a market, no secret
    held = {True: 500, False: 500}
    events = [snapshot(0, 500, 500)]
    for step in range(1, steps):
        at_ms, is_bid = step * 10, draw.random() < 0.5
        if draw.random() < 0.2:
            lots = min(held[is_bid] - 1, round(draw.paretovariate(1.2) * 20))
            if lots <= 0:
                continue
            events.append(trade(at_ms, BID if is_bid else ASK, lots, taker_buys=not is_bid))
            held[is_bid] -= lots
        else:
            held[is_bid] = max(1, held[is_bid] + round(draw.gauss((500 - held[is_bid]) * 0.1, 60)))
        events.append(resized(at_ms + 1, **{"bid" if is_bid else "ask": held[is_bid]}))
    return events


def fills_of(events: list[MarketEvent], exponent: float, every_ms: int = 400) -> list[OwnOrder]:
    """Own orders as the kernel fills them by a power model: one after the other, for 4 s at most each."""
    market = new_market(model=QueueModel.POWER, exponent_milli=round(exponent * 1_000))
    requests, reports = new_requests(), new_reports(market)
    rows = to_rows(events)
    sent: dict[int, tuple[bool, int, int]] = {}
    for number, at_ms in enumerate(range(5, events[-1].exchange_ns // MS - 5_000, every_ms), 1):
        buys, price, until_ms = number % 2 == 0, BID if number % 2 == 0 else ASK, at_ms + 4_000
        sent[number] = (buys, at_ms, until_ms)
        assert schedule(requests, at_ms * MS, PLACE, POST_ONLY, buys, price, 1, number)
        assert schedule(requests, until_ms * MS, CANCEL, POST_ONLY, buys, price, 0, number)
    row, filled, accepted = 0, dict[int, int](), set[int]()
    while row < len(rows.code):
        row = play(market, rows, row, len(rows.code), requests, reports, 0)
        for at in range(reports.rows[0]):
            if reports.kind[at] == TRADED:
                filled.setdefault(reports.order_id[at], reports.at_ns[at])
            elif reports.kind[at] == ACCEPTED:
                accepted.add(reports.order_id[at])
        reports.rows[0] = 0
    return [
        OwnOrder(
            buys=buys,
            price_ticks=BID if buys else ASK,
            size_lots=1,
            from_ns=at_ms * MS,
            until_ns=until_ms * MS,
            filled_ns=filled.get(number, 0),
        )
        for number, (buys, at_ms, until_ms) in sent.items()
        if number in accepted
    ]


@pytest.mark.parametrize("exponent", [0.6, 2.5, 7.0])
def test_the_exponent_comes_back(exponent: float) -> None:
    """The exponent that fills were made with lies in the interval; half and twice of it do not."""
    events = market_of(7, 12_000)
    orders = fills_of(events, exponent)
    fit = fit_queue(lambda: events, orders)
    assert fit.is_fitted
    assert fit.fills >= LEAST_FILLS
    assert fit.low <= exponent <= fit.high
    assert exponent / 2 < fit.low <= fit.exponent <= fit.high < exponent * 2
    best = max(fit.points, key=lambda point: point.log_likelihood)
    assert best.exponent == fit.exponent
    assert best.log_likelihood > max(fit.risk_averse, fit.logarithm)


def test_too_few_fills_keep_the_default_and_say_so() -> None:
    """Nobody's fills are no measurement."""
    events = market_of(7, 400)
    fit = fit_queue(lambda: events, fills_of(events, 2.0))
    assert not fit.is_fitted
    assert fit.exponent == DEFAULT_EXPONENT
    assert f"{LEAST_FILLS} are needed" in fit.detail


def test_fills_that_say_nothing_of_the_queue_keep_the_default() -> None:
    """Where nobody ever cancels, every exponent explains the fills alike."""
    events = [snapshot(0, 50, 50)]
    orders = []
    for number in range(2 * LEAST_FILLS):
        at_ms = 10 + number * 10
        filled_ns = (at_ms + 5) * MS
        orders.append(
            OwnOrder(buys=True, price_ticks=BID, size_lots=1, from_ns=at_ms * MS, filled_ns=filled_ns)
        )
        events += [trade(at_ms + 5, BID, 51, taker_buys=False), resized(at_ms + 6, bid=50)]
    fit = fit_queue(lambda: events, orders)
    assert (fit.is_fitted, fit.exponent, fit.fills) == (False, DEFAULT_EXPONENT, 2 * LEAST_FILLS)
    assert "no exponent from another" in fit.detail


CANDIDATES = [(QueueModel.RISK_AVERSE, 1_000), (QueueModel.POWER, 1_000)]


def test_an_exposure_counts_what_stood_ahead() -> None:
    """Trades come off the front, cancellations by the model's share, prints of one taker are one."""
    order = OwnOrder(buys=True, price_ticks=BID, size_lots=1, from_ns=5 * MS, filled_ns=40 * MS)
    events = [
        snapshot(0, 100, 100),
        resized(10, bid=200),  # 100 behind us now
        resized(20, bid=100),  # half of them is cancelled: 50 ahead of us by power:1
        trade(30, BID, 6, taker_buys=False),
        trade(30, BID, 4, taker_buys=False),
        resized(31, bid=90),
        trade(40, BID, 95, taker_buys=False),
        trade(50, BID, 5, taker_buys=False),
    ]
    assert exposures_of(events, [order], CANDIDATES) == [
        Exposure(10, (100, 50), False),
        Exposure(95, (90, 40), True),
    ]


@pytest.mark.parametrize(
    ("order", "events"),
    [
        (OwnOrder(buys=False, price_ticks=ASK, size_lots=1, from_ns=5 * MS, until_ns=20 * MS), ()),
        (OwnOrder(buys=True, price_ticks=BID, size_lots=1, from_ns=-1), ()),
        (OwnOrder(buys=False, price_ticks=ASK, size_lots=1, from_ns=5 * MS, filled_ns=12 * MS), ()),
        (
            OwnOrder(buys=False, price_ticks=ASK, size_lots=1, from_ns=5 * MS),
            (trade(21, ASK + 1, 1, taker_buys=True),),
        ),
    ],
    ids=["cancelled", "older than the tape", "filled by what the tape lacks", "traded through"],
)
def test_what_tells_nothing_is_no_exposure(order: OwnOrder, events: tuple[MarketEvent, ...]) -> None:
    """Orders that are gone, or whose queue nobody knows, are not asked."""
    tape = [
        snapshot(0, 100, 100),
        *events,
        trade(30, ASK, 6, taker_buys=True),
        trade(30, BID, 6, taker_buys=False),
    ]
    assert exposures_of(tape, [order], CANDIDATES) == []


def test_a_snapshot_leaves_nobody_behind_more_than_it_shows() -> None:
    """As in the kernel; a best bid and ask beside the book change no queue."""
    order = OwnOrder(buys=True, price_ticks=BID, size_lots=1, from_ns=5 * MS)
    top = MarketEvent(kind=EventKind.TOP, exchange_ns=8 * MS, local_ns=0, bids=[(BID, 1)])
    events = [snapshot(0, 100, 100), top, snapshot(10, 30, 30), trade(20, BID, 4, taker_buys=False)]
    assert exposures_of(events, [order], CANDIDATES) == [Exposure(4, (30, 30), False)]


def facts() -> list[Fact]:
    """One order that was filled, and others that must be left out."""

    def created(
        name: str, price: str = "100.00", symbol: str = "BTC/USDT", size: str = "0.5"
    ) -> OrderCreated:
        return OrderCreated(
            venue="v",
            at_ns=1,
            symbol=symbol,
            client_order_id=name,
            slot="",
            side=Side.BUY,
            price=price,
            size=size,
        )

    def accepted(name: str, at_ns: int = 3) -> OrderAccepted:
        return OrderAccepted(
            venue="v", at_ns=at_ns, symbol="BTC/USDT", client_order_id=name, venue_order_id=""
        )

    def filled(name: str, at_ns: int, *, maker: bool = True) -> Filled:
        return Filled(
            venue="v",
            at_ns=at_ns,
            symbol="BTC/USDT",
            base="BTC",
            quote="USDT",
            trade_id=f"{name}{at_ns}",
            client_order_id=name,
            venue_order_id="",
            side=Side.BUY,
            price="100.00",
            size="0.1",
            quote_size="10",
            fee="0",
            fee_asset="USDT",
            maker=maker,
        )

    return [
        *(created(name) for name in ("good", "cancelled", "taker", "unheard", "refused")),
        created("off the grid", price="100.005"),
        created("nothing", size="0"),
        created("another pair", symbol="ETH/USDT"),
        *(accepted(name) for name in ("good", "taker", "off the grid", "another pair", "nothing")),
        accepted("cancelled", at_ns=2),
        filled("good", 9),
        filled("good", 7),
        filled("taker", 3, maker=False),
        filled("unheard of", 3),
        OrderCancelled(venue="v", at_ns=8, symbol="BTC/USDT", client_order_id="cancelled", filled="0"),
        OrderRejected(venue="v", at_ns=8, symbol="BTC/USDT", client_order_id="refused", code="c", reason="r"),
    ]


def test_orders_are_read_from_facts() -> None:
    """Price and size on the grid, from the acknowledgement on, with the first fill as a maker."""
    found = orders_of(facts(), PAIR)
    assert found == [
        OwnOrder(buys=True, price_ticks=10_000, size_lots=50_000, from_ns=2, until_ns=8),
        OwnOrder(buys=True, price_ticks=10_000, size_lots=50_000, from_ns=3, filled_ns=7),
    ]


def test_facts_come_from_a_file(tmp_path: Path) -> None:
    """JSON Lines, blank ones passed over; a line that is none is named."""
    path = tmp_path / "facts.jsonl"
    path.write_bytes(b"\n\n".join(encode_fact(fact) for fact in facts()))
    assert read_facts(path) == facts()
    path.write_bytes(encode_fact(facts()[0]) + b"\n{}\n")
    with pytest.raises(InvalidInputError, match=r"facts\.jsonl:2"):
        read_facts(path)
    with pytest.raises(InvalidInputError, match="facts"):
        read_facts(tmp_path / "none")


def test_a_fit_is_played_with_what_stands_behind_it(tmp_path: Path) -> None:
    """`calibrated:FILE` is the fitted exponent, its interval in words; the default says that it is one."""
    events = market_of(7, 12_000)
    path = tmp_path / "fit.json"
    for orders, begins in ((fills_of(events, 2.5), "fitted to"), ([], "the default: 0 own fills")):
        fit = fit_queue(lambda: events, orders)
        found = FitFile(symbol="BTC/USDT", tape="x.gz", tape_sha256="ab", fit=fit)
        write_fit(path, found)
        assert read_fit(path) == found
        averse, choice = parse_queue(f"risk_averse,calibrated:{path}")
        assert averse.model == "risk_averse"
        assert (choice.model, choice.exponent) == ("power", fit.exponent)
        assert str(choice.fitted).startswith(begins)


@pytest.mark.parametrize("text", ["", "{}", '{"version":2}'])
def test_a_file_that_is_no_fit_is_refused(tmp_path: Path, text: str) -> None:
    """In one line that says what is wanted."""
    path = tmp_path / "fit.json"
    path.write_text(text)
    with pytest.raises(InvalidInputError, match="calibrate"):
        parse_queue(f"calibrated:{path}")
    with pytest.raises(InvalidInputError, match="calibrate"):
        read_fit(tmp_path / "none.json")
    newer = FitFile(
        symbol="", tape="", tape_sha256="", fit=fit_queue(lambda: [snapshot(0, 1, 1)], []), version=2
    )
    write_fit(path, newer)
    with pytest.raises(InvalidInputError, match="update mrmarket"):
        read_fit(path)
    with pytest.raises(InvalidInputError, match="out"):
        write_fit(tmp_path / "no" / "such" / "folder.json", newer)
