"""What the venue lists: pairs with their filters, and its limits.

Source: https://developers.binance.com/docs/binance-spot-api-docs/rest-api/general-endpoints and filters.md
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

from mrmarket.core.clock import NS_PER_MS
from mrmarket.trading.venue.front.grid import Grid
from mrmarket.trading.venue.front.weights import RateLimit
from mrmarket.trading.venue.simulated.filters import Filters
from mrmarket.trading.venue.simulated.records import SelfTrade

Json = dict[str, Any]

ORDER_TYPES: Final = ("LIMIT", "LIMIT_MAKER", "MARKET")
_DIGITS: Final = 8
_BASIS_POINTS: Final = 10_000


def exchange_info(now_ns: int, limits: list[RateLimit], grids: list[Grid]) -> Json:
    """The body of `exchangeInfo`."""
    return {
        "timezone": "UTC",
        "serverTime": now_ns // NS_PER_MS,
        "rateLimits": limits,
        "exchangeFilters": [],
        "symbols": [symbol_object(grid) for grid in grids],
    }


def symbol_object(grid: Grid) -> Json:
    """One pair."""
    instrument = grid.instrument
    return {
        "symbol": grid.name,
        "status": "TRADING",
        "baseAsset": instrument.base,
        "baseAssetPrecision": _DIGITS,
        "quoteAsset": instrument.quote,
        "quotePrecision": _DIGITS,
        "quoteAssetPrecision": _DIGITS,
        "baseCommissionPrecision": _DIGITS,
        "quoteCommissionPrecision": _DIGITS,
        "orderTypes": list(ORDER_TYPES),
        "icebergAllowed": False,
        "ocoAllowed": False,
        "otoAllowed": False,
        "opoAllowed": False,
        "quoteOrderQtyMarketAllowed": True,
        "allowTrailingStop": False,
        "cancelReplaceAllowed": False,
        "amendAllowed": False,
        "pegInstructionsAllowed": False,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": filter_objects(grid),
        "permissions": [],
        "permissionSets": [["SPOT"]],
        "defaultSelfTradePreventionMode": SelfTrade.EXPIRE_MAKER.name,
        "allowedSelfTradePreventionModes": [mode.name for mode in SelfTrade],
    }


def filter_objects(grid: Grid) -> list[Json]:
    """The filters of a pair, exactly those the exchange enforces."""
    instrument = grid.instrument
    filters = Filters.of(instrument)
    up, down = str(filters.multiplier_up), str(filters.multiplier_down)
    lot_size = {
        "minQty": grid.size(instrument.min_lots),
        "maxQty": grid.size(instrument.max_lots),
        "stepSize": grid.size(1),
    }
    return [
        {
            "filterType": "PRICE_FILTER",
            "minPrice": grid.price(filters.min_price_ticks),
            "maxPrice": grid.price(filters.max_price_ticks),
            "tickSize": grid.price(1),
        },
        {"filterType": "LOT_SIZE", **lot_size},
        {"filterType": "MARKET_LOT_SIZE", **lot_size},
        {
            "filterType": "PERCENT_PRICE_BY_SIDE",
            "bidMultiplierUp": up,
            "bidMultiplierDown": down,
            "askMultiplierUp": up,
            "askMultiplierDown": down,
            "avgPriceMins": 0,
        },
        {
            "filterType": "NOTIONAL",
            "minNotional": decimal_text(instrument.min_notional),
            "applyMinToMarket": True,
            "avgPriceMins": 0,
        },
        {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": filters.max_num_orders},
    ]


def commission_object(grid: Grid) -> Json:
    """`account/commission`."""
    instrument = grid.instrument
    zero = {"maker": decimal_text(Decimal(0)), "taker": decimal_text(Decimal(0))} | _nothing()
    return {
        "symbol": grid.name,
        "standardCommission": {
            "maker": decimal_text(instrument.maker_fee),
            "taker": decimal_text(instrument.taker_fee),
        }
        | _nothing(),
        "specialCommission": zero,
        "taxCommission": zero,
        "discount": {
            "enabledForAccount": False,
            "enabledForSymbol": False,
            "discountAsset": "BNB",
            "discount": decimal_text(Decimal(0)),
        },
    }


def trade_fee_object(grid: Grid) -> Json:
    """One row of `sapi/v1/asset/tradeFee`."""
    return {
        "symbol": grid.name,
        "makerCommission": f"{grid.instrument.maker_fee:f}",
        "takerCommission": f"{grid.instrument.taker_fee:f}",
    }


def basis_points(fee: Decimal) -> int:
    """A fee as the whole basis points of `makerCommission`, rounded down."""
    return int(fee * _BASIS_POINTS)


def decimal_text(value: Decimal) -> str:
    """Eight decimals."""
    return f"{value:.8f}"


def _nothing() -> Json:
    return {"buyer": decimal_text(Decimal(0)), "seller": decimal_text(Decimal(0))}
