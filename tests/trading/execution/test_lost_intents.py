"""After a power cut the journal may have forgotten its last intents; their trades are found all the same."""

from __future__ import annotations

from collections.abc import Callable

from engine_room import BID, NOTHING, EngineRoom
from fake_exchange import FakeExchange, FakeVenue, LeapingClock, MemoryJournal
from mrmarket.core.side import Side
from mrmarket.trading.execution.targets import TargetQuotes
from mrmarket.trading.venue.port import OrderReport, VenueError

ONE = TargetQuotes((BID,))


class Venue(FakeVenue):
    """Notes which orders it is asked for, by the venue's own id where ours is not given."""

    def __init__(self, exchange: FakeExchange) -> None:
        super().__init__(exchange)
        self.names_client_ids = False
        self.queried: list[str] = []
        self.before_read: Callable[[], VenueError | None] = lambda: None

    def _read(self) -> None:
        error = self.before_read()
        if error is not None:
            raise error

    async def query(self, symbol: str, client_order_id: str, venue_order_id: str) -> OrderReport:
        """Ask for one order."""
        self.queried.append(venue_order_id)
        ids = {each.venue_order_id: key for key, each in self.exchange.orders.items()}
        return await super().query(symbol, client_order_id or ids.get(venue_order_id, ""), venue_order_id)


class World:
    """What survives: exchange, journal, clock. The exchange names its own order ids alone in trades."""

    def __init__(self) -> None:
        self.clock = LeapingClock()
        self.exchange = FakeExchange(self.clock)
        self.journal = MemoryJournal()

    def room(self) -> tuple[EngineRoom, Venue]:
        """A new life."""
        venue, now_ns = Venue(self.exchange), self.clock.now_ns()
        return EngineRoom(self.exchange, self.journal, self.clock, venue=venue, known_until_ns=now_ns), venue

    async def after_a_power_cut(self) -> str:
        """An order was sent, then the power went: it is filled meanwhile, and nobody has heard of it."""
        first, venue = self.room()
        await first.recover()
        await first.want(ONE)
        key = first.only("b1").client_order_id
        await first.abandon()
        self.journal.records.clear()
        venue.fill(key, 400, tell=False)
        venue.fill(key, 600, tell=False)
        return key


async def test_trades_of_a_forgotten_order_are_claimed_at_start() -> None:
    """The venue is asked whose order a trade belongs to; it is ours, so it is adopted, complete."""
    world = World()
    key = await world.after_a_power_cut()
    second, _ = world.room()
    await second.recover()
    assert second.position_lots == 1_000
    assert world.journal.states() == {key: "filled"}
    await second.abandon()


async def test_trades_of_other_peoples_orders_are_asked_for_once() -> None:
    """A trade of somebody else on our account moves nothing of ours and is never looked into again."""
    world = World()
    room, venue = world.room()
    await room.recover()
    venue.rest_foreign("web_1", Side.BUY, 5_998_000, 500)
    venue.fill("web_1", 500, tell=False)
    for _ in range(3):
        room.reconciler.request()
        await room.later(3)
    assert room.position_lots == 0
    assert venue.queried == ["1"]
    await room.abandon()


async def test_trades_that_the_log_holds_are_not_looked_into() -> None:
    """What an earlier life wrote down and closed costs the next start no question."""
    world = World()
    first, venue = world.room()
    await first.recover()
    await first.want(ONE)
    venue.fill(first.only("b1").client_order_id, 1_000)
    await first.settle()
    await first.want(NOTHING)
    await first.abandon()
    second, asked = world.room()
    for fill in world.exchange.trades:
        second.reconciler.know_trade(fill.trade_id)
    await second.recover()
    assert asked.queried == []
    assert second.position_lots == 0
    await second.abandon()


async def test_a_question_without_a_readable_answer_is_asked_again() -> None:
    """Nonsense for an answer holds up no start, and the trades are found once the venue speaks clearly."""
    world = World()
    key = await world.after_a_power_cut()
    second, asked = world.room()
    reads = iter([None, None, VenueError("fake", "query", "not what it documents")])
    asked.before_read = lambda: next(reads, None)
    await second.recover()
    assert second.position_lots == 0
    await second.later(1)
    assert second.position_lots == 1_000
    assert world.journal.states() == {key: "filled"}
    await second.abandon()


async def test_a_trade_of_an_order_written_as_closed_is_taken_in() -> None:
    """The journal knows the order as over and the table has forgotten it: the trade counts all the same."""
    world = World()
    first, venue = world.room()
    await first.recover()
    await first.want(ONE)
    key = first.only("b1").client_order_id
    await first.want(NOTHING)
    await first.abandon()
    venue.fill(key, 300, tell=False)
    second, _ = world.room()
    await second.recover()
    assert second.position_lots == 300
    await second.abandon()
