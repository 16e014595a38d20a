"""Fair values by name, and what they say while their estimators learn."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest

from model_stage import view
from mrmarket.trading.strategy.models import fair_value as room
from mrmarket.trading.strategy.models.fair_value import BUILT_IN, FairValue, fair_value
from mrmarket.trading.strategy.plugins import Offer, PluginRefusedError
from mrmarket.trading.strategy.schema import ParameterRefusedError

LEANING = {"bid": (5_999_950, 300_000), "ask": (6_000_050, 100_000)}


@pytest.mark.parametrize(
    ("name", "changes", "ticks", "says"),
    [
        ("mid", {}, 6_000_000, "mid"),
        ("weighted_mid", {}, 6_000_025, "weighted mid"),
        ("microprice", {}, 6_000_025, "weighted mid (the microprice is not fitted yet)"),
        ("microprice", {"micro_offset_ticks": 12.5}, 6_000_012.5, "microprice (fitted)"),
        (
            "microprice_ofi",
            {"micro_offset_ticks": 12.5},
            6_000_012.5,
            "microprice (fitted), without order flow yet",
        ),
        (
            "microprice_ofi",
            {"micro_offset_ticks": 12.5, "flow_move_ticks": 7.5},
            6_000_020,
            "microprice (fitted) and order flow",
        ),
        (
            "microprice_ofi",
            {"micro_offset_ticks": 12.5, "flow_move_ticks": 9_999.0},
            6_000_100,
            "microprice (fitted) and order flow",
        ),
    ],
)
def test_each_says_what_it_used(name: str, changes: dict[str, float], ticks: float, says: str) -> None:
    """Three times as much bid as asked leans upwards; order flow goes at most one spread."""
    price = fair_value(name).price(view(**LEANING, **changes))
    assert price.ticks == pytest.approx(ticks)
    assert price.says == says


def test_all_of_ours_implement_the_port() -> None:
    """Each can be asked what it needs measured."""
    assert all(isinstance(make(), FairValue) for make in BUILT_IN.values())


def offered(name: str, value: str) -> Offer:
    """An entry point into this very file."""
    return Offer(name, "third 1.0", EntryPoint(name, value, "mrmarket.fair_values"))


@pytest.mark.parametrize(
    ("value", "word"),
    [
        ("no_such_module:x", "its import of no_such_module:x failed"),
        ("math:pi", "nothing that can be called"),
        ("builtins:dict", "no `estimates`"),
        ("importlib:import_module", "TypeError"),
    ],
)
def test_a_bad_plug_in_is_refused_with_its_reason(
    value: str, word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever it fails, the one who named it learns why."""
    monkeypatch.setattr(room, "offers", lambda group: [offered("third", value)])
    with pytest.raises(PluginRefusedError, match=word):
        fair_value("third")


def test_two_plug_ins_of_one_name_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither is picked by chance."""
    both = [offered("third", "math:pi"), Offer("third", "other 2.0", EntryPoint("third", "math:pi", "g"))]
    monkeypatch.setattr(room, "offers", lambda group: both)
    with pytest.raises(PluginRefusedError, match=r"other 2\.0 offers the same name"):
        fair_value("third")


def test_a_plug_ins_fair_value_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the name of its entry point."""
    value = "mrmarket.trading.strategy.models.fair_value:Mid"
    monkeypatch.setattr(room, "offers", lambda group: [offered("third", value)])
    assert fair_value("third").price(view()).ticks == 6_000_000
    with pytest.raises(ParameterRefusedError, match="microprice_ofi, third"):
        fair_value("fourth")
