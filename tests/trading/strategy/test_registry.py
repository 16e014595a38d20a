"""Strategies by name: ours, those of plug-ins, those that are refused, and how each is pinned."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from importlib.metadata import EntryPoint
from typing import Any

import msgspec
import pytest

from mrmarket.core.errors import InvalidInputError
from mrmarket.trading.strategy import registry as room
from mrmarket.trading.strategy.catalogue import BUILT_IN
from mrmarket.trading.strategy.description import described
from mrmarket.trading.strategy.kind import Form, StrategyKind
from mrmarket.trading.strategy.plugins import Offer, PluginRefusedError
from mrmarket.trading.strategy.registry import (
    MakerNeededError,
    OtherFormError,
    Registry,
    UnknownStrategyError,
    UnknownTemplateError,
    VenueCountError,
)
from mrmarket.trading.strategy.schema import ParameterRefusedError, StrategySchema, kind_of, within

PURE = BUILT_IN[0]


class OddParameters(StrategySchema, frozen=True, kw_only=True, tag="odd"):
    """Parameters of somebody else."""

    size: int = 3
    """How many."""


class NeedyParameters(StrategySchema, frozen=True, kw_only=True, tag="odd"):
    """Parameters without a default."""

    size: int


def of_ours(parameters: OddParameters) -> Any:
    """A strategy of ours under another name."""
    return PURE.make(PURE.schema(pair=parameters.pair))


def raising(parameters: OddParameters) -> Any:
    """A factory that fails."""
    raise RuntimeError("no luck")


ODD = StrategyKind(name="odd", version="7", summary="Odd.", schema=OddParameters, make=of_ours)


def but(**changes: Any) -> StrategyKind:
    """The same with changes that a checker would not let pass."""
    return replace(ODD, **changes)


class Point:
    """An entry point that gives what it was given, or raises it."""

    value = "third:KIND"

    def __init__(self, thing: object) -> None:
        self._thing = thing

    def load(self) -> object:
        """As the real one's."""
        if isinstance(self._thing, Exception):
            raise self._thing
        return self._thing


def offering(thing: object, name: str = "odd") -> Callable[[], list[Offer]]:
    """One plug-in."""
    return lambda: [Offer(name, "third 1.0", Point(thing))]  # type: ignore[arg-type]  # all of an entry point that is used


def test_ours_are_all_there_and_each_can_be_made() -> None:
    """With its defaults and with each of its templates; its name is its schema's tag."""
    registry = Registry(plugins=lambda: ())
    good, bad = registry.everything()
    assert [each.kind.name for each in good] == [
        "pure_market_making",
        "avellaneda_stoikov",
        "as_normalised",
        "glft",
        "grid",
        "twap",
        "dca",
        "triple_barrier",
        "triangular_arbitrage",
        "spot_perpetual_carry",
        "cross_exchange_arbitrage",
        "cross_exchange_market_making",
    ]
    assert bad == []
    for each in good:
        for template in ("", *each.kind.templates):
            parameters = registry.parameters(each.kind.name, {}, template=template, strict=True)
            assert kind_of(parameters) == each.kind.name
            if each.kind.form is not Form.QUOTES:
                assert each.kind.make(parameters).name == each.kind.name
                with pytest.raises(OtherFormError, match=each.kind.name):
                    registry.make(parameters)
                continue
            pairs = registry.make_maker if each.kind.hedged else registry.make_cross
            made = registry.make(parameters) if each.kind.venues == 1 else pairs(parameters)
            assert (made.name, made.symbol) == (each.kind.name, "BTC/USDT")


def test_a_strategy_is_made_for_its_number_of_venues() -> None:
    """One that trades between two is refused where one is offered, and the other way round."""
    registry = Registry(plugins=lambda: ())
    with pytest.raises(VenueCountError, match="trades on two venues"):
        registry.make(registry.parameters("cross_exchange_arbitrage", {}))
    with pytest.raises(VenueCountError, match="trades on one venue"):
        registry.make_cross(registry.parameters("grid", {}))
    with pytest.raises(VenueCountError, match="trades on one venue"):
        registry.make_maker(registry.parameters("grid", {}))


