"""Reads what exchange, event log, journal, leases and Angel have written, and says what contradicts. Pure.

The exchange's own record is the truth: what it accepted, when by its own clock, and what came of it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import pairwise

from chaos.members import Ending
from mrmarket.core.events import Filled
from mrmarket.store.event_log import LoggedFact
from mrmarket.store.operations import AngelAction
from mrmarket.store.order_journal import OrderRecord
from mrmarket.trading.execution.order_id import ParsedOrderId, order_prefix, parse_order_id

_CLOSED = {
    "FILLED": {"filled"},
    "CANCELED": {"cancelled", "expired"},
    "EXPIRED": {"cancelled", "expired"},
    "EXPIRED_IN_MATCH": {"cancelled", "expired"},
    "REJECTED": {"rejected", "expired", "cancelled"},
}
"""What the journal may call an order that the exchange has ended so."""

_ENDINGS = {0, 3, 4}
"""Statuses with which a process may end by itself: done, something needed is away, the disk or database."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueOrder:
    """An order as the exchange remembers it."""

    venue_order_id: str
    client_order_id: str
    placed_ms: int
    ended_ms: int
    """Its last change."""
    status: str
    executed: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueTrade:
    """A trade of ours as the exchange remembers it."""

    trade_id: str
    venue_order_id: str
    price: Decimal
    size: Decimal
    fee: Decimal
    fee_asset: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountRecord:
    """One account at the exchange."""

    venue: str
    """What it is called in facts."""
    orders: Sequence[VenueOrder]
    trades: Sequence[VenueTrade]
    open_ids: Sequence[str]
    """Client order ids of what still stands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseSample:
    """A lease, looked at in the midst of it all."""

    name: str
    fence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """Everything that was written down, from all sides."""

    instance: str
    runs: Sequence[str]
    accounts: Sequence[AccountRecord]
    facts: Mapping[str, Sequence[LoggedFact]]
    """By stream."""
    journal: Sequence[OrderRecord]
    leases: Sequence[LeaseSample]
    actions: Sequence[AngelAction]
    """Oldest first."""
    endings: Sequence[Ending]
    recv_window_ms: int = 2_000
    skew_ms: int = 1_000
    intents_may_be_lost: bool = False
    """Whether the database lost power: an intent is committed before its order is sent, but not synced."""
    prefixes: Mapping[str, str] = field(init=False)
    """Run by the beginning of its order ids."""

    def __post_init__(self) -> None:
        by_prefix = {order_prefix(self.instance, run): run for run in self.runs}
        object.__setattr__(self, "prefixes", by_prefix)

    def ours(self) -> Iterator[tuple[AccountRecord, VenueOrder, ParsedOrderId]]:
        """Every order that a run of ours has placed, in the order of the exchange."""
        for account in self.accounts:
            for order in account.orders:
                parsed = parse_order_id(order.client_order_id)
                if parsed is not None and parsed.prefix in self.prefixes:
                    yield account, order, parsed


def contradictions(history: History) -> list[str]:
    """What must not be; nothing is what there should be."""
    checks = (
        strangers,
        ids_given_twice,
        orders_left_alive,
        orders_without_an_intent,
        ends_that_differ,
        fills_that_differ,
        placements_under_an_old_fence,
        fences_that_fell,
        interventions_left_open,
        orders_that_outlived_a_proof,
        faults_of_the_angel,
        bad_endings,
    )
    return [f"{check.__name__}: {wrong}" for check in checks for wrong in check(history)]


def strangers(history: History) -> Iterator[str]:
    """Orders in our accounts that no run of ours made."""
    known = {id(order) for _, order, _ in history.ours()}
    for account in history.accounts:
        for order in account.orders:
            if id(order) not in known:
                yield f"{account.venue} {order.client_order_id}"


def ids_given_twice(history: History) -> Iterator[str]:
    """A client order id, or a run's order number, that the exchange has accepted more than once."""
    ids = Counter((account.venue, order.client_order_id) for account, order, _ in history.ours())
    yield from (f"id {key} of {venue}" for (venue, key), count in ids.items() if count > 1)
    numbers = Counter((parsed.prefix, parsed.sequence) for _, _, parsed in history.ours())
    for (prefix, number), count in numbers.items():
        if count > 1:
            yield f"number {number} of {history.prefixes[prefix]}"


def orders_left_alive(history: History) -> Iterator[str]:
    """What stands at the exchange, or is open in the journal, after a clean end."""
    for account in history.accounts:
        yield from (f"{account.venue} {key}" for key in account.open_ids)
    yield from (f"journal: {row.client_order_id} is {row.state}" for row in history.journal if row.is_open)


def orders_without_an_intent(history: History) -> Iterator[str]:
    """Orders at the exchange of which the journal knows nothing."""
    if history.intents_may_be_lost:
        return
    written = {row.client_order_id for row in history.journal}
    for account, order, _ in history.ours():
        if order.client_order_id not in written:
            yield f"{account.venue} {order.client_order_id}"


def ends_that_differ(history: History) -> Iterator[str]:
    """Orders whose end is another one in the journal than at the exchange."""
    written = {row.client_order_id: row for row in history.journal}
    for account, order, _ in history.ours():
        row = written.get(order.client_order_id)
        if row is not None and row.state not in _CLOSED.get(order.status, set()):
            key = order.client_order_id
            yield f"{account.venue} {key}: {order.status} there, {row.state} in the journal"


