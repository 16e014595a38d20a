"""Binance spot through the real ccxt code path, against documented payloads on loopback."""

from __future__ import annotations

import time
from decimal import Decimal
from typing import Any

import pytest

import binance_script
from binance_venue import PAIR, config_for, opened
from loopback_exchange import Answer, LoopbackExchange, Seen
from mrmarket.core.clock import SystemClock
from mrmarket.core.side import Side
from mrmarket.trading.venue.ccxt_adapter import (
    CcxtVenue,
    CcxtVenueConfig,
    ClockSkewError,
    UnknownExchangeError,
)
from mrmarket.trading.venue.port import (
    AuthenticationRefusedError,
    BalanceReport,
    FillReport,
    NewOrder,
    OrderKind,
    OrderRefusedError,
    OrderReport,
    OrderStatus,
    OutcomeUnknownError,
    RateLimitedError,
    UnknownOrderError,
    UnknownSymbolError,
    VenueError,
    VenueUnavailableError,
)


def new_order(**changes: Any) -> NewOrder:
    """A buy of 0.0015 at 61000.10."""
    values = {
        "symbol": PAIR,
        "client_order_id": "mm-1",
        "side": Side.BUY,
        "kind": OrderKind.POST_ONLY,
        "price_ticks": 6_100_010,
        "size_lots": 150,
    }
    return NewOrder(**{**values, **changes})


async def test_open_reads_grid_limits_and_the_accounts_own_fees() -> None:
    """The instrument's steps come from the filters and its fees from the account."""
    async with opened() as (_, venue):
        instrument = venue.instrument(PAIR)
        assert (instrument.tick_size, instrument.lot_size) == (Decimal("0.01"), Decimal("0.00001"))
        assert (instrument.min_lots, instrument.max_lots) == (1, 900_000_000)
        assert instrument.min_notional == 5
        assert (instrument.maker_fee, instrument.taker_fee) == (Decimal("0.0008"), Decimal("0.0012"))
        assert abs(venue.clock_offset_ms) < 1000


async def test_limits_come_from_exchange_info() -> None:
    """The budget holds exactly what `rateLimits` publishes."""
    async with opened() as (_, venue):
        assert set(venue.budget.levels()) == {"weight:60", "orders:10"}


async def test_an_unlisted_pair_is_refused_at_open() -> None:
    """A pair that does not exist stops `open` and is named with those that do."""
    async with LoopbackExchange() as exchange:
        binance_script.script(exchange)
        venue = CcxtVenue(config_for(exchange, symbols=("DOGE/USDT",)), SystemClock())
        with pytest.raises(UnknownSymbolError) as refused:
            await venue.open()
        assert refused.value.known == [PAIR, "ETH/USDT"]
        with pytest.raises(VenueUnavailableError):
            await venue.balances()


async def test_every_pair_is_kept_where_none_is_named() -> None:
    """Without a list of pairs all of them can be traded."""
    async with opened(symbols=(), public_only=True) as (exchange, venue):
        assert venue.instrument("ETH/USDT").base == "ETH"
        assert not exchange.requests("GET", "/api/v3/account")
        with pytest.raises(UnknownSymbolError):
            venue.instrument("DOGE/USDT")


async def test_an_unknown_exchange_is_named() -> None:
    """An id that ccxt does not have is refused with a sentence."""
    with pytest.raises(UnknownExchangeError, match="nosuchexchange"):
        await CcxtVenue(CcxtVenueConfig(exchange="nosuchexchange"), SystemClock()).open()


@pytest.mark.parametrize(
    ("kind", "sent"),
    [
        (OrderKind.LIMIT, {"type": "LIMIT", "timeInForce": "GTC", "price": "61000.1"}),
        (OrderKind.POST_ONLY, {"type": "LIMIT_MAKER", "price": "61000.1"}),
        (OrderKind.IOC, {"type": "LIMIT", "timeInForce": "IOC", "price": "61000.1"}),
        (OrderKind.FOK, {"type": "LIMIT", "timeInForce": "FOK", "price": "61000.1"}),
        (OrderKind.MARKET, {"type": "MARKET"}),
    ],
)
async def test_an_order_is_sent_exactly(kind: OrderKind, sent: dict[str, str]) -> None:
    """Price, size, id and kind travel as exact text, signed, within the receive window."""
    async with opened() as (exchange, venue):
        price_ticks = 0 if kind is OrderKind.MARKET else 6_100_010
        report = await venue.place(new_order(kind=kind, price_ticks=price_ticks))
        params = exchange.requests("POST", "/api/v3/order")[0].params
        assert {name: params[name] for name in sent} == sent
        assert params["quantity"] == "0.0015"
        assert params["newClientOrderId"] == "mm-1"
        assert params["recvWindow"] == "2000"
        assert len(params["signature"]) == 64
        assert ("price" in params) == (kind is not OrderKind.MARKET)
        assert report == OrderReport(
            symbol=PAIR,
            client_order_id="mm-1",
            venue_order_id="28",
            side=Side.BUY,
            status=OrderStatus.OPEN,
            price_ticks=price_ticks,
            size_lots=150,
            filled_lots=0,
            venue_ns=1_700_000_000_123_000_000,
        )


