"""When a run has to decide although nothing has happened."""

from __future__ import annotations

from collections.abc import Callable

from mrmarket.core.clock import Clock
from mrmarket.trading.execution.account import Account
from mrmarket.trading.execution.differ import Plan
from mrmarket.trading.execution.risk.state import RiskState
from mrmarket.trading.strategy.port import MarketView, Steady, Strategy


class Cadence:
    """Says whether the last decision would come out the same: then neither tick nor book need another.

    What was wanted stands, nothing is on its way, no order comes of age, and the strategy has said that time
    changes nothing. Whatever happens to an order or to the run makes the next decision due at once.
    """

    __slots__ = ("_account", "_due_ns", "_revision", "_risk", "_steady", "_world")

    def __init__(
        self, strategy: Strategy, account: Account, risk: Callable[[], RiskState], world: Clock
    ) -> None:
        """`risk` is what the run may do now; `world` the strategy's clock."""
        # Asked once: a run-time check of a protocol takes longer than everything else here.
        self._steady = strategy if isinstance(strategy, Steady) else None
        self._account = account
        self._risk = risk
        self._world = world
        self._due_ns = 0
        self._revision = 0

    def happened(self) -> None:
        """Something did: the last decision stands no longer."""
        self._due_ns = 0

    @property
    def rests(self) -> bool:
        """Whether the last decision still stands, if the strategy's answer is the same."""
        return self._world.monotonic_ns() < self._due_ns and self._revision == self._account.revision

    def decided(self, view: MarketView | None, todo: Plan) -> None:
        """A decision was carried out; `view` is None where the quotes are pulled."""
        self._revision = self._account.revision
        self._due_ns = 0
        if todo.rests_ns:
            until_ns = self._world.monotonic_ns() + todo.rests_ns
            if view is None:
                self._due_ns = until_ns
            elif self._steady is not None and self._risk() is RiskState.ACTIVE:
                self._due_ns = min(until_ns, self._steady.steady_until_ns(view))
