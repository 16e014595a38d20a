"""Calls of an account: orders, trades, balances, the dead man's switch.

Source: https://developers.binance.com/docs/binance-spot-api-docs/rest-api/trading-endpoints and
account-endpoints. What this venue does not have (stops, icebergs, lists) is refused, never ignored.
"""

from __future__ import annotations

from typing import Any, Final

from mrmarket.core.clock import NS_PER_MS
from mrmarket.trading.venue.front import errors, exchange_info, orders
from mrmarket.trading.venue.front.endpoints import Call, Endpoint, Security
from mrmarket.trading.venue.front.grid import Grid, units_text
from mrmarket.trading.venue.front.order_request import OrderRequest, new_client_id, read_order
from mrmarket.trading.venue.front.parameters import Parameters
from mrmarket.trading.venue.port import OrderStatus
from mrmarket.trading.venue.simulated.records import ExchangeOrder, ExchangeRefusedError

Json = dict[str, Any]

_DAY_MS: Final = 86_400_000
_MAX_ROWS: Final = 1_000
_DEFAULT_ROWS: Final = 500
_HUGE: Final = 2**63 - 1
_NONE: Final = -1


def place_order(call: Call) -> Json:
    """Place an order."""
    request = read_order(call)
    call.parameters.finish()
    gateway, grid = call.gateway, request.grid
    meter = gateway.meters.orders(call.account)
    meter.check(gateway.now_ns())
    order, trades = gateway.place(call.account, request.order, request.self_trade, request.quote_units)
    meter.count()
    if request.response == "ACK":
        return orders.ack_object(grid, order)
    if request.response == "RESULT":
        return orders.result_object(grid, order, request.quote_units)
    return orders.full_object(grid, order, trades, request.quote_units)


def check_order(call: Call) -> Json:
    """`order/test`: read and check an order, place nothing."""
    request: OrderRequest = read_order(call)
    rates = call.parameters.boolean("computeCommissionRates")
    call.parameters.finish()
    if not rates:
        return {}
    commission = exchange_info.commission_object(request.grid)
    return {
        "standardCommissionForOrder": _maker_taker(commission["standardCommission"]),
        "specialCommissionForOrder": _maker_taker(commission["specialCommission"]),
        "taxCommissionForOrder": _maker_taker(commission["taxCommission"]),
        "discount": commission["discount"],
    }


def query_order(call: Call) -> Json:
    """One order by either id."""
    grid = _grid(call)
    order_id, client_id = _either_id(call.parameters)
    call.parameters.finish()
    return _order(call, grid, _find(call, grid, order_id, client_id))


def cancel_order(call: Call) -> Json:
    """Cancel one order by either id."""
    grid = _grid(call)
    parameters = call.parameters
    order_id, client_id = _either_id(parameters)
    cancel_id = parameters.client_id("newClientOrderId") or new_client_id()
    only = parameters.choice(
        "cancelRestrictions",
        ("ONLY_NEW", "ONLY_PARTIALLY_FILLED"),
        errors.DialectError(-1145, "Invalid cancelRestrictions."),
    )
    parameters.finish()
    if only:
        _check_restriction(call, grid, only, order_id, client_id)
    order = call.gateway.cancel(call.account, grid.instrument.symbol, order_id, client_id, cancel_id)
    return orders.cancel_object(grid, order, cancel_id, _quote_size(call, order))


def cancel_open_orders(call: Call) -> list[Json]:
    """Cancel every open order of a pair; -2011 if there is none."""
    grid = _grid(call)
    call.parameters.finish()
    cancel_id = new_client_id()
    cancelled = call.gateway.cancel_all(call.account, grid.instrument.symbol, cancel_id)
    if not cancelled:
        raise errors.cancel_rejected()
    return [orders.cancel_object(grid, order, cancel_id, _quote_size(call, order)) for order in cancelled]


def open_orders(call: Call) -> list[Json]:
    """Open orders of a pair or of all."""
    name = call.parameters.optional_symbol()
    call.parameters.finish()
    symbol = call.gateway.grid(name).instrument.symbol if name else None
    found = call.gateway.exchange.open_orders(call.account, symbol)
    return [_order(call, call.gateway.grid_of(order.symbol), order) for order in found]