async def test_the_moment_of_handing_over_is_told_before_the_answer() -> None:
    """`on_handed` names the order and a monotonic time before the exchange has answered."""
    async with LoopbackExchange() as exchange:
        binance_script.script(exchange)
        told: list[tuple[str, int, int]] = []
        venue = CcxtVenue(
            config_for(exchange),
            SystemClock(),
            on_handed=lambda name, at_ns: told.append((name, at_ns, len(exchange.seen))),
        )
        await venue.open()
        before = len(exchange.seen)
        await venue.place(new_order())
        await venue.close()
        assert [(name, seen) for name, _, seen in told] == [("mm-1", before)]
        assert 0 < told[0][1] <= SystemClock().monotonic_ns()


REFUSALS: list[tuple[int, dict[str, Any], type[VenueError]]] = [
    (400, {"code": -2010, "msg": "Order would immediately match and take."}, OrderRefusedError),
    (
        400,
        {"code": -2010, "msg": "Account has insufficient balance for requested action."},
        OrderRefusedError,
    ),
    (400, {"code": -1013, "msg": "Filter failure: NOTIONAL"}, OrderRefusedError),
    (400, {"code": -1121, "msg": "Invalid symbol."}, OrderRefusedError),
    (401, {"code": -2014, "msg": "API-key format invalid."}, AuthenticationRefusedError),
    (400, {"code": -1022, "msg": "Signature for this request is not valid."}, AuthenticationRefusedError),
    (504, {"code": -1007, "msg": "Timeout waiting for response from backend server."}, OutcomeUnknownError),
    (
        503,
        {"code": -1000, "msg": "Unknown error, please check your request or try again later."},
        OutcomeUnknownError,
    ),
    (500, {"msg": "internal"}, OutcomeUnknownError),
]


@pytest.mark.parametrize(("status", "body", "wanted"), REFUSALS)
async def test_each_refusal_becomes_the_ports_error(
    status: int, body: dict[str, Any], wanted: type[VenueError]
) -> None:
    """An explicit no refuses the order; a server's failure leaves it unknown."""
    async with opened() as (exchange, venue):
        exchange.on("POST", "/api/v3/order", Answer(body, status=status))
        with pytest.raises(wanted) as raised:
            await venue.place(new_order())
        assert type(raised.value) is wanted


async def test_a_cut_connection_and_a_time_out_leave_the_outcome_unknown() -> None:
    """Silence on an order is never a failure."""
    async with opened(timeout_ms=100) as (exchange, venue):
        for answer in (Answer(cut=True), Answer(delay_s=0.3), Answer("<html>", status=200)):
            exchange.on("POST", "/api/v3/order", answer)
            with pytest.raises(OutcomeUnknownError):
                await venue.place(new_order())
            exchange.on("DELETE", "/api/v3/order", answer)
            with pytest.raises(OutcomeUnknownError):
                await venue.cancel(PAIR, "mm-1", "")
            exchange.on("GET", "/api/v3/openOrders", answer)
            with pytest.raises(VenueError) as raised:
                await venue.open_orders(PAIR)
            assert not isinstance(raised.value, OutcomeUnknownError)


async def test_an_error_shows_no_signature_and_no_secret() -> None:
    """What went wrong is told without the request's query and without the key."""
    async with opened(timeout_ms=100) as (exchange, venue):
        exchange.on("DELETE", "/api/v3/order", Answer(cut=True))
        with pytest.raises(OutcomeUnknownError) as raised:
            await venue.cancel(PAIR, "mm-1", "")
        assert "signature" not in str(raised.value)
        exchange.on("POST", "/api/v3/order", Answer({"code": -1, "msg": "bad key KEY"}, status=400))
        with pytest.raises(OrderRefusedError) as refused:
            await venue.place(new_order())
        assert "KEY" not in str(refused.value)
        assert "SECRET" not in repr(venue.config)


