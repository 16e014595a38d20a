"""What the API says, as types. Amounts are decimal strings, times UTC milliseconds, names snake_case."""

from __future__ import annotations

from typing import Literal

import msgspec


class Problem(msgspec.Struct, kw_only=True):
    """Why a request was refused."""

    code: str
    message: str
    retryable: bool = False


class Alive(msgspec.Struct, kw_only=True):
    """The process answers."""

    alive: bool


class Heartbeat(msgspec.Struct, kw_only=True):
    """A sign of life. A watcher trusts only that `seq` rises, by its own clock."""

    node: str
    role: Literal["all", "api", "engine"]
    seq: int
    started_ms: int
    at_ms: int


class InstanceStatus(msgspec.Struct, kw_only=True):
    """How the instance is doing right now."""

    name: str
    version: str
    state: Literal["starting", "running", "paused", "stopping", "stopped", "failed"]
    state_reason: str
    venue: str
    symbol: str
    market: str
    """What the venue trades on: a tape's file name, `generator`, or `live`."""
    simulated: bool
    paper: bool
    speed: float
    started_at_ms: int
    now_ms: int
    book_age_ms: int | None
    """Since the last book event; null before the first."""
    user_stream_connected: bool
    open_orders: int
    ledger_verified: bool | None
    """Result of the last check; null before the first."""
    strategy: str = ""
    """Kind of the main run's strategy."""


class InstrumentView(msgspec.Struct, kw_only=True):
    """The pair's grid and fees."""

    symbol: str
    base: str
    quote: str
    tick_size: str
    lot_size: str
    min_notional: str
    maker_fee: str
    taker_fee: str


class BookLevel(msgspec.Struct, kw_only=True):
    """One price of the book, ours included."""

    price: str
    size: str
    own: str
    """How much of `size` is ours; `0` where we do not quote."""


class BookView(msgspec.Struct, kw_only=True):
    """The top of the live book with our own quotes in it."""

    bids: list[BookLevel]
    asks: list[BookLevel]
    at_ms: int
    stale: bool


class MarketView(msgspec.Struct, kw_only=True):
    """The pair, its book and its last price."""

    instrument: InstrumentView
    book: BookView
    last_price: str | None
    mid: str | None
    spread_bps: float | None


class Candle(msgspec.Struct, kw_only=True):
    """Trades of one interval."""

    start_ms: int
    open: str
    high: str
    low: str
    close: str
    volume: str


class QuoteTerm(msgspec.Struct, kw_only=True):
    """One step in how a quote got its price."""

    name: str
    value: str
    unit: str
    """`quote`, `base`, `fraction`, `bps` or empty."""


class QuoteView(msgspec.Struct, kw_only=True):
    """A quote that the strategy wants, and why it has its price."""

    slot: str
    side: Literal["buy", "sell"]
    price: str
    size: str
    live: bool
    """Whether an order for it stands at the venue."""
    why: str
    terms: list[QuoteTerm]


class QuotesView(msgspec.Struct, kw_only=True):
    """All wanted quotes, or the reason there are none."""

    strategy: str
    reason: str
    quotes: list[QuoteView]
    at_ms: int


class OrderView(msgspec.Struct, kw_only=True):
    """One order of ours."""

    client_order_id: str
    venue_order_id: str | None
    symbol: str
    slot: str
    side: Literal["buy", "sell"]
    price: str
    size: str
    filled: str
    state: str
    """`new`, `sent`, `unknown`, `acked`, `partially_filled`, `cancel_unknown`, `filled`, `cancelled`,
    `rejected` or `expired`."""
    created_ms: int
    updated_ms: int


class FillView(msgspec.Struct, kw_only=True):
    """One trade of ours."""

    trade_id: str
    client_order_id: str
    symbol: str
    side: Literal["buy", "sell"]
    price: str
    size: str
    quote_size: str
    fee: str
    fee_asset: str
    maker: bool
    spread_captured_bps: float | None
    """Distance from the mid at the time, in our favour; null where the mid was not known."""
    at_ms: int


class EventView(msgspec.Struct, kw_only=True):
    """One row of the event log."""

    seq: int
    at_ms: int
    kind: str
    summary: str
    """One sentence for people."""
    hash: str


class AssetHolding(msgspec.Struct, kw_only=True):
    """What the pool owns of one asset, by the ledger."""

    asset: str
    amount: str
    value: str
    """In the pool's quote asset, at the mark."""


class DepositorView(msgspec.Struct, kw_only=True):
    """One participant of the pool."""

    name: str
    shares: str
    share: float
    """Fraction of all shares."""
    value: str
    earned: str
    """Value now less value put in; negative is a loss."""


class PoolView(msgspec.Struct, kw_only=True):
    """The pool by the ledger."""

    id: str
    quote: str
    nav: str
    shares: str
    nav_per_share: str
    holdings: list[AssetHolding]
    depositors: list[DepositorView]
    """For the owner alone; empty for everybody else."""
    ledger_seq: int
    ledger_head: str
    settled_through_seq: int
    """Last event-log row that is in the ledger."""
    log_head_seq: int


class EquityPoint(msgspec.Struct, kw_only=True):
    """The pool's worth at one moment."""

    at_ms: int
    nav: str
    nav_per_share: str
    pnl: str


class PerformanceView(msgspec.Struct, kw_only=True):
    """What trading has done since the instance first started."""

    orders_placed: int
    orders_cancelled: int
    fills: int
    maker_fills: int
    volume_quote: str
    fees_quote: str
    inventory_base: str
    """Net base traded: bought less sold."""
    inventory_share: float | None
    """Share of the pool's worth held in base, 0 to 1; 0.5 is balanced."""
    inventory_target: float
    pnl_quote: str
    spread_captured_bps: float | None
    """Mean over fills, weighted by quote size."""
    spread_captured_histogram: list[int]
    """Fills by spread captured, 1 bp a bin from -5 to +5; the ends take the rest (12 bins)."""
    quote_uptime: float | None
    """Share of running time with a live quote on both sides."""
    quote_latency_us_p50: float | None
    quote_latency_us_p99: float | None


Topic = Literal[
    "status",
    "market",
    "quotes",
    "orders",
    "fill",
    "event",
    "pool",
    "equity",
    "performance",
    "candle",
    "operations",
]


class StreamMessage(msgspec.Struct, kw_only=True):
    """One message of `/api/v1/stream`.

    `seq` rises by one a message on a connection; a gap means: fetch everything again. `data` is what
    the route of the same name answers (`fill`, `event`, `equity` and `candle` carry one row each).
    """

    seq: int
    topic: Topic
    at_ms: int
    data: msgspec.Raw


class ConfigEntry(msgspec.Struct, kw_only=True):
    """One setting and where its value comes from."""

    key: str
    value: str
    source: Literal["default", "file", "command line", "environment"]


class ConfigSection(msgspec.Struct, kw_only=True):
    """One table of the config file."""

    name: str
    entries: list[ConfigEntry]


class ConfigView(msgspec.Struct, kw_only=True):
    """The configuration in force; secrets are masked."""

    sections: list[ConfigSection]
