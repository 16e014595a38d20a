"""The trading store in memory: leases with fences, order journal and event log, with their disk's faults."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from msgspec.structs import replace

from mrmarket.core.errors import InvalidInputError
from mrmarket.core.events import Fact, decode_fact, encode_fact
from mrmarket.simulation.disk import Disk
from mrmarket.store.errors import DuplicateIntentError, LeaseHeldError, StaleFenceError, UnknownIntentError
from mrmarket.store.event_log import LogCheck, LoggedFact, LogHead, chain_hash, genesis_hash, natural_key
from mrmarket.store.lease_row import LeaseRow, Seizure
from mrmarket.store.order_journal import NEW_STATE, OrderIntent, OrderRecord
from mrmarket.store.run_fold import RunFold

_BLOCK: Final = 1_000


@dataclass(slots=True)
class TradingData:
    """What is on the disk."""

    leases: dict[str, LeaseRow] = field(default_factory=dict)
    orders: dict[str, OrderRecord] = field(default_factory=dict)
    open_by_stream: dict[str, dict[str, None]] = field(default_factory=dict)
    events: dict[str, list[LoggedFact]] = field(default_factory=dict)
    forgotten: dict[str, int] = field(default_factory=dict)
    """How many facts at the beginning of a stream are no longer kept."""
    keys: set[str] = field(default_factory=set)
    reserved: dict[str, int] = field(default_factory=dict)
    folds: dict[str, RunFold] = field(default_factory=dict)
    fence_watchers: list[Callable[[LeaseRow], None]] = field(default_factory=list)
    """The checkers'."""


