"""A bad day is drawn from a seed."""

from __future__ import annotations

import msgspec

from chaos.blows import LENGTHS_S, Deed, Menu, draw, faults
from mrmarket.trading.venue.front.faults import FaultRule

MENU = Menu(
    targets={deed: ["one", "two"] for deed in Deed if deed is not Deed.FILL} | {Deed.FILL: []},
    labels={"one": ("here",), "two": ("there",)},
    lengths_s=LENGTHS_S,
)
SEEDS = range(60)


def test_the_same_seed_is_the_same_day() -> None:
    """And another one is another day."""
    days = [draw(seed, MENU, 60, 3) for seed in SEEDS]
    assert days == [draw(seed, MENU, 60, 3) for seed in SEEDS]
    assert len({tuple(day) for day in days}) == len(days)


def test_everything_that_can_be_done_is_done_sooner_or_later() -> None:
    """To everybody it can be done to, within the lengths that it has; and nothing else is."""
    blows = [blow for seed in SEEDS for blow in draw(seed, MENU, 60, 3)]
    assert {(blow.deed, blow.target) for blow in blows} == {
        (deed, target) for deed, targets in MENU.targets.items() for target in targets
    }
    points = {(blow.target, blow.label.partition(":")[0]) for blow in blows if blow.deed is Deed.CRASH}
    assert points == {("one", "here"), ("two", "there")}
    for blow in blows:
        shortest, longest = LENGTHS_S[blow.deed]
        assert 0 < blow.at_s < 60
        assert shortest <= blow.length_s <= longest


def test_the_faults_are_ones_that_the_exchange_knows() -> None:
    """Each rule is read by the exchange's own configuration, whatever the seed."""
    kinds = {msgspec.convert(rule, FaultRule).kind.value for seed in SEEDS for rule in faults(seed)}
    assert kinds >= {
        "timeout_before",
        "timeout_after",
        "server_error",
        "server_error_after",
        "too_many_requests",
        "ban",
        "drop",
        "duplicate",
        "reorder",
        "delay",
        "disconnect",
    }
