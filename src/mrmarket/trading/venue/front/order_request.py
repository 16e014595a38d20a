"""Reading a new order: which parameters each type needs, and how amounts become ticks and lots."""

from __future__ import annotations

import secrets
from types import MappingProxyType
from typing import Final

import msgspec

from mrmarket.core.side import Side
from mrmarket.trading.venue.front import errors
from mrmarket.trading.venue.front.endpoints import Call
from mrmarket.trading.venue.front.grid import Grid
from mrmarket.trading.venue.front.orders import SELF_TRADE_MODES
from mrmarket.trading.venue.front.parameters import Parameters
from mrmarket.trading.venue.port import NewOrder, OrderKind
from mrmarket.trading.venue.simulated.records import SelfTrade

_SIDES: Final = MappingProxyType({"BUY": Side.BUY, "SELL": Side.SELL})
_TIMES_IN_FORCE: Final = MappingProxyType(
    {"GTC": OrderKind.LIMIT, "IOC": OrderKind.IOC, "FOK": OrderKind.FOK}
)
_TYPES: Final = ("LIMIT", "LIMIT_MAKER", "MARKET")
_RESPONSES: Final = ("ACK", "RESULT", "FULL")
_MAX_LOTS: Final = 2**53
_MAX_TICKS: Final = 2**53
_GENERATED_BYTES: Final = 11


class OrderRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A new order as the exchange takes it, and how the answer is wanted."""

    grid: Grid
    order: NewOrder
    self_trade: SelfTrade
    quote_units: int
    """`quoteOrderQty` in units of 1e-8, 0 without."""
    response: str


def read_order(call: Call) -> OrderRequest:
    """Read the parameters of `POST order`; raises with Binance's code for whatever does not fit."""
    parameters = call.parameters
    grid = call.gateway.grid(parameters.symbol())
    side = parameters.choice("side", tuple(_SIDES), errors.DialectError(-1117, "Invalid side."))
    kind = parameters.choice("type", _TYPES, errors.DialectError(-1116, "Invalid orderType."))
    if not side or not kind:
        raise errors.missing_parameter("side" if not side else "type")
    time_in_force = parameters.choice(
        "timeInForce", tuple(_TIMES_IN_FORCE), errors.DialectError(-1115, "Invalid timeInForce.")
    )
    quantity = parameters.amount("quantity")
    price = parameters.amount("price")
    quote_units = parameters.amount("quoteOrderQty")
    client_id = parameters.client_id("newClientOrderId") or new_client_id()
    response = parameters.choice(
        "newOrderRespType", _RESPONSES, errors.DialectError(-1136, "Invalid newOrderRespType.")
    )
    mode = parameters.choice(
        "selfTradePreventionMode",
        tuple(SELF_TRADE_MODES),
        errors.DialectError(-1147, "Invalid selfTradePreventionMode."),
    )
    if kind == "MARKET":
        _forbid(parameters, "timeInForce", "price")
        lots = _market_lots(call, grid, _SIDES[side], quantity, quote_units)
        order_kind, ticks = OrderKind.MARKET, 0
    else:
        _forbid(parameters, "quoteOrderQty")
        if kind == "LIMIT_MAKER":
            _forbid(parameters, "timeInForce")
            order_kind = OrderKind.POST_ONLY
        elif time_in_force:
            order_kind = _TIMES_IN_FORCE[time_in_force]
        else:
            raise errors.missing_parameter("timeInForce")
        if quantity is None or price is None:
            raise errors.missing_parameter("quantity" if quantity is None else "price")
        lots = _bounded(grid.lots(quantity), _MAX_LOTS, "LOT_SIZE")
        ticks = _bounded(grid.ticks(price), _MAX_TICKS, "PRICE_FILTER")
    return OrderRequest(
        grid=grid,
        order=NewOrder(
            symbol=grid.instrument.symbol,
            client_order_id=client_id,
            side=_SIDES[side],
            kind=order_kind,
            price_ticks=ticks,
            size_lots=lots,
        ),
        self_trade=SELF_TRADE_MODES[mode] if mode else SelfTrade.EXPIRE_MAKER,
        quote_units=quote_units or 0,
        response=response or ("ACK" if kind == "LIMIT_MAKER" else "FULL"),
    )


def new_client_id() -> str:
    """A client order id for a request that brought none; 22 characters, as Binance makes them."""
    return secrets.token_hex(_GENERATED_BYTES)


def _market_lots(call: Call, grid: Grid, side: Side, quantity: int | None, quote_units: int | None) -> int:
    if (quantity is None) == (quote_units is None):
        if quantity is None:
            raise errors.missing_parameter("quantity")
        raise errors.bad_combination()
    if quantity is not None:
        return _bounded(grid.lots(quantity), _MAX_LOTS, "MARKET_LOT_SIZE")
    lots = call.gateway.exchange.lots_for_quote(grid.instrument.symbol, side, quote_units or 0)
    if not lots:
        raise errors.filter_failure("NOTIONAL")
    return lots


def _forbid(parameters: Parameters, *names: str) -> None:
    for name in names:
        if name in parameters.values:
            raise errors.not_required(name)


def _bounded(value: int, most: int, name: str) -> int:
    if value > most:
        raise errors.filter_failure(name)
    return value
