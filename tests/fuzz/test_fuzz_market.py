"""Frames of exchanges and recordings: whatever the bytes, a typed error or an event comes out."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzz.mangling import FUZZ, mangled, refuse_or_take
from mrmarket.core.instrument import Instrument
from mrmarket.trading.market.binance import FrameParser
from mrmarket.trading.market.tape import open_tape
from mrmarket.trading.market.tape_info import describe
from mrmarket.trading.venue.ccxt_adapter.feeds.binance import BinanceFrames
from mrmarket.trading.venue.ccxt_adapter.feeds.bybit import BybitFrames
from mrmarket.trading.venue.ccxt_adapter.feeds.okx import OkxFrames

TAPE = Path(__file__).resolve().parents[1] / "tapes" / "generated.tape.gz"
GRID = Instrument(
    venue="binance",
    symbol="BTC/USDT",
    base="BTC",
    quote="USDT",
    tick_size=Decimal("0.01"),
    lot_size=Decimal("0.00001"),
)
BINANCE = [
    b'{"e":"depthUpdate","E":1700000000000,"s":"BTCUSDT","U":5,"u":6,"b":[["60000.01","0.5"]],"a":[["60000.02","0.10000000"]]}',
    b'{"e":"trade","E":1700000000000,"s":"BTCUSDT","t":12,"p":"60000.01","q":"0.5","T":1700000000000,"m":true,"M":true}',
    b'{"u":400,"s":"BTCUSDT","b":"60000.01","B":"31.2","a":"60000.02","A":"40.66"}',
    b'{"lastUpdateId":5,"bids":[["60000.01","0.5"]],"asks":[["60000.02","0.1"]]}',
    b'{"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate","E":1700000000000,"s":"BTCUSDT","U":5,"u":6,"b":[],"a":[["60000.02","0"]]}}',
    b'{"stream":"btcusdt@bookTicker","data":{"u":400,"s":"BTCUSDT","b":"60000.01","B":"31.2","a":"60000.02","A":"40.66"}}',
]
OKX = [
    b'{"arg":{"channel":"books","instId":"BTC-USDT"},"action":"snapshot","data":[{"asks":[["60000.1","0.5","0","3"]],"bids":[["60000","1","0","2"]],"ts":"1700000000000","checksum":-855196043,"seqId":5,"prevSeqId":-1}]}',
    b'{"arg":{"channel":"books","instId":"BTC-USDT"},"action":"update","data":[{"asks":[["60000.1","0","0","0"]],"bids":[],"ts":"1700000000001","checksum":1,"seqId":6,"prevSeqId":5}]}',
    b'{"arg":{"channel":"trades","instId":"BTC-USDT"},"data":[{"instId":"BTC-USDT","tradeId":"130639474","px":"60000.1","sz":"0.12","side":"buy","ts":"1700000000000","count":"3"}]}',
]
BYBIT = [
    b'{"topic":"orderbook.50.BTCUSDT","type":"snapshot","ts":1700000000000,"data":{"s":"BTCUSDT","b":[["60000.01","0.5"]],"a":[["60000.02","0.1"]],"u":1,"seq":2},"cts":1700000000000}',
    b'{"topic":"orderbook.50.BTCUSDT","type":"delta","ts":1700000000001,"data":{"s":"BTCUSDT","b":[],"a":[["60000.02","0"]],"u":2,"seq":3},"cts":1700000000001}',
    b'{"topic":"publicTrade.BTCUSDT","type":"snapshot","ts":1700000000000,"data":[{"T":1700000000000,"s":"BTCUSDT","S":"Buy","v":"0.001","p":"60000.01","L":"PlusTick","i":"20f43950","BT":false}]}',
]
READERS: dict[str, tuple[list[bytes], Callable[[bytes], object]]] = {
    "binance recording": (BINANCE, lambda frame: FrameParser(GRID).parse(frame, 1)),
    "binance": (BINANCE, lambda frame: BinanceFrames(GRID, "BTCUSDT").read(frame, 1)),
    "okx": (OKX, lambda frame: OkxFrames(GRID, "BTC-USDT").read(frame, 1)),
    "bybit": (BYBIT, lambda frame: BybitFrames(GRID, "BTCUSDT").read(frame, 1)),
}


@pytest.mark.parametrize("name", sorted(READERS))
@FUZZ
@given(data=st.data())
def test_a_frame_is_read_or_refused(name: str, data: st.DataObject) -> None:
    """Broken, nested, endless or absurd: an event, nothing, or a `BadFrameError`."""
    seeds, read = READERS[name]
    refuse_or_take(read, data.draw(mangled(seeds)))


@pytest.mark.parametrize("name", sorted(READERS))
def test_what_the_mangling_starts_from_is_read(name: str) -> None:
    """Otherwise the test above would only see refusals."""
    seeds, read = READERS[name]
    taken = [read(seed) for seed in seeds]
    assert sum(bool(event) for event in taken) >= len(seeds) - 3  # snapshots and tops are not streamed


@pytest.fixture(scope="module")
def tapes() -> list[bytes]:
    """Beginnings of recordings in both formats."""
    normalised = b"\n".join(gzip.decompress(TAPE.read_bytes()).split(b"\n")[:30]) + b"\n"
    raw = b"".join(
        b"%d %s\n" % (1_700_000_000_000_000_000 + at, frame) for at, frame in enumerate(BINANCE[3:] * 3)
    )
    return [normalised, raw]


@FUZZ
@given(data=st.data())
def test_a_recording_is_played_or_refused(
    tapes: list[bytes], tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Also one whose compression is broken; it is described as well as played."""
    content = data.draw(mangled(tapes))
    if data.draw(st.booleans()):
        content = data.draw(
            st.sampled_from([gzip.compress(content), gzip.compress(content)[:-9], b"\x1f\x8b" + content])
        )
    path = tmp_path_factory.getbasetemp() / "fuzzed.tape"
    path.write_bytes(content)
    refuse_or_take(lambda file: list(open_tape(file).events()), path)
    refuse_or_take(describe, path)
