"""Parameters are read strictly."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrmarket.trading.venue.front.errors import DialectError, invalid_symbol
from mrmarket.trading.venue.front.parameters import Parameters, parse_form, parse_object


def refused(read: Callable[[], Any]) -> int:
    """The code a reading is refused with."""
    with pytest.raises(DialectError) as caught:
        read()
    return caught.value.number


def test_a_form_is_query_and_body_together() -> None:
    """Names may come from either, percent-encoded or not, but only once."""
    assert parse_form("a=1&b=%2F+x", "c=&") == {"a": "1", "b": "/ x", "c": ""}
    assert refused(lambda: parse_form("a=1", "a=2")) == -1101


def test_an_object_reads_as_a_form_would() -> None:
    """JSON values become the text that a form carries."""
    values = {"a": True, "b": None, "c": 1.5, "d": 7, "e": ["x"], "f": "y"}
    assert parse_object(values) == {"a": "true", "b": "", "c": "1.5", "d": "7", "e": '["x"]', "f": "y"}


def test_nothing_sent_is_ignored() -> None:
    """A parameter that nobody read is -1104, with both counts."""
    parameters = Parameters({"symbol": "BTCUSDT", "icebergQty": "1"})
    parameters.symbol()
    with pytest.raises(DialectError, match="read '1' parameter\\(s\\) but was sent '2'"):
        parameters.finish()
    parameters.raw("icebergQty")
    parameters.finish()


@pytest.mark.parametrize(
    ("text", "units"),
    [("1", 10**8), ("0.00000001", 1), ("000.5", 5 * 10**7), ("1.10000000000", 110_000_000), ("0", 0)],
)
def test_amounts_are_exact(text: str, units: int) -> None:
    """Plain decimals become units of 1e-8 without rounding."""
    assert Parameters({"price": text}).amount("price") == units


@pytest.mark.parametrize(
    ("text", "number"),
    [("1e5", -1100), ("-1", -1100), (" 1", -1100), ("1.", -1100), (".5", -1100), ("٣", -1100), ("", -1102),
     ("NaN", -1100), ("0.123456789", -1111), ("1" * 21, -1100)],
)  # fmt: skip
def test_other_amounts_are_refused(text: str, number: int) -> None:
    """Signs, exponents, blanks, foreign digits and a ninth decimal are refused."""
    assert refused(lambda: Parameters({"price": text}).amount("price")) == number


def test_absent_values_take_their_defaults() -> None:
    """What was not sent reads as absent."""
    nothing = Parameters({})
    assert (nothing.amount("price"), nothing.integer("orderId", 7), nothing.boolean("x", default=True)) == (
        None,
        7,
        True,
    )
    assert (nothing.optional_symbol(), nothing.symbols(), nothing.client_id("id")) == ("", [], "")
    assert nothing.choice("side", ("BUY",), invalid_symbol()) == ""
    assert refused(nothing.symbol) == -1102


@pytest.mark.parametrize(
    ("values", "read", "number"),
    [
        ({"symbol": "btcusdt"}, lambda p: p.symbol(), -1100),
        ({"symbol": ""}, lambda p: p.symbol(), -1102),
        ({"id": "a b"}, lambda p: p.client_id("id"), -1100),
        ({"id": "x" * 37}, lambda p: p.client_id("id"), -1100),
        ({"limit": "0"}, lambda p: p.limit(100, 1_000), -1130),
        ({"limit": "many"}, lambda p: p.limit(100, 1_000), -1100),
        ({"limit": str(2**63)}, lambda p: p.limit(100, 2**63 - 1), -1130),
        ({"flag": "yes"}, lambda p: p.boolean("flag"), -1100),
        ({"side": "buy"}, lambda p: p.choice("side", ("BUY",), invalid_symbol()), -1121),
        ({"symbols": "BTCUSDT"}, lambda p: p.symbols(), -1100),
        ({"symbols": "[]"}, lambda p: p.symbols(), -1102),
        ({"symbols": '["x y"]'}, lambda p: p.symbols(), -1100),
        ({"symbols": "[1]"}, lambda p: p.symbols(), -1100),
    ],
)
def test_malformed_values_have_their_code(
    values: dict[str, str], read: Callable[[Parameters], Any], number: int
) -> None:
    """Each kind of nonsense is refused with Binance's code for it."""
    assert refused(lambda: read(Parameters(values))) == number


def test_booleans_and_lists_are_read() -> None:
    """Yes and no in any case; a JSON list of symbols."""
    parameters = Parameters({"flag": "TRUE", "symbols": '["BTCUSDT","ETHUSDT"]'})
    assert parameters.boolean("flag")
    assert parameters.symbols() == ["BTCUSDT", "ETHUSDT"]


@given(st.text(), st.text())
def test_any_form_is_read_or_refused(query: str, body: str) -> None:
    """No text breaks the parser."""
    try:
        values = parse_form(query, body)
    except DialectError:
        values = {}
    assert all("&" not in name or "%26" in query + body for name in values)


@given(st.text(max_size=30))
def test_any_amount_is_read_or_refused(text: str) -> None:
    """An amount is exact or refused; there is no third way."""
    try:
        units = Parameters({"quantity": text}).amount("quantity")
    except DialectError as error:
        units = error.number
    assert units is not None
    assert units >= 0 or units in (-1100, -1102, -1111)
