"""The order of the exchange's time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mrmarket.trading.market.event import EventKind, MarketEvent
from mrmarket.trading.market.ordering import ExchangeOrder, LocalOffset

MS = 1_000_000


def _event(kind: EventKind, exchange_ms: int, local_ms: int, last_id: int = 0) -> MarketEvent:
    return MarketEvent(kind=kind, exchange_ns=exchange_ms * MS, local_ns=local_ms * MS, last_id=last_id)


def _ordered(events: list[MarketEvent]) -> list[MarketEvent]:
    order = ExchangeOrder()
    out = [ripe for event in events for ripe in order.push(event)]
    return [*out, *order.flush()]


def test_a_late_trade_takes_its_place_before_the_update() -> None:
    """A trade that arrives after an update but happened before it comes first."""
    update, trade = _event(EventKind.DEPTH, 1000, 5), _event(EventKind.TRADE, 900, 6)
    assert _ordered([update, trade]) == [trade, update]


def test_one_stream_is_never_reordered() -> None:
    """Tops whose stamps run backwards keep their order and take the later stamp."""
    first, second = _event(EventKind.TOP, 1000, 5, 1), _event(EventKind.TOP, 990, 6, 2)
    out = _ordered([first, second])
    assert [event.last_id for event in out] == [1, 2]
    assert [event.exchange_ns for event in out] == [1000 * MS, 1000 * MS]


def test_a_frame_without_time_gets_one_from_the_local_clock() -> None:
    """The exchange is as far ahead as the fastest timed frame says."""
    out = _ordered(
        [
            _event(EventKind.DEPTH, 1300, 100),
            _event(EventKind.DEPTH, 1390, 200),
            _event(EventKind.TOP, 0, 210),
        ]
    )
    assert out[2].exchange_ns == 1410 * MS


def test_without_any_exchange_time_the_local_one_serves() -> None:
    """A feed that never says its time is stamped locally."""
    assert _ordered([_event(EventKind.TOP, 0, 210)])[0].exchange_ns == 210 * MS


def test_events_are_released_once_the_window_has_passed() -> None:
    """Half a second later nothing is waited for any more, and later stragglers are moved up."""
    order = ExchangeOrder()
    early, late = _event(EventKind.DEPTH, 1000, 1), _event(EventKind.DEPTH, 1600, 2)
    assert list(order.push(early)) == []
    assert list(order.push(late)) == [early]
    straggler = _event(EventKind.TRADE, 10, 3)
    (moved, last) = [*order.push(straggler), *order.flush()]
    assert (moved.kind, moved.exchange_ns, last) == (EventKind.TRADE, 1000 * MS, late)


def test_the_offset_forgets_what_is_long_past() -> None:
    """A clock that was set anew is followed within twenty seconds."""
    offset = LocalOffset()
    offset.observe(2_000 * MS, 1_000 * MS)
    offset.observe(11_500 * MS, 11_000 * MS)
    assert offset.exchange_ns(12_000 * MS) == 13_000 * MS
    offset.observe(22_500 * MS, 22_000 * MS)
    assert offset.exchange_ns(23_000 * MS) == 23_500 * MS


@given(st.lists(st.tuples(st.sampled_from(EventKind), st.integers(0, 3000), st.integers(0, 3000))))
def test_nothing_is_lost_and_time_never_goes_back(frames: list[tuple[EventKind, int, int]]) -> None:
    """Whatever comes in goes out once, stamped, in order, and in the order of its stream."""
    events = [_event(kind, at, local, n) for n, (kind, at, local) in enumerate(frames, 1)]
    out = _ordered(events)
    assert sorted(event.last_id for event in out) == [event.last_id for event in events]
    times = [event.exchange_ns for event in out]
    assert times == sorted(times)
    for stream in ({EventKind.SNAPSHOT, EventKind.DEPTH}, {EventKind.TRADE}, {EventKind.TOP}):
        ids = [event.last_id for event in out if event.kind in stream]
        assert ids == sorted(ids)
