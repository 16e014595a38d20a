"""A small world for the Angel: exchanges with late effects, leases, engines that beat; all on one clock."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count

from mrmarket.angel.charge import Charge
from mrmarket.angel.diary import Diary, Journal
from mrmarket.angel.failsafe import FailSafe
from mrmarket.angel.recovery import Recovery
from mrmarket.angel.settings import AngelSection
from mrmarket.angel.sweep import Pace
from mrmarket.angel.watch import Angel
from mrmarket.core.clock import NS_PER_S, ManualClock
from mrmarket.core.notice import Notice
from mrmarket.core.side import Side
from mrmarket.store.errors import DatabaseUnavailableError, StaleFenceError
from mrmarket.store.lease_row import LeaseRow, Seizure
from mrmarket.store.operations import AngelAction, Beat, Restriction
from mrmarket.trading.venue.port import (
    Capability,
    KeyPermissions,
    OrderReport,
    OrderStatus,
    UnknownOrderError,
    VenueError,
    VenueUnavailableError,
)

PREFIX = "mmaaaaa"


def order(client_order_id: str, symbol: str = "BTC/USDT") -> OrderReport:
    """A live order."""
    return OrderReport(
        symbol=symbol,
        client_order_id=client_order_id,
        venue_order_id=f"v-{client_order_id}",
        side=Side.BUY,
        status=OrderStatus.OPEN,
        price_ticks=0,
        size_lots=0,
        filled_lots=0,
        venue_ns=0,
    )


class WorldVenue:
    """An exchange: what stands, and what is still on its way to it."""

    def __init__(self, name: str, clock: ManualClock) -> None:
        self.name = name
        self.standing: dict[str, OrderReport] = {}
        self.late: list[tuple[int, OrderReport]] = []
        """(monotonic ns at which it lands, order)."""
        self.faults: list[VenueError] = []
        """Raised by the next requests, one each."""
        self.down = False
        self.rights = KeyPermissions(read=True, trade=False, withdraw=False)
        self.switch: list[tuple[str, float]] = []
        self.switches = False
        self.polls = 0
        self.cancels: list[str] = []
        self.opens = 0
        self.closes = 0
        self._clock = clock

    def put(self, *names: str) -> None:
        """Let orders stand."""
        for name in names:
            self.standing[name] = order(name)

    def land(self) -> None:
        """Let what has been on its way for long enough arrive."""
        now_ns = self._clock.monotonic_ns()
        for at_ns, late in [entry for entry in self.late if entry[0] <= now_ns]:
            self.late.remove((at_ns, late))
            self.standing[late.client_order_id] = late

    async def open(self) -> None:
        """Reach it."""
        self.opens += 1
        self._answer()

    async def close(self) -> None:
        """Leave it."""
        self.closes += 1

    async def permissions(self) -> KeyPermissions:
        """What the key may do."""
        return self.rights

    async def open_orders_everywhere(self) -> list[OrderReport]:
        """What stands."""
        await asyncio.sleep(0)
        self._answer()
        self.polls += 1
        self.land()
        return list(self.standing.values())

    async def cancel(self, symbol: str, client_order_id: str, venue_order_id: str) -> OrderReport | None:
        """Take one away."""
        await asyncio.sleep(0)
        self._answer()
        self.land()
        self.cancels.append(client_order_id)
        if self.standing.pop(client_order_id, None) is None:
            raise UnknownOrderError(self.name, f"cancel {client_order_id}", "unknown order")
        return None

    async def query(self, symbol: str, client_order_id: str, venue_order_id: str) -> OrderReport:
        """One order."""
        return self.standing[client_order_id]

    @property
    def capabilities(self) -> frozenset[Capability]:
        """Whether it has a switch."""
        return frozenset({Capability.DEAD_MAN_SWITCH}) if self.switches else frozenset()

    async def cancel_all_after(self, symbol: str, countdown_s: float) -> None:
        """Set the switch."""
        self._answer()
        self.switch.append((symbol, countdown_s))

    def _answer(self) -> None:
        if self.faults:
            raise self.faults.pop(0)
        if self.down:
            raise VenueUnavailableError(self.name, "ask", "connection refused")


class WorldStore:
    """Leases, beats, restrictions and the Angel's log, in one place that can go away."""

    def __init__(self, clock: ManualClock) -> None:
        self.gone = False
        self.rows: dict[str, LeaseRow] = {}
        self.signs: dict[str, Beat] = {}
        self.signed_off: list[str] = []
        self.log: list[AngelAction] = []
        self.restrictions: list[Restriction] = []
        self._clock = clock
        self._held: dict[str, int] = {}

    def take(self, run: str, owner: str, ttl_ns: int = 6 * NS_PER_S) -> int:
        """An engine takes a lease that is free."""
        fence = self.rows[run].fence + 1 if run in self.rows else 1
        self.rows[run] = LeaseRow(
            name=run, fence=fence, owner=owner, expires_ns=self._clock.now_ns() + ttl_ns
        )
        return fence

    def leases(self) -> list[LeaseRow]:
        """Every lease."""
        self._answer()
        return list(self.rows.values())

    def seize_lease(self, name: str, owner: str, ttl_ns: int, now_ns: int) -> Seizure:
        """Take it whoever holds it."""
        self._answer()
        left_ns = max(0, self.rows[name].expires_ns - now_ns) if name in self.rows else 0
        self._held[name] = fence = self.take(name, owner, ttl_ns)
        return Seizure(fence=fence, left_ns=left_ns)

    def renew_leases(self, names: Sequence[str], ttl_ns: int, now_ns: int) -> list[str]:
        """Hold on to them."""
        self._answer()
        lost = [name for name in names if self.rows[name].fence != self._held.get(name)]
        for name in set(names) - set(lost):
            row = self.rows[name]
            self.rows[name] = LeaseRow(
                name=name, fence=row.fence, owner=row.owner, expires_ns=now_ns + ttl_ns
            )
        return lost

    def release_lease(self, name: str) -> None:
        """Let others in."""
        self._answer()
        row = self.rows[name]
        if row.fence != self._held.get(name):
            raise StaleFenceError("world", name, self._held.get(name, 0))
        self.rows[name] = LeaseRow(name=name, fence=row.fence, owner=row.owner, expires_ns=0)

    def beats(self) -> list[Beat]:
        """Who lives."""
        self._answer()
        return list(self.signs.values())

    def beat(self, beat: Beat) -> None:
        """A sign of life."""
        self._answer()
        self.signs[beat.node] = beat

    def sign_off(self, node: str) -> None:
        """Nobody is to miss it."""
        self._answer()
        self.signed_off.append(node)
        self.signs.pop(node, None)

    def log_action(self, action: AngelAction) -> None:
        """Write it down."""
        self._answer()
        self.log.append(action)

    def restrict(self, restriction: Restriction) -> None:
        """Forbid something."""
        self._answer()
        self.restrictions.append(restriction)

    def _answer(self) -> None:
        if self.gone:
            raise DatabaseUnavailableError("world", "connection refused")


