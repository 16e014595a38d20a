"""What the venue says otherwise than we know: found, told, written down, and closed when it is explained."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from engine_room import ASK, BID, BOTH, STREAM, EngineRoom
from fake_exchange import FakeExchange, LeapingClock, MemoryJournal, unavailable
from mrmarket.core.clock import NS_PER_S
from mrmarket.core.events import DifferenceClosed, DifferenceFound
from mrmarket.core.side import Side
from mrmarket.store.errors import DuplicateIntentError
from mrmarket.trading.execution.differences import Difference, DifferenceKind
from mrmarket.trading.execution.order_id import OrderIds
from mrmarket.trading.execution.targets import TargetQuotes
from mrmarket.trading.venue.ccxt_adapter.faults import MalformedAnswerError
from mrmarket.trading.venue.port import Capability, OrderStatus, TransferReport

ONE_BID = TargetQuotes((BID,))


class Witness:
    """Notes what a listener is told."""

    def __init__(self, room: EngineRoom) -> None:
        self.told: list[tuple[str, bool]] = []
        room.reconciler.differences.listen(self.hear)

    def hear(self, difference: Difference, standing: bool) -> None:
        """A change."""
        self.told.append((difference.key, standing))


@pytest.fixture
async def room() -> AsyncIterator[EngineRoom]:
    """A recovered room over an empty exchange."""
    clock = LeapingClock()
    made = EngineRoom(FakeExchange(clock), MemoryJournal(), clock)
    await made.recover()
    yield made
    await made.abandon()


def facts(room: EngineRoom) -> list[tuple[str, str, str]]:
    """(found or closed, kind, subject) in the order of the log."""
    return [
        ("found" if isinstance(fact, DifferenceFound) else "closed", fact.kind, fact.subject)
        for fact in room.journal.facts
        if isinstance(fact, DifferenceFound | DifferenceClosed)
    ]


async def test_a_stray_stands_until_it_has_left_the_book(room: EngineRoom) -> None:
    """An order of ours that is closed here and open there is cancelled, and on record until it is gone."""
    witness = Witness(room)
    await room.want(ONE_BID)
    key = room.only("b1").client_order_id
    room.desk.closed(key)
    room.venue.cancel_faults.append("lose_request")
    room.reconciler.request()
    await room.later(0)
    assert [each.kind for each in room.reconciler.differences.standing] == [DifferenceKind.STRAY_ORDER]
    room.reconciler.request()
    await room.later(0)
    assert room.exchange.open() == []
    room.reconciler.request()
    await room.later(0)
    assert facts(room) == [("found", "stray_order", key), ("closed", "stray_order", key)]
    assert witness.told == [(f"stray_order:{key}", True), (f"stray_order:{key}", False)]


async def test_an_order_without_an_intent_that_cannot_be_written_is_a_stray(room: EngineRoom) -> None:
    """What bears our prefix and has no place goes, whatever the journal says."""
    lost = OrderIds("house", STREAM).make("b1", 900)
    room.venue.rest_foreign(lost, Side.BUY, 5_999_000, 1_000)
    room.journal.fail_intents = DuplicateIntentError(Path("journal"), lost)
    room.reconciler.request()
    await room.later(0)
    assert room.reconciler.differences.find(DifferenceKind.STRAY_ORDER, lost) is not None
    assert room.venue.cancelled == [lost]


async def test_an_order_that_the_venue_denies_stands_as_missing_for_a_while(room: EngineRoom) -> None:
    """Acknowledged once, unknown now: taken as cancelled, no fill invented, and told of for a minute."""
    await room.want(ONE_BID)
    key = room.only("b1").client_order_id
    del room.exchange.orders[key]
    await room.later(10)
    assert room.states() == {}
    assert room.position_lots == 0
    assert room.reconciler.differences.find(DifferenceKind.ORDER_MISSING, key) is not None
    await room.later(50)
    assert room.reconciler.differences.find(DifferenceKind.ORDER_MISSING, key) is not None
    await room.later(11)
    assert room.reconciler.differences.standing == []


async def test_an_order_at_other_terms_is_told_of(room: EngineRoom) -> None:
    """Somebody amended it by hand: ours and theirs are named until it is closed."""
    await room.want(ONE_BID)
    key = room.only("b1").client_order_id
    resting = room.exchange.orders[key]
    resting.order = msgspec.structs.replace(resting.order, size_lots=2_000)
    room.venue.silent = True
    room.reconciler.request()
    await room.later(0)
    found = room.reconciler.differences.find(DifferenceKind.ORDER_TERMS, key)
    assert found is not None
    assert (found.ours, found.theirs) == ("0.01 at 59990", "0.02 at 59990")
    room.executor.cancel(room.only("b1"))
    await room.settle()
    room.reconciler.request()
    await room.later(0)
    assert room.reconciler.differences.standing == []


async def test_fills_that_the_venue_counts_and_does_not_list_are_missing(room: EngineRoom) -> None:
    """After the grace time; the trade's arrival closes it, and nothing was booked in between."""
    await room.want(ONE_BID)
    key = room.only("b1").client_order_id
    trade = room.venue.fill(key, 500, tell=False)
    room.exchange.trades.clear()
    room.desk.merge(room.exchange.orders[key].report())
    await room.later(9)
    assert room.reconciler.differences.standing == []
    await room.later(2)
    found = room.reconciler.differences.find(DifferenceKind.FILL_MISSING, key)
    assert found is not None
    assert (found.ours, found.theirs) == ("0", "0.005")
    assert room.position_lots == 0
    room.exchange.trades.append(trade)
    await room.later(2)
    await room.later(0)
    assert room.position_lots == 500
    assert room.reconciler.differences.standing == []


