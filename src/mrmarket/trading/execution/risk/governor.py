"""The governor of one run: feeds its breakers and holds or releases their causes on the board."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from mrmarket.core.clock import NS_PER_S
from mrmarket.core.events import OrderRejected
from mrmarket.core.instrument import Instrument
from mrmarket.store.errors import DatabaseBusyError, DatabaseDisconnectedError, StaleFenceError
from mrmarket.trading.execution.differences import Difference
from mrmarket.trading.execution.order import Order
from mrmarket.trading.execution.risk.board import RiskBoard, RiskChange
from mrmarket.trading.execution.risk.breakers import (
    Breaker,
    CountBreaker,
    DifferenceBreaker,
    DrawdownBreaker,
    LastingBreaker,
    LossBreaker,
    ShareBreaker,
    SlippageBreaker,
)
from mrmarket.trading.execution.risk.limits import BreakerLimits
from mrmarket.trading.execution.risk.pretrade import MarketTop
from mrmarket.trading.execution.risk.state import Cause, run_scope, venue_scope
from mrmarket.trading.venue.port import AuthenticationRefusedError, FillReport, OrderKind

_MINUTE_NS: Final = 60 * NS_PER_S
_WITHHELD: Final = "withheld"
_OURS: Final = frozenset({"rate_limited", "lease_lapsed", "absent", _WITHHELD})
"""Codes of orders that ended without the venue having judged them."""
_UNTRIED: Final = frozenset({"rate_limited", _WITHHELD})
"""Those of them whose slot may be filled again without that being a retry."""
_WORDS: Final = frozenset(cause.value for cause in Cause)
_FAILURES_KEPT: Final = 10_000


@dataclass(frozen=True, slots=True)
class Glance:
    """What a tick sees. Times are monotonic: `world_ns` the strategy's, `wall_ns` the machine's."""

    world_ns: int
    wall_ns: int
    equity: Decimal | None = None
    """Realised and unrealised profit in quote; None where nothing can be valued now."""
    capital: Decimal | None = None
    """What the account was worth in quote when the run started."""
    stale: str = ""
    """Why the book cannot be relied on; empty while it can."""
    fair: Decimal | None = None
    index: Decimal | None = None
    """Prices in quote: ours, and a reference from elsewhere."""
    budget_share: float = 1.0
    clock_trusted: bool = True
    """Whether the venue's clock is within 1 s of ours, once corrected."""
    banned: bool = False


