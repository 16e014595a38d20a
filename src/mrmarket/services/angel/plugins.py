"""Fail-safes and recoveries by name: those of the house, and those that the owner has installed."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from importlib.metadata import entry_points
from typing import Any

from mrmarket.angel import failsafe, recovery
from mrmarket.angel.failsafe import AlertOnly, CancelAll, FailSafe, Flatten, Flattener
from mrmarket.angel.recovery import Automatic, Manual, Recovery
from mrmarket.angel.settings import AngelSection
from mrmarket.core.errors import MrMarketError


class UnknownPluginError(MrMarketError):
    """No fail-safe or recovery of that name is installed."""

    code = "plugin_unknown"

    def __init__(self, kind: str, name: str, known: list[str], group: str) -> None:
        self.kind = kind
        self.name = name
        super().__init__(
            f"no {kind} is called {name!r}; there are {', '.join(known)};"
            f" an installed package adds one through the entry point group {group}"
        )


class BrokenPluginError(MrMarketError):
    """A plug-in is installed and cannot be made."""

    code = "plugin_broken"

    def __init__(self, kind: str, name: str, problem: str) -> None:
        self.kind = kind
        self.name = name
        super().__init__(f"the {kind} {name!r} cannot be used: {problem}; mend or remove its package")


def find_fail_safe(settings: AngelSection, flattener: Callable[[], Flattener]) -> FailSafe:
    """The fail-safe that is configured.

    Raises:
        UnknownPluginError: nobody offers one of that name.
        BrokenPluginError: its package does not load.
    """
    name = settings.fail_safe
    if name == CancelAll.name:
        return CancelAll()
    if name == AlertOnly.name:
        return AlertOnly()
    if name == Flatten.name:
        most = Decimal(settings.flatten_max_quote)
        return Flatten(flattener(), band_bps=settings.flatten_band_bps, max_quote=most)
    house = [CancelAll.name, AlertOnly.name, Flatten.name]
    found: FailSafe = _installed("fail-safe", failsafe.ENTRY_POINTS, name, house, ("begin", "finish"))
    return found


def find_recovery(settings: AngelSection) -> Recovery:
    """The recovery that is configured; raises as `find_fail_safe`."""
    name = settings.recovery
    if name == Automatic.name:
        return Automatic()
    if name == Manual.name:
        return Manual()
    house = [Automatic.name, Manual.name]
    found: Recovery = _installed("recovery", recovery.ENTRY_POINTS, name, house, ("recover",))
    return found


def _installed(kind: str, group: str, name: str, house: list[str], methods: tuple[str, ...]) -> Any:
    offers = {point.name: point for point in entry_points(group=group)}
    if name not in offers:
        raise UnknownPluginError(kind, name, [*house, *sorted(offers)], group)
    try:
        made = offers[name].load()()
    except Exception as error:
        raise BrokenPluginError(kind, name, f"{type(error).__name__}: {error}") from error
    missing = [method for method in (*methods, "name") if not hasattr(made, method)]
    if missing:
        raise BrokenPluginError(kind, name, f"it has no {', '.join(missing)}")
    return made
