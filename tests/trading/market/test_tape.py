"""Reading and writing tapes."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mrmarket.trading.market.book import OrderBook
from mrmarket.trading.market.errors import (
    NotATapeError,
    TapeCutError,
    TapeEmptyError,
    TapeError,
    TapeGapError,
    TapeLineError,
    TapeMixedError,
    TapeNotFoundError,
    TapeVersionError,
)
from mrmarket.trading.market.event import EventKind, MarketEvent
from mrmarket.trading.market.generator import DEFAULT_INSTRUMENT
from mrmarket.trading.market.tape import TapeFormat, TapeWriter, open_tape

LineWriter = Callable[[str, Iterable[bytes]], Path]


def _write(path: Path, events: Iterable[MarketEvent]) -> Path:
    with TapeWriter(path, DEFAULT_INSTRUMENT) as tape:
        for event in events:
            tape.write(event)
    return path


@pytest.mark.parametrize("name", ["own.tape", "own.tape.gz"])
def test_what_is_written_is_read(tmp_path: Path, market: list[MarketEvent], name: str) -> None:
    """A normalised tape gives back the very events, the instrument and its format."""
    tape = open_tape(_write(tmp_path / name, market))
    assert tape.format is TapeFormat.NORMALISED
    assert tape.instrument == DEFAULT_INSTRUMENT
    assert list(tape.events()) == market
    assert list(tape.events()) == market


def test_equal_events_make_equal_files(tmp_path: Path, market: list[MarketEvent]) -> None:
    """The packed file holds neither its name nor the time."""
    one = _write(tmp_path / "one.gz", market[:50])
    two = _write(tmp_path / "two.gz", market[:50])
    assert one.read_bytes() == two.read_bytes()


def test_the_writer_can_be_closed_twice(tmp_path: Path, market: list[MarketEvent]) -> None:
    """Closing again does nothing."""
    tape = TapeWriter(tmp_path / "own.gz", DEFAULT_INSTRUMENT)
    tape.write(market[0])
    tape.close()
    tape.close()
    assert list(open_tape(tmp_path / "own.gz").events()) == [market[0]]


def test_using_the_instrument_does_not_change_its_header(tmp_path: Path, market: list[MarketEvent]) -> None:
    """What an instrument has computed for itself is not written."""
    assert DEFAULT_INSTRUMENT.grain == Decimal("1E-7")
    path = _write(tmp_path / "own.tape", market[:1])
    assert b"grain" not in path.read_bytes()


@pytest.mark.parametrize("name", ["raw", "raw.gz"])
def test_a_raw_tape_tells_the_same_market(
    write_lines: LineWriter, raw_lines: list[bytes], market: list[MarketEvent], name: str
) -> None:
    """Raw frames give the pair, its grid, and the same final book as the events they were made of."""
    tape = open_tape(write_lines(name, raw_lines))
    assert tape.format is TapeFormat.BINANCE
    assert (tape.instrument.symbol, tape.instrument.tick_size) == ("BTC/USDT", Decimal("0.01"))
    assert tape.instrument.lot_size == Decimal("0.00001")
    read, made = OrderBook(tape.instrument), OrderBook(DEFAULT_INSTRUMENT)
    events = list(tape.events())
    for event in events:
        read.apply(event)
    for event in market:
        made.apply(event)
    assert events[0].kind is EventKind.SNAPSHOT
    assert (read.bids(500), read.asks(500)) == (made.bids(500), made.asks(500))
    times = [event.exchange_ns for event in events]
    assert times == sorted(times)
    trades = [event.last_id for event in market if event.kind is EventKind.TRADE]
    heard = [event.last_id for event in events if event.kind is EventKind.TRADE]
    assert heard == trades[-len(heard) :]


def test_a_given_instrument_is_used(write_lines: LineWriter, raw_lines: list[bytes]) -> None:
    """Who knows the fees and limits better than the frames says so."""
    instrument = replace(DEFAULT_INSTRUMENT, maker_fee=Decimal("-0.0001"))
    assert open_tape(write_lines("raw", raw_lines), instrument).instrument is instrument


def test_an_older_snapshot_on_the_way_is_passed_over(
    write_lines: LineWriter, raw_lines: list[bytes], market: list[MarketEvent]
) -> None:
    """A REST answer that is behind the stream does not turn the book back."""
    snapshot = next(line for line in raw_lines if b'"lastUpdateId"' in line)
    tape = open_tape(write_lines("raw", [*raw_lines, snapshot]))
    assert [event.kind for event in tape.events()].count(EventKind.SNAPSHOT) == 1


def test_updates_before_the_snapshot_that_it_does_not_hold_follow_it(write_lines: LineWriter) -> None:
    """Binance's algorithm: buffer, drop what the snapshot has, go on with what straddles it."""

    def update(first: int, last: int, size: str) -> bytes:
        return b'1 {"e":"depthUpdate","E":5,"s":"BTCUSDT","U":%d,"u":%d,"b":[["10.01","%b"]],"a":[]}' % (
            first,
            last,
            size.encode(),
        )

    snapshot = b'2 {"lastUpdateId":15,"bids":[["10.01","1.00001"]],"asks":[["10.02","1"]]}'
    lines = [update(8, 11, "7"), update(12, 16, "8"), update(17, 17, "9"), snapshot, update(18, 19, "3")]
    events = list(open_tape(write_lines("raw", lines)).events())
    assert [(event.kind, event.last_id) for event in events] == [
        (EventKind.SNAPSHOT, 15), (EventKind.DEPTH, 16), (EventKind.DEPTH, 17), (EventKind.DEPTH, 19),
    ]  # fmt: skip