async def test_an_answer_off_the_grid_is_told_of(room: EngineRoom) -> None:
    """A list or an order that cannot be read in whole ticks and lots; a readable one closes it."""
    room.venue.faults.append("lose_answer")
    room.venue.silent = True
    await room.want(ONE_BID)
    key = room.only("b1").client_order_id
    unreadable = MalformedAnswerError("fake", "query", "the price is off the grid")
    room.venue.read_faults.append(unreadable)
    await room.later(3)
    assert room.reconciler.differences.find(DifferenceKind.OFF_GRID, key) is not None
    await room.later(3)
    assert room.states() == {"b1": "acked"}
    assert room.reconciler.differences.standing == []
    room.venue.read_faults.append(unreadable)
    room.reconciler.request()
    await room.later(0)
    assert room.reconciler.differences.find(DifferenceKind.OFF_GRID, "open orders") is not None
    room.reconciler.request()
    await room.later(0)
    assert room.reconciler.differences.standing == []


async def test_what_stood_at_the_end_stands_after_a_restart() -> None:
    """A new life replays it, tells of it again, and closes it when it is gone."""
    clock = LeapingClock()
    exchange, journal = FakeExchange(clock), MemoryJournal()
    first = EngineRoom(exchange, journal, clock)
    await first.recover()
    await first.want(ONE_BID)
    key = first.only("b1").client_order_id
    first.desk.closed(key)
    first.venue.cancel_faults.append("lose_request")
    first.reconciler.request()
    await first.later(0)
    await first.abandon()
    second = EngineRoom(exchange, journal, clock)
    for fact in list(journal.facts):
        second.reconciler.differences.replay(fact)
    exchange.orders[key].status = OrderStatus.CANCELLED
    witness = Witness(second)
    await second.recover()
    assert witness.told == [(f"stray_order:{key}", True), (f"stray_order:{key}", False)]
    await second.abandon()


async def test_the_owner_may_accept_a_difference(room: EngineRoom) -> None:
    """It is closed with that word; one that does not stand cannot be accepted."""
    await room.want(ONE_BID)
    key = room.only("b1").client_order_id
    del room.exchange.orders[key]
    await room.later(10)
    (found,) = room.reconciler.differences.standing
    assert room.reconciler.accept(found)
    assert not room.reconciler.accept(found)
    await room.settle()
    closed = room.journal.facts[-1]
    assert isinstance(closed, DifferenceClosed)
    assert closed.detail == "accepted by the owner"


# Balances.


async def looks(room: EngineRoom, count: int) -> None:
    """So many comparisons, ten seconds apart."""
    for _ in range(count):
        await room.later(10)


