"""Orders and trades as JSON objects, field by field as Binance's spot API sends them.

Source: https://developers.binance.com/docs/binance-spot-api-docs/rest-api/trading-endpoints and
https://developers.binance.com/docs/binance-spot-api-docs/user-data-stream
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Any, Final

from mrmarket.core.clock import NS_PER_MS
from mrmarket.core.side import Side
from mrmarket.trading.venue.front.grid import Grid, units_text
from mrmarket.trading.venue.port import OrderKind, OrderStatus
from mrmarket.trading.venue.simulated.records import (
    BalanceChanged,
    ExchangeOrder,
    ExchangeTrade,
    ExternalTransfer,
    OrderChanged,
    SelfTrade,
)

Json = dict[str, Any]

ZERO: Final = "0.00000000"
NO_LIST: Final = -1
"""`orderListId` of an order that belongs to no list."""

SIDES: Final = MappingProxyType({Side.BUY: "BUY", Side.SELL: "SELL"})

KINDS: Final = MappingProxyType(
    {
        OrderKind.LIMIT: ("LIMIT", "GTC"),
        OrderKind.POST_ONLY: ("LIMIT_MAKER", "GTC"),
        OrderKind.IOC: ("LIMIT", "IOC"),
        OrderKind.FOK: ("LIMIT", "FOK"),
        OrderKind.MARKET: ("MARKET", "GTC"),
    }
)
"""Kind → (`type`, `timeInForce`)."""

STATUSES: Final = MappingProxyType(
    {
        OrderStatus.OPEN: "NEW",
        OrderStatus.PARTIALLY_FILLED: "PARTIALLY_FILLED",
        OrderStatus.FILLED: "FILLED",
        OrderStatus.CANCELLED: "CANCELED",
        OrderStatus.REJECTED: "REJECTED",
        OrderStatus.EXPIRED: "EXPIRED",
    }
)

SELF_TRADE_MODES: Final = MappingProxyType({mode.name: mode for mode in SelfTrade})


def status_text(order: ExchangeOrder) -> str:
    """An order's `status`."""
    if order.prevented_lots and order.status is OrderStatus.EXPIRED:
        return "EXPIRED_IN_MATCH"
    return STATUSES[order.status]


def order_object(grid: Grid, order: ExchangeOrder, quote_order_units: int = 0) -> Json:
    """An order as queries answer it."""
    kind, time_in_force = KINDS[order.kind]
    created_ms = order.created_ns // NS_PER_MS
    body: Json = {
        "symbol": grid.name,
        "orderId": order.order_id,
        "orderListId": NO_LIST,
        "clientOrderId": order.client_order_id,
        "price": grid.price(order.price_ticks),
        "origQty": grid.size(order.size_lots),
        "executedQty": grid.size(order.filled_lots),
        "cummulativeQuoteQty": grid.quote(order.filled_grains),
        "status": status_text(order),
        "timeInForce": time_in_force,
        "type": kind,
        "side": SIDES[order.side],
        "stopPrice": ZERO,
        "icebergQty": ZERO,
        "time": created_ms,
        "updateTime": order.updated_ns // NS_PER_MS,
        "isWorking": True,
        "workingTime": created_ms,
        "origQuoteOrderQty": units_text(quote_order_units),
        "selfTradePreventionMode": order.self_trade.name,
    }
    if order.prevented_lots:
        body["preventedQuantity"] = grid.size(order.prevented_lots)
    return body


def ack_object(grid: Grid, order: ExchangeOrder) -> Json:
    """`newOrderRespType=ACK`."""
    return {
        "symbol": grid.name,
        "orderId": order.order_id,
        "orderListId": NO_LIST,
        "clientOrderId": order.client_order_id,
        "transactTime": order.updated_ns // NS_PER_MS,
    }


def result_object(grid: Grid, order: ExchangeOrder, quote_order_units: int = 0) -> Json:
    """`newOrderRespType=RESULT`."""
    kind, time_in_force = KINDS[order.kind]
    return ack_object(grid, order) | {
        "price": grid.price(order.price_ticks),
        "origQty": grid.size(order.size_lots),
        "executedQty": grid.size(order.filled_lots),
        "origQuoteOrderQty": units_text(quote_order_units),
        "cummulativeQuoteQty": grid.quote(order.filled_grains),
        "status": status_text(order),
        "timeInForce": time_in_force,
        "type": kind,
        "side": SIDES[order.side],
        "workingTime": order.created_ns // NS_PER_MS,
        "selfTradePreventionMode": order.self_trade.name,
    }


