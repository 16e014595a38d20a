"""Fail-safes and recoveries by name."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import EntryPoint

import pytest

from angel.test_angel_failsafes import Desk
from mrmarket.angel.settings import AngelSection
from mrmarket.services.angel import plugins
from mrmarket.services.angel.plugins import (
    BrokenPluginError,
    UnknownPluginError,
    find_fail_safe,
    find_recovery,
)


def offer(monkeypatch: pytest.MonkeyPatch, points: Sequence[EntryPoint]) -> None:
    """Let these be installed."""
    monkeypatch.setattr(
        plugins, "entry_points", lambda group: [point for point in points if point.group == group]
    )


def point(name: str, value: str, group: str = "mrmarket.failsafes") -> EntryPoint:
    """An installed factory."""
    return EntryPoint(name=name, value=value, group=group)


@pytest.mark.parametrize("name", ["cancel_all", "alert_only", "flatten"])
def test_those_of_the_house_are_found(name: str) -> None:
    """By the names in the configuration."""
    assert find_fail_safe(AngelSection(fail_safe=name), Desk).name == name


@pytest.mark.parametrize("name", ["automatic", "manual"])
def test_recoveries_of_the_house_are_found(name: str) -> None:
    """By the names in the configuration."""
    assert find_recovery(AngelSection(recovery=name)).name == name


def test_an_installed_one_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Through its entry point."""
    offer(
        monkeypatch,
        [
            point("mine", "mrmarket.angel.failsafe:AlertOnly"),
            point("theirs", "mrmarket.angel.recovery:Manual", "mrmarket.recoveries"),
        ],
    )
    assert find_fail_safe(AngelSection(fail_safe="mine"), Desk).name == "alert_only"
    assert find_recovery(AngelSection(recovery="theirs")).name == "manual"


def test_an_unknown_one_is_refused_with_those_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is watched."""
    offer(monkeypatch, [point("mine", "mrmarket.angel.failsafe:AlertOnly")])
    with pytest.raises(UnknownPluginError, match="cancel_all, alert_only, flatten, mine"):
        find_fail_safe(AngelSection(fail_safe="yours"), Desk)
    with pytest.raises(UnknownPluginError, match="automatic, manual"):
        find_recovery(AngelSection(recovery="yours"))


@pytest.mark.parametrize("value", ["nowhere.at_all:x", "mrmarket.angel.failsafe:Scene", "builtins:object"])
def test_one_that_cannot_be_made_is_refused(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    """A missing module, a factory that needs arguments, and something else altogether."""
    offer(monkeypatch, [point("mine", value)])
    with pytest.raises(BrokenPluginError, match="cannot be used"):
        find_fail_safe(AngelSection(fail_safe="mine"), Desk)