class MemoryTradingLog:
    """Implements `TradingLog` for one process; what it holds in memory goes with the process."""

    def __init__(self, data: TradingData, disk: Disk, server_clock: Callable[[], int] | None = None) -> None:
        """With a server's clock the expiry of leases is judged by it, else by the caller's."""
        self.data = data
        self.disk = disk
        self._server_clock = server_clock
        self._held: dict[str, int] = {}
        self._sequences: dict[str, tuple[int, int]] = {}

    def close(self) -> None:
        """Nothing to release."""

    # Leases.

    def acquire_lease(self, name: str, owner: str, ttl_ns: int, now_ns: int) -> int:
        """Take a lease that is free, has run out, or is ours."""
        return self._take(name, owner, ttl_ns, now_ns, seize=False).fence

    def acquire_leases(self, names: Sequence[str], owner: str, ttl_ns: int, now_ns: int) -> dict[str, int]:
        """Take those that are free, have run out, or are ours, as one commit."""
        self.disk.begin()
        now_ns = self._now(now_ns)
        taken = []
        for name in names:
            row = self.data.leases.get(name)
            if row is None or row.owner == owner or row.expires_ns <= now_ns:
                fence = (row.fence if row else 0) + 1
                taken.append(LeaseRow(name=name, fence=fence, owner=owner, expires_ns=now_ns + ttl_ns))
        for row in taken:
            self.data.leases[row.name] = row
            for watch in self.data.fence_watchers:
                watch(row)
        self.disk.sync()
        self.disk.committed()
        fences = {row.name: row.fence for row in taken}
        self._held |= fences
        return fences

    def seize_lease(self, name: str, owner: str, ttl_ns: int, now_ns: int) -> Seizure:
        """Take a lease whoever holds it."""
        return self._take(name, owner, ttl_ns, now_ns, seize=True)

    def renew_lease(self, name: str, ttl_ns: int, now_ns: int) -> None:
        """Extend our lease."""
        if self.renew_leases((name,), ttl_ns, now_ns):
            raise StaleFenceError(self.disk.name, name, self._held.get(name, 0))

    def renew_leases(self, names: Sequence[str], ttl_ns: int, now_ns: int) -> list[str]:
        """Extend several; the names of those that are lost."""
        self.disk.begin()
        now_ns = self._now(now_ns)
        lost = []
        for name in names:
            row = self.data.leases.get(name)
            if row is None or row.fence != self._held.get(name, 0):
                lost.append(name)
            else:
                self.data.leases[name] = replace(row, expires_ns=now_ns + ttl_ns)
        self.disk.committed()
        return lost

    def release_lease(self, name: str) -> None:
        """Let others in."""
        self.disk.begin()
        row = self.data.leases.get(name)
        if row is None or row.fence != self._held.get(name, 0):
            raise StaleFenceError(self.disk.name, name, self._held.get(name, 0))
        self.data.leases[name] = replace(row, expires_ns=0)
        self.disk.committed()

    def lease(self, name: str) -> LeaseRow | None:
        """Who holds it."""
        self.disk.begin(writes=False)
        return self.data.leases.get(name)

    def leases(self) -> list[LeaseRow]:
        """All of them, by name."""
        self.disk.begin(writes=False)
        return [self.data.leases[name] for name in sorted(self.data.leases)]

    def _take(self, name: str, owner: str, ttl_ns: int, now_ns: int, *, seize: bool) -> Seizure:
        self.disk.begin()
        now_ns = self._now(now_ns)
        row = self.data.leases.get(name)
        if row is not None and not seize and row.owner != owner and row.expires_ns > now_ns:
            raise LeaseHeldError(self.disk.name, name, row.owner, row.expires_ns)
        fence = (row.fence if row else 0) + 1
        taken = LeaseRow(name=name, fence=fence, owner=owner, expires_ns=now_ns + ttl_ns)
        self.data.leases[name] = taken
        for watch in self.data.fence_watchers:
            watch(taken)
        self.disk.sync()
        self.disk.committed()
        self._held[name] = fence
        return Seizure(fence=fence, left_ns=max(0, row.expires_ns - now_ns) if row else 0)

    def _now(self, now_ns: int) -> int:
        return now_ns if self._server_clock is None else self._server_clock()

    def _require_fence(self, stream: str) -> None:
        row = self.data.leases.get(stream)
        held = self._held.get(stream, 0)
        if (row.fence if row else 0) != held:
            raise StaleFenceError(self.disk.name, stream, held)

    # Order journal.

    def record_intent(self, intent: OrderIntent) -> None:
        """Write an order down before it is sent."""
        self.record_intents((intent,))

    def record_intents(self, intents: Sequence[OrderIntent]) -> None:
        """All or none; committed, not synced."""
        if not intents:
            return
        self.disk.begin()
        data = self.data
        known = [each.client_order_id for each in intents if each.client_order_id in data.orders]
        if known:
            raise DuplicateIntentError(self.disk.name, ", ".join(known))
        for intent in intents:
            if intent.size_lots <= 0 or intent.price_ticks < 0:
                raise InvalidInputError("intent", intent.client_order_id, "a size, and no price below zero")
            self._require_fence(intent.stream)
        for intent in intents:
            data.orders[intent.client_order_id] = OrderRecord(
                stream=intent.stream,
                client_order_id=intent.client_order_id,
                symbol=intent.symbol,
                slot=intent.slot,
                side=intent.side,
                kind=intent.kind,
                price_ticks=intent.price_ticks,
                size_lots=intent.size_lots,
                created_ns=intent.created_ns,
                venue_order_id="",
                state=NEW_STATE,
                filled_lots=0,
                updated_ns=intent.created_ns,
            )
            data.open_by_stream.setdefault(intent.stream, {})[intent.client_order_id] = None

        def undo() -> None:
            for intent in intents:
                data.orders.pop(intent.client_order_id, None)
                data.open_by_stream[intent.stream].pop(intent.client_order_id, None)

        self.disk.committed(undo)

    def record_report(
        self,
        client_order_id: str,
        *,
        state: str,
        venue_order_id: str = "",
        filled_lots: int = 0,
        at_ns: int,
    ) -> None:
        """Write down what became of an order; committed, not synced."""
        self.disk.begin()
        data = self.data
        before = data.orders.get(client_order_id)
        if before is None:
            raise UnknownIntentError(self.disk.name, client_order_id)
        self._require_fence(before.stream)
        self._put(
            replace(
                before,
                state=state,
                venue_order_id=venue_order_id or before.venue_order_id,
                filled_lots=max(filled_lots, before.filled_lots),
                updated_ns=max(at_ns, before.updated_ns),
            )
        )
        self.disk.committed(lambda: self._put(before))

    def _put(self, record: OrderRecord) -> None:
        self.data.orders[record.client_order_id] = record
        standing = self.data.open_by_stream.setdefault(record.stream, {})
        if record.is_open:
            standing[record.client_order_id] = None
        else:
            standing.pop(record.client_order_id, None)

    def order(self, client_order_id: str) -> OrderRecord | None:
        """One order by our id."""
        self.disk.begin(writes=False)
        return self.data.orders.get(client_order_id)

    def open_intents(self, stream: str) -> list[OrderRecord]:
        """What may still stand, oldest first."""
        self.disk.begin(writes=False)
        records = [self.data.orders[key] for key in self.data.open_by_stream.get(stream, ())]
        return sorted(records, key=lambda record: record.created_ns)

    def orders(self, stream: str, *, open_only: bool = False, limit: int = 100) -> list[OrderRecord]:
        """The newest orders, newest first."""
        self.disk.begin(writes=False)
        found = [
            record
            for record in self.data.orders.values()
            if record.stream == stream and (record.is_open or not open_only)
        ]
        found.reverse()
        return sorted(found, key=lambda record: -record.created_ns)[:limit]

    def next_sequence(self, stream: str) -> int:
        """A number that the stream never had."""
        following, reserved = self._sequences.get(stream, (1, 0))
        if following > reserved:
            self.disk.begin()
            reserved = self.data.reserved.get(stream, 0) + _BLOCK
            self.data.reserved[stream] = reserved
            following = reserved - _BLOCK + 1
            self.disk.sync()
            self.disk.committed()
        self._sequences[stream] = (following + 1, reserved)
        return following

    # Event log.

    def append_facts(self, stream: str, facts: Sequence[Fact]) -> list[LoggedFact]:
        """One durable commit; what is known is left out."""
        if not facts:
            return []
        self.disk.begin()
        self._require_fence(stream)
        log = self.data.events.setdefault(stream, [])
        seq, previous = (log[-1].seq, log[-1].hash) if log else (0, genesis_hash(stream))
        epoch = self._held.get(stream, 0)
        logged = []
        for fact in facts:
            key = natural_key(fact)
            if key is not None:
                if key in self.data.keys:
                    continue
                self.data.keys.add(key)
            seq += 1
            payload = encode_fact(fact)
            previous = chain_hash(previous, epoch, seq, payload)
            logged.append(
                LoggedFact(
                    stream=stream,
                    epoch=epoch,
                    seq=seq,
                    at_ns=fact.at_ns,
                    fact=fact,
                    payload=payload,
                    hash=previous,
                )
            )
        log.extend(logged)
        self.disk.sync()
        self.disk.committed()
        return logged

    def read_facts(self, stream: str, after_seq: int, limit: int) -> list[LoggedFact]:
        """In order."""
        self.disk.begin(writes=False)
        begin = after_seq - self.data.forgotten.get(stream, 0)
        return self.data.events.get(stream, [])[max(begin, 0) : begin + limit]

    def latest_facts(self, stream: str, limit: int, kinds: Sequence[str] = ()) -> list[LoggedFact]:
        """Newest first."""
        self.disk.begin(writes=False)
        found: list[LoggedFact] = []
        for row in reversed(self.data.events.get(stream, [])):
            if len(found) == limit:
                break
            if not kinds or row.fact.__struct_config__.tag in kinds:
                found.append(row)
        return found

    def head(self, stream: str) -> LogHead:
        """Where a stream ends."""
        self.disk.begin(writes=False)
        log = self.data.events.get(stream)
        if not log:
            return LogHead(seq=0, epoch=0, hash=genesis_hash(stream))
        return LogHead(seq=log[-1].seq, epoch=log[-1].epoch, hash=log[-1].hash)

    def streams(self) -> list[str]:
        """Names of streams that hold a fact."""
        self.disk.begin(writes=False)
        return sorted(name for name, log in self.data.events.items() if log)

    def save_fold(self, fold: RunFold) -> None:
        """Keep what a stream adds up to; not synced."""
        self.disk.begin()
        self._require_fence(fold.stream)
        before = self.data.folds.get(fold.stream)
        if before is not None and before.seq >= fold.seq:
            return
        self.data.folds[fold.stream] = fold

        def undo() -> None:
            if before is None:
                self.data.folds.pop(fold.stream, None)
            else:
                self.data.folds[fold.stream] = before

        self.disk.committed(undo)

    def load_fold(self, stream: str) -> RunFold | None:
        """The fold that was kept last."""
        self.disk.begin(writes=False)
        return self.data.folds.get(stream)

    def verify_log(self) -> LogCheck:
        """Re-derive every hash."""
        self.disk.begin(writes=False)
        facts = 0
        for stream, log in self.data.events.items():
            previous = genesis_hash(stream)
            for seq, row in enumerate(log, 1):
                if row.seq != seq or chain_hash(previous, row.epoch, seq, row.payload) != row.hash:
                    return LogCheck(False, len(self.data.events), facts, stream, seq, "the chain is broken")
                if decode_fact(row.payload) != row.fact:
                    return LogCheck(False, len(self.data.events), facts, stream, seq, "the content differs")
                previous = row.hash
                facts += 1
        return LogCheck(True, len(self.data.events), facts)