def test_pairs_and_hedged_quotes_are_not_mistaken_for_each_other() -> None:
    """Both trade on two venues; each is refused where the other one is made, and says where it belongs."""
    registry = Registry(plugins=lambda: ())
    with pytest.raises(MakerNeededError, match="run it where quotes are kept"):
        registry.make_cross(registry.parameters("cross_exchange_market_making", {}))
    with pytest.raises(MakerNeededError, match="run it where pairs are carried out"):
        registry.make_maker(registry.parameters("cross_exchange_arbitrage", {}))


def test_a_table_wins_over_the_template_and_that_over_the_default() -> None:
    """In this order."""
    registry = Registry(plugins=lambda: ())
    plain = registry.parameters("grid", {})
    chosen = registry.parameters("grid", {"levels": 9}, template="balanced_illiquid")
    assert msgspec.to_builtins(plain)["step"] == "0.0005"
    assert [msgspec.to_builtins(chosen)[key] for key in ("step", "levels")] == ["0.01", 9]
    with pytest.raises(UnknownTemplateError, match="known are balanced_liquid"):
        registry.parameters("grid", {}, template="wild")
    with pytest.raises(UnknownTemplateError, match="it has none"):
        registry.parameters("twap", {}, template="wild")


def test_a_name_that_is_not_there_is_refused_with_a_hint() -> None:
    """The nearest one, or all of them."""
    registry = Registry(plugins=offering(ODD))
    with pytest.raises(UnknownStrategyError, match="did you mean glft"):
        registry.find("gltf")
    with pytest.raises(UnknownStrategyError, match="cross_exchange_market_making, odd"):
        registry.find("zzz")


def test_a_plug_in_is_found_and_made() -> None:
    """Listed with whose it is."""
    registry = Registry(plugins=offering(ODD))
    listed = registry.find("odd")
    assert (listed.kind, listed.source) == (ODD, "third 1.0")
    assert registry.make(registry.parameters("odd", {"pair": "ETH/USDT"})).symbol == "ETH/USDT"
    assert [each.kind.name for each in registry.everything()[0]][-1] == "odd"


@pytest.mark.parametrize(
    ("thing", "reason"),
    [
        (ImportError("no module named numpie"), "ImportError: no module named numpie"),
        (42, "its entry point is a int, where a StrategyKind belongs"),
        (but(name="even"), "it calls itself even and its entry point odd"),
        (but(schema=dict), "does not derive from StrategySchema"),
        (but(schema=PURE.schema), "the tag of its schema is pure_market_making, not odd"),
        (but(make=None), "its `make` cannot be called"),
        (but(schema=NeedyParameters), "no good defaults"),
        (but(make=raising), "RuntimeError: no luck"),
        (but(make=lambda parameters: object()), "its strategy lacks name, symbol, rules"),
    ],
)
def test_a_plug_in_that_cannot_be_used_says_why(thing: object, reason: str) -> None:
    """It is listed with the reason, refused when named, and keeps nobody else from running."""
    registry = Registry(plugins=offering(thing))
    with pytest.raises(PluginRefusedError) as refused:
        registry.find("odd")
    assert reason in str(refused.value)
    good, bad = registry.everything()
    assert len(good) == len(BUILT_IN)
    assert [(each.name, each.source) for each in bad] == [("odd", "third 1.0")]
    assert registry.make(registry.parameters("glft", {})).name == "glft"


def test_a_factory_may_refuse_in_our_words() -> None:
    """An error of ours is passed on as it is."""

    def refuses(parameters: OddParameters) -> Any:
        raise InvalidInputError("size", parameters.size, "less")

    with pytest.raises(InvalidInputError, match="give less"):
        Registry(plugins=offering(but(make=refuses))).find("odd")