def balance(room: EngineRoom, asset: str = "USDT") -> Difference | None:
    """The difference of an asset that stands."""
    return room.reconciler.differences.find(DifferenceKind.BALANCE, asset)


def pay(room: EngineRoom, lots: int, price_ticks: int, side: Side) -> None:
    """What a trade of the fake exchange does to its balances, with its fee of 0.0001 USDT."""
    instrument = room.instrument
    room.exchange.base += side.sign * instrument.size(lots)
    room.exchange.quote -= side.sign * instrument.notional(price_ticks, lots)
    room.exchange.quote -= type(room.exchange.quote)("0.0001")


async def test_trades_explain_a_balance(room: EngineRoom) -> None:
    """Ours and those of others on the same account, told by stream or list: no difference."""
    await looks(room, 2)
    await room.want(BOTH)
    room.venue.fill(room.only("b1").client_order_id, 400)
    pay(room, 400, BID.price_ticks, Side.BUY)
    room.venue.rest_foreign("web_1", Side.SELL, ASK.price_ticks, 700)
    room.venue.fill("web_1", 700)
    pay(room, 700, ASK.price_ticks, Side.SELL)
    await looks(room, 8)
    assert room.reconciler.differences.standing == []
    assert room.reconciler.audit.settled
    assert room.desk.foreign_fills >= 1


async def test_an_unexplained_balance_is_a_difference_after_the_grace_time(room: EngineRoom) -> None:
    """Money that nothing explains: told of once it has stood for 20 s, closed when it is back."""
    await looks(room, 2)
    room.exchange.quote -= 100
    await looks(room, 2)
    assert balance(room) is None
    await looks(room, 1)
    found = balance(room)
    assert found is not None
    assert (found.ours, found.theirs) == ("1000000", "999900")
    assert found.detail == "-100 USDT that no trade and no transfer explains"
    room.exchange.quote -= 50
    await looks(room, 3)
    grown = balance(room)
    assert grown is not None
    assert grown.theirs == "999850"
    room.exchange.quote += 150
    await looks(room, 1)
    assert balance(room) is None


async def test_less_than_a_lot_is_no_difference(room: EngineRoom) -> None:
    """Rounding of the venue is not an alarm; a little more than one lot is."""
    await looks(room, 2)
    room.exchange.base += room.instrument.lot_size
    await looks(room, 5)
    assert balance(room, "BTC") is None
    room.exchange.base += room.instrument.lot_size / 100
    await looks(room, 5)
    assert balance(room, "BTC") is not None


async def test_a_trade_that_is_still_on_its_way_is_no_alarm(room: EngineRoom) -> None:
    """The balance is ahead of the trade at one look and agrees at the next."""
    await looks(room, 2)
    await room.want(ONE_BID)
    for _ in range(5):
        pay(room, 10, BID.price_ticks, Side.BUY)
        await looks(room, 1)
        room.venue.fill(room.only("b1").client_order_id, 10)
        await looks(room, 1)
    assert facts(room) == []


async def test_a_balance_that_never_agrees_is_a_difference_in_the_end(room: EngineRoom) -> None:
    """An amount that changes each time never stands; after six grace times it is told of all the same."""
    await looks(room, 2)
    for _ in range(14):
        room.exchange.quote -= 7
        await looks(room, 1)
    assert balance(room) is not None


async def test_a_baseline_is_what_two_looks_agree_on(room: EngineRoom) -> None:
    """A trade between the first balances and its own report must not be counted for ever."""
    room.exchange.quote -= 30
    await looks(room, 1)
    room.exchange.quote -= 20
    await looks(room, 10)
    assert room.reconciler.differences.standing == []
    assert room.reconciler.audit.settled


async def test_an_accepted_balance_is_the_new_expectation(room: EngineRoom) -> None:
    """The owner says that it is so: closed, and from then on only what comes later is a difference."""
    await looks(room, 2)
    room.exchange.quote -= 100
    await looks(room, 3)
    found = balance(room)
    assert found is not None
    assert room.reconciler.accept(found)
    await looks(room, 6)
    assert room.reconciler.differences.standing == []
    room.exchange.quote -= 100
    await looks(room, 4)
    assert balance(room) is not None


