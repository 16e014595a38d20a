"""What other distributions offer through entry points; nothing of it is imported before it is named.

Importing a plug-in runs its code in this process, with everything this process may do.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Final

from mrmarket.core.errors import MrMarketError

STRATEGIES_GROUP: Final = "mrmarket.strategies"
FAIR_VALUES_GROUP: Final = "mrmarket.fair_values"


class PluginRefusedError(MrMarketError):
    """A plug-in cannot be used; nothing of it is running."""

    code = "plugin_refused"

    def __init__(self, name: str, source: str, reason: str) -> None:
        self.name = name
        self.source = source
        self.reason = reason
        super().__init__(f"{name} of {source} cannot be used: {reason}; repair or uninstall {source}")


@dataclass(frozen=True, slots=True)
class Offer:
    """An entry point that has not been imported."""

    name: str
    source: str
    """Distribution and version."""
    point: EntryPoint

    def load(self) -> object:
        """Import it.

        Raises:
            PluginRefusedError: whatever its import raises, in one line.
        """
        try:
            found: object = self.point.load()
        except Exception as error:
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            raise PluginRefusedError(
                self.name, self.source, f"its import of {self.point.value} failed: {reason}"
            ) from error
        return found


def offers(group: str) -> Iterator[Offer]:
    """The entry points of a group, sorted by name; those of one name by distribution."""
    found = [
        Offer(point.name, f"{point.dist.name} {point.dist.version}" if point.dist else point.value, point)
        for point in entry_points(group=group)
    ]
    yield from sorted(found, key=lambda offer: (offer.name, offer.source))


def packages_of_plugins() -> frozenset[str]:
    """The top-level packages of all that is offered."""
    groups = (STRATEGIES_GROUP, FAIR_VALUES_GROUP)
    points = (point for group in groups for point in entry_points(group=group))
    return frozenset(point.value.partition(":")[0].partition(".")[0].strip() for point in points)
