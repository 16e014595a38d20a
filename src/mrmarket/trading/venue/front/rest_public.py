"""Calls that need no signature: time, listings, book, prints, candles, tickers.

Source: https://developers.binance.com/docs/binance-spot-api-docs/rest-api/market-data-endpoints
"""

from __future__ import annotations

from bisect import bisect_left
from itertools import islice
from typing import Any, Final

from mrmarket.core.clock import NS_PER_MS, NS_PER_S
from mrmarket.trading.venue.front import errors
from mrmarket.trading.venue.front.candles import INTERVALS
from mrmarket.trading.venue.front.endpoints import Call, Endpoint, Security
from mrmarket.trading.venue.front.exchange_info import exchange_info
from mrmarket.trading.venue.front.grid import Grid
from mrmarket.trading.venue.front.parameters import Parameters
from mrmarket.trading.venue.front.prints import Prints, aggregate_row, candle_row, trade_row

Json = dict[str, Any]

_MAX_DEPTH: Final = 5_000
_MAX_ROWS: Final = 1_000
_DEFAULT_ROWS: Final = 500
_HUGE: Final = 2**63 - 1
_DEPTH_WEIGHTS: Final = ((100, 5), (500, 25), (1_000, 50))
_DEEPEST_WEIGHT: Final = 250


def ping(call: Call) -> Json:
    """Nothing, proof of life."""
    call.parameters.finish()
    return {}