def full_object(
    grid: Grid, order: ExchangeOrder, trades: list[ExchangeTrade], quote_order_units: int = 0
) -> Json:
    """`newOrderRespType=FULL`: the result and the trades made at once."""
    return result_object(grid, order, quote_order_units) | {
        "fills": [
            {
                "price": grid.price(trade.price_ticks),
                "qty": grid.size(trade.size_lots),
                "commission": units_text(trade.commission_units),
                "commissionAsset": trade.commission_asset,
                "tradeId": trade.trade_id,
            }
            for trade in trades
        ]
    }


def cancel_object(
    grid: Grid, order: ExchangeOrder, cancel_client_id: str, quote_order_units: int = 0
) -> Json:
    """The answer to a cancel: the order's own id moves to `origClientOrderId`."""
    body = result_object(grid, order, quote_order_units)
    del body["workingTime"]
    return body | {"origClientOrderId": order.client_order_id, "clientOrderId": cancel_client_id}


def trade_object(grid: Grid, trade: ExchangeTrade) -> Json:
    """One row of `myTrades`."""
    return {
        "symbol": grid.name,
        "id": trade.trade_id,
        "orderId": trade.order_id,
        "orderListId": NO_LIST,
        "price": grid.price(trade.price_ticks),
        "qty": grid.size(trade.size_lots),
        "quoteQty": units_text(trade.quote_units),
        "commission": units_text(trade.commission_units),
        "commissionAsset": trade.commission_asset,
        "time": trade.at_ns // NS_PER_MS,
        "isBuyer": trade.side is Side.BUY,
        "isMaker": trade.maker,
        "isBestMatch": True,
    }


def execution_report(
    grid: Grid,
    change: OrderChanged,
    *,
    now_ns: int,
    execution_id: int,
    cancel_client_id: str,
    quote_order_units: int = 0,
) -> Json:
    """The user stream's `executionReport`.

    Args:
        grid: of the order's pair.
        change: the step the order took.
        now_ns: when this is sent.
        execution_id: grows by one with every report of the venue.
        cancel_client_id: the id of the cancel request; empty unless the order was cancelled by one.
        quote_order_units: `quoteOrderQty` of a market order in units of 1e-8.
    """
    order, trade = change.order, change.trade
    kind, time_in_force = KINDS[order.kind]
    created_ms = order.created_ns // NS_PER_MS
    report: Json = {
        "e": "executionReport",
        "E": now_ns // NS_PER_MS,
        "s": grid.name,
        "c": cancel_client_id or order.client_order_id,
        "S": SIDES[order.side],
        "o": kind,
        "f": time_in_force,
        "q": grid.size(order.size_lots),
        "p": grid.price(order.price_ticks),
        "P": ZERO,
        "F": ZERO,
        "g": NO_LIST,
        "C": order.client_order_id if cancel_client_id else "",
        "x": change.execution,
        "X": status_text(order),
        "r": "NONE",
        "i": order.order_id,
        "l": grid.size(trade.size_lots) if trade else ZERO,
        "z": grid.size(order.filled_lots),
        "L": grid.price(trade.price_ticks) if trade else ZERO,
        "n": units_text(trade.commission_units) if trade else "0",
        "N": trade.commission_asset if trade else None,
        "T": order.updated_ns // NS_PER_MS,
        "t": trade.trade_id if trade else -1,
        "I": execution_id,
        "w": not order.status.is_final and order.kind is not OrderKind.MARKET,
        "m": bool(trade and trade.maker),
        "M": False,
        "O": created_ms,
        "Z": grid.quote(order.filled_grains),
        "Y": units_text(trade.quote_units) if trade else ZERO,
        "Q": units_text(quote_order_units),
        "W": created_ms,
        "V": order.self_trade.name,
    }
    if order.prevented_lots:
        report["A"] = grid.size(order.prevented_lots)
    return report


def balance_update(transfer: ExternalTransfer, now_ns: int) -> Json:
    """The user stream's `balanceUpdate`, of deposits and withdrawals."""
    return {
        "e": "balanceUpdate",
        "E": now_ns // NS_PER_MS,
        "a": transfer.asset,
        "d": units_text(transfer.units),
        "T": transfer.at_ns // NS_PER_MS,
    }


def account_position(change: BalanceChanged, now_ns: int) -> Json:
    """The user stream's `outboundAccountPosition`."""
    return {
        "e": "outboundAccountPosition",
        "E": now_ns // NS_PER_MS,
        "u": change.at_ns // NS_PER_MS,
        "B": [
            {"a": asset, "f": units_text(free), "l": units_text(locked)}
            for asset, (free, locked) in change.balances.items()
        ],
    }