def fills_that_differ(history: History) -> Iterator[str]:
    """Trades at the exchange that are not in the event logs exactly once and to the digit, or the reverse."""
    logged = [row.fact for rows in history.facts.values() for row in rows if isinstance(row.fact, Filled)]
    times = Counter((fill.venue, fill.symbol, fill.trade_id) for fill in logged)
    yield from (f"{key} is logged {count} times" for key, count in times.items() if count > 1)
    for account in history.accounts:
        client_ids = {order.venue_order_id: order.client_order_id for order in account.orders}
        theirs = {
            trade.trade_id: (
                client_ids.get(trade.venue_order_id, ""),
                trade.price,
                trade.size,
                trade.fee,
                trade.fee_asset,
            )
            for trade in account.trades
        }
        ours = {
            fill.trade_id: (
                fill.client_order_id,
                Decimal(fill.price),
                Decimal(fill.size),
                Decimal(fill.fee),
                fill.fee_asset,
            )
            for fill in logged
            if fill.venue == account.venue
        }
        for key in sorted(theirs.keys() | ours.keys()):
            if theirs.get(key) != ours.get(key):
                yield f"trade {key} of {account.venue}: {theirs.get(key)} there, {ours.get(key)} in the log"
        yield from _sums_that_differ(account, logged)


def placements_under_an_old_fence(history: History) -> Iterator[str]:
    """Orders of a fence that came later than a newer fence's first one and the time a request may take."""
    first_ms: dict[str, dict[int, int]] = defaultdict(dict)
    for _, order, parsed in history.ours():
        known = first_ms[parsed.prefix]
        known[parsed.fence] = min(order.placed_ms, known.get(parsed.fence, order.placed_ms))
    bound_ms = history.recv_window_ms + history.skew_ms
    for account, order, parsed in history.ours():
        newer = [at for fence, at in first_ms[parsed.prefix].items() if fence > parsed.fence]
        if newer and order.placed_ms > min(newer) + bound_ms:
            late_ms = order.placed_ms - min(newer)
            yield f"{account.venue} {order.client_order_id}: {late_ms} ms after a newer fence's first order"


def fences_that_fell(history: History) -> Iterator[str]:
    """A fence that was seen to fall: of a lease, or from one fact to the next of a stream."""
    highest: dict[str, int] = {}
    for sample in history.leases:
        if sample.fence < highest.get(sample.name, 0):
            yield f"lease {sample.name}: {sample.fence} after {highest[sample.name]}"
        highest[sample.name] = max(sample.fence, highest.get(sample.name, 0))
    for stream, rows in history.facts.items():
        for earlier, later in pairwise(rows):
            if later.epoch < earlier.epoch:
                yield f"{stream} {later.seq}: {later.epoch} after {earlier.epoch}"


def interventions_left_open(history: History) -> Iterator[str]:
    """Interventions that the Angel began and, in that life, never came to the end of."""
    for incident, actions in _incidents(history):
        names = {action.action for action in actions}
        if "intervene" in names and not names & {"closed", "left"} and not _was_cut(history, actions):
            yield f"{incident}: {', '.join(action.action for action in actions)}"


def orders_that_outlived_a_proof(history: History) -> Iterator[str]:
    """Orders of a seized fence that lived on after the Angel had proven that none is left."""
    runs = {run: prefix for prefix, run in history.prefixes.items()}
    for incident, actions in _incidents(history):
        cleared_ms = [action.at_ms for action in actions if action.action == "cleared"]
        if not cleared_ms:
            continue
        for action in actions:
            if action.action != "seize" or action.target not in runs:
                continue
            fence = int(action.detail.removeprefix("fence "))
            for account, order, parsed in history.ours():
                theirs = parsed.prefix == runs[action.target] and parsed.fence < fence
                if theirs and order.ended_ms > max(cleared_ms) + history.skew_ms:
                    late_ms = order.ended_ms - max(cleared_ms)
                    yield f"{incident} {account.venue} {order.client_order_id}: {late_ms} ms after the proof"


def faults_of_the_angel(history: History) -> Iterator[str]:
    """Mistakes of its own that the Angel caught."""
    yield from (f"{row.target}: {row.detail}" for row in history.actions if row.action == "internal_error")


def bad_endings(history: History) -> Iterator[str]:
    """Processes that ended in another way than by a kill of ours or in peace with a sentence."""
    for ending in history.endings:
        planned = ending.killed or (ending.crash_at and ending.status == -9)
        if planned:
            continue
        if ending.status not in _ENDINGS:
            yield f"{ending.member} ended with {ending.status}: {ending.last_words[-600:]}"
        elif "Traceback" in ending.last_words.rpartition("--- life")[2]:
            yield f"{ending.member} showed a traceback: {ending.last_words[-1_500:]}"


def _sums_that_differ(account: AccountRecord, logged: Sequence[Filled]) -> Iterator[str]:
    filled: dict[str, Decimal] = defaultdict(Decimal)
    for fill in logged:
        if fill.venue == account.venue:
            filled[fill.client_order_id] += Decimal(fill.size)
    for order in account.orders:
        found = filled[order.client_order_id]
        if found != order.executed:
            yield f"{account.venue} {order.client_order_id}: {order.executed} executed, {found} logged"


def _incidents(history: History) -> Iterator[tuple[str, list[AngelAction]]]:
    grouped: dict[str, list[AngelAction]] = defaultdict(list)
    for action in history.actions:
        if action.incident:
            grouped[action.incident].append(action)
    yield from grouped.items()


def _was_cut(history: History, actions: Sequence[AngelAction]) -> bool:
    """Whether the Angel that did this ended afterwards: another one began to watch."""
    last = max(action.at_ms for action in actions)
    return any(action.action == "watching" and action.at_ms >= last for action in history.actions)