def time(call: Call) -> Json:
    """The server's clock."""
    call.parameters.finish()
    return {"serverTime": call.now_ns // NS_PER_MS}


def system_status(call: Call) -> Json:
    """That the venue is up; who reads this knows it already."""
    call.parameters.finish()
    return {"status": 0, "msg": "normal"}


def info(call: Call) -> Json:
    """Listings and limits, of all pairs or of those asked for."""
    parameters = call.parameters
    grids = _chosen(call)
    parameters.boolean("showPermissionSets", default=True)
    status = parameters.raw("symbolStatus")
    if status not in ("", "TRADING", "HALT", "BREAK"):
        raise errors.DialectError(-1122, "Invalid symbolStatus.")
    permissions = parameters.raw("permissions")
    if permissions and "SPOT" not in permissions:
        raise errors.invalid_data("permissions")
    parameters.finish()
    listed = grids if status in ("", "TRADING") else []
    return exchange_info(call.now_ns, call.gateway.meters.announced(), listed)


def depth(call: Call) -> Json:
    """The book; more than 5,000 levels are cut to 5,000."""
    parameters = call.parameters
    grid = call.gateway.grid(parameters.symbol())
    limit = min(parameters.limit(100, _HUGE), _MAX_DEPTH)
    _status_of_symbol(parameters)
    parameters.finish()
    last_id, bids, asks = call.gateway.exchange.depth(grid.instrument.symbol, limit)
    return {"lastUpdateId": last_id, "bids": grid.levels(bids), "asks": grid.levels(asks)}


def trades(call: Call) -> list[Json]:
    """The latest prints."""
    prints, limit = _prints_and_limit(call)
    call.parameters.finish()
    kept = prints.trades
    return [trade_row(prints.grid, trade) for trade in islice(kept, max(0, len(kept) - limit), None)]


def historical_trades(call: Call) -> list[Json]:
    """Prints from an id on, as far as they are kept."""
    prints, limit = _prints_and_limit(call)
    from_id = call.parameters.integer("fromId", -1)
    call.parameters.finish()
    kept = list(prints.trades)
    start = len(kept) - limit
    if from_id >= 0:
        start = bisect_left(kept, from_id, key=lambda trade: trade.trade_id)
    start = max(0, start)
    return [trade_row(prints.grid, trade) for trade in kept[start : start + limit]]


def aggregate_trades(call: Call) -> list[Json]:
    """Aggregated prints, the latest, from an id on, or of a span of time."""
    prints, limit = _prints_and_limit(call)
    parameters = call.parameters
    from_id = parameters.integer("fromId", -1)
    start_ms, end_ms = _span(parameters)
    parameters.finish()
    kept = list(prints.aggregates)
    if from_id >= 0:
        start = bisect_left(kept, from_id, key=lambda trade: trade.aggregate_id)
        chosen = kept[start : start + limit]
    elif start_ms or end_ms < _HUGE:
        chosen = [trade for trade in kept if start_ms <= trade.at_ns // NS_PER_MS <= end_ms]
        chosen = chosen[:limit] if start_ms else chosen[-limit:]
    else:
        chosen = kept[-limit:]
    return [aggregate_row(prints.grid, trade) for trade in chosen]


def klines(call: Call) -> list[list[int | str]]:
    """Candles."""
    prints, limit = _prints_and_limit(call)
    parameters = call.parameters
    interval = parameters.choice(
        "interval", tuple(INTERVALS), errors.DialectError(-1120, "Invalid interval.")
    )
    if not interval:
        raise errors.missing_parameter("interval")
    start_ms, end_ms = _span(parameters)
    zone = parameters.raw("timeZone")
    if zone not in ("", "0", "0:00", "00:00"):
        # Every candle of this venue opens on UTC.
        raise errors.invalid_data("timeZone")
    parameters.finish()
    found = prints.candles.candles(
        interval,
        from_s=-(-start_ms // 1000),
        to_s=min(end_ms // 1000, call.now_ns // NS_PER_S),
        limit=limit,
        newest=not start_ms,
    )
    return [candle_row(prints.grid, interval, candle) for candle in found]


def average_price(call: Call) -> Json:
    """The mean of the last five minutes."""
    prints = _prints(call)
    call.parameters.finish()
    return {
        "mins": 5,
        "price": prints.mean_price(call.gateway.now_ns()),
        "closeTime": call.now_ns // NS_PER_MS,
    }


def day_ticker(call: Call) -> Json | list[Json]:
    """Figures of the last 24 hours."""
    kind = call.parameters.choice(
        "type", ("FULL", "MINI"), errors.DialectError(-1139, "Invalid ticker type.")
    )
    _status_of_symbol(call.parameters)
    now_ns = call.gateway.now_ns()

    def figures(prints: Prints) -> Json:
        full = prints.day(now_ns)
        return full if kind != "MINI" else {name: full[name] for name in _MINI_FIELDS}

    return _of_each(call, figures)


def price_ticker(call: Call) -> Json | list[Json]:
    """Last prices."""
    _status_of_symbol(call.parameters)
    return _of_each(call, lambda prints: {"symbol": prints.grid.name, "price": prints.price()})


def book_ticker(call: Call) -> Json | list[Json]:
    """Best bids and asks."""
    _status_of_symbol(call.parameters)
    return _of_each(call, Prints.book_ticker)


_MINI_FIELDS: Final = (
    "symbol",
    "openPrice",
    "highPrice",
    "lowPrice",
    "lastPrice",
    "volume",
    "quoteVolume",
    "openTime",
    "closeTime",
    "firstId",
    "lastId",
    "count",
)


def _of_each(call: Call, row: Any) -> Json | list[Json]:
    one = bool(call.parameters.optional_symbol())
    grids = _chosen(call)
    call.parameters.finish()
    rows = [row(call.gateway.prints[grid.instrument.symbol]) for grid in grids]
    return rows[0] if one else rows


def _chosen(call: Call) -> list[Grid]:
    one = call.parameters.optional_symbol()
    several = call.parameters.symbols()
    if one and several:
        raise errors.bad_combination()
    if one:
        return [call.gateway.grid(one)]
    if several:
        return [call.gateway.grid(name) for name in dict.fromkeys(several)]
    return list(call.gateway.grids.values())


def _prints(call: Call) -> Prints:
    return call.gateway.prints[call.gateway.grid(call.parameters.symbol()).instrument.symbol]


def _prints_and_limit(call: Call) -> tuple[Prints, int]:
    return _prints(call), min(call.parameters.limit(_DEFAULT_ROWS, _HUGE), _MAX_ROWS)


def _span(parameters: Parameters) -> tuple[int, int]:
    start_ms = parameters.integer("startTime", 0)
    end_ms = parameters.integer("endTime", _HUGE)
    return start_ms, end_ms


def _status_of_symbol(parameters: Parameters) -> None:
    if parameters.raw("symbolStatus") not in ("", "TRADING"):
        raise errors.DialectError(-1122, "Invalid symbolStatus.")


def _depth_weight(parameters: Parameters) -> int:
    text = parameters.values.get("limit", "")
    limit = int(text) if text.isascii() and text.isdigit() else 100
    return next((weight for most, weight in _DEPTH_WEIGHTS if limit <= most), _DEEPEST_WEIGHT)


def _by_symbol(one: int, every: int) -> Any:
    return lambda parameters: one if parameters.values.get("symbol") else every


PUBLIC: Final = {
    "/api/v3/ping": Endpoint(handler=ping),
    "/api/v3/time": Endpoint(handler=time),
    "/sapi/v1/system/status": Endpoint(handler=system_status),
    "/api/v3/exchangeInfo": Endpoint(handler=info, weight=20),
    "/api/v3/depth": Endpoint(handler=depth, weight=_depth_weight),
    "/api/v3/trades": Endpoint(handler=trades, weight=25),
    "/api/v3/historicalTrades": Endpoint(handler=historical_trades, weight=25, security=Security.KEY),
    "/api/v3/aggTrades": Endpoint(handler=aggregate_trades, weight=4),
    "/api/v3/klines": Endpoint(handler=klines, weight=2),
    "/api/v3/uiKlines": Endpoint(handler=klines, weight=2),
    "/api/v3/avgPrice": Endpoint(handler=average_price, weight=2),
    "/api/v3/ticker/24hr": Endpoint(handler=day_ticker, weight=_by_symbol(2, 80)),
    "/api/v3/ticker/price": Endpoint(handler=price_ticker, weight=_by_symbol(2, 4)),
    "/api/v3/ticker/bookTicker": Endpoint(handler=book_ticker, weight=_by_symbol(2, 4)),
}
"""Path → endpoint, all of them GET."""
