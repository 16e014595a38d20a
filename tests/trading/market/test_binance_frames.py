"""Binance frames to events."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrmarket.core.instrument import Instrument
from mrmarket.trading.market.binance import FrameParser
from mrmarket.trading.market.errors import BadFrameError
from mrmarket.trading.market.event import EventKind, MarketEvent

SPOT = Instrument("binance", "BTC/USDT", "BTC", "USDT", Decimal("0.01"), Decimal("0.00001"))

DEPTH = {
    "e": "depthUpdate", "E": 1000, "s": "BTCUSDT", "U": 5, "u": 9,
    "b": [["61737.63000000", "0.00000000"]], "a": [["61837.64000000", "1.54698000"]],
}  # fmt: skip
TRADE = {
    "e": "trade", "E": 1001, "s": "BTCUSDT", "t": 7, "p": "61837.63", "q": "0.02", "T": 1000, "m": True,
    "M": True,
}  # fmt: skip
TOP = {"u": 12, "s": "BTCUSDT", "b": "61837.63", "B": "3.78826", "a": "61837.64", "A": "1.5"}
SNAPSHOT = {"lastUpdateId": 4, "bids": [["1.00", "2.0"]], "asks": [["1.01", "3.0"]]}

CASES: list[tuple[dict[str, Any], MarketEvent]] = [
    (
        DEPTH,
        MarketEvent(
            kind=EventKind.DEPTH, exchange_ns=1_000_000_000, local_ns=3, first_id=5, last_id=9,
            bids=[(6173763, 0)], asks=[(6183764, 154698)],
        ),
    ),
    (
        DEPTH | {"T": 999, "pu": 4},
        MarketEvent(
            kind=EventKind.DEPTH, exchange_ns=999_000_000, local_ns=3, first_id=5, last_id=9, prev_id=4,
            bids=[(6173763, 0)], asks=[(6183764, 154698)],
        ),
    ),
    (
        TRADE,
        MarketEvent(
            kind=EventKind.TRADE, exchange_ns=1_000_000_000, local_ns=3, last_id=7,
            price_ticks=6183763, size_lots=2000,
        ),
    ),
    (
        TRADE | {"m": False},
        MarketEvent(
            kind=EventKind.TRADE, exchange_ns=1_000_000_000, local_ns=3, last_id=7,
            price_ticks=6183763, size_lots=2000, taker_buys=True,
        ),
    ),
    (
        TOP,
        MarketEvent(
            kind=EventKind.TOP, exchange_ns=0, local_ns=3, last_id=12,
            bids=[(6183763, 378826)], asks=[(6183764, 150000)],
        ),
    ),
    (
        TOP | {"e": "bookTicker", "T": 5, "E": 6, "A": "0.000"},
        MarketEvent(
            kind=EventKind.TOP, exchange_ns=5_000_000, local_ns=3, last_id=12, bids=[(6183763, 378826)]
        ),
    ),
    (
        SNAPSHOT,
        MarketEvent(
            kind=EventKind.SNAPSHOT, exchange_ns=0, local_ns=3, last_id=4,
            bids=[(100, 200000)], asks=[(101, 300000)],
        ),
    ),
    (
        SNAPSHOT | {"T": 8, "symbol": "BTCUSDT"},
        MarketEvent(
            kind=EventKind.SNAPSHOT, exchange_ns=8_000_000, local_ns=3, last_id=4,
            bids=[(100, 200000)], asks=[(101, 300000)],
        ),
    ),
]  # fmt: skip


def _parse(frame: object, separators: tuple[str, str] = (",", ":")) -> MarketEvent | None:
    return FrameParser(SPOT).parse(json.dumps(frame, separators=separators).encode(), 3)


def _stream_name(data: dict[str, Any]) -> str:
    if "lastUpdateId" in data:
        return "btcusdt@depth20@100ms"
    return "btcusdt@" + {"depthUpdate": "depth@100ms", "trade": "trade"}.get(data.get("e", ""), "bookTicker")


@pytest.mark.parametrize(("data", "event"), CASES)
@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": ")])
@pytest.mark.parametrize("combined", [True, False])
def test_every_documented_frame(
    data: dict[str, Any], event: MarketEvent, separators: tuple[str, str], combined: bool
) -> None:
    """Bare or from a combined stream, with blanks or without, a frame is the same event."""
    assert _parse({"stream": _stream_name(data), "data": data} if combined else data, separators) == event


@pytest.mark.parametrize(
    "frame",
    [
        {"result": None, "id": 1},
        {"stream": "btcusdt@kline_1m", "data": {"e": "kline", "s": "BTCUSDT"}},
        {"e": "24hrTicker", "s": "BTCUSDT", "b": "1", "B": "1", "a": "2", "A": "3"},
        DEPTH | {"s": "ETHUSDT"},
        TRADE | {"s": "ETHUSDT"},
        TOP | {"s": "ETHUSDT"},
        SNAPSHOT | {"symbol": "ETHUSDT"},
        TRADE | {"p": "0", "q": "0", "X": "NA"},
    ],
)
def test_what_is_not_market_data_of_the_pair_gives_nothing(frame: dict[str, Any]) -> None:
    """Acknowledgements, other streams, other pairs and trades without a price are passed over."""
    assert _parse(frame) is None


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"not json",
        b"[]",
        b'{"stream":"x"',
        b"\xff\xfe",
        json.dumps(DEPTH | {"u": "nine"}).encode(),
        json.dumps(DEPTH | {"b": [["1.00"]]}).encode(),
        json.dumps(DEPTH | {"E": -1}).encode(),
        json.dumps(TRADE | {"p": "61837.635"}).encode(),
        json.dumps(TRADE | {"q": "0.000001"}).encode(),
        json.dumps(TOP | {"b": "-1"}).encode(),
    ],
)
def test_a_bad_frame_is_refused_with_its_text(text: bytes) -> None:
    """What Binance would never send is an error that shows the frame."""
    with pytest.raises(BadFrameError) as caught:
        FrameParser(SPOT).parse(text, 0)
    assert caught.value.frame == text[:60]


def test_sizes_finer_than_a_lot_are_rounded_where_asked() -> None:
    """Old orders with odd sizes do not stop a tape."""
    parser = FrameParser(SPOT, round_sizes=True)
    event = parser.parse(json.dumps(TRADE | {"q": "0.0000196"}).encode(), 0)
    assert event is not None
    assert event.size_lots == 1
    assert parser.rounded_sizes == 1


def test_the_name_in_the_frames_may_differ() -> None:
    """COIN-M calls its pair BTCUSD_PERP."""
    coin = Instrument("binance", "BTC/USD", "BTC", "USD", Decimal("0.1"), Decimal(1))
    text = json.dumps(TOP | {"s": "BTCUSD_PERP", "b": "1.0", "B": "2", "a": "1.1", "A": "3"}).encode()
    assert FrameParser(coin).parse(text, 0) is None
    event = FrameParser(coin, "BTCUSD_PERP").parse(text, 0)
    assert event is not None
    assert event.bids == [(10, 2)]


@given(st.binary(max_size=200))
def test_any_bytes_give_an_event_nothing_or_our_error(text: bytes) -> None:
    """No bytes make the parser raise anything else."""
    try:
        FrameParser(SPOT).parse(text, 0)
    except BadFrameError:
        return


plain = st.one_of(
    st.none(), st.booleans(), st.integers(), st.text(max_size=6), st.sampled_from(["1.0", "-1"])
)
documents = st.recursive(plain, lambda inner: st.lists(inner, max_size=3), max_leaves=5)


@given(st.sampled_from([DEPTH, TRADE, TOP, SNAPSHOT]), st.data(), st.booleans())
def test_any_damaged_frame_gives_an_event_nothing_or_our_error(
    base: dict[str, Any], data: st.DataObject, combined: bool
) -> None:
    """A frame with any field replaced by anything is an event, nothing, or a BadFrameError."""
    name = data.draw(st.sampled_from(sorted(base)))
    frame: dict[str, Any] = base | {name: data.draw(documents)}
    try:
        _parse({"stream": _stream_name(base), "data": frame} if combined else frame)
    except BadFrameError:
        return
