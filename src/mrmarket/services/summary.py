"""What came of a run, as `mrmarket run --json` prints it."""

from __future__ import annotations

from copy import deepcopy
from decimal import Decimal

import msgspec

from mrmarket.core.decimals import format_decimal
from mrmarket.services.instance import Instance


class QuoteLatency(msgspec.Struct, frozen=True, kw_only=True):
    """Book event received to order handed to the HTTP client, in microseconds; null without an order."""

    p50: float | None
    p99: float | None


class RunSummary(msgspec.Struct, frozen=True, kw_only=True):
    """Figures of this run alone, from its start to its end. Amounts are decimal strings."""

    tape: str
    symbol: str
    strategy: str
    """Kind of the main run's strategy."""
    seconds: float
    """World time from the first quote to the end that was asked for."""
    events: int
    """Market events that the engine saw."""
    orders_placed: int
    orders_cancelled: int
    fills: int
    maker_fills: int
    volume_quote: str
    fees_quote: str
    """Fees taken in base are valued at the final mid."""
    cash_quote: str
    """Sold less bought, before fees."""
    inventory_base: str
    """Bought less sold, before fees."""
    final_mid: str
    """Quote per base at the end, our own orders left out."""
    pnl_quote: str
    """`cash_quote + inventory_base × final_mid - fees_quote`; starting inventory is not revalued."""
    nav_per_share: str
    quote_latency_us: QuoteLatency
    ledger_verified: bool
    orders_remaining: int
    """Orders of ours that could not be proven closed; 0 after a clean end."""
    remark: str = ""
    """Why nothing was quoted at the end, where no order was placed at all."""


class SandboxSummary(RunSummary, frozen=True, kw_only=True):
    """The same of a run in a sandbox world; what rewards came to is since the data folder began."""

    campaigns_joined: int
    rewards_received: dict[str, str]
    credited: dict[str, str]
    withdrawn: dict[str, str]
    in_transit: dict[str, str]
    identity_ok: bool
    """Whether every unit of every reward is accounted for."""
    identity_faults: list[str]


class Bookkeeper:
    """Remembers where the figures stood at the start, and says what came since."""

    def __init__(self, instance: Instance) -> None:
        self._instance = instance
        self._before = deepcopy(instance.run.totals)
        self._began_ns = instance.place.world.monotonic_ns()
        self._ended_ns = self._began_ns
        self._idle_reason = ""

    def rest(self) -> None:
        """The time asked for is over; what follows is tidying up."""
        run = self._instance.run
        self._ended_ns = self._instance.place.world.monotonic_ns()
        self._idle_reason = run.state_reason or run.pulled or run.targets.reason

    def summary(self) -> RunSummary:
        """To be asked after the instance was closed."""
        instance, before, now = self._instance, self._before, self._instance.run.totals
        run, check, figures = instance.run, instance.books.check, instance.books.figures
        mid = run.mid or Decimal(0)
        p50, p99 = run.latency_us
        summary = RunSummary(
            tape=instance.place.market,
            symbol=instance.place.symbol,
            strategy=instance.strategy,
            seconds=round((self._ended_ns - self._began_ns) / 1e9, 3),
            events=run.watch.tracker.events,
            orders_placed=now.orders_placed - before.orders_placed,
            orders_cancelled=now.orders_cancelled - before.orders_cancelled,
            fills=now.fills - before.fills,
            maker_fills=now.maker_fills - before.maker_fills,
            volume_quote=format_decimal(now.volume_quote - before.volume_quote),
            fees_quote=format_decimal(now.fees_quote(mid) - before.fees_quote(mid)),
            cash_quote=format_decimal(now.cash_quote - before.cash_quote),
            inventory_base=format_decimal(now.inventory_base - before.inventory_base),
            final_mid=format_decimal(mid),
            pnl_quote=format_decimal(now.pnl_quote(mid) - before.pnl_quote(mid)),
            nav_per_share=figures.nav_per_share if figures is not None else "0",
            quote_latency_us=QuoteLatency(p50=p50, p99=p99),
            ledger_verified=check is not None and check.ok,
            orders_remaining=len(run.live_orders),
            remark="" if now.orders_placed > before.orders_placed else self._idle_reason,
        )
        report = instance.world_report
        if report is None:
            return summary
        return SandboxSummary(**msgspec.structs.asdict(summary), **msgspec.structs.asdict(report))


class RemoteBookkeeper:
    """The same where engines elsewhere trade: by what they have reported."""

    def __init__(self, instance: Instance) -> None:
        self._instance = instance
        self._before = instance.desk.performance()
        self._began_ns = instance.place.world.monotonic_ns()
        self._ended_ns = self._began_ns

    def rest(self) -> None:
        """The time asked for is over."""
        self._ended_ns = self._instance.place.world.monotonic_ns()

    def summary(self) -> RunSummary:
        """To be asked after the instance was closed."""
        instance, before, now = self._instance, self._before, self._instance.desk.performance()
        check, figures = instance.books.check, instance.books.figures
        mid = Decimal(instance.desk.market(1).mid or 0)

        def since(name: str) -> Decimal:
            return Decimal(getattr(now, name)) - Decimal(getattr(before, name))

        inventory, pnl, fees = since("inventory_base"), since("pnl_quote"), since("fees_quote")
        return RunSummary(
            tape=instance.place.market,
            symbol=instance.place.symbol,
            strategy=instance.strategy,
            seconds=round((self._ended_ns - self._began_ns) / 1e9, 3),
            events=0,
            orders_placed=now.orders_placed - before.orders_placed,
            orders_cancelled=now.orders_cancelled - before.orders_cancelled,
            fills=now.fills - before.fills,
            maker_fills=now.maker_fills - before.maker_fills,
            volume_quote=format_decimal(since("volume_quote")),
            fees_quote=format_decimal(fees),
            cash_quote=format_decimal(pnl + fees - inventory * mid),
            inventory_base=format_decimal(inventory),
            final_mid=format_decimal(mid),
            pnl_quote=format_decimal(pnl),
            nav_per_share=figures.nav_per_share if figures is not None else "0",
            quote_latency_us=QuoteLatency(p50=now.quote_latency_us_p50, p99=now.quote_latency_us_p99),
            ledger_verified=check is not None and check.ok,
            orders_remaining=0,
        )