def all_orders(call: Call) -> list[Json]:
    """Orders of a pair, open or not: from an id on, of a span of time, or the latest."""
    grid = _grid(call)
    from_id = call.parameters.integer("orderId", _NONE)
    start_ms, end_ms = _span(call.parameters)
    limit = _limit(call.parameters)
    call.parameters.finish()
    found = call.gateway.exchange.all_orders(call.account, grid.instrument.symbol)
    if from_id != _NONE:
        found = [order for order in found if order.order_id >= from_id]
    found = [order for order in found if start_ms <= order.created_ns // NS_PER_MS <= end_ms]
    oldest_first = from_id != _NONE or start_ms > 0
    chosen = found[:limit] if oldest_first else found[-limit:]
    return [_order(call, grid, order) for order in chosen]


def my_trades(call: Call) -> list[Json]:
    """Own trades of a pair: of an order, from an id on, of a span of time, or the latest."""
    grid = _grid(call)
    order_id = call.parameters.integer("orderId", _NONE)
    from_id = call.parameters.integer("fromId", _NONE)
    timed = "startTime" in call.parameters.values or "endTime" in call.parameters.values
    start_ms, end_ms = _span(call.parameters)
    limit = _limit(call.parameters)
    call.parameters.finish()
    if timed and (from_id != _NONE or order_id != _NONE):
        raise errors.bad_combination()
    found = call.gateway.exchange.trades(call.account, grid.instrument.symbol)
    if order_id != _NONE:
        found = [trade for trade in found if trade.order_id == order_id]
    if from_id != _NONE:
        found = [trade for trade in found if trade.trade_id >= from_id]
    found = [trade for trade in found if start_ms <= trade.at_ns // NS_PER_MS <= end_ms]
    oldest_first = from_id != _NONE or start_ms > 0
    chosen = found[:limit] if oldest_first else found[-limit:]
    return [orders.trade_object(grid, trade) for trade in chosen]


def account(call: Call) -> Json:
    """Balances, fees and rights."""
    omit_zero = call.parameters.boolean("omitZeroBalances")
    call.parameters.finish()
    instrument = next(iter(call.gateway.grids.values())).instrument
    maker, taker = instrument.maker_fee, instrument.taker_fee
    held = call.gateway.exchange.balances(call.account)
    zero = units_text(0)
    return {
        "makerCommission": exchange_info.basis_points(maker),
        "takerCommission": exchange_info.basis_points(taker),
        "buyerCommission": 0,
        "sellerCommission": 0,
        "commissionRates": {
            "maker": exchange_info.decimal_text(maker),
            "taker": exchange_info.decimal_text(taker),
            "buyer": zero,
            "seller": zero,
        },
        "canTrade": call.use == "trade",
        "canWithdraw": False,
        "canDeposit": False,
        "brokered": False,
        "requireSelfTradePrevention": False,
        "preventSor": False,
        "updateTime": call.now_ns // NS_PER_MS,
        "accountType": "SPOT",
        "balances": [
            {"asset": asset, "free": units_text(free), "locked": units_text(locked)}
            for asset, (free, locked) in sorted(held.items())
            if free or locked or not omit_zero
        ],
        "permissions": ["SPOT"],
        "uid": 1 + call.gateway.exchange.accounts.index(call.account),
    }


def commission(call: Call) -> Json:
    """Fees of a pair."""
    grid = _grid(call)
    call.parameters.finish()
    return exchange_info.commission_object(grid)


def trade_fee(call: Call) -> list[Json]:
    """Fees of a pair or of all."""
    name = call.parameters.optional_symbol()
    call.parameters.finish()
    grids = [call.gateway.grid(name)] if name else call.gateway.grids.values()
    return [exchange_info.trade_fee_object(grid) for grid in grids]


def order_counts(call: Call) -> list[Any]:
    """How many orders this account placed in the current windows."""
    call.parameters.finish()
    return list(call.gateway.meters.orders(call.account).report(call.gateway.now_ns()))


def _order(call: Call, grid: Grid, order: ExchangeOrder) -> Json:
    return orders.order_object(grid, order, _quote_size(call, order))


def _quote_size(call: Call, order: ExchangeOrder) -> int:
    return call.gateway.quote_sizes.get(order.order_id, 0)


def _grid(call: Call) -> Grid:
    return call.gateway.grid(call.parameters.symbol())


def _either_id(parameters: Parameters) -> tuple[int, str]:
    order_id = parameters.integer("orderId", 0)
    client_id = parameters.client_id("origClientOrderId")
    if not order_id and not client_id:
        raise errors.DialectError(
            -1102, "Param 'origClientOrderId' or 'orderId' must be sent, but both were empty/null!"
        )
    return order_id, client_id


def _find(call: Call, grid: Grid, order_id: int, client_id: str) -> ExchangeOrder:
    try:
        return call.gateway.exchange.order(
            call.account, grid.instrument.symbol, order_id=order_id, client_order_id=client_id
        )
    except ExchangeRefusedError as refused:
        raise errors.DialectError(refused.binance_code, refused.binance_message) from refused


def _check_restriction(call: Call, grid: Grid, only: str, order_id: int, client_id: str) -> None:
    try:
        order = _find(call, grid, order_id, client_id)
    except errors.DialectError as unknown:
        raise errors.cancel_rejected() from unknown
    wanted = OrderStatus.OPEN if only == "ONLY_NEW" else OrderStatus.PARTIALLY_FILLED
    if order.status is not wanted:
        raise errors.DialectError(-2011, "Order was not canceled due to cancel restrictions.")


def _span(parameters: Parameters) -> tuple[int, int]:
    start_ms = parameters.integer("startTime", 0)
    end_ms = parameters.integer("endTime", _HUGE)
    if start_ms and end_ms != _HUGE:
        if end_ms < start_ms:
            raise errors.DialectError(-1023, "Start time is greater than end time.")
        if end_ms - start_ms > _DAY_MS:
            raise errors.DialectError(-1127, "More than 24 hours between startTime and endTime.")
    return start_ms, end_ms


def _limit(parameters: Parameters) -> int:
    return min(parameters.limit(_DEFAULT_ROWS, _HUGE), _MAX_ROWS)


def _maker_taker(rates: Json) -> Json:
    return {"maker": rates["maker"], "taker": rates["taker"]}


def _signed(
    handler: Any, weight: Any = 1, *, places_order: bool = False, checks_order: bool = False
) -> Endpoint:
    return Endpoint(
        handler=handler,
        weight=weight,
        security=Security.SIGNED,
        places_order=places_order,
        checks_order=checks_order,
    )


def _open_orders_weight(parameters: Parameters) -> int:
    return 6 if parameters.values.get("symbol") else 80


def _my_trades_weight(parameters: Parameters) -> int:
    return 5 if parameters.values.get("orderId") else 20


def _check_order_weight(parameters: Parameters) -> int:
    return 20 if parameters.values.get("computeCommissionRates", "").lower() == "true" else 1


SIGNED: Final = {
    ("POST", "/api/v3/order"): _signed(place_order, places_order=True),
    ("GET", "/api/v3/order"): _signed(query_order, 4),
    ("DELETE", "/api/v3/order"): _signed(cancel_order),
    ("POST", "/api/v3/order/test"): _signed(check_order, _check_order_weight, checks_order=True),
    ("GET", "/api/v3/openOrders"): _signed(open_orders, _open_orders_weight),
    ("DELETE", "/api/v3/openOrders"): _signed(cancel_open_orders),
    ("GET", "/api/v3/allOrders"): _signed(all_orders, 20),
    ("GET", "/api/v3/myTrades"): _signed(my_trades, _my_trades_weight),
    ("GET", "/api/v3/account"): _signed(account, 20),
    ("GET", "/api/v3/account/commission"): _signed(commission, 20),
    ("GET", "/api/v3/rateLimit/order"): _signed(order_counts, 40),
    ("GET", "/sapi/v1/asset/tradeFee"): _signed(trade_fee),
}
"""(method, path) → endpoint."""