class StoreBeats:
    """The store as a source of signs of life."""

    name = "database"
    authoritative = True

    def __init__(self, store: WorldStore) -> None:
        self._store = store

    async def read(self) -> list[Beat]:
        """Who lives."""
        return self._store.beats()


class DirectBeats:
    """An engine's own heartbeat, past the database."""

    name = "http"
    authoritative = False

    def __init__(self) -> None:
        self.shown: list[Beat] = []
        self.gone = False

    async def read(self) -> list[Beat]:
        """What it says."""
        if self.gone:
            raise DatabaseUnavailableError("http", "connection refused")
        return list(self.shown)


class Heard:
    """A sink that remembers."""

    def __init__(self) -> None:
        self.notices: list[Notice] = []

    def notify(self, notice: Notice) -> None:
        """Keep it."""
        self.notices.append(notice)


@dataclass
class Engine:
    """A node that beats while it lives."""

    name: str
    store: WorldStore
    direct: DirectBeats
    role: str = "engine"
    started_ms: int = 1
    seq: int = 0
    frozen: bool = False

    def beat(self) -> None:
        """A sign of life, wherever it still arrives."""
        if self.frozen:
            return
        self.seq += 1
        sign = Beat(node=self.name, role=self.role, seq=self.seq, started_ms=self.started_ms, at_ms=0)
        self.direct.shown = [sign]
        if not self.store.gone:
            self.store.beat(sign)


@dataclass
class World:
    """Everything, and a loop that lets time pass without waiting."""

    clock: ManualClock = field(default_factory=ManualClock)
    engines: list[Engine] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.store = WorldStore(self.clock)
        self.direct = DirectBeats()
        self.venue = WorldVenue("alpha", self.clock)
        self.other = WorldVenue("beta", self.clock)
        self.heard = Heard()
        self.journal = Journal(None)

    def engine(self, name: str = "engine-1", role: str = "engine") -> Engine:
        """A node that lives."""
        made = Engine(name, self.store, self.direct, role)
        self.engines.append(made)
        made.beat()
        return made

    def angel(
        self,
        settings: AngelSection | None = None,
        *,
        with_store: bool = True,
        with_direct: bool = False,
        fail_safe: FailSafe | None = None,
        recovery: Recovery | None = None,
        leaves: bool = False,
        gone_after_s: float = 0.0,
    ) -> Angel:
        """An Angel over this world."""
        settings = settings or AngelSection()
        numbers = count(1)
        store = self.store if with_store else None

        def new_id() -> str:
            return f"id-{next(numbers)}"

        pace: Pace = settings.pace(2000, gone_after_s)
        charge = Charge(
            name="angel-1",
            venues=[self.venue, self.other],
            instance_prefix=PREFIX,
            run_prefix=lambda run: f"{PREFIX}{run}",
            symbols=lambda: {"alpha": ["BTC/USDT"]},
            leaves_with_instance=leaves,
        )
        return Angel(
            charge,
            settings,
            pace,
            [*([StoreBeats(self.store)] if with_store else []), *([self.direct] if with_direct else [])],
            store,
            store,
            Diary("angel-1", store, self.journal, self.heard, self.clock, new_id),
            self.clock,
            new_id,
            fail_safe=fail_safe,
            recovery=recovery,
        )

    @property
    def did(self) -> list[str]:
        """The names of everything the Angel did, oldest first."""
        return [action.action for action in self.journal.newest]
