"""When events are due, and that a tape can play for ever without a jump."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

import msgspec
import pytest

from exchange_world import PAIR, SYMBOL
from mrmarket.core.errors import InvalidInputError
from mrmarket.core.instrument import Instrument
from mrmarket.trading.market.book import OrderBook
from mrmarket.trading.market.event import EventKind, Level, MarketEvent
from mrmarket.trading.market.generator import DEFAULT_INSTRUMENT, DEFAULT_PARAMETERS, MarketGenerator
from mrmarket.trading.market.tape import Tape, TapeWriter, open_tape
from mrmarket.trading.venue.simulated.exchange import SimulatedExchange
from mrmarket.trading.venue.simulated.records import DepthPublished
from mrmarket.trading.venue.simulated.replay import ROUND_GAP_NS, DueEvent, Replay, ReplayPosition

START = 1_700_000_000_000_000_000
SECOND = 1_000_000_000


@dataclass
class Story:
    """A history written by hand."""

    told: list[MarketEvent]
    instrument: Instrument = field(default=PAIR)

    def events(self) -> Iterator[MarketEvent]:
        """From the start, at every call."""
        return iter(self.told)


def event(kind: EventKind, at_ns: int, last_id: int, bids: list[Level], asks: list[Level]) -> MarketEvent:
    """A book event whose ids have no hole."""
    return MarketEvent(
        kind=kind, exchange_ns=at_ns, local_ns=at_ns, first_id=last_id, last_id=last_id, bids=bids, asks=asks
    )


def rising(step: int = 6) -> list[MarketEvent]:
    """Ten seconds in which the middle goes from 100.5 up by `step`, with two prints."""
    return [
        event(EventKind.SNAPSHOT, 50 * SECOND, 10, [(100, 5), (99, 5)], [(101, 5), (103, 5)]),
        MarketEvent(
            kind=EventKind.TRADE,
            exchange_ns=52 * SECOND,
            local_ns=52 * SECOND,
            last_id=900,
            price_ticks=101,
            size_lots=2,
            taker_buys=True,
        ),
        event(
            EventKind.DEPTH,
            55 * SECOND,
            11,
            [(100, 0), (99, 0), (100 + step, 7), (98 + step, 5)],
            [(101, 0), (103, 0), (101 + step, 7), (104 + step, 5)],
        ),
        MarketEvent(
            kind=EventKind.TRADE,
            exchange_ns=58 * SECOND,
            local_ns=58 * SECOND,
            last_id=901,
            price_ticks=100 + step,
            size_lots=1,
            taker_buys=False,
        ),
        event(EventKind.TOP, 60 * SECOND, 12, [(101 + step, 1)], [(102 + step, 1)]),
    ]


def first(replay: Replay, count: int) -> list[DueEvent]:
    """The next events."""
    return list(islice(iter(replay), count))


def test_gaps_are_kept_and_compressed_by_speed() -> None:
    """The first event is due at once, the others after their gap over the speed."""
    for speed, factor in ((1.0, 1.0), (20.0, 0.05), (0.5, 2.0)):
        due = first(Replay([Story(rising())], start_ns=START, speed=speed, loop=False), 9)
        assert [at.due_ns - START for at in due] == [int(s * factor * SECOND) for s in (0, 2, 5, 8, 10)]
        assert [at.event.exchange_ns for at in due] == [at.due_ns for at in due]
        assert [at.event.local_ns for at in due] == [at.due_ns for at in due]


def test_without_loop_it_ends() -> None:
    """Five events and no more, prices and ids as recorded."""
    told = rising()
    due = list(Replay([Story(told)], start_ns=START, loop=False))
    assert [replace_times(at.event) for at in due] == [replace_times(each) for each in told]


def replace_times(each: MarketEvent) -> MarketEvent:
    """The event without its stamps."""
    return msgspec.structs.replace(each, exchange_ns=0, local_ns=0)


def test_a_round_begins_where_the_last_one_ended() -> None:
    """The middle ended 7 ticks higher, so the second round is 7 ticks higher throughout."""
    due = first(Replay([Story(rising())], start_ns=START), 10)
    again = due[5].event
    assert again.kind is EventKind.SNAPSHOT
    assert again.bids == [(107, 5), (106, 5)]
    assert again.asks == [(108, 5), (110, 5)]
    assert due[6].event.price_ticks == 108
    assert due[5].due_ns - due[4].due_ns == ROUND_GAP_NS
    assert due[9].event.bids == [(114, 1)]


def test_ids_go_on_counting() -> None:
    """The second round's snapshot, updates and trades have higher ids than everything before."""
    due = first(Replay([Story(rising())], start_ns=START), 10)
    assert [at.event.last_id for at in due if at.event.kind is not EventKind.TRADE] == [
        10,
        11,
        12,
        13,
        14,
        15,
    ]
    assert [at.event.last_id for at in due if at.event.kind is EventKind.TRADE] == [900, 901, 902, 903]


