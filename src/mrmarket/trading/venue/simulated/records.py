"""What the simulated exchange keeps and publishes: orders, trades, balances, and its refusals.

Amounts of assets are int units of 1e-8, as on Binance; prices and sizes int ticks and lots.
"""

from __future__ import annotations

from enum import IntEnum, StrEnum
from typing import Final, Literal

import msgspec

from mrmarket.core.errors import MrMarketError
from mrmarket.core.side import Side
from mrmarket.trading.market.event import Level
from mrmarket.trading.venue.port import OrderKind, OrderStatus

UNITS_DECIMALS: Final = 8
UNITS_PER_WHOLE: Final = 10**UNITS_DECIMALS
"""Account units in one whole of any asset."""

Execution = Literal["NEW", "TRADE", "CANCELED", "REJECTED", "EXPIRED", "TRADE_PREVENTION"]
"""Why an order changed, in Binance's words (`x` of its execution report)."""


class SelfTrade(IntEnum):
    """What happens when an order would meet one of its own account (Binance's STP modes)."""

    NONE = 0
    EXPIRE_TAKER = 1
    EXPIRE_MAKER = 2
    """Binance's `defaultSelfTradePreventionMode` on every spot pair of the recorded exchangeInfo."""
    EXPIRE_BOTH = 3


class ExchangeOrder(msgspec.Struct, kw_only=True):
    """An order of an account, in its latest state. The exchange changes it in place."""

    order_id: int
    account: str
    symbol: str
    client_order_id: str
    side: Side
    kind: OrderKind
    price_ticks: int
    """0 for MARKET."""
    size_lots: int
    filled_lots: int = 0
    filled_grains: int = 0
    """Sum of price ticks times lots over its trades."""
    prevented_lots: int = 0
    """Expired by self-trade prevention; then Binance's status is EXPIRED_IN_MATCH."""
    status: OrderStatus = OrderStatus.OPEN
    created_ns: int = 0
    updated_ns: int = 0
    reserved_units: int = 0
    """Locked for it: quote units of a buy, base units of a sell."""
    self_trade: SelfTrade = SelfTrade.EXPIRE_MAKER

    @property
    def open_lots(self) -> int:
        """Lots that may still fill; 0 once the order is final."""
        return 0 if self.status.is_final else self.size_lots - self.filled_lots


class ExchangeTrade(msgspec.Struct, frozen=True, kw_only=True):
    """One account's half of a trade."""

    trade_id: int
    """Shared with the counterparty's half and the public print; unique in its symbol."""
    order_id: int
    client_order_id: str
    account: str
    symbol: str
    side: Side
    price_ticks: int
    size_lots: int
    quote_units: int
    """What changed hands in quote, price times size rounded down to a unit."""
    commission_units: int
    """Of `commission_asset`, the asset received; rounded up; negative is a rebate."""
    commission_asset: str
    maker: bool
    at_ns: int


class PublicTrade(msgspec.Struct, frozen=True, kw_only=True):
    """A print on the public tape of a pair."""

    trade_id: int
    price_ticks: int
    size_lots: int
    taker_buys: bool
    at_ns: int


class DepthPublished(msgspec.Struct, frozen=True, kw_only=True):
    """Changed levels; a size of 0 removes one. `first_id` follows the last publication's `last_id`."""

    symbol: str
    first_id: int
    """Binance's `U`."""
    last_id: int
    """Binance's `u`."""
    bids: list[Level]
    asks: list[Level]
    at_ns: int


class TradePublished(msgspec.Struct, frozen=True, kw_only=True):
    """A new print."""

    symbol: str
    trade: PublicTrade


class TopPublished(msgspec.Struct, frozen=True, kw_only=True):
    """Best bid and ask after a change of either; None where a side is empty."""

    symbol: str
    last_id: int
    bid: Level | None
    ask: Level | None
    at_ns: int


class OrderChanged(msgspec.Struct, frozen=True, kw_only=True):
    """An order took a step; `order` is a copy as it stood right after."""

    order: ExchangeOrder
    execution: Execution
    trade: ExchangeTrade | None = None
    """For TRADE only."""


