"""Recordings of whole books: read, guessed, refused."""

from __future__ import annotations

import gzip
import json
import lzma
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from mrmarket.trading.market.book_snapshots import (
    PairUnknownError,
    find_recording,
    guess_symbol,
    read_recording,
)
from mrmarket.trading.market.errors import (
    TapeCutError,
    TapeEmptyError,
    TapeError,
    TapeLineError,
    TapeNotFoundError,
)


def line(at_s: float, exchange: str, bid: object = 100.5, ask: object = 101.25) -> str:
    """One poll."""
    return json.dumps(
        {"timestamp": at_s, "exchange": exchange, "bids": [[bid, 0.1], [99, 2]], "asks": [[ask, 0.3]]}
    )


def written(path: Path, lines: list[str], pack: Callable[[bytes], bytes] = bytes) -> Path:
    """A file of lines."""
    path.write_bytes(pack("".join(f"{each}\n" for each in lines).encode()))
    return path


LINES = [line(10.5, "b"), line(10.0, "a"), line(14.0, "a", "100.4", "101.5"), line(14.6, "b")]


@pytest.mark.parametrize(("end", "pack"), [("", bytes), (".gz", gzip.compress), (".xz", lzma.compress)])
def test_a_recording_is_read_in_order_of_time(tmp_path: Path, end: str, pack: Any) -> None:
    """Plain or packed, numbers as numbers or as text, every level exact on the grid, the best first."""
    found = read_recording(written(tmp_path / f"orderbooks.jsonl{end}", LINES, pack), depth=1)
    assert found.exchanges == ("a", "b")
    assert [venue for venue, _ in found.events] == [0, 1, 0, 1]
    assert found.events[2][1].bids == [(10_040_000_000, 10_000_000)]
    assert found.events[0][1].exchange_ns == 10_000_000_000
    assert found.polled_ns == 4_050_000_000
    instrument = found.instrument("a", "BTC/BRL", Decimal("0.002"))
    assert instrument.price(found.events[2][1].bids[0][0]) == Decimal("100.4")
    assert (instrument.venue, instrument.taker_fee) == ("a", Decimal("0.002"))


def test_a_folder_is_its_only_recording(tmp_path: Path) -> None:
    """None, one, or several that have to be named."""
    assert find_recording(tmp_path) is None
    file = written(tmp_path / "orderbooks_1.jsonl", LINES)
    assert find_recording(tmp_path) == file
    assert find_recording(file) == file
    assert find_recording(written(tmp_path / "trades.csv", [])) is None
    written(tmp_path / "orderbooks_2.jsonl", LINES)
    with pytest.raises(TapeError, match="holds 2 recordings"):
        find_recording(tmp_path)


def test_the_pair_is_read_from_the_name(tmp_path: Path) -> None:
    """Of the file or its folder, or it has to be said."""
    assert guess_symbol(Path("xex_btcbrl_20200621/orderbooks.jsonl.xz")) == "BTC/BRL"
    assert guess_symbol(Path("here/ethusdt_books.jsonl")) == "ETH/USDT"
    with pytest.raises(PairUnknownError, match="--symbol BASE/QUOTE"):
        guess_symbol(Path("data/books.jsonl"))


@pytest.mark.parametrize(
    ("content", "error", "words"),
    [
        (LINES[:1], TapeEmptyError, "books of 1 exchanges"),
        ([*LINES, "{}"], TapeLineError, "line 5"),
        ([*LINES, line(20, "a", bid=-1)], TapeLineError, "no level of a book"),
    ],
)
def test_what_is_no_recording_is_refused(
    tmp_path: Path, content: list[str], error: type[TapeError], words: str
) -> None:
    """With the line and what is wrong with it."""
    with pytest.raises(error, match=words):
        read_recording(written(tmp_path / "books.jsonl", content))


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    """A cut line, a cut compression, a broken one, and no file at all."""
    whole = "".join(f"{each}\n" for each in LINES).encode()
    (tmp_path / "cut.jsonl").write_bytes(whole[:-20])
    (tmp_path / "cut.jsonl.gz").write_bytes(gzip.compress(whole)[:-20])
    (tmp_path / "bad.jsonl.xz").write_bytes(lzma.compress(whole)[:30] + b"x" * 40)
    for name in ("cut.jsonl", "cut.jsonl.gz"):
        with pytest.raises(TapeCutError):
            read_recording(tmp_path / name)
    with pytest.raises(TapeLineError, match="broken compression"):
        read_recording(tmp_path / "bad.jsonl.xz")
    with pytest.raises(TapeNotFoundError):
        read_recording(tmp_path / "none.jsonl")