async def test_too_many_requests_slow_the_budget_and_a_ban_stops_it() -> None:
    """429 pauses for what `Retry-After` says; 418 refuses everything until the ban is over."""
    async with opened() as (exchange, venue):
        exchange.on("POST", "/api/v3/order", Answer({"code": -1003}, 429, {"Retry-After": "3"}))
        with pytest.raises(RateLimitedError) as slowed:
            await venue.place(new_order())
        assert (slowed.value.retry_after_s, slowed.value.banned) == (3.0, False)
        assert venue.budget.pace == 0.5
        count = len(exchange.seen)
        with pytest.raises(RateLimitedError):
            await venue.place(new_order(client_order_id="mm-2"))
        assert len(exchange.seen) == count
    async with opened() as (exchange, venue):
        exchange.on("DELETE", "/api/v3/order", Answer({"code": -1003}, 418, {"Retry-After": "60"}))
        with pytest.raises(RateLimitedError) as banned:
            await venue.cancel(PAIR, "mm-1", "")
        assert banned.value.banned
        with pytest.raises(RateLimitedError) as still:
            await venue.cancel(PAIR, "mm-1", "")
        assert still.value.banned
        assert len(exchange.requests("DELETE", "/api/v3/order")) == 1


async def test_used_weight_lowers_the_budget() -> None:
    """What the exchange says of our use is believed over our own count."""
    async with opened() as (exchange, venue):
        exchange.on("GET", "/api/v3/openOrders", Answer([], headers={"X-MBX-USED-WEIGHT-1M": "1190"}))
        await venue.open_orders(PAIR)
        assert venue.budget.levels()["weight:60"] < 0.1