@pytest.mark.parametrize("step", [80, -80])
def test_drift_is_turned_around_far_from_home(step: int) -> None:
    """However many rounds a drifting tape plays, the price stays in reach and never jumps."""
    story = Story(rising(step)[:3])
    book = OrderBook(PAIR)
    last = 0
    middles = []
    mirrored = False
    for due in first(Replay([story], start_ns=START), 3 * 40):
        if due.event.kind is EventKind.TRADE:
            mirrored |= not due.event.taker_buys
            continue
        assert book.apply(due.event)
        bid, ask = book.best_bid, book.best_ask
        assert bid is not None
        assert ask is not None
        assert bid[0] < ask[0]
        if due.event.kind is EventKind.SNAPSHOT and last:
            assert abs(bid[0] + ask[0] - last) <= 1
        last = bid[0] + ask[0]
        middles.append(last // 2)
    assert mirrored
    assert min(middles) > 0
    assert max(middles) < 300


def test_two_histories_are_merged_by_time() -> None:
    """Each pair keeps its own rounds; due times never go back."""
    other = replace(PAIR, symbol="ETH/USDT", base="ETH")
    slow = Story(
        [msgspec.structs.replace(each, exchange_ns=each.exchange_ns * 3) for each in rising()], other
    )
    due = first(Replay([Story(rising()), slow], start_ns=START), 30)
    times = [at.due_ns for at in due]
    assert times == sorted(times)
    assert {at.symbol for at in due} == {SYMBOL, "ETH/USDT"}
    snapshots = [at.symbol for at in due if at.event.kind is EventKind.SNAPSHOT]
    assert snapshots.count(SYMBOL) > snapshots.count("ETH/USDT")


@pytest.mark.parametrize("speed", [0, -1, float("inf"), float("nan")])
def test_speed_must_be_a_positive_number(speed: float) -> None:
    """Anything else is refused before a tape is opened."""
    with pytest.raises(InvalidInputError, match="speed"):
        Replay([Story(rising())], start_ns=START, speed=speed)


def test_one_history_for_each_pair() -> None:
    """No history and two of one pair are both refused."""
    for stories in ([], [Story(rising()), Story(rising())]):
        with pytest.raises(InvalidInputError, match="one for each pair"):
            Replay(stories, start_ns=START)


def test_an_empty_history_is_the_end() -> None:
    """Nothing is due, with and without loop."""
    assert list(Replay([Story([])], start_ns=START)) == []


def written(path: Path, told: list[MarketEvent]) -> Tape:
    """A tape on disk."""
    with TapeWriter(path, PAIR) as writer:
        for each in told:
            writer.write(each)
    return open_tape(path)


@pytest.mark.parametrize("taken", [1, 2, 3, 4, 6, 8, 12])
def test_a_tape_resumes_in_its_middle_with_a_snapshot(tmp_path: Path, taken: int) -> None:
    """The resumed book is the one that was left, and what follows is what would have followed."""
    tape = written(tmp_path / "a.tape", rising())
    whole = first(Replay([tape], start_ns=START), taken + 10)
    replay = Replay([tape], start_ns=START)
    left = first(replay, taken)
    position = msgspec.json.decode(msgspec.json.encode(replay.position()), type=ReplayPosition)
    resumed = first(Replay([tape], start_ns=START + 100 * SECOND, position=position), 11)
    book, again = OrderBook(PAIR), OrderBook(PAIR)
    for at in left:
        book.apply(at.event)
    assert resumed[0].event.kind is EventKind.SNAPSHOT
    assert resumed[0].due_ns == START + 100 * SECOND
    assert again.apply(resumed[0].event)
    assert (again.bids(9), again.asks(9)) == (book.bids(9), book.asks(9))
    assert again.last_id > book.last_id
    for was, now in zip(whole[taken:], resumed[1:], strict=True):
        assert (was.event.kind, was.event.bids, was.event.asks) == (
            now.event.kind,
            now.event.bids,
            now.event.asks,
        )
        assert was.event.price_ticks == now.event.price_ticks
        assert now.event.last_id >= was.event.last_id
        again.apply(now.event)


def test_a_tape_left_at_its_end_begins_its_next_round(tmp_path: Path) -> None:
    """The round that was due is played, at the same prices."""
    tape = written(tmp_path / "a.tape", rising())
    whole = first(Replay([tape], start_ns=START), 10)
    replay = Replay([tape], start_ns=START)
    first(replay, 5)
    resumed = first(Replay([tape], start_ns=START, position=replay.position()), 5)
    assert [(at.event.bids, at.event.asks) for at in resumed] == [
        (at.event.bids, at.event.asks) for at in whole[5:]
    ]


def test_a_shorter_tape_starts_over_at_the_price_that_was_left(tmp_path: Path) -> None:
    """A position beyond the end, or before the start, begins a round."""
    tape = written(tmp_path / "a.tape", rising())
    replay = Replay([tape], start_ns=START)
    first(replay, 5)
    saved = replay.position().sources[0]
    for taken in (0, 99):
        position = ReplayPosition(sources=[msgspec.structs.replace(saved, taken=taken)])
        resumed = first(Replay([tape], start_ns=START, position=position), 1)
        assert resumed[0].event.bids == [(107, 5), (106, 5)]


def generator(seed: int) -> MarketGenerator:
    """An endless market."""
    return MarketGenerator(DEFAULT_PARAMETERS, DEFAULT_INSTRUMENT, seed, 5 * SECOND)


def test_a_generator_goes_on_at_the_price_where_it_stood() -> None:
    """A new generator after a restart is shifted to the last middle."""
    replay = Replay([generator(1)], start_ns=START, speed=5)
    book = OrderBook(DEFAULT_INSTRUMENT)
    for at in first(replay, 500):
        book.apply(at.event)
    position = replay.position()
    resumed = first(Replay([generator(2)], start_ns=START, position=position), 1)[0].event
    middle = position.sources[0].middle_half_ticks
    assert abs(resumed.bids[0][0] + resumed.asks[0][0] - middle) <= 1
    assert resumed.last_id > position.sources[0].last_id


def test_the_published_ids_are_contiguous_over_rounds(tmp_path: Path) -> None:
    """The exchange's U follows its u although the tape starts over."""
    tape = written(tmp_path / "a.tape", rising())
    exchange = SimulatedExchange()
    exchange.add_market(PAIR)
    last_id = 0
    for at in first(Replay([tape], start_ns=START), 40):
        exchange.on_market(at.symbol, at.event, at.due_ns)
        for message in exchange.drain():
            if isinstance(message, DepthPublished):
                assert message.first_id == last_id + 1
                last_id = message.last_id
    assert last_id > 20
