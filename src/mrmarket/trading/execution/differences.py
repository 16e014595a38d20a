"""What the venue says otherwise than we know: found, told, closed again; nothing is made up to hide it."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from enum import StrEnum

from mrmarket.core.clock import Clock
from mrmarket.core.events import DifferenceClosed, DifferenceFound, Fact
from mrmarket.trading.execution.fact_writer import FactWriter


class DifferenceKind(StrEnum):
    """What kind of thing differs."""

    STRAY_ORDER = "stray_order"
    """The venue lists an order with our prefix that has no place here; it is cancelled."""
    ORDER_MISSING = "order_missing"
    """The venue had acknowledged an order and now denies that it ever was."""
    ORDER_TERMS = "order_terms"
    """An order of ours stands at another price or size than we sent."""
    FILL_MISSING = "fill_missing"
    """The venue counts more filled than the trades it lists."""
    BALANCE = "balance"
    """The change of a balance is more or less than trades and transfers explain."""
    OFF_GRID = "off_grid"
    """An answer cannot be read in whole ticks and lots."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing on which the venue and we disagree."""

    kind: DifferenceKind
    subject: str
    """A client order id or an asset."""
    ours: str
    theirs: str
    detail: str = ""

    @property
    def key(self) -> str:
        """The same as long as it is the same difference, whatever its amounts."""
        return f"{self.kind}:{self.subject}"


OnDifference = Callable[[Difference, bool], None]
"""(difference, whether it stands): at first, whenever its amounts change, and once more when it is gone."""


class Differences:
    """The differences that stand, each written down when it is found and when it is gone.

    What stood when a process ended stands after its restart until it is proven gone.
    """

    def __init__(self, facts: FactWriter, venue: str, symbol: str, wall: Clock) -> None:
        self._listeners: list[OnDifference] = []
        self._facts = facts
        self._venue = venue
        self._symbol = symbol
        self._wall = wall
        self._standing: dict[str, Difference] = {}

    @property
    def standing(self) -> list[Difference]:
        """What differs now, the oldest first."""
        return list(self._standing.values())

    def listen(self, listener: OnDifference) -> None:
        """Tell this one of every change too, on the event loop."""
        self._listeners.append(listener)

    def tell_again(self) -> None:
        """Tell of everything that stands, after a restart."""
        for difference in self.standing:
            self._tell(difference, standing=True)

    def of_kind(self, kind: DifferenceKind) -> list[Difference]:
        """What differs now of one kind."""
        return [each for each in self._standing.values() if each.kind is kind]

    def find(self, kind: DifferenceKind, subject: str) -> Difference | None:
        """A difference that stands."""
        return self._standing.get(f"{kind}:{subject}")

    def replay(self, fact: Fact) -> None:
        """Take over what an earlier life has written, oldest first; nobody is told."""
        if isinstance(fact, DifferenceFound) and fact.kind in set(DifferenceKind):
            kind = DifferenceKind(fact.kind)
            difference = Difference(kind, fact.subject, fact.ours, fact.theirs, fact.detail)
            self._standing[difference.key] = difference
        elif isinstance(fact, DifferenceClosed):
            self._standing.pop(f"{fact.kind}:{fact.subject}", None)

    def found(self, difference: Difference) -> None:
        """It stands, perhaps with other amounts than before."""
        if self._standing.get(difference.key) == difference:
            return
        self._standing[difference.key] = difference
        self._facts.write(
            DifferenceFound(
                venue=self._venue,
                at_ns=self._wall.now_ns(),
                symbol=self._symbol,
                kind=difference.kind.value,
                subject=difference.subject,
                ours=difference.ours,
                theirs=difference.theirs,
                detail=difference.detail,
            )
        )
        self._tell(difference, standing=True)

    def gone(self, kind: DifferenceKind, subject: str, detail: str) -> bool:
        """It is explained; False if there was none."""
        difference = self._standing.pop(f"{kind}:{subject}", None)
        if difference is None:
            return False
        self._facts.write(
            DifferenceClosed(
                venue=self._venue,
                at_ns=self._wall.now_ns(),
                symbol=self._symbol,
                kind=kind.value,
                subject=subject,
                detail=detail,
            )
        )
        self._tell(difference, standing=False)
        return True

    def keep(self, kind: DifferenceKind, subjects: Collection[str], detail: str) -> None:
        """Of this kind only these still stand."""
        for difference in self.of_kind(kind):
            if difference.subject not in subjects:
                self.gone(kind, difference.subject, detail)

    def _tell(self, difference: Difference, *, standing: bool) -> None:
        for listener in self._listeners:
            listener(difference, standing)