async def test_a_restart_does_not_forgive() -> None:
    """What was unexplained before stays so after, until the money is back."""
    clock = LeapingClock()
    exchange, journal = FakeExchange(clock), MemoryJournal()
    first = EngineRoom(exchange, journal, clock)
    await first.recover()
    await looks(first, 2)
    exchange.quote -= 100
    await looks(first, 3)
    await first.abandon()
    second = EngineRoom(exchange, journal, clock)
    for fact in list(journal.facts):
        second.reconciler.differences.replay(fact)
    await second.recover()
    await looks(second, 6)
    assert balance(second) is not None
    exchange.quote += 100
    await looks(second, 2)
    assert balance(second) is None
    await second.abandon()


class Treasury:
    """A venue that lists its transfers, or does not answer."""

    def __init__(self, room: EngineRoom, monkeypatch: pytest.MonkeyPatch) -> None:
        self.room = room
        self.transfers: list[TransferReport] = []
        self.dumb = False
        monkeypatch.setattr(
            type(room.venue), "capabilities", property(lambda _: frozenset({Capability.TRANSFERS}))
        )
        monkeypatch.setattr(room.venue, "transfers_since", self.since)

    async def since(self, since_ns: int) -> list[TransferReport]:
        """The list."""
        if self.dumb:
            raise unavailable()
        return [each for each in self.transfers if each.venue_ns >= since_ns]

    def move(self, amount: int, *, listed: bool = True) -> None:
        """Money from or to the outside."""
        self.room.exchange.quote += amount
        name = f"t-{self.room.exchange.quote}"
        now_ns = self.room.clock.now_ns()
        report = TransferReport(transfer_id=name, asset="USDT", amount=str(amount), venue_ns=now_ns)
        self.pending = report
        if listed:
            self.transfers.append(report)


async def test_transfers_explain_a_balance(room: EngineRoom, monkeypatch: pytest.MonkeyPatch) -> None:
    """Deposits and withdrawals by the venue's own list; one that it lists late closes its difference."""
    treasury = Treasury(room, monkeypatch)
    await looks(room, 2)
    treasury.move(500)
    treasury.move(-200)
    await looks(room, 4)
    assert facts(room) == []
    treasury.move(-300, listed=False)
    await looks(room, 4)
    assert balance(room) is not None
    treasury.transfers.append(treasury.pending)
    await looks(room, 1)
    assert balance(room) is None


async def test_without_the_list_nothing_is_audited(room: EngineRoom, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list that cannot be read would make every deposit a difference: the look waits for it."""
    treasury = Treasury(room, monkeypatch)
    await looks(room, 2)
    treasury.dumb = True
    treasury.move(500)
    audited = room.reconciler.audit.looks
    await looks(room, 5)
    assert room.reconciler.audit.looks == audited
    assert room.reconciler.failures == 5
    treasury.dumb = False
    await looks(room, 3)
    assert facts(room) == []


async def test_an_asset_that_others_trade_too_is_left_out(room: EngineRoom) -> None:
    """Where somebody else uses the account, only their trades could explain it."""
    shared = {"USDT"}
    room.reconciler.audit.audits = lambda asset: asset not in shared
    await looks(room, 2)
    room.exchange.quote -= 100
    await looks(room, 5)
    assert facts(room) == []
    shared.clear()
    await looks(room, 2)
    room.exchange.quote -= 100
    await looks(room, 4)
    assert balance(room) is not None
    shared.add("USDT")
    room.exchange.base -= 1
    await looks(room, 4)
    assert balance(room, "BTC") is not None


async def test_an_older_answer_does_not_overtake_the_stream(room: EngineRoom) -> None:
    """Balances asked for before the stream told of newer ones leave those alone, and no others."""
    account = room.account
    report = (await room.venue.balances())[1]
    mark = account.mark
    answer = await room.venue.balances()
    account.observe(msgspec.structs.replace(report, free="5"))
    account.observe_all(answer, since=mark)
    assert account.quote_total == 5
    assert account.base_total == 10
    account.observe_all(answer, since=account.mark)
    assert account.quote_total == 1_000_000
    account.observe_all([], since=account.mark)
    assert account.base_total == account.quote_total == 0
    assert room.clock.now_ns() > NS_PER_S
