"""Each checker catches the fault that it is there for: planted in real code, in an otherwise calm world."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace

import msgspec
import pytest

from mrmarket.core.clock import NS_PER_S
from mrmarket.core.events import Fact, Filled
from mrmarket.money.ledger.books import Holding
from mrmarket.money.ledger.chain import Record
from mrmarket.money.payouts.delivery import Deliverer
from mrmarket.money.payouts.port import IncomingPage, SendReport
from mrmarket.money.pool.settlement import Settlement
from mrmarket.services.engine.board_sync import BoardSync
from mrmarket.services.engine.host import EngineHost
from mrmarket.simulation.books import Business, SimulatedLedgerStore
from mrmarket.simulation.checkers import Checkers
from mrmarket.simulation.exchange import Exchange
from mrmarket.simulation.loop import EPOCH_NS
from mrmarket.simulation.owner import Owner
from mrmarket.simulation.people import Person
from mrmarket.simulation.plan import Ask, Happening, Plan, Topology, draw_plan
from mrmarket.simulation.rail import Rail
from mrmarket.simulation.seed import run_seed
from mrmarket.simulation.trading_log import MemoryTradingLog
from mrmarket.simulation.venue import ExchangeLine
from mrmarket.simulation.weather import FaultKind
from mrmarket.simulation.world import World
from mrmarket.store.event_log import LoggedFact
from mrmarket.store.lease_row import LeaseRow
from mrmarket.trading.execution.executor import Executor
from mrmarket.trading.venue.book_tracker import BookTracker
from mrmarket.trading.venue.port import NewOrder, OrderReport, OrderStatus

Patch = pytest.MonkeyPatch


def plan(
    *happenings: Happening,
    rates: dict[FaultKind, float] | None = None,
    engines: int = 1,
    depositors: int = 0,
    asks: tuple[Ask, ...] = (),
) -> Plan:
    """A short world in which only what is named goes wrong."""
    drawn = draw_plan(1)
    return replace(
        drawn,
        topology=Topology(engines, 1, has_angel=False, has_server=engines > 1, depositors=depositors),
        rates=rates or {},
        happenings=happenings,
        move_every_s=15.0,
        lease_s=30.0,
        round_s=40.0,
        storm_s=900.0,
        end_s=1_300.0,
        asks=asks,
        dead_man_s=0.0,
        least_actions=0,
    )


def at(at_s: float, kind: FaultKind, for_s: float = 60.0, target: float = 0.0) -> Happening:
    """Something that happens to the first engine."""
    return Happening(at_s, kind, target, for_s, 0.5)


def found(seed_plan: Plan) -> set[str]:
    """Names of the checks that found something."""
    return {violation.check for violation in run_seed(1, seed_plan).violations}


def test_a_calm_world_is_clean() -> None:
    """Without faults nothing is found, and orders, fills and money move all the same."""
    report = run_seed(1, plan(depositors=2))
    assert report.violations == ()
    assert report.actions > 50
    assert report.fills > 10


def test_an_order_sent_twice(monkeypatch: Patch) -> None:
    """`sent_once`: an executor that sends the same id again."""
    place = ExchangeLine.place

    async def twice(line: ExchangeLine, order: NewOrder) -> OrderReport:
        report = await place(line, order)
        await asyncio.gather(place(line, order), return_exceptions=True)
        return report

    monkeypatch.setattr(ExchangeLine, "place", twice)
    assert "sent_once" in found(plan())


def test_an_engine_that_ignores_its_lease(monkeypatch: Patch) -> None:
    """`guard` and `old_fence`: an engine that never renews and quotes on, while its heir trades."""
    monkeypatch.setattr(Executor, "may_send", property(lambda _executor: True))
    # The store would refuse the intents of a deposed owner before anything is sent.
    monkeypatch.setattr(MemoryTradingLog, "_require_fence", lambda _log, _stream: None)

    async def never(_host: EngineHost, _call: str = "") -> None:
        return None

    monkeypatch.setattr(EngineHost, "renew", never)
    checks = found(plan(engines=2))
    assert {"guard", "old_fence"} <= checks


def test_quotes_on_a_stale_book(monkeypatch: Patch) -> None:
    """`stale_book`: a tracker that does not notice a gap."""
    monkeypatch.setattr(BookTracker, "stale", property(lambda _tracker: None))
    monkeypatch.setattr("mrmarket.simulation.venue._SNAPSHOT_S", (60.0, 120.0))
    assert "stale_book" in found(plan(rates={FaultKind.MARKET_GAP: 0.3}))


def test_a_fill_that_is_lost(monkeypatch: Patch) -> None:
    """`fill_once`: an event log that drops a trade."""
    append = MemoryTradingLog.append_facts

    def lossy(log: MemoryTradingLog, stream: str, facts: Sequence[Fact]) -> list[LoggedFact]:
        kept = [fact for fact in facts if not (isinstance(fact, Filled) and fact.trade_id == "5")]
        return append(log, stream, kept)

    monkeypatch.setattr(MemoryTradingLog, "append_facts", lossy)
    assert "fill_once" in found(plan())


def test_a_fill_that_is_changed(monkeypatch: Patch) -> None:
    """`fill_once`: an event log that writes another size down."""
    append = MemoryTradingLog.append_facts

    def wrong(log: MemoryTradingLog, stream: str, facts: Sequence[Fact]) -> list[LoggedFact]:
        changed = [
            msgspec.structs.replace(fact, size="0.0001") if isinstance(fact, Filled) else fact
            for fact in facts
        ]
        return append(log, stream, changed)

    monkeypatch.setattr(MemoryTradingLog, "append_facts", wrong)
    assert "fill_once" in found(plan())


def test_an_order_that_is_forgotten(monkeypatch: Patch) -> None:
    """`owned`: a venue adapter that takes orders for cancelled which stand."""
    cancel = Exchange.cancel

    def pretend(exchange: Exchange, client_order_id: str, venue_order_id: str, now_ns: int) -> OrderReport:
        standing = exchange.orders.get(client_order_id)
        if standing is None or standing.status.is_final or now_ns < EPOCH_NS + 1_200 * NS_PER_S:
            return cancel(exchange, client_order_id, venue_order_id, now_ns)
        return msgspec.structs.replace(standing.report(now_ns), status=OrderStatus.CANCELLED)

    monkeypatch.setattr(Exchange, "cancel", pretend)
    assert "owned" in found(plan())


def test_money_out_of_nothing(monkeypatch: Patch) -> None:
    """`ledger_sum`: a store that writes one unit too many."""
    commit = SimulatedLedgerStore.commit

    def generous(
        store: SimulatedLedgerStore, records: Sequence[Record], balances: Mapping[Holding, int]
    ) -> None:
        commit(store, records, {holding: units + 1 for holding, units in balances.items()})

    monkeypatch.setattr(SimulatedLedgerStore, "commit", generous)
    assert "ledger_sum" in found(plan())


def test_a_trade_that_is_not_settled(monkeypatch: Patch) -> None:
    """`venue_balance`: a settlement that leaves trades out."""
    monkeypatch.setattr(Settlement, "_post", lambda _settlement, _batch, _fill: None)
    assert "venue_balance" in found(plan())


def test_a_payment_that_is_overlooked(monkeypatch: Patch) -> None:
    """`credited_once`: a feed whose payments are never taken in."""
    incoming = Rail.incoming

    def skip(rail: Rail, cursor: str, limit: int) -> IncomingPage:
        page = incoming(rail, cursor, limit)
        return IncomingPage([], page.next_cursor)

    monkeypatch.setattr(Rail, "incoming", skip)
    assert "credited_once" in found(plan(depositors=2))


def test_a_payment_that_is_made_twice(monkeypatch: Patch) -> None:
    """`rail_balance`: a rail that is paid from more than once for one payout."""
    send = Rail.send

    def twice(rail: Rail, key: str, sender: str, destination: str, units: int, memo: str) -> SendReport:
        if key.startswith("send:"):
            send(rail, key + "again", sender, destination, units, memo)
        return send(rail, key, sender, destination, units, memo)

    monkeypatch.setattr(Rail, "send", twice)
    assert "rail_balance" in found(plan(depositors=2))


def test_payouts_that_nobody_delivers(monkeypatch: Patch) -> None:
    """`payouts_end`: a deliverer that sleeps."""

    async def sleep(_deliverer: Deliverer, _now_ms: int) -> None:
        return None

    monkeypatch.setattr(Deliverer, "step", sleep)
    assert "payouts_end" in found(plan(depositors=2))


def test_runs_that_nobody_takes_over(monkeypatch: Patch) -> None:
    """`heals`: an engine that comes back from a crash and takes no run."""
    claim = EngineHost._claim
    lives: list[int] = []  # not the host: it would keep its world from ending with the seed

    async def first_life_only(host: EngineHost, runs: Sequence[str]) -> None:
        lives.append(host.started_ms)
        if host.started_ms == lives[0]:
            await claim(host, runs)

    monkeypatch.setattr(EngineHost, "_claim", first_life_only)
    assert "heals" in found(plan(at(300, FaultKind.CRASH)))


def test_fences_that_do_not_rise() -> None:
    """`fence_rises`: a lease that is given out under a number it had before."""
    checkers = Checkers(lambda: 0.0, lease_ns=1)
    row = LeaseRow(name="run", fence=3, owner="engine-1", expires_ns=9)
    checkers.fence_taken(row)
    checkers.fence_taken(row)
    assert [violation.check for violation in checkers.violations] == ["fence_rises"]
    assert "from 3 to 3" in str(checkers.violations[0])


def test_a_confirmation_that_is_forgotten(monkeypatch: Patch) -> None:
    """`acknowledged`: what a person was told is there must be there."""
    live = Person.live

    async def imagine(person: Person, until_s: float, time: Callable[[], float]) -> None:
        person.deposits.append("a deposit that never was")
        await live(person, until_s, time)

    monkeypatch.setattr(Person, "live", imagine)
    assert "acknowledged" in found(plan(depositors=1))


def test_a_strange_end_of_an_engine(monkeypatch: Patch) -> None:
    """`engine_lives`: no database fault and no fault of a run may end an engine."""

    async def fail(_host: EngineHost) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(EngineHost, "_beat", fail)
    assert "engine_lives" in found(plan())


def test_a_halt_that_is_not_kept(monkeypatch: Patch) -> None:
    """`halted`: an engine that answers before the halt is written down, and dies with the next step."""

    async def answer_first(_host: EngineHost) -> None:
        return None

    _die_after_a_halt(monkeypatch)
    halt = Ask(200.0, "halt", target=0.0, for_s=300.0, draw=0.0)
    assert found(plan(asks=(halt,))) == set()
    monkeypatch.setattr(EngineHost, "write_restrictions", answer_first)
    assert found(plan(asks=(halt,))) == {"halted"}


def _die_after_a_halt(monkeypatch: Patch) -> None:
    ask, worlds = Owner._until_answered, list[World]()
    begin = World.begin

    def note(world: World) -> None:
        worlds.append(world)
        begin(world)

    async def strike(owner: Owner, kind: str, target: str) -> bool:
        done = await ask(owner, kind, target)
        if kind == "halt":
            process, _ = worlds[-1].victims()[0]
            process.kill()
            worlds[-1].died(process)
        return done

    monkeypatch.setattr(World, "begin", note)
    monkeypatch.setattr(Owner, "_until_answered", strike)


def test_a_halt_that_nobody_lifts(monkeypatch: Patch) -> None:
    """`lifted`: an engine that takes a halt away which nobody asked to be taken away."""
    look = BoardSync.look

    async def lift(sync: BoardSync, arrived: Collection[str] = ()) -> None:
        await look(sync, arrived)
        for row in sync._operations.restrictions():
            sync._operations.lift(row.scope, row.cause)

    monkeypatch.setattr(BoardSync, "look", lift)
    assert "lifted" in found(plan(asks=(Ask(200.0, "halt", target=0.0, for_s=300.0, draw=0.9),)))


def test_runs_that_do_not_end(monkeypatch: Patch) -> None:
    """`stops`: an engine that does not follow what the owner wants of its runs."""
    monkeypatch.setattr(EngineHost, "_follow_specs", lambda _host: None)
    assert "stops" in found(plan())


def test_a_strange_end_of_the_business_core(monkeypatch: Patch) -> None:
    """`business_lives`: nothing but its database ends the business core."""

    async def fail(_business: Business, _every_s: float) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Business, "keep", fail)
    assert "business_lives" in found(plan())


def test_an_error_that_nobody_handles(monkeypatch: Patch) -> None:
    """`unhandled`: a callback that raises."""

    async def stumble(_host: EngineHost) -> None:
        asyncio.get_running_loop().call_soon(int, "x")

    monkeypatch.setattr(EngineHost, "_beat", stumble)
    assert "unhandled" in found(plan())