async def test_a_stamp_outside_the_window_is_sent_again_after_measuring_the_clock() -> None:
    """-1021 had no effect, so the same order goes out once more with a corrected stamp."""
    skew_ms = 0

    async with LoopbackExchange() as exchange:
        binance_script.script(exchange)

        def server_time(seen: Seen) -> Answer:
            return Answer({"serverTime": time.time_ns() // 1_000_000 + skew_ms})

        def checked(seen: Seen) -> Answer:
            now_ms = time.time_ns() // 1_000_000 + skew_ms
            if abs(int(seen.params["timestamp"]) - now_ms) > 2000:
                return Answer({"code": -1021, "msg": "Timestamp outside of the recvWindow."}, status=400)
            return binance_script.placed(seen)

        exchange.on("GET", "/api/v3/time", server_time)
        exchange.on("POST", "/api/v3/order", checked)
        venue = CcxtVenue(config_for(exchange), SystemClock())
        await venue.open()
        skew_ms = 60_000
        report = await venue.place(new_order())
        assert report.status is OrderStatus.OPEN
        assert abs(venue.clock_offset_ms - skew_ms) < 1000
        assert [seen.params["newClientOrderId"] for seen in exchange.requests("POST", "/api/v3/order")] == [
            "mm-1",
            "mm-1",
        ]
        await venue.close()


async def test_a_clock_that_cannot_be_corrected_refuses_to_trade() -> None:
    """A server whose time jumps about leaves no stamp to trust, so `open` stops."""
    async with LoopbackExchange() as exchange:
        binance_script.script(exchange)
        readings = iter([0, 0, 0, 0, 0, 5000])
        exchange.on(
            "GET",
            "/api/v3/time",
            lambda seen: Answer({"serverTime": time.time_ns() // 1_000_000 + next(readings)}),
        )
        with pytest.raises(ClockSkewError, match="synchronise"):
            await CcxtVenue(config_for(exchange), SystemClock()).open()


async def test_cancel_and_query_speak_of_the_original_order() -> None:
    """The answer to a cancel names another id for the cancel itself; ours is reported."""
    async with opened() as (exchange, venue):
        cancelled = binance_script.order(
            origClientOrderId="mm-1", clientOrderId="cancel-77", status="CANCELED", executedQty="0.00050000"
        )
        exchange.on("DELETE", "/api/v3/order", cancelled)
        report = await venue.cancel(PAIR, "mm-1", "")
        assert (report.client_order_id, report.status) == ("mm-1", OrderStatus.CANCELLED)
        assert (report.price_ticks, report.size_lots, report.filled_lots) == (6_100_010, 150, 50)
        assert exchange.seen[-1].params["origClientOrderId"] == "mm-1"
        await venue.cancel(PAIR, "mm-1", "28")
        assert exchange.seen[-1].params["orderId"] == "28"
        exchange.on(
            "GET", "/api/v3/order", binance_script.order(status="PARTIALLY_FILLED", executedQty="0.001")
        )
        queried = await venue.query(PAIR, "mm-1", "")
        assert (queried.status, queried.filled_lots) == (OrderStatus.PARTIALLY_FILLED, 100)


async def test_an_unknown_order_is_told_from_a_failed_look() -> None:
    """Only -2011 and -2013 mean that the order does not exist."""
    async with opened() as (exchange, venue):
        exchange.on("GET", "/api/v3/order", Answer({"code": -2013, "msg": "Order does not exist."}, 400))
        exchange.on("DELETE", "/api/v3/order", Answer({"code": -2011, "msg": "Unknown order sent."}, 400))
        with pytest.raises(UnknownOrderError):
            await venue.query(PAIR, "mm-1", "")
        with pytest.raises(UnknownOrderError):
            await venue.cancel(PAIR, "mm-1", "")
        exchange.on("GET", "/api/v3/order", Answer({}, 502))
        with pytest.raises(VenueUnavailableError):
            await venue.query(PAIR, "mm-1", "")


async def test_open_orders_and_balances_are_exact() -> None:
    """Every digit of the answer survives."""
    async with opened() as (exchange, venue):
        exchange.on(
            "GET",
            "/api/v3/openOrders",
            [binance_script.order(), binance_script.order(orderId=29, side="SELL")],
        )
        orders = await venue.open_orders(PAIR)
        assert [(order.venue_order_id, order.side) for order in orders] == [
            ("28", Side.BUY),
            ("29", Side.SELL),
        ]
        assert await venue.balances() == [
            BalanceReport(asset="BTC", free="9.5", locked="0.5"),
            BalanceReport(asset="USDT", free="1000000.12345678", locked="0"),
        ]


async def test_fills_are_paged_by_id_to_the_end_and_once_each() -> None:
    """2,500 trades, many in one millisecond, come back whole and in order over three pages."""
    now_ms = time.time_ns() // 1_000_000
    trades = [binance_script.trade(number, now_ms - 60_000 + number // 400) for number in range(1, 2501)]

    def page(seen: Seen) -> Answer:
        if "fromId" in seen.params:
            found = [trade for trade in trades if trade["id"] >= int(seen.params["fromId"])]
        else:
            found = [trade for trade in trades if trade["time"] >= int(seen.params["startTime"])]
        return Answer(found[: int(seen.params["limit"])])

    async with opened() as (exchange, venue):
        exchange.on("GET", "/api/v3/myTrades", page)
        fills = await venue.fills_since(PAIR, (now_ms - 120_000) * 1_000_000)
        assert [fill.trade_id for fill in fills] == [str(number) for number in range(1, 2501)]
        assert fills[0] == FillReport(
            symbol=PAIR,
            trade_id="1",
            client_order_id="",
            venue_order_id="28",
            side=Side.BUY,
            price_ticks=6_100_010,
            size_lots=100,
            fee="0.000001",
            fee_asset="BTC",
            maker=True,
            venue_ns=(now_ms - 60_000) * 1_000_000,
        )
        assert len(exchange.requests("GET", "/api/v3/myTrades")) == 3


async def test_fills_behind_an_empty_day_are_found() -> None:
    """Windows that the exchange cuts at a day are walked through until a trade is met."""
    now_ms = time.time_ns() // 1_000_000
    day_ms = 86_400_000
    lone = binance_script.trade(7, now_ms - day_ms // 2)

    def page(seen: Seen) -> Answer:
        start = int(seen.params.get("startTime", 0))
        inside = "fromId" not in seen.params and start <= lone["time"] < start + day_ms
        return Answer([lone] if inside else [])

    async with opened() as (exchange, venue):
        exchange.on("GET", "/api/v3/myTrades", page)
        fills = await venue.fills_since(PAIR, (now_ms - 3 * day_ms) * 1_000_000)
        assert [fill.trade_id for fill in fills] == ["7"]
