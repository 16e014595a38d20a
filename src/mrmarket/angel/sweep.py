"""How far one venue is swept: cancel what stands, then prove that nothing stands any more. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from mrmarket.core.clock import NS_PER_MS, NS_PER_S
from mrmarket.trading.venue.port import OrderReport

_EMPTIES_WANTED: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How long things may take and how often they are repeated; all in ns."""

    recv_window_ns: int = 2 * NS_PER_S
    """A request older than this is refused by the venue."""
    skew_ns: int = NS_PER_S
    """How far the clocks of engine, store, watcher and venue may differ."""
    lease_ttl_ns: int = 10 * NS_PER_S
    """For how long a seized lease is held at a time."""
    seize_patience_ns: int = 700 * NS_PER_MS
    """Sweeping begins although the leases are not ours yet."""
    reseize_ns: int = NS_PER_S
    """Between attempts at leases that could not be had."""
    step_ns: int = 50 * NS_PER_MS
    """Between two looks at what is due in an intervention."""
    poll_ns: int = 250 * NS_PER_MS
    """Between two polls of a venue that is being proven."""
    vigil_ns: int = 2 * NS_PER_S
    """Between polls once proven, while the old holder could not be fenced off."""
    first_retry_ns: int = 250 * NS_PER_MS
    longest_retry_ns: int = 10 * NS_PER_S
    gone_after_ns: int = 0
    """When a venue that ends with its instance is given up as gone; 0: never."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Which orders are meant."""

    whole_account: bool
    prefixes: tuple[str, ...] = ()
    """Beginnings of client order ids, where not the whole account."""

    def covers(self, order: OrderReport) -> bool:
        """Whether an order is meant."""
        return self.whole_account or order.client_order_id.startswith(self.prefixes)

    def joined(self, other: Scope) -> Scope:
        """Both."""
        return Scope(
            self.whole_account or other.whole_account,
            tuple(dict.fromkeys((*self.prefixes, *other.prefixes))),
        )


class SweepStage(StrEnum):
    """How far a venue is."""

    SWEEPING = "sweeping"
    """Nobody has seen every order answered for yet."""
    PROVING = "proving"
    """One full sweep was acknowledged."""
    PROVEN = "proven"
    """Two polls in a row were empty, the first of them asked after the bound."""
    GONE = "gone"
    """The venue ended with its instance; nothing can stand there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """One venue of an intervention."""

    venue: str
    stage: SweepStage = SweepStage.SWEEPING
    busy: bool = False
    """A poll or a round of cancels is under way."""
    due_ns: int = 0
    """When to poll next."""
    empties: int = 0
    """Empty polls in a row that count."""
    cancelled: int = 0
    """Orders whose cancel was acknowledged."""
    failures: int = 0
    """Requests in a row without an answer."""
    failing_since_ns: int = 0
    swept_ns: int | None = None
    """When the first full sweep was acknowledged."""
    proven_ns: int | None = None

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to prove."""
        return self.stage in (SweepStage.PROVEN, SweepStage.GONE)

    def again(self) -> Sweep:
        """What was proven no longer counts: there is a new bound, or another owner's orders are meant."""
        if self.stage is SweepStage.GONE:
            return self
        stage = SweepStage.SWEEPING if self.swept_ns is None else SweepStage.PROVING
        return replace(self, stage=stage, empties=0, proven_ns=None, due_ns=0)


def polled(
    sweep: Sweep, orders: tuple[OrderReport, ...], asked_ns: int, at_ns: int, bound_ns: int | None, pace: Pace
) -> tuple[Sweep, tuple[OrderReport, ...]]:
    """The venue listed what stands: what to cancel now.

    Args:
        sweep: so far.
        orders: those that are meant.
        asked_ns: when the poll was sent; an order that lands later may be missing from it.
        at_ns: now.
        bound_ns: from when on nothing of the old fence can land any more; None where nobody knows.
        pace: the pace.
    """
    sweep = replace(sweep, failures=0, failing_since_ns=0)
    if orders:
        if sweep.is_over:
            sweep = replace(sweep, stage=SweepStage.PROVING, proven_ns=None)
        return replace(sweep, empties=0, busy=True), orders
    if sweep.swept_ns is None:
        sweep = replace(sweep, swept_ns=at_ns, stage=SweepStage.PROVING)
    counts = bound_ns is not None and (asked_ns >= bound_ns or sweep.empties > 0)
    empties = sweep.empties + 1 if counts else 0
    if empties >= _EMPTIES_WANTED:
        proven_ns = sweep.proven_ns if sweep.proven_ns is not None else at_ns
        done = replace(sweep, stage=SweepStage.PROVEN, empties=empties, proven_ns=proven_ns)
        return replace(done, busy=False, due_ns=at_ns + pace.vigil_ns), ()
    return replace(sweep, empties=empties, busy=False, due_ns=at_ns + pace.poll_ns), ()


def cancelled(sweep: Sweep, done: int, failed: int, at_ns: int, retry_after_ns: int, pace: Pace) -> Sweep:
    """A round of cancels has ended; what had no answer is seen by the next poll."""
    sweep = replace(sweep, busy=False, cancelled=sweep.cancelled + done)
    if failed:
        return _failing(sweep, at_ns, retry_after_ns, pace)
    swept_ns = at_ns if sweep.swept_ns is None else sweep.swept_ns
    return replace(sweep, swept_ns=swept_ns, stage=SweepStage.PROVING, failures=0, due_ns=at_ns)


def poll_failed(sweep: Sweep, at_ns: int, retry_after_ns: int, pace: Pace) -> Sweep:
    """The venue did not answer: try again later, for ever unless it ends with its instance."""
    sweep = _failing(replace(sweep, busy=False, empties=0), at_ns, retry_after_ns, pace)
    if pace.gone_after_ns and at_ns - sweep.failing_since_ns >= pace.gone_after_ns:
        return replace(sweep, stage=SweepStage.GONE)
    return sweep


def _failing(sweep: Sweep, at_ns: int, retry_after_ns: int, pace: Pace) -> Sweep:
    wait_ns = min(pace.longest_retry_ns, pace.first_retry_ns << min(sweep.failures, 16))
    return replace(
        sweep,
        failures=sweep.failures + 1,
        failing_since_ns=sweep.failing_since_ns or at_ns,
        due_ns=at_ns + max(wait_ns, retry_after_ns),
    )