def test_no_such_file(tmp_path: Path) -> None:
    """A wrong name, and a folder, say to check the name."""
    with pytest.raises(TapeNotFoundError, match="check the name"):
        open_tape(tmp_path / "absent.gz")
    with pytest.raises(TapeNotFoundError, match="check the name"):
        open_tape(tmp_path)


def test_a_file_that_goes_away_is_noticed(tmp_path: Path, market: list[MarketEvent]) -> None:
    """A tape removed after opening is an error of ours."""
    path = _write(tmp_path / "own.tape", market[:5])
    tape = open_tape(path)
    path.unlink()
    with pytest.raises(TapeNotFoundError):
        list(tape.events())


@pytest.mark.parametrize(
    "content",
    [
        b"hello\n",
        b"{}\n",
        b'{"format":"another"}\n',
        b"\x00\xff\xfe",
        b"\x1f\x8bnot gzip after all",
        b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03garbage",
        b'12 {"result":null,"id":1}\n',
    ],
)
def test_another_kind_of_file(tmp_path: Path, content: bytes) -> None:
    """What is no tape is called so, with what would be one."""
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(NotATapeError, match="give recorded Binance frames"):
        open_tape(path)


def test_a_first_line_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A huge binary file is not read into memory."""
    monkeypatch.setattr("mrmarket.trading.market.tape_lines._MAX_FIRST_LINE", 100)
    path = tmp_path / "file"
    path.write_bytes(b"1" * 1000)
    with pytest.raises(NotATapeError, match="no end"):
        open_tape(path)


def test_an_empty_file(tmp_path: Path) -> None:
    """Nothing at all is said to be nothing."""
    path = tmp_path / "file"
    path.touch()
    with pytest.raises(TapeEmptyError, match="holds nothing"):
        open_tape(path)


def test_a_tape_without_a_snapshot(
    tmp_path: Path, write_lines: LineWriter, market: list[MarketEvent], raw_lines: list[bytes]
) -> None:
    """No book to start from is an error, in either format, and no event is given."""
    for path in (
        _write(tmp_path / "own.tape", market[1:]),
        write_lines("raw", [line for line in raw_lines if b"lastUpdateId" not in line]),
    ):
        with pytest.raises(TapeEmptyError, match="record at least one book snapshot"):
            next(open_tape(path).events())


def test_a_newer_format(tmp_path: Path) -> None:
    """A tape of tomorrow asks for an update."""
    path = tmp_path / "own.tape"
    path.write_bytes(b'{"format":"mrmarket-tape","version":2,"surprise":true}\n')
    with pytest.raises(TapeVersionError, match="update mrmarket") as caught:
        open_tape(path)
    assert (caught.value.found, caught.value.known) == (2, 1)


@pytest.mark.parametrize(
    "header",
    [
        b'{"format":"mrmarket-tape","version":1}',
        b'{"format":"mrmarket-tape","version":1,"instrument":{"venue":"x","symbol":"A/B","base":"A","quote":"B","tick_size":"0","lot_size":"1"}}',
    ],
)
def test_a_damaged_header(tmp_path: Path, header: bytes) -> None:
    """A header without a usable instrument names line 1."""
    path = tmp_path / "own.tape"
    path.write_bytes(header + b"\n")
    with pytest.raises(TapeLineError, match="line 1: the header is damaged"):
        open_tape(path)


def test_a_plain_tape_cut_in_a_line(
    tmp_path: Path, write_lines: LineWriter, market: list[MarketEvent], raw_lines: list[bytes]
) -> None:
    """All events before the cut are given, then the line is named."""
    own = _write(tmp_path / "own.tape", market[:100])
    own.write_bytes(own.read_bytes()[:-20])
    raw = write_lines("raw", raw_lines)
    raw.write_bytes(raw.read_bytes()[:-20])
    for path, line in ((own, 101), (raw, len(raw_lines))):
        events: list[MarketEvent] = []
        with pytest.raises(TapeCutError, match=f"line {line}: the file is cut off") as caught:
            events.extend(open_tape(path).events())
        assert caught.value.line == line
    tape = open_tape(own).events()
    assert [next(tape) for _ in range(99)] == market[:99]


def test_a_cut_within_the_time_stamp(tmp_path: Path, market: list[MarketEvent]) -> None:
    """A last line that has not even its time is cut, too."""
    path = _write(tmp_path / "own.tape", market[:3])
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(TapeCutError):
        list(open_tape(path).events())


def test_a_packed_tape_cut_short(tmp_path: Path, market: list[MarketEvent]) -> None:
    """An interrupted copy of a packed tape is noticed, early or late."""
    path = _write(tmp_path / "own.gz", market)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 3 // 4])
    events: list[MarketEvent] = []
    with pytest.raises(TapeCutError, match="copy it again"):
        events.extend(open_tape(path).events())
    path.write_bytes(whole[:40])
    with pytest.raises(TapeCutError):
        open_tape(path)


@pytest.mark.parametrize("damaged", [slice(-8, -4), slice(-3000, -2936)])
def test_damage_inside_the_compression(tmp_path: Path, market: list[MarketEvent], damaged: slice) -> None:
    """A wrong checksum and a damaged block are errors that name the line, or one that makes no sense."""
    path = _write(tmp_path / "own.gz", market)
    content = bytearray(path.read_bytes())
    content[damaged] = bytes(byte ^ 0xFF for byte in content[damaged])
    path.write_bytes(content)
    with pytest.raises(TapeLineError):
        list(open_tape(path).events())


@pytest.mark.parametrize(
    "line",
    [
        b"no time at all",
        b'99999999999999999999 {"kind":4}',
        b'5 {"kind":9,"exchange_ns":1,"local_ns":1}',
        b'5 {"kind":3,"exchange_ns":1,"local_ns":1,"price_ticks":1}',
        b'5 {"kind":3,"exchange_ns":1,"local_ns":1,"size_lots":1}',
        b'5 {"kind":2,"exchange_ns":1,"local_ns":1,"bids":[[0,1]]}',
        b'5 {"kind":2,"exchange_ns":1,"local_ns":1,"asks":[[1,-1]]}',
        b"5 {",
    ],
)
def test_a_damaged_line_of_the_own_format(tmp_path: Path, market: list[MarketEvent], line: bytes) -> None:
    """A line that no market could have made is named with its number."""
    path = _write(tmp_path / "own.tape", market[:2])
    path.write_bytes(path.read_bytes() + line + b"\n")
    with pytest.raises(TapeLineError, match=r"line 4: .*; repair or remove this line"):
        list(open_tape(path).events())


def test_a_damaged_line_of_a_raw_tape(write_lines: LineWriter, raw_lines: list[bytes]) -> None:
    """Damage among the first frames is found on opening, later damage on reading."""
    with pytest.raises(TapeLineError, match="line 6"):
        open_tape(write_lines("raw", [*raw_lines[:5], b"1 {"]))
    with pytest.raises(TapeLineError, match="line 6"):
        open_tape(write_lines("raw", [*raw_lines[:5], b'1 {"e":"trade","s":"BTCUSDT"}']))
    many = [*raw_lines, *[b'1 {"result":null}'] * 2500, b'1 {"e":"trade","s":"BTCUSDT"}']
    tape = open_tape(write_lines("raw", many))
    with pytest.raises(TapeLineError, match=f"line {len(many)}"):
        list(tape.events())


def test_missing_updates(
    tmp_path: Path, write_lines: LineWriter, market: list[MarketEvent], raw_lines: list[bytes]
) -> None:
    """A gap is named with its line and the ids around it, in either format."""
    lost = [i for i, event in enumerate(market) if event.kind is EventKind.DEPTH][5]
    lost_line = [i for i, line in enumerate(raw_lines) if b"depthUpdate" in line][5]
    for path in (
        _write(tmp_path / "own.tape", market[:lost] + market[lost + 1 :]),
        write_lines("raw", raw_lines[:lost_line] + raw_lines[lost_line + 1 :]),
    ):
        with pytest.raises(TapeGapError, match="end the tape before this line") as caught:
            list(open_tape(path).events())
        assert caught.value.expected_id == market[lost].first_id
        assert caught.value.found_id == market[lost].last_id + 1


def test_a_gap_right_after_the_snapshot(write_lines: LineWriter) -> None:
    """Updates buffered before the snapshot are checked as well."""
    lines = [
        b'1 {"e":"depthUpdate","E":5,"s":"BTCUSDT","U":20,"u":21,"b":[["10.01","1"]],"a":[]}',
        b'2 {"lastUpdateId":15,"bids":[["10.01","1.00001"]],"asks":[["10.02","1"]]}',
    ]
    with pytest.raises(TapeGapError, match="line 1"):
        list(open_tape(write_lines("raw", lines)).events())


def test_two_pairs_on_one_tape(write_lines: LineWriter, raw_lines: list[bytes]) -> None:
    """A tape is of one pair."""
    other = b'1 {"u":1,"s":"ETHUSDT","b":"1.00","B":"1.0","a":"2.00","A":"1.0"}'
    with pytest.raises(TapeMixedError, match="holds ETHUSDT beside BTCUSDT; split it"):
        open_tape(write_lines("raw", [*raw_lines[:10], other]))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(
    content=st.one_of(
        st.binary(max_size=300),
        st.binary(max_size=100).map(gzip.compress),
        st.lists(
            st.sampled_from(
                [
                    b'{"format":"mrmarket-tape","version":1,"instrument":{"venue":"x","symbol":"A/B","base":"A","quote":"B","tick_size":"1","lot_size":"1"}}',
                    b'1 {"kind":1,"exchange_ns":1,"local_ns":1,"bids":[[1,1]]}',
                    b'2 {"kind":2,"exchange_ns":1,"local_ns":1,"first_id":5,"last_id":6}',
                    b'1 {"lastUpdateId":15,"bids":[["10.01","1.00001"]],"asks":[["10.02","1"]]}',
                    b'1 {"u":1,"s":"ETHUSDT","b":"1.00","B":"1.0","a":"2.00","A":"1.0"}',
                    b"\xff\x00",
                    b"1 []",
                    b"",
                ]
            ),
            max_size=6,
        ).map(b"\n".join),
    )
)
def test_any_file_is_a_tape_or_an_error_of_ours(tmp_path: Path, content: bytes) -> None:
    """No content makes reading raise anything but a TapeError."""
    path = tmp_path / "fuzz"
    path.write_bytes(content)
    try:
        list(open_tape(path).events())
    except TapeError as error:
        assert str(path) in str(error)  # noqa: PT017 - both outcomes are right