def test_a_plug_in_takes_no_name_of_ours_and_no_name_twice() -> None:
    """Ours wins, of two others neither."""
    registry = Registry(plugins=offering(ODD, "glft"))
    assert registry.find("glft").source == room.OURS
    assert registry.everything()[1][0].reason == "the name is one of our own strategies'"
    both = [Offer("odd", source, EntryPoint("odd", "a:b", "g")) for source in ("a 1", "b 2")]
    with pytest.raises(PluginRefusedError, match="b 2 offers the same name"):
        Registry(plugins=lambda: both).find("odd")


def test_nothing_of_a_plug_in_is_imported_before_it_is_named() -> None:
    """One that would raise disturbs nobody who wants another."""
    registry = Registry(plugins=offering(SystemError("imported")))
    assert registry.make(registry.parameters("twap", {})).name == "twap"


def test_the_snapshot_is_the_hash_of_everything_that_is_run() -> None:
    """The same parameters give the same id, another value, version or code another one."""
    registry = Registry(plugins=offering(ODD))
    first = registry.snapshot(registry.parameters("odd", {"size": 3}))
    again = registry.snapshot(registry.parameters("odd", {}))
    other = registry.snapshot(registry.parameters("odd", {"size": 4}))
    newer = Registry(plugins=offering(but(version="8"))).snapshot(OddParameters())
    assert first == again
    assert len({first.id, other.id, newer.id}) == 3
    assert first.id == hashlib.sha256(first.text.encode()).hexdigest()
    assert first.id.startswith(first.short)
    told = msgspec.json.decode(first.text)
    assert list(told) == ["code", "name", "parameters", "source", "version"]
    assert told["parameters"]["size"] == 3
    assert msgspec.json.decode(registry.snapshot(PURE.schema()).text)["code"] != told["code"]


def test_every_parameter_is_described() -> None:
    """Default, range and the sentence under it, also of those that a schema inherits."""
    rows = {row.name: row for row in described(OddParameters)}
    assert rows["size"].takes == "whole number"
    assert (rows["size"].default, rows["size"].meaning) == ("3", "How many.")
    assert rows["exchange"].meaning.startswith("The venue these parameters")
    pure = {row.name: row for row in described(PURE.schema)}
    assert pure["number_of_layers"].takes == "whole number ≥ 1, ≤ 50"
    assert pure["price_source"].takes.startswith("MID_PRICE, BEST_BID")
    assert pure["post_only"].takes == "true, false"
    assert pure["order_override"].takes == "table"
    assert pure["ceiling_price"].default == ""
    glft = {row.name: row for row in described(BUILT_IN[3].schema)}
    assert glft["gamma"].takes == "number ≥ 0, ≤ 1000000"
    assert glft["model"].takes == "a, b"
    assert glft["fair_value"].default == "microprice"
    made: Any = msgspec.defstruct(
        "Made", [("depth", int, 1)], bases=(StrategySchema,), frozen=True, kw_only=True, tag="made"
    )
    assert {row.name: row.meaning for row in described(made)}["depth"] == ""


@pytest.mark.parametrize("number", [0.5, Decimal("0.5"), 1, None])
def test_a_range_takes_any_number(number: float | Decimal | None) -> None:
    """A plug-in's parameters may be floats as well as decimals."""
    within("share", number, "0", "1", low_open=True, example="0.5")


@pytest.mark.parametrize("number", [0.0, 1.1, float("nan"), float("inf"), Decimal("NaN"), Decimal(0)])
def test_a_number_outside_of_its_range_is_refused(number: float | Decimal) -> None:
    """Also what is no number."""
    with pytest.raises(ParameterRefusedError, match=r"a number above 0 up to 1, such as 0\.5"):
        within("share", number, "0", "1", low_open=True, example="0.5")