class BalanceChanged(msgspec.Struct, frozen=True, kw_only=True):
    """New `(free, locked)` units of every asset of an account that one request or event moved."""

    account: str
    balances: dict[str, tuple[int, int]]
    at_ns: int


class ExternalTransfer(msgspec.Struct, frozen=True, kw_only=True):
    """Something that came into an account from outside the exchange, or left it; no trade."""

    transfer_id: str
    """Given by who asked for it; the same id is the same transfer for ever."""
    account: str
    asset: str
    units: int
    """What came in; negative is what left."""
    at_ns: int


Publication = (
    DepthPublished | TradePublished | TopPublished | OrderChanged | BalanceChanged | ExternalTransfer
)


class Refusal(StrEnum):
    """Why the exchange said no; each has one Binance code and message."""

    UNKNOWN_SYMBOL = "unknown_symbol"
    UNKNOWN_ACCOUNT = "unknown_account"
    MARKET_CLOSED = "market_closed"
    PRICE_FILTER = "price_filter"
    PERCENT_PRICE = "percent_price"
    LOT_SIZE = "lot_size"
    MARKET_LOT_SIZE = "market_lot_size"
    NOTIONAL = "notional"
    MAX_NUM_ORDERS = "max_num_orders"
    DUPLICATE_ORDER = "duplicate_order"
    INSUFFICIENT_BALANCE = "insufficient_balance"
    WOULD_TAKE = "would_take"
    CANCEL_UNKNOWN = "cancel_unknown"
    NO_SUCH_ORDER = "no_such_order"
    UNKNOWN_ASSET = "unknown_asset"
    TRANSFER_CONFLICT = "transfer_conflict"
    NO_SUCH_TRANSFER = "no_such_transfer"

    @property
    def binance_code(self) -> int:
        """The `code` of Binance's error body."""
        return _BINANCE[self][0]

    @property
    def binance_message(self) -> str:
        """The `msg` of Binance's error body."""
        return _BINANCE[self][1]


_BINANCE: Final = {
    Refusal.UNKNOWN_SYMBOL: (-1121, "Invalid symbol."),
    Refusal.UNKNOWN_ACCOUNT: (-2015, "Invalid API-key, IP, or permissions for action."),
    Refusal.MARKET_CLOSED: (-1013, "Market is closed."),
    Refusal.PRICE_FILTER: (-1013, "Filter failure: PRICE_FILTER"),
    Refusal.PERCENT_PRICE: (-1013, "Filter failure: PERCENT_PRICE_BY_SIDE"),
    Refusal.LOT_SIZE: (-1013, "Filter failure: LOT_SIZE"),
    Refusal.MARKET_LOT_SIZE: (-1013, "Filter failure: MARKET_LOT_SIZE"),
    Refusal.NOTIONAL: (-1013, "Filter failure: NOTIONAL"),
    Refusal.MAX_NUM_ORDERS: (-1013, "Filter failure: MAX_NUM_ORDERS"),
    Refusal.DUPLICATE_ORDER: (-2010, "Duplicate order sent."),
    Refusal.INSUFFICIENT_BALANCE: (-2010, "Account has insufficient balance for requested action."),
    Refusal.WOULD_TAKE: (-2010, "Order would immediately match and take."),
    Refusal.CANCEL_UNKNOWN: (-2011, "Unknown order sent."),
    Refusal.NO_SUCH_ORDER: (-2013, "Order does not exist."),
    Refusal.UNKNOWN_ASSET: (-9001, "This exchange lists no pair with that asset."),
    Refusal.TRANSFER_CONFLICT: (-9002, "Another transfer has this id."),
    Refusal.NO_SUCH_TRANSFER: (-9003, "Transfer does not exist."),
}
"""Source: Binance spot API, errors.md and filters.md; those from -9001 on are the simulation's own."""


class ExchangeRefusedError(MrMarketError):
    """The exchange refused a request; nothing was changed."""

    code = "exchange_refused"

    def __init__(self, reason: Refusal, subject: str, advice: str) -> None:
        self.reason = reason
        self.subject = subject
        self.binance_code = reason.binance_code
        self.binance_message = reason.binance_message
        super().__init__(f"{subject}: {reason.binance_message.rstrip('.')}; {advice}")