class RiskGovernor:
    """Every method is quick and never raises: a breaker that fails halts its own run and no other."""

    def __init__(
        self, run: str, venue: str, instrument: Instrument, board: RiskBoard, limits: BreakerLimits
    ) -> None:
        self.faults = 0
        """How often a breaker failed."""
        self._run = run
        self._scope = run_scope(run)
        self._venue_scope = venue_scope(venue)
        self._board = board
        self._limits = limits
        self._losses = {
            Cause.LOSS_1M: LossBreaker(_MINUTE_NS, limits.loss_1m),
            Cause.LOSS_1H: LossBreaker(60 * _MINUTE_NS, limits.loss_1h),
            Cause.LOSS_24H: LossBreaker(24 * 60 * _MINUTE_NS, limits.loss_24h),
        }
        self.drawdown = DrawdownBreaker(limits.drawdown)
        self._deviation = LossBreaker(60 * _MINUTE_NS, limits.deviation)
        self._rejects = ShareBreaker(_MINUTE_NS, limits.reject_share, limits.reject_least)
        self._retries = CountBreaker(
            _MINUTE_NS,
            limits.retries_per_minute,
            f"retries of {instrument.symbol} within a minute",
            board.retries(instrument.symbol, _MINUTE_NS),
        )
        self._fills = CountBreaker(_MINUTE_NS, limits.fills_per_minute, "fills within a minute")
        self._slippage = SlippageBreaker(_MINUTE_NS, limits.slippage_bps)
        self._differences = DifferenceBreaker(
            instrument.lot_size, instrument.base, limits.difference_halt_after_ns
        )
        self._stale = LastingBreaker(limits.stale_after_ns)
        self._index = LastingBreaker(limits.index_after_ns)
        self._budget = LastingBreaker(limits.budget_after_ns)
        self._clock = LastingBreaker(limits.clock_after_ns)
        self._grain = instrument.grain
        self._promised = Decimal(0)
        self._failed_slots: dict[str, None] = {}
        self._decided: dict[str, int] = {}
        self._doubted: set[str] = set()
        self._held_back: set[str] = set()
        self._looks = tuple(self._list_looks())

    @property
    def unknown(self) -> int:
        """Orders in doubt now."""
        return len(self._doubted)

    # What happens to orders.

    def on_order(self, world_ns: int, old: Order | None, new: Order, top: MarketTop | None) -> None:
        """An order changed; `top` is the market it was decided in."""
        self._guarded(lambda: self._count_order(world_ns, old, new, top))

    def on_refusal(self, world_ns: int, fact: OrderRejected) -> None:
        """An order never lived."""
        if fact.code in _UNTRIED:
            # Nobody was bothered with it, or whoever was sets the pace: filling its slot again is no retry.
            self._held_back.add(fact.client_order_id)
        if fact.code not in _OURS:
            self._guarded(lambda: self._rejects.refused(world_ns))

    def on_fill(
        self, world_ns: int, fill: FillReport, double_mid_ticks: int | None, fee_quote: Decimal
    ) -> None:
        """A trade of ours is durable; `double_mid_ticks` is twice the mid it was seen at."""
        self._guarded(lambda: self._count_fill(world_ns, fill, double_mid_ticks, fee_quote))

    def on_difference(self, wall_ns: int, difference: Difference, *, standing: bool) -> None:
        """We and the venue disagree, or agree again."""

        def change() -> None:
            self._differences.change(wall_ns, difference, standing=standing)
            self._judge_differences(wall_ns)

        self._guarded(change)

    def on_failure(self, error: Exception) -> None:
        """The run has failed. One whose lease was taken has not: its heir may begin at once.

        Nor has one whose database was away for a moment: it comes back as soon as the database does.
        """
        if isinstance(error, StaleFenceError | DatabaseDisconnectedError | DatabaseBusyError):
            return
        if isinstance(error, AuthenticationRefusedError):
            self._board.halt(self._venue_scope, Cause.AUTH_REFUSED, self._run, str(error))
        self._board.hold(self._scope, Cause.RUN_FAILED, self._run, detail=str(error) or type(error).__name__)
        # It cools down from now on; whoever starts the run again need not release anything.
        self._board.release(self._scope, Cause.RUN_FAILED, self._run)

    def recall(self, world_ns: int, equity: Decimal) -> None:
        """What equity was in an earlier life, oldest first."""
        for breaker in self._losses.values():
            breaker.recall(world_ns, equity)
        self.drawdown.recall(equity)

    # Time passes.

    def tick(self, glance: Glance) -> None:
        """Look at everything; restrict, and let go."""
        for look in self._looks:
            try:
                look(glance)
            except Exception as error:  # noqa: BLE001 - as in `_guarded`, without a call more for each look
                self._faulty(error)

    def on_change(self, change: RiskChange) -> None:
        """After a re-arm by the owner, count anew: what was seen before has been dealt with."""
        if (
            change.restriction is None
            and change.by_owner
            and change.scope in (self._scope, self._venue_scope)
        ):
            self.reset(change.cause)

    def reset(self, cause: str) -> None:
        """The owner has dealt with a cause: count anew."""
        if cause in _WORDS:
            breakers: dict[Cause, Breaker] = {
                Cause.DRAWDOWN: self.drawdown,
                Cause.PNL_DEVIATION: self._deviation,
                Cause.REJECT_RATE: self._rejects,
                Cause.RETRIES: self._retries,
                Cause.FILL_RATE: self._fills,
                Cause.SLIPPAGE: self._slippage,
                Cause.DIFFERENCE: self._differences,
                **self._losses,
            }
            breaker = breakers.get(Cause(cause))
            if breaker is not None:
                breaker.reset()

    def close(self) -> None:
        """The run ends: it holds nothing any more."""
        self._board.forget_holder(self._run)

    # Within.

    def _list_looks(self) -> Iterator[Callable[[Glance], None]]:
        """Made once: a process may hold hundreds of runs, each of which looks five times a second."""
        yield self._value
        yield lambda at: self._set(Cause.REJECT_RATE, self._rejects.reading(at.world_ns))
        yield lambda at: self._set(Cause.RETRIES, self._retries.reading(at.world_ns))
        yield lambda at: self._set(Cause.FILL_RATE, self._fills.reading(at.world_ns))
        yield lambda at: self._set(Cause.SLIPPAGE, self._slippage.reading(at.world_ns))
        yield lambda at: self._judge_differences(at.wall_ns)
        yield self._look_at_doubts
        yield lambda at: self._lasting(Cause.BOOK_STALE, self._stale, at.wall_ns, at.stale)
        yield lambda at: self._lasting(Cause.INDEX_GAP, self._index, at.wall_ns, self._gap(at))
        yield self._look_at_venue

    def _look_at_doubts(self, glance: Glance) -> None:  # noqa: ARG002 - a look is given what there is to see
        most = self._limits.unknown_orders
        told = f"{self.unknown} orders in doubt, at most {most}" if self.unknown > most else None
        self._set(Cause.UNKNOWN_ORDERS, told)

    def _look_at_venue(self, glance: Glance) -> None:
        share, wall_ns = glance.budget_share, glance.wall_ns
        short = f"{share:.0%} of the requests left" if share < self._limits.budget_share else ""
        self._lasting(Cause.RATE_BUDGET, self._budget, wall_ns, short, venue=True)
        apart = "" if glance.clock_trusted else "more than 1 s apart, even corrected"
        self._lasting(Cause.CLOCK_OFFSET, self._clock, wall_ns, apart, venue=True)
        if glance.banned:
            self._set(Cause.VENUE_BANNED, "it answered 418", venue=True)

    def _value(self, glance: Glance) -> None:
        equity, capital = glance.equity, glance.capital
        if equity is None or capital is None:
            return
        for cause, breaker in self._losses.items():
            self._set(cause, breaker.observe(glance.world_ns, equity, capital))
        self._set(Cause.DRAWDOWN, self.drawdown.observe(equity, capital))
        behind = self._deviation.observe(glance.world_ns, equity - self._promised, capital)
        self._set(Cause.PNL_DEVIATION, behind)

    def _gap(self, glance: Glance) -> str:
        fair, index = glance.fair, glance.index
        if fair is None or index is None or abs(fair - index) <= self._limits.index_gap * index:
            return ""
        return f"our fair value is {fair}, the index {index}"

    def _judge_differences(self, wall_ns: int) -> None:
        found = self._differences.reading(wall_ns)
        if found is None:
            self._board.release(self._scope, Cause.DIFFERENCE, self._run)
        else:
            state, detail = found
            self._board.hold(self._scope, Cause.DIFFERENCE, self._run, detail=detail, state=state)

    def _lasting(
        self, cause: Cause, breaker: LastingBreaker, wall_ns: int, what: str, *, venue: bool = False
    ) -> None:
        self._set(cause, what if breaker.observe(wall_ns, there=bool(what)) else None, venue=venue)

    def _set(self, cause: Cause, detail: str | None, *, venue: bool = False) -> None:
        scope = self._venue_scope if venue else self._scope
        if detail is None:
            self._board.release(scope, cause, self._run)
        else:
            self._board.hold(scope, cause, self._run, detail=detail)

    def _count_order(self, world_ns: int, old: Order | None, new: Order, top: MarketTop | None) -> None:
        key, slot = new.client_order_id, new.slot
        if new.is_doubted:
            self._doubted.add(key)
        else:
            self._doubted.discard(key)
        if old is None:
            self._rejects.order(world_ns)
            if slot in self._failed_slots:
                self._retries.count(world_ns)
                del self._failed_slots[slot]
            if top is not None and new.kind is not OrderKind.POST_ONLY:
                self._decided[key] = top.ask_ticks if new.side.sign > 0 else top.bid_ticks
        elif new.is_final and not old.is_final:
            if key in self._held_back:
                self._held_back.discard(key)
            elif not new.fills and not new.reported_lots and (old.is_doubted or new.stage.name == "REJECTED"):
                self._failed_slots[slot] = None
                if len(self._failed_slots) > _FAILURES_KEPT:
                    del self._failed_slots[next(iter(self._failed_slots))]
            if new.is_settled:
                self._decided.pop(key, None)

    def _count_fill(
        self, world_ns: int, fill: FillReport, double_mid_ticks: int | None, fee_quote: Decimal
    ) -> None:
        self._fills.count(world_ns)
        if double_mid_ticks is not None:
            edge = fill.side.sign * (double_mid_ticks - 2 * fill.price_ticks) * fill.size_lots
            self._promised += edge * self._grain / 2 - fee_quote
        decided = self._decided.get(fill.client_order_id)
        if not fill.maker and decided is not None:
            self._slippage.taken(world_ns, fill.side, decided, fill.price_ticks, fill.size_lots)

    def _guarded(self, look: Callable[[], None]) -> None:
        try:
            look()
        except Exception as error:  # noqa: BLE001 - a breaker that cannot tell must stop its run, and nobody else's
            self._faulty(error)

    def _faulty(self, error: Exception) -> None:
        self.faults += 1
        self._board.halt(self._scope, Cause.BREAKER_FAULT, self._run, f"{type(error).__name__}: {error}")
