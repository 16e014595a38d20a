"""What the numbers of a raw tape tell of its pair."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from pathlib import Path

import pytest

from mrmarket.trading.market.errors import NotATapeError, TapeCutError
from mrmarket.trading.market.inference import infer_instrument, split_pair

LineWriter = Callable[[str, Iterable[bytes]], Path]


@pytest.mark.parametrize(
    ("word", "names"),
    [
        ("BTCUSDT", ("BTC", "USDT")),
        ("ETHBTC", ("ETH", "BTC")),
        ("BTCUSD_PERP", ("BTC", "USD")),
        ("BTCFDUSD", ("BTC", "FDUSD")),
        ("USDTTRY", ("USDT", "TRY")),
        ("USDT", ("US", "DT")),
        ("X", ("X", "X")),
    ],
)
def test_a_pair_is_split_by_its_quote(word: str, names: tuple[str, str]) -> None:
    """Known quotes end the name; an unknown name still has two halves."""
    assert split_pair(word) == names


def _top(bid: str, bid_size: str, ask: str, ask_size: str) -> bytes:
    return f'1 {{"u":1,"s":"ADAUSDT","b":"{bid}","B":"{bid_size}","a":"{ask}","A":"{ask_size}"}}'.encode()


def test_grid_is_the_largest_that_fits(write_lines: LineWriter) -> None:
    """Trailing zeros are not part of the grid; fees are those of Binance spot."""
    path = write_lines("raw", [_top("0.33100000", "120.40000000", "0.33200000", "7.00000000")])
    instrument, word = infer_instrument(path)
    assert word == "ADAUSDT"
    assert (instrument.tick_size, instrument.lot_size) == (Decimal("0.001"), Decimal("0.1"))
    assert (instrument.maker_fee, instrument.min_notional) == (Decimal("0.001"), Decimal(5))


def test_large_steps_are_found(write_lines: LineWriter) -> None:
    """Whole hundreds make a grid of a hundred."""
    instrument, _ = infer_instrument(write_lines("raw", [_top("1200", "30", "1300", "50")]))
    assert (instrument.tick_size, instrument.lot_size) == (Decimal(100), Decimal(10))


def test_rare_odd_sizes_do_not_make_the_lot(write_lines: LineWriter) -> None:
    """One old order in more than a hundred leaves the lot as it is for all others."""
    usual, odd = _top("0.331", "1.2", "0.332", "7.1"), _top("0.331", "1.2345", "0.332", "7.1")
    assert infer_instrument(write_lines("rare", [usual] * 60 + [odd]))[0].lot_size == Decimal("0.1")
    assert infer_instrument(write_lines("often", [usual] * 60 + [odd] * 9))[0].lot_size == Decimal("0.0001")


def test_only_a_sample_is_read(write_lines: LineWriter, monkeypatch: pytest.MonkeyPatch) -> None:
    """A long tape opens as fast as a short one."""
    monkeypatch.setattr("mrmarket.trading.market.inference._SAMPLED_FRAMES", 3)
    monkeypatch.setattr("mrmarket.trading.market.inference._SAMPLED_BOOKS", 2)
    lines = [_top("0.331", "1.2", "0.332", "7.1")] * 3
    assert infer_instrument(write_lines("raw", [*lines, b"9 nonsense"]))[1] == "ADAUSDT"


def test_a_tape_without_numbers_is_none(write_lines: LineWriter) -> None:
    """A pair with no price has no grid."""
    with pytest.raises(NotATapeError, match="no frame names a pair"):
        infer_instrument(write_lines("raw", [b'1 {"e":"kline","s":"ADAUSDT"}']))


def test_a_cut_within_the_sample(tmp_path: Path) -> None:
    """A short file that ends in a line is cut, not damaged."""
    path = tmp_path / "raw"
    path.write_bytes(_top("0.331", "1.2", "0.332", "7.1") + b'\n2 {"u":2,"s":"AD')
    with pytest.raises(TapeCutError, match="line 2"):
        infer_instrument(path)
