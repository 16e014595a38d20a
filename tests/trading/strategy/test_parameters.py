"""The parameters: ranges, refusals in one clear line, and no key that does nothing."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from mrmarket.core.errors import MrMarketError
from mrmarket.trading.strategy.parameters import ParameterRefusedError, Parameters, PriceSource


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("bid_spread", "0"),
        ("bid_spread", "10"),
        ("ask_spread", "0"),
        ("ask_spread", "-0.001"),
        ("ask_spread", "0.51"),
        ("bid_spread", "NaN"),
        ("ask_spread", "Infinity"),
        ("order_amount", "0"),
        ("ceiling_price", "0"),
        ("floor_price", "0"),
        ("floor_price", "-5"),
        ("order_refresh_tolerance", "-0.1"),
        ("minimum_spread", "0.6"),
        ("maximum_spread", "0"),
        ("hanging_orders_cancel_spread", "0"),
        ("price_band_ceiling", "0"),
        ("price_band_floor", "2"),
        ("inventory_target_ratio", "1.1"),
        ("inventory_range", "0"),
        ("inventory_price_skew", "0.2"),
        ("inventory_pivot", "0"),
        ("sigma_multiplier", "-1"),
        ("imbalance_weight", "1.5"),
        ("toxicity_multiplier", "101"),
    ],
)
def test_a_value_outside_its_range_is_refused(name: str, value: str) -> None:
    """One line: the parameter, the value, what would do."""
    changes: dict[str, Any] = {name: Decimal(value)}
    with pytest.raises(ParameterRefusedError) as refused:
        Parameters(**changes)
    assert refused.value.field == name
    assert isinstance(refused.value, MrMarketError)
    assert "\n" not in str(refused.value)
    assert "such as" in str(refused.value)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"pair": "BTCUSDT"}, "pair"),
        ({"pair": "/USDT"}, "pair"),
        ({"bid_spread": Decimal("0.5"), "number_of_layers": 2}, "number_of_layers"),
        ({"minimum_spread": Decimal("0.01"), "maximum_spread": Decimal("0.005")}, "maximum_spread"),
        ({"ceiling_price": Decimal(5), "floor_price": Decimal(6)}, "ceiling_price"),
        ({"amount_change_per_layer": Decimal("-0.01")}, "amount_change_per_layer"),
        (
            {"amount_change_per_layer": Decimal(-100), "amount_change_type": "percentage"},
            "amount_change_per_layer",
        ),
        ({"order_override": [{"side": "buy", "spread": "0", "amount": "1"}]}, "order_override spread"),
        ({"order_override": [{"side": "buy", "spread": "0.01", "amount": "0"}]}, "order_override amount"),
    ],
)
def test_values_that_do_not_go_together_are_refused(changes: dict[str, Any], field: str) -> None:
    """Combinations are checked where the configuration is read."""
    with pytest.raises(msgspec.ValidationError, match=field):
        msgspec.convert(changes, Parameters)


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"bid_spread": 0}, "bid_spread: '0' was refused"),
        ({"bid_spred": 0.001}, "unknown field `bid_spred`"),
        ({"oracle_exchange": "kraken"}, "unknown field `oracle_exchange`"),
        ({"order_refresh_time": 0}, "> 0"),
        ({"number_of_layers": 0}, ">= 1"),
        ({"number_of_layers": 51}, "<= 50"),
        ({"max_order_age": -1}, "> 0"),
        ({"filled_order_delay": -1}, ">= 0"),
        ({"price_source": "MAGIC"}, "Invalid enum value"),
        ({"amount_change_type": "cubic"}, "Invalid enum value"),
        (
            {"order_override": [{"side": "buy", "spread": "0.1", "amount": "1", "price": "3"}]},
            "unknown field",
        ),
    ],
)
def test_a_bad_table_is_refused_while_it_is_read(table: dict[str, Any], words: str) -> None:
    """Types, ranges and unknown keys are one kind of error at the door."""
    with pytest.raises(msgspec.ValidationError, match=words):
        msgspec.convert(table, Parameters)


def test_numbers_of_a_toml_file_are_exact() -> None:
    """0.0003 in a file is 0.0003 and not its nearest binary fraction."""
    parameters = msgspec.convert(
        {"bid_spread": 0.0003, "order_amount": 1, "ask_spread": "0.0004"}, Parameters
    )
    assert parameters.bid_spread == Decimal("0.0003")
    assert parameters.ask_spread == Decimal("0.0004")
    assert parameters.order_amount == 1


def test_the_defaults_are_accepted() -> None:
    """An empty table is a working strategy."""
    assert msgspec.convert({}, Parameters) == Parameters()
    assert Parameters().price_source is PriceSource.MID_PRICE


@pytest.mark.parametrize(
    ("kind", "change", "amounts"),
    [
        ("fixed", "0", ["0.01", "0.01", "0.01"]),
        ("fixed", "0.005", ["0.01", "0.015", "0.02"]),
        ("percentage", "50", ["0.01", "0.015", "0.0225"]),
        ("percentage", "-10", ["0.01", "0.009", "0.0081"]),
    ],
)
def test_amounts_change_from_layer_to_layer(kind: str, change: str, amounts: list[str]) -> None:
    """Fixed adds, percentage compounds."""
    parameters = msgspec.convert(
        {"order_amount": "0.01", "amount_change_type": kind, "amount_change_per_layer": change}, Parameters
    )
    assert [parameters.layer_amount(layer) for layer in (1, 2, 3)] == [Decimal(amount) for amount in amounts]
