"""What people and the API look at of a run; nothing here changes anything."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from mrmarket.core.instrument import Instrument
from mrmarket.trading.execution.balance_audit import BalanceAudit
from mrmarket.trading.execution.differences import Differences
from mrmarket.trading.execution.executor import Executor
from mrmarket.trading.execution.order import Order
from mrmarket.trading.execution.order_table import OrderTable
from mrmarket.trading.execution.reconciler import Reconciler
from mrmarket.trading.strategy.market_watch import MarketWatch


class RunReadings:
    """The readings of a run, which sets the attributes."""

    instrument: Instrument
    watch: MarketWatch
    _table: OrderTable
    _executor: Executor
    _reconciler: Reconciler
    _pulled: str

    @property
    def live_orders(self) -> Sequence[Order]:
        """Orders that stand at the venue or might, oldest first."""
        return self._table.open()

    def recent_orders(self, limit: int) -> list[Order]:
        """Open orders and then closed ones of this start, newest first."""
        orders = [*reversed(self._table.open()), *self._table.recently_closed()]
        return orders[:limit]

    @property
    def differences(self) -> Differences:
        """What the venue says otherwise than we know; `listen` to hear of changes."""
        return self._reconciler.differences

    @property
    def audit(self) -> BalanceAudit:
        """Whether balances are explained; its `audits` may be set where several runs share an account."""
        return self._reconciler.audit

    @property
    def pulled(self) -> str:
        """Why a running strategy's quotes are pulled; empty while it quotes."""
        return self._pulled

    @property
    def mid(self) -> Decimal | None:
        """Quote per base, our own orders left out."""
        double = self.watch.double_mid_ticks
        return None if double is None else double * self.instrument.tick_size / 2

    @property
    def latency_us(self) -> tuple[float | None, float | None]:
        """p50 and p99 in microseconds from what caused an order to its hand-over to the HTTP client.

        The cause is a book event, or the answer that freed the slot of the order before.
        """
        histogram = self._executor.latency.merged(self._executor.follow_up)
        return histogram.quantile_us(0.5), histogram.quantile_us(0.99)

    @property
    def book_latency_us(self) -> tuple[float | None, float | None]:
        """The same for orders that a book event caused."""
        histogram = self._executor.latency
        return histogram.quantile_us(0.5), histogram.quantile_us(0.99)

    @property
    def follow_up_us(self) -> tuple[float | None, float | None]:
        """The same for orders that follow the end of the order before in their slot."""
        histogram = self._executor.follow_up
        return histogram.quantile_us(0.5), histogram.quantile_us(0.99)

    @property
    def refusals(self) -> int:
        """Orders that the venue refused since this start."""
        return self._executor.refusals

    def held_back(self) -> dict[str, str]:
        """By slot: why the pre-trade check holds a wanted quote back."""
        return dict(self._executor.check_refusals)
