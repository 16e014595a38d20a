"""The breakers: each watches one thing and says whether it is beyond its limit. Pure, O(1) per event.

Money is exact: `Decimal` where it comes from the books, integers of the instrument's grid elsewhere. A limit
that is a most trips when it is passed; a loss trips when it reaches its limit.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from typing import Final, Protocol

from mrmarket.core.side import Side
from mrmarket.trading.execution.differences import Difference, DifferenceKind
from mrmarket.trading.execution.risk.state import RiskState
from mrmarket.trading.execution.risk.windows import SumWindow, ValueWindow

_BPS: Final = 10_000


@dataclass(frozen=True, slots=True)
class LossLimit:
    """The smaller of an amount and a share of the capital; None is no limit."""

    quote: Decimal | None = None
    share: Decimal | None = None

    def amount(self, capital: Decimal) -> Decimal | None:
        """In quote, for this capital."""
        by_share = None if self.share is None else self.share * capital
        amounts = [amount for amount in (self.quote, by_share) if amount is not None]
        return min(amounts, default=None)


class Breaker(Protocol):
    """What every breaker can do."""

    def reset(self) -> None:
        """Count from now."""
        ...


class LossBreaker:
    """How much equity was lost since the beginning of a span."""

    def __init__(self, span_ns: int, limit: LossLimit) -> None:
        self.loss = Decimal(0)
        """In quote, as of the last look; negative is a gain."""
        self._limit = limit
        self._window = ValueWindow(span_ns)

    def observe(self, now_ns: int, equity: Decimal, capital: Decimal) -> str | None:
        """What is wrong, or None."""
        self.loss = self._window.put(now_ns, equity) - equity
        amount = self._limit.amount(capital)
        if amount is None or self.loss <= 0 or self.loss < amount:
            return None
        return f"{self.loss:.2f} lost, the limit is {amount:.2f}"

    def recall(self, at_ns: int, equity: Decimal) -> None:
        """What equity was in an earlier life, oldest first; trips nothing."""
        self._window.put(at_ns, equity)

    def reset(self) -> None:
        """Count from now."""
        self._window.clear()


class DrawdownBreaker:
    """How far equity is below its high-water mark."""

    def __init__(self, limit: LossLimit) -> None:
        self.high: Decimal | None = None
        """The high-water mark, in quote."""
        self.drawdown = Decimal(0)
        self._limit = limit

    def observe(self, equity: Decimal, capital: Decimal) -> str | None:
        """What is wrong, or None."""
        self.high = self.recall(equity)
        self.drawdown = self.high - equity
        amount = self._limit.amount(capital)
        if amount is None or self.drawdown <= 0 or self.drawdown < amount:
            return None
        return f"{self.drawdown:.2f} below the high-water mark, the limit is {amount:.2f}"

    def recall(self, equity: Decimal) -> Decimal:
        """What equity was at some time; returns the high-water mark."""
        self.high = equity if self.high is None else max(self.high, equity)
        return self.high

    def reset(self) -> None:
        """The mark is where equity is."""
        self.high = None


class ShareBreaker:
    """The share of orders that were refused, once there are enough of them to tell."""

    def __init__(self, span_ns: int, most: Decimal, least_orders: int) -> None:
        self._most = most
        self._least = least_orders
        self._orders = SumWindow(span_ns)
        self._refused = SumWindow(span_ns)

    def order(self, now_ns: int) -> None:
        """One was answered, whatever the answer."""
        self._orders.add(now_ns)

    def refused(self, now_ns: int) -> None:
        """One was refused."""
        self._refused.add(now_ns)

    def reading(self, now_ns: int) -> str | None:
        """What is wrong, or None."""
        orders, refused = self._orders.at(now_ns), self._refused.at(now_ns)
        if orders < self._least or refused <= self._most * orders:
            return None
        return f"{refused} of {orders} orders were refused"

    def reset(self) -> None:
        """Count from now."""
        self._orders.clear()
        self._refused.clear()


class CountBreaker:
    """How often something happened within a span."""

    def __init__(self, span_ns: int, most: int, what: str, window: SumWindow | None = None) -> None:
        """`window`: one that others count into as well."""
        self._most = most
        self._what = what
        self._window = SumWindow(span_ns) if window is None else window

    def count(self, now_ns: int) -> None:
        """It happened."""
        self._window.add(now_ns)

    def reading(self, now_ns: int) -> str | None:
        """What is wrong, or None."""
        count = self._window.at(now_ns)
        return f"{count} {self._what}, at most {self._most}" if count > self._most else None

    def reset(self) -> None:
        """Count from now."""
        self._window.clear()


class LastingBreaker:
    """A condition that has to last before it counts."""

    def __init__(self, after_ns: int) -> None:
        self._after_ns = after_ns
        self._since_ns: int | None = None

    def observe(self, now_ns: int, *, there: bool) -> bool:
        """Whether it has been there for long enough."""
        if not there:
            self._since_ns = None
            return False
        if self._since_ns is None:
            self._since_ns = now_ns
        return now_ns - self._since_ns >= self._after_ns

    def reset(self) -> None:
        """Count from now."""
        self._since_ns = None


class SlippageBreaker:
    """How much worse taking orders traded than the price they were decided at, weighted by quote size."""

    def __init__(self, span_ns: int, most_bps: int) -> None:
        self._most_bps = most_bps
        self._worse = SumWindow(span_ns)
        self._traded = SumWindow(span_ns)

    def taken(self, now_ns: int, side: Side, decided_ticks: int, price_ticks: int, size_lots: int) -> None:
        """One trade in which we took; a better price counts in our favour."""
        self._worse.add(now_ns, side.sign * (price_ticks - decided_ticks) * size_lots)
        self._traded.add(now_ns, decided_ticks * size_lots)

    def reading(self, now_ns: int) -> str | None:
        """What is wrong, or None."""
        worse, traded = self._worse.at(now_ns), self._traded.at(now_ns)
        if worse * _BPS <= self._most_bps * traded:
            return None
        return f"{worse * _BPS / traded:.1f} bp worse than decided, at most {self._most_bps}"

    def reset(self) -> None:
        """Count from now."""
        self._worse.clear()
        self._traded.clear()


@dataclass(frozen=True, slots=True)
class _Standing:
    since_ns: int | None
    """None: from the next look on."""
    first: Decimal | None
    now: Decimal | None
    detail: str


class DifferenceBreaker:
    """What the venue says otherwise: less may be done while it stands, nothing once it lasts or grows."""

    def __init__(self, lot: Decimal, base: str, halt_after_ns: int) -> None:
        self._lot = lot
        self._base = base
        self._halt_after_ns = halt_after_ns
        self._standing: dict[str, _Standing] = {}

    def change(self, now_ns: int, difference: Difference, *, standing: bool) -> None:
        """A difference was found, has changed, or is gone."""
        key = difference.key
        size = _distance(difference)
        dust = (
            difference.kind is DifferenceKind.BALANCE
            and difference.subject == self._base
            and size is not None
            and size <= self._lot
        )
        if not standing or dust:
            self._standing.pop(key, None)
            return
        detail = f"{key}: we have {difference.ours}, the venue {difference.theirs}"
        old = self._standing.get(key)
        since_ns, first = (old.since_ns, old.first) if old else (now_ns, size)
        self._standing[key] = _Standing(since_ns, first, size, detail)

    def take_over(self, now_ns: int, differences: Iterable[Difference]) -> None:
        """What an earlier life left standing."""
        for difference in differences:
            self.change(now_ns, difference, standing=True)

    def reading(self, now_ns: int) -> tuple[RiskState, str] | None:
        """How strict to be, and why; None while we agree."""
        if not self._standing:
            return None
        for key, each in self._standing.items():
            if each.since_ns is None:
                self._standing[key] = replace(each, since_ns=now_ns)
                continue
            grown = each.first is not None and each.now is not None and each.now > each.first
            if grown or now_ns - each.since_ns >= self._halt_after_ns:
                return RiskState.HALT, each.detail + (", and it grows" if grown else ", and it lasts")
        return RiskState.REDUCE, next(iter(self._standing.values())).detail

    def reset(self) -> None:
        """The owner has looked at it: count duration and growth anew; what stands still allows less."""
        self._standing = {
            key: replace(each, since_ns=None, first=each.now) for key, each in self._standing.items()
        }


def _distance(difference: Difference) -> Decimal | None:
    try:
        return abs(Decimal(difference.ours) - Decimal(difference.theirs))
    except InvalidOperation:
        return None  # not an amount: an order's state, or nothing at all
