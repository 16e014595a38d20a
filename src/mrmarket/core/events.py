"""Facts that cross the wall between trading and money.

The execution core appends them, the business core settles them. Amounts are plain decimal strings,
times UTC nanoseconds. A fact is never edited; `msgspec.json` with the tag in `type` is its one
canonical form, and its hash covers exactly those bytes.
"""

from __future__ import annotations

import msgspec

from mrmarket.core.side import Side


class _Fact(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", omit_defaults=True):
    venue: str
    at_ns: int
    """When it happened, by the venue's clock where the venue says so, else by ours."""


class OrderCreated(_Fact, frozen=True, tag="order_created"):
    """We decided to place an order; it may not have reached the venue yet."""

    symbol: str
    client_order_id: str
    slot: str
    side: Side
    price: str
    size: str
    reason: str = ""


class OrderAccepted(_Fact, frozen=True, tag="order_accepted"):
    """The venue acknowledged an order."""

    symbol: str
    client_order_id: str
    venue_order_id: str


class OrderRejected(_Fact, frozen=True, tag="order_rejected"):
    """The venue refused an order; it never lived."""

    symbol: str
    client_order_id: str
    code: str
    reason: str


class OrderCancelled(_Fact, frozen=True, tag="order_cancelled"):
    """An order left the book with something unfilled (also: expired)."""

    symbol: str
    client_order_id: str
    filled: str


class OrderDoubted(_Fact, frozen=True, tag="order_doubted"):
    """The outcome of a request is not known (a time-out is neither success nor failure)."""

    symbol: str
    client_order_id: str
    request: str
    """`place` or `cancel`."""


class Filled(_Fact, frozen=True, tag="filled"):
    """One trade of ours. Its natural key is `(venue, symbol, trade_id)`."""

    symbol: str
    base: str
    quote: str
    trade_id: str
    client_order_id: str
    venue_order_id: str
    side: Side
    price: str
    size: str
    """In base."""
    quote_size: str
    """In quote; price times size, exact."""
    fee: str
    """Negative is a rebate."""
    fee_asset: str
    maker: bool


class MarkObserved(_Fact, frozen=True, tag="mark_observed"):
    """Best bid and ask that value the pool."""

    symbol: str
    base: str
    quote: str
    bid: str
    ask: str


class BalanceObserved(_Fact, frozen=True, tag="balance_observed"):
    """What a venue says we hold. An observation, never a posting."""

    asset: str
    free: str
    locked: str


class RunStateChanged(_Fact, frozen=True, tag="run_state_changed"):
    """A strategy run started, paused, pulled its quotes or stopped, and why."""

    symbol: str
    state: str
    reason: str


class RiskChanged(_Fact, frozen=True, tag="risk_changed"):
    """What a run may do became less or more, and why."""

    symbol: str
    scope: str
    """`run:<id>`, `venue:<name>` or `instance`."""
    state: str
    """`active`, `reduce`, `cancel_only` or `halt`: of all causes together."""
    cause: str
    """What was added or lifted."""
    detail: str = ""


class DifferenceFound(_Fact, frozen=True, tag="difference_found"):
    """The venue says something else than we know. An observation; nothing is made up to hide it."""

    symbol: str
    kind: str
    """`stray_order`, `order_missing`, `fill_missing`, `balance`, `off_grid` …"""
    subject: str
    """An order, a trade or an asset."""
    ours: str
    theirs: str
    detail: str = ""


class DifferenceClosed(_Fact, frozen=True, tag="difference_closed"):
    """A difference is gone, and what explained it."""

    symbol: str
    kind: str
    subject: str
    detail: str = ""


Fact = (
    OrderCreated
    | OrderAccepted
    | OrderRejected
    | OrderCancelled
    | OrderDoubted
    | Filled
    | MarkObserved
    | BalanceObserved
    | RunStateChanged
    | RiskChanged
    | DifferenceFound
    | DifferenceClosed
)

_encoder = msgspec.json.Encoder(order="deterministic")
_decoder: msgspec.json.Decoder[Fact] = msgspec.json.Decoder(Fact)


def encode_fact(fact: Fact) -> bytes:
    """The canonical JSON bytes of a fact."""
    return _encoder.encode(fact)


def decode_fact(data: bytes) -> Fact:
    """Read canonical bytes back; raises `msgspec.ValidationError` on anything else."""
    return _decoder.decode(data)
