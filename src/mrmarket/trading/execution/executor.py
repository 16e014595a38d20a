"""The asynchronous edge: carries the differ's plans to the venue and its answers to the desk."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any, Final, Protocol, runtime_checkable

from mrmarket.core import crash
from mrmarket.core.clock import NS_PER_S, Clock
from mrmarket.trading.execution.account import Account
from mrmarket.trading.execution.desk import DeskListener, OrderDesk
from mrmarket.trading.execution.differ import Allowance, LiveOrder, Plan, RefreshRules, plan
from mrmarket.trading.execution.fact_writer import FactWriter
from mrmarket.trading.execution.latency import LatencyHistogram
from mrmarket.trading.execution.lease_guard import LeaseGuard
from mrmarket.trading.execution.order import Order, OrderStage
from mrmarket.trading.execution.risk.gate import RiskGate
from mrmarket.trading.execution.risk.pretrade import MarketTop, PreTradeCheck, Refusal
from mrmarket.trading.execution.risk.state import RiskState
from mrmarket.trading.execution.targets import Quote, TargetQuotes
from mrmarket.trading.execution.timing import Timing
from mrmarket.trading.venue.port import (
    AuthenticationRefusedError,
    CancelsAll,
    Capability,
    NewOrder,
    NotSentError,
    OrderKind,
    OrderRefusedError,
    RateLimitedError,
    UnknownOrderError,
    Venue,
    VenueError,
    require_permit,
    send_permit,
)
from mrmarket.trading.venue.rate_budget import KeepsBudget, RequestKind

WITHHELD: Final = "withheld"
"""Code of an order that was decided and then held back before it left; nobody has judged it."""
_MOST_AT_ONCE: Final = 1_000
_AT_ONCE: Final = 10
"""More cancels than this go as one request where the venue has one for all."""


@runtime_checkable
class TellsHandover(Protocol):
    """A venue that says when an order really goes to its HTTP client, after signing."""

    on_handed: Callable[[str, int], None] | None
    """(client order id, monotonic nanoseconds of the machine's clock)."""


class Executor:
    """Places and cancels. Nothing a venue does is raised into the strategy.

    A request without an answer leaves its order in doubt: the slot stays blocked until the
    reconciler has proof. Nothing is ever sent twice under one id, and no order leaves this process once
    the run's lease has lapsed, its risk state has become stricter or its quotes have been pulled, however
    long its request has waited for anything.
    """

    def __init__(
        self,
        venue: Venue,
        desk: OrderDesk,
        facts: FactWriter,
        account: Account,
        check: PreTradeCheck,
        listener: DeskListener,
        *,
        rules: RefreshRules,
        kind: OrderKind,
        wall: Clock,
        timing: Timing,
        guard: LeaseGuard | None = None,
        gate: RiskGate | None = None,
    ) -> None:
        """`guard` says whether this process may still send; None always may. `gate`: the risk state."""
        self.latency = LatencyHistogram()
        """From a book event to the hand-over of the order it caused to the venue's HTTP client."""
        self.follow_up = LatencyHistogram()
        """The same for orders caused by something else: mostly the end of the order before."""
        self.placed = 0
        """Orders handed to the venue."""
        self.cancels_sent = 0
        self.refusals = 0
        """Orders that the venue refused."""
        self.check_refusals: dict[str, str] = {}
        """By slot: why the last wanted quote was held back by the pre-trade check."""
        self.paused_until_ns = 0
        """By the wall clock: the venue wants no placement before."""
        self.banned_until_ns = 0
        """By the wall clock: the venue has banned us until then."""
        self.lapsed = 0
        """Orders that were held back because the lease had lapsed."""
        self.withheld = 0
        """Orders that were held back because less was allowed by the time their turn came."""
        self.alone = False
        """Whether the last comparison found nobody else's orders on this pair and account."""
        self._venue = venue
        self._desk = desk
        self._facts = facts
        self._account = account
        self._check = check
        self._listener = listener
        self._rules = rules
        self._kind = kind
        self._wall = wall
        self._timing = timing
        self._guard = guard
        self._gate = gate
        self._tasks: set[asyncio.Task[None]] = set()
        self._blocked_until_ns: dict[str, int] = {}
        self._refused_in_a_row: dict[str, int] = {}
        self._held: list[Coroutine[Any, Any, None]] | None = None
        self._pulled = False
        self._causes: dict[str, tuple[int, LatencyHistogram]] = {}
        self._budget = venue.budget if isinstance(venue, KeepsBudget) else None
        self._venue_tells = isinstance(venue, TellsHandover)
        if isinstance(venue, TellsHandover):
            venue.on_handed = self.handed

    @property
    def in_flight(self) -> int:
        """Requests without an answer yet."""
        return len(self._tasks)

    @property
    def may_send(self) -> bool:
        """Whether the run's lease still allows orders to be placed; cancels always may go."""
        return self._guard is None or self._guard.is_valid

    def apply(
        self, targets: TargetQuotes, top: MarketTop | None, cause_ns: int, *, by_book: bool = False
    ) -> Plan:
        """Bring the market closer to the targets; returns what was sent.

        Without a top nothing is placed. `cause_ns` is the monotonic time of what caused the decision,
        `by_book` whether that was a book event.
        """
        histogram = self.latency if by_book else self.follow_up
        now_ns = self._wall.now_ns()
        self._pulled = top is None
        table = self._desk.table
        live = table.live()
        if self._gate is not None:
            targets = self._gate.allowed(targets, table.open(), table.short_of_fills(), top)
        # A fill that is not yet on the disk is not yet known to the strategy, so its wishes are out of date.
        may_place = (
            top is not None
            and not self._facts.urgent_pending
            and now_ns >= self.paused_until_ns
            and self.may_send
        )
        room = self._room(targets, live) if may_place else 0
        allowance = Allowance(placements=room, blocked_until_ns=self._blocked_until_ns)
        todo = plan(targets, live, self._rules, now_ns, allowance)
        if todo.cancels:
            self.cancel_all([cancellation.order for cancellation in todo.cancels])
        if not todo.placements or top is None:
            return todo
        holdings = self._account.holdings(each.order for each in live)
        passed: list[Quote] = []
        for quote in todo.placements:
            reason = self._check.refusal(quote, self._kind, top, holdings)
            if reason is None:
                self.check_refusals.pop(quote.slot, None)
                passed.append(quote)
            else:
                self.check_refusals[quote.slot] = reason.text
        placed = passed if self._place(passed, cause_ns, histogram) else []
        return Plan(todo.cancels, tuple(placed), todo.waiting)

    def take(self, quote: Quote, kind: OrderKind, top: MarketTop) -> Refusal | None:
        """Send one order outside the targets (to flatten); returns why it was held back, if it was."""
        orders = self._desk.table.open()
        if self._gate is not None:
            self._gate.allowed(TargetQuotes(), orders, self._desk.table.short_of_fills(), top)
        refused = self._check.refusal(quote, kind, top, self._account.holdings(orders))
        if refused is None:
            self._place([quote], self._wall.monotonic_ns(), self.follow_up, kind)
        return refused

    def cancel(self, order: Order) -> None:
        """Send a cancel; the answer goes to the desk."""
        current = self._desk.cancelling(order.client_order_id)
        if current is not None:
            self.cancels_sent += 1
            self._start(self._send_cancel(current))

    def cancel_all(self, orders: Sequence[Order]) -> None:
        """Cancel these, the first ones first; by one request where that is shorter and hits nobody else's."""
        if len(orders) > _AT_ONCE and self._may_sweep(orders):
            marked = [order for each in orders if (order := self._desk.cancelling(each.client_order_id))]
            self.cancels_sent += len(marked)
            self._start(self._send_sweep(marked))
            return
        for order in orders:
            self.cancel(order)

    def cancel_stray(self, client_order_id: str, venue_order_id: str) -> None:
        """Cancel an order that lives at the venue although it should not."""
        self._start(self._send_stray_cancel(client_order_id, venue_order_id))

    def handed(self, client_order_id: str, at_ns: int) -> None:
        """An order goes to the HTTP client at this monotonic time; the venue says so where it can."""
        cause = self._causes.pop(client_order_id, None)
        if cause is not None:
            cause_ns, histogram = cause
            histogram.observe(at_ns - cause_ns)

    async def drain(self) -> None:
        """Wait until every request in flight has its answer."""
        while self._tasks:
            await asyncio.wait(set(self._tasks))

    async def close(self) -> None:
        """Abandon what is in flight; recovery will ask for it."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _place(
        self,
        quotes: Sequence[Quote],
        cause_ns: int,
        histogram: LatencyHistogram,
        kind: OrderKind | None = None,
    ) -> bool:
        try:
            orders = self._desk.open_orders(quotes, kind or self._kind)
        except Exception as error:  # noqa: BLE001 - an intent that was not written must stop the run, whatever the cause
            self._listener.on_fault(error)
            return False
        state = self._state
        for order in orders:
            self._causes[order.client_order_id] = (cause_ns, histogram)
            request = self._send_order(order, state, quoted=kind is None)
            if self._held is None:
                self._start(request)
            else:
                self._held.append(request)
        return True

    async def _send_order(self, order: Order, decided: RiskState, *, quoted: bool) -> None:
        """`decided`: the state it was decided in; `quoted`: whether it is void once the quotes are pulled."""
        key, slot = order.client_order_id, order.slot
        request = NewOrder(
            symbol=order.symbol,
            client_order_id=key,
            side=order.side,
            kind=order.kind,
            price_ticks=order.price_ticks,
            size_lots=order.size_lots,
        )
        permit = send_permit.set(partial(self._permits, decided, quoted=quoted))
        try:
            require_permit(self._venue.name, f"place {key}")
            self.placed += 1
            if not self._venue_tells:
                self.handed(key, self._wall.monotonic_ns())
            report = await self._venue.place(request)
            crash.reach("execution.order_answered")
        except NotSentError as error:
            self._unsent(key, error)
        except OrderRefusedError as error:
            self._rest(slot)
            self._desk.refused(key, error.code, error.detail)
        except RateLimitedError as error:
            self._pause(error)
            self._desk.refused(key, error.code, error.detail)
        except AuthenticationRefusedError as error:
            self._desk.refused(key, error.code, error.detail)
            self._listener.on_fault(error)
        except VenueError:
            self._desk.doubt(key)
        except Exception as error:  # noqa: BLE001 - a bug in an adapter is not proof that the order does not live
            self._desk.doubt(key)
            self._listener.on_fault(error)
        else:
            self._desk.merge(report)
            current = self._desk.table.find(key)
            if current is not None and current.stage in (OrderStage.REJECTED, OrderStage.EXPIRED):
                self._rest(slot)
            else:
                self._refused_in_a_row.pop(slot, None)
        finally:
            send_permit.reset(permit)
            self._causes.pop(key, None)

    def _unsent(self, key: str, error: NotSentError) -> None:
        if self.may_send:
            self.withheld += 1
            self._desk.refused(key, WITHHELD, "less was allowed when its turn came; nothing was sent")
        else:
            self.lapsed += 1
            self._desk.refused(key, error.code, error.detail)

    async def _send_cancel(self, order: Order) -> None:
        key = order.client_order_id
        try:
            report = await self._venue.cancel(order.symbol, key, order.venue_order_id)
            crash.reach("execution.cancel_answered")
        except RateLimitedError as error:
            self._pause(error)
            self._desk.doubt_cancel(key, doubted=False)
        except AuthenticationRefusedError as error:
            self._listener.on_fault(error)
        except (OrderRefusedError, UnknownOrderError, VenueError):
            # "Unknown" here mostly means filled a moment ago. Only a query and the fills may say so.
            self._desk.doubt_cancel(key, doubted=True)
        except Exception as error:  # noqa: BLE001 - a bug in an adapter leaves the order where it was
            self._desk.doubt_cancel(key, doubted=True)
            self._listener.on_fault(error)
        else:
            self._desk.merge(report)
            await self._follow_up()

    async def _send_sweep(self, orders: Sequence[Order]) -> None:
        venue = self._venue
        assert isinstance(venue, CancelsAll)  # noqa: S101 - `_may_sweep` has seen to it
        left = {order.client_order_id for order in orders}
        doubted = True
        try:
            for report in await venue.cancel_all(self._desk.instrument.symbol):
                self._desk.merge(report)
                left.discard(report.client_order_id)
        except RateLimitedError as error:
            self._pause(error)
            doubted = False
        except AuthenticationRefusedError as error:
            self._listener.on_fault(error)
        except VenueError:
            # No answer, or nothing was open any more: a look at the open orders tells.
            doubted = True
        except Exception as error:  # noqa: BLE001 - a bug in an adapter leaves the orders where they were
            self._listener.on_fault(error)
        for client_order_id in left:
            self._desk.doubt_cancel(client_order_id, doubted=doubted)
        self._listener.on_answer()

    def _may_sweep(self, orders: Sequence[Order]) -> bool:
        return (
            self.alone
            and len(orders) == len(self._desk.table)
            and Capability.CANCEL_ALL in self._venue.capabilities
            and isinstance(self._venue, CancelsAll)
        )

    def _room(self, targets: TargetQuotes, live: Sequence[LiveOrder]) -> int:
        """How many orders the rate budget would let go now; the others wait for a later decision.

        Deciding them all the same would only have them refused by our own budget, slot after slot.
        """
        if self._budget is None:
            return _MOST_AT_ONCE
        taken = {each.order.slot for each in live}
        if all(quote.slot in taken for quote in targets.quotes):
            return 0  # nothing is asked of the budget while every wanted slot is taken
        return max(0, self._budget.room(RequestKind.PLACE) - len(self._causes))

    @property
    def _state(self) -> RiskState:
        return RiskState.ACTIVE if self._gate is None else self._gate.state

    def _permits(self, decided: RiskState, *, quoted: bool) -> bool:
        """Asked when everything has been waited for: a halt or a stale book may have come meanwhile."""
        return self.may_send and self._state <= decided and not (quoted and self._pulled)

    async def _follow_up(self) -> None:
        """Decide at once and send the first order from this very task.

        A task of its own would wait behind every answer and frame that is ready by now.
        """
        held: list[Coroutine[Any, Any, None]] = []
        self._held = held
        try:
            self._listener.on_answer()
        finally:
            self._held = None
        for request in held[1:]:
            self._start(request)
        if held:
            await held[0]

    async def _send_stray_cancel(self, client_order_id: str, venue_order_id: str) -> None:
        try:
            await self._venue.cancel(self._desk.instrument.symbol, client_order_id, venue_order_id)
        except VenueError:
            # The next reconciliation sees it again and tries again.
            return

    def _start(self, request: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(request)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._listener.on_fault(error if isinstance(error, Exception) else RuntimeError(repr(error)))

    def _rest(self, slot: str) -> None:
        self.refusals += 1
        count = self._refused_in_a_row.get(slot, 0)
        self._refused_in_a_row[slot] = count + 1
        rest_ns = min(self._timing.refusal_rest_ns << min(count, 20), self._timing.longest_rest_ns)
        self._blocked_until_ns[slot] = self._wall.now_ns() + rest_ns

    def _pause(self, error: RateLimitedError) -> None:
        until_ns = self._wall.now_ns() + int(error.retry_after_s * NS_PER_S)
        self.paused_until_ns = max(self.paused_until_ns, until_ns)
        if error.banned:
            self.banned_until_ns = self.paused_until_ns
