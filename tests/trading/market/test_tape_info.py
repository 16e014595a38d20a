"""A tape at a glance."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from mrmarket.trading.market.errors import TapeCutError, TapeEmptyError
from mrmarket.trading.market.event import EventKind, MarketEvent
from mrmarket.trading.market.generator import DEFAULT_INSTRUMENT
from mrmarket.trading.market.tape import TapeFormat, TapeWriter
from mrmarket.trading.market.tape_info import describe

LineWriter = Callable[[str, Iterable[bytes]], Path]


def _written(path: Path, events: Iterable[MarketEvent]) -> Path:
    with TapeWriter(path, DEFAULT_INSTRUMENT) as tape:
        for event in events:
            tape.write(event)
    return path


def test_counts_span_and_prices(tmp_path: Path, market: list[MarketEvent]) -> None:
    """The figures are those of the events that were written."""
    info = describe(_written(tmp_path / "own.gz", market))
    trades = [event for event in market if event.kind is EventKind.TRADE]
    tops = [event for event in market if event.kind is EventKind.TOP]
    assert info.format is TapeFormat.NORMALISED
    assert info.events["trade"] == len(trades)
    assert sum(info.events.values()) == len(market) == info.lines - 1
    assert info.first_ns == market[0].exchange_ns
    assert info.span_s == pytest.approx((market[-1].exchange_ns - market[0].exchange_ns) / 1e9)
    assert info.lowest_trade == DEFAULT_INSTRUMENT.price_text(min(event.price_ticks for event in trades))
    assert info.highest_trade == DEFAULT_INSTRUMENT.price_text(max(event.price_ticks for event in trades))
    assert info.volume_base == DEFAULT_INSTRUMENT.size_text(sum(event.size_lots for event in trades))
    assert info.playable
    assert info.crossed_lines == []
    assert tops


def test_a_raw_tape_that_starts_before_its_snapshot(write_lines: LineWriter, raw_lines: list[bytes]) -> None:
    """Updates before the snapshot count and are no gap."""
    info = describe(write_lines("raw.gz", raw_lines))
    assert (info.format, info.lines, info.gap_lines) == (TapeFormat.BINANCE, len(raw_lines), [])
    assert info.events["snapshot"] == 1
    assert float(info.final_bid) < float(info.final_ask)


def test_gaps_are_reported_and_the_next_snapshot_mends(tmp_path: Path, market: list[MarketEvent]) -> None:
    """A gap makes a tape unplayable but not undescribed; what is behind it is still counted."""
    lost = [i for i, event in enumerate(market) if event.kind is EventKind.DEPTH][3]
    after = next(i for i in range(lost + 1, len(market)) if market[i].kind is EventKind.DEPTH)
    info = describe(_written(tmp_path / "own.tape", market[:lost] + market[lost + 1 :]))
    # One line for the header, one because lines count from 1, and one event less.
    assert info.gap_lines == [after + 1]
    assert not info.playable
    assert info.events["depth"] == sum(event.kind is EventKind.DEPTH for event in market) - 1


def test_an_older_snapshot_changes_nothing(write_lines: LineWriter, raw_lines: list[bytes]) -> None:
    """A second REST answer behind the stream neither counts as a gap nor as the last book."""
    snapshot = next(line for line in raw_lines if b"lastUpdateId" in line)
    once, twice = describe(write_lines("a", raw_lines)), describe(write_lines("b", [*raw_lines, snapshot]))
    assert (once.final_bid, once.gap_lines) == (twice.final_bid, twice.gap_lines)
    assert twice.events["snapshot"] == 2


def test_crossed_books_are_reported(tmp_path: Path, market: list[MarketEvent]) -> None:
    """A line that crosses the book is named."""
    bid = market[0].asks[0][0]
    crossing = MarketEvent(
        kind=EventKind.DEPTH, exchange_ns=market[0].exchange_ns, local_ns=1, bids=[(bid, 1)]
    )
    info = describe(_written(tmp_path / "own.tape", [market[0], crossing]))
    assert info.crossed_lines == [3]
    assert info.playable


def test_a_quiet_tape_leaves_its_figures_empty(tmp_path: Path) -> None:
    """Without trades, times and levels there is nothing to show, and no error."""
    empty = MarketEvent(kind=EventKind.SNAPSHOT, exchange_ns=0, local_ns=5)
    info = describe(_written(tmp_path / "own.tape", [empty]))
    assert (info.lowest_trade, info.highest_trade, info.final_bid, info.final_ask) == ("", "", "", "")
    assert (info.first_ns, info.span_s, info.volume_base) == (0, 0.0, "0")


def test_damage_is_raised(tmp_path: Path, market: list[MarketEvent]) -> None:
    """A cut file and one without a snapshot are errors here as well."""
    path = _written(tmp_path / "own.tape", market[:20])
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(TapeCutError):
        describe(path)
    with pytest.raises(TapeEmptyError):
        describe(_written(tmp_path / "none.tape", market[1:5]))
