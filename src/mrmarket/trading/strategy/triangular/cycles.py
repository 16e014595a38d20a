"""Every triangle of pairs on one venue, found once; a change of one pair re-prices only its own triangles."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import permutations

from mrmarket.core.instrument import Instrument

Top = tuple[int, int]
"""Best bid and ask in ticks."""


@dataclass(frozen=True, slots=True)
class Step:
    """One exchange of an asset into another."""

    symbol: str
    sells: bool
    """Base into quote at the bid; else quote into base at the ask."""


@dataclass(frozen=True, slots=True)
class Cycle:
    """Three steps that lead back to where they began."""

    home: str
    """The asset it begins and ends with."""
    steps: tuple[Step, Step, Step]


class CycleIndex:
    """All triangles of a venue. Fees are taken from what is received."""

    def __init__(self, instruments: Iterable[Instrument], homes: Iterable[str] = ()) -> None:
        """`homes`, in order of preference, are assets to begin with; a triangle without one is left out.

        Without any, each triangle begins with its asset that comes first by name.
        """
        self._instruments = {each.symbol: each for each in instruments}
        self.cycles = tuple(_triangles(self._instruments.values(), tuple(homes)))
        self._by_symbol: dict[str, tuple[Cycle, ...]] = {
            symbol: tuple(
                cycle for cycle in self.cycles if any(step.symbol == symbol for step in cycle.steps)
            )
            for symbol in self._instruments
        }

    def touching(self, symbol: str) -> tuple[Cycle, ...]:
        """Triangles that a change of this pair re-prices."""
        return self._by_symbol.get(symbol, ())

    def product(self, cycle: Cycle, tops: Mapping[str, Top]) -> Fraction | None:
        """What one unit becomes at the best prices, fees taken off, exact; None where a book is missing.

        Above 1 it gains; above `1 + margin` it is worth being sized.
        """
        found = Fraction(1)
        for step in cycle.steps:
            top = tops.get(step.symbol)
            if top is None or not all(top):
                return None
            instrument = self._instruments[step.symbol]
            kept = 1 - Fraction(instrument.taker_fee)
            tick = Fraction(instrument.tick_size)
            found *= top[0] * tick * kept if step.sells else kept / (top[1] * tick)
        return found

    def gaining(
        self, symbol: str, tops: Mapping[str, Top], margin: Fraction = Fraction(0)
    ) -> list[tuple[Cycle, Fraction]]:
        """Triangles of a pair that gain more than the margin at the best prices, the best first."""
        found = [
            (cycle, product)
            for cycle in self.touching(symbol)
            if (product := self.product(cycle, tops)) is not None and product > 1 + margin
        ]
        return sorted(found, key=lambda each: each[1], reverse=True)


def _triangles(instruments: Iterable[Instrument], homes: tuple[str, ...]) -> Iterable[Cycle]:
    between: dict[tuple[str, str], Step] = {}
    for each in instruments:
        between[each.base, each.quote] = Step(each.symbol, sells=True)
        between[each.quote, each.base] = Step(each.symbol, sells=False)
    assets = sorted({asset for pair in between for asset in pair})
    neighbours = {asset: [other for other in assets if (asset, other) in between] for asset in assets}
    for home in assets:
        for second, third in permutations(neighbours[home], 2):
            if (second, third) in between and _home_of((home, second, third), homes) == home:
                steps = (between[home, second], between[second, third], between[third, home])
                yield Cycle(home, steps)


def _home_of(assets: tuple[str, str, str], homes: tuple[str, ...]) -> str | None:
    if not homes:
        return min(assets)
    return next((home for home in homes if home in assets), None)
