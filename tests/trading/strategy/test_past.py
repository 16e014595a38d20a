"""A start reads a fold and what came after it; the fold is the same as reading everything, or is not used."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fake_exchange import SYMBOL, FakeExchange, btc_usdt
from mrmarket.core.clock import ManualClock, SystemClock
from mrmarket.core.events import (
    DifferenceClosed,
    DifferenceFound,
    Fact,
    Filled,
    MarkObserved,
    OrderAccepted,
    OrderCancelled,
    OrderCreated,
    OrderRejected,
    encode_fact,
)
from mrmarket.core.side import Side
from mrmarket.store.event_log import LoggedFact
from mrmarket.store.run_fold import RunFold
from mrmarket.store.trading_store import TradingStore
from mrmarket.trading.strategy.past import History, PastFold, equity_of, read_history, told_of
from strategy_stage import BOOK, QUICK, Stage

STREAM = "run-1"


def created(key: str, size: str = "0.01") -> OrderCreated:
    """An order was decided."""
    return OrderCreated(
        venue="fake",
        at_ns=1,
        symbol=SYMBOL,
        client_order_id=key,
        slot="b1",
        side=Side.BUY,
        price="1",
        size=size,
    )


def filled(key: str, trade: int, lots: int = 100, side: Side = Side.BUY) -> Filled:
    """A trade of an order."""
    size = btc_usdt().size_text(lots)
    return Filled(
        venue="fake",
        at_ns=trade,
        symbol=SYMBOL,
        base="BTC",
        quote="USDT",
        trade_id=str(trade),
        client_order_id=key,
        venue_order_id="v",
        side=side,
        price="60000.01",
        size=size,
        quote_size=str(Decimal("60000.01") * Decimal(size)),
        fee="0.0001",
        fee_asset="USDT",
        maker=trade % 2 == 0,
    )


def accepted(key: str) -> OrderAccepted:
    """The venue has it."""
    return OrderAccepted(venue="fake", at_ns=2, symbol=SYMBOL, client_order_id=key, venue_order_id="v")


def mark(at_s: int, mid: int) -> MarkObserved:
    """A price."""
    return MarkObserved(
        venue="fake",
        at_ns=at_s * 10**9,
        symbol=SYMBOL,
        base="BTC",
        quote="USDT",
        bid=str(mid - 1),
        ask=str(mid + 1),
    )


def cancelled(key: str) -> OrderCancelled:
    """It has left the book."""
    return OrderCancelled(venue="fake", at_ns=3, symbol=SYMBOL, client_order_id=key, filled="0")


def fold(facts: Sequence[Fact] = ()) -> PastFold:
    """A fold of these facts."""
    made = PastFold(STREAM, btc_usdt(), ManualClock())
    for fact in facts:
        made.replay(fact)
    return made


KEYS = st.sampled_from(["a", "b", "c"])
FACTS = st.lists(
    st.one_of(
        KEYS.map(created),
        KEYS.map(accepted),
        KEYS.map(cancelled),
        st.tuples(KEYS, st.integers(1, 500), st.integers(1, 400), st.sampled_from(Side)).map(
            lambda each: filled(*each)
        ),
        st.tuples(st.integers(1, 10_000), st.integers(50_000, 70_000)).map(lambda each: mark(*each)),
    ),
    max_size=40,
)


@settings(max_examples=60, deadline=None)
@given(FACTS, st.integers(0, 40))
def test_a_fold_and_the_rest_are_the_whole(facts: list[Fact], cut: int) -> None:
    """Folding up to any fact, writing it down, reading it back and going on changes nothing."""
    first = fold(facts[:cut]).past()
    kept = msgspec.json.decode(msgspec.json.encode(first), type=type(first))
    second = PastFold(STREAM, btc_usdt(), ManualClock(), kept)
    for fact in facts[cut:]:
        second.replay(fact)
    assert second.past() == fold(facts).past()


def test_what_the_log_says_of_open_orders_is_kept() -> None:
    """Of an order that may be open every kind of fact is known; those long closed are forgotten."""
    facts: list[Fact] = [created("open"), accepted("open"), created("no")]
    facts += [OrderRejected(venue="fake", at_ns=1, symbol=SYMBOL, client_order_id="no", code="x", reason="y")]
    for number in range(600):
        facts += [created(f"f{number}", "0.001"), filled(f"f{number}", 1_000 + number, 100)]
    told = set(told_of(fold(facts).past()))
    assert {(OrderCreated, "open"), (OrderAccepted, "open"), (OrderCreated, "f599")} <= told
    assert not [each for each in told if each[1] in ("no", "f0")]


def test_worth_is_kept_once_a_minute_and_at_its_highest() -> None:
    """Marks before the first trade say nothing; the highest stays however long ago it was."""
    facts: list[Fact] = [mark(1, 60_000), filled("a", 1)]
    facts += [mark(second, 61_000 + second) for second in range(60, 300, 10)]
    facts += [mark(second, 60_000) for second in range(300, 600, 10)]
    past = fold(facts).past()
    assert [each.at_ns // 10**9 for each in past.equity] == list(range(60, 600, 60))
    assert past.highest is not None
    assert past.highest.at_ns == 290 * 10**9
    assert past.highest in equity_of(past)
    assert equity_of(past) == sorted(equity_of(past), key=lambda each: each.at_ns)


def test_differences_that_stand_are_kept() -> None:
    """A difference that was found stays until it is closed."""
    found = [
        DifferenceFound(
            venue="v", at_ns=1, symbol=SYMBOL, kind="balance", subject=asset, ours="1", theirs="2"
        )
        for asset in ("BTC", "USDT")
    ]
    gone = DifferenceClosed(venue="v", at_ns=2, symbol=SYMBOL, kind="balance", subject="BTC")
    assert fold([*found, gone]).past().differences == [found[1]]


def rows(facts: Sequence[Fact], first: int = 1) -> Iterator[LoggedFact]:
    """Facts as the log takes them."""
    for seq, fact in enumerate(facts, first):
        yield LoggedFact(
            stream=STREAM,
            epoch=0,
            seq=seq,
            at_ns=fact.at_ns,
            fact=fact,
            payload=encode_fact(fact),
            hash=bytes([seq % 256]) * 32,
        )


def test_a_fold_is_due_now_and_then_and_never_after_a_gap() -> None:
    """Every thousand facts, or at the end; a fold that missed a fact is worth nothing and is not kept."""
    made = fold()
    for row in rows([mark(1, 1)] * 999):
        made.take(row)
    assert made.due() is None
    (last,) = rows([mark(1, 1)], first=1_000)
    made.take(last)
    kept = made.due()
    assert kept is not None
    assert (kept.seq, kept.hash) == (1_000, last.hash)
    assert made.due(now=True) is None
    (skipped,) = rows([mark(1, 1)], first=1_002)
    made.take(skipped)
    assert made.due(now=True) is None


@pytest.fixture
def store(tmp_path: Path) -> Iterator[TradingStore]:
    """An empty trading store."""
    opened = TradingStore.open(tmp_path / "trading.db")
    yield opened
    opened.close()


def keep(store: TradingStore, facts: Sequence[Fact]) -> RunFold:
    """Append facts and keep their fold."""
    made = fold()
    for row in store.append_facts(STREAM, facts):
        made.take(row)
    kept = made.due(now=True)
    assert kept is not None
    store.save_fold(kept)
    return kept


def test_a_start_reads_what_came_after_the_fold(store: TradingStore) -> None:
    """The fold stands for the facts before it; without one, or without leave to use it, all are read."""
    assert read_history(store, STREAM) == History()
    keep(store, [mark(second, 60_000) for second in range(10)])
    store.append_facts(STREAM, [mark(99, 60_000)])
    history = read_history(store, STREAM)
    assert history.past is not None
    assert (history.past.facts, history.facts) == (10, [mark(99, 60_000)])
    assert len(read_history(store, STREAM, with_fold=False).facts) == 11


def test_a_fold_that_the_log_does_not_confirm_is_thrown_away(store: TradingStore) -> None:
    """Another hash, a fact that is not there, or words of another release: everything is read."""
    kept = keep(store, [mark(second, 60_000) for second in range(10)])
    for change in (
        {"hash": b"x" * 32},
        {"seq": 11},
        {"fold": b"{}"},
        {"fold": kept.fold.replace(b'"format":1', b'"format":9')},
    ):
        store.save_fold(msgspec.structs.replace(kept, **{"seq": 10, **change}))
        assert len(read_history(store, STREAM).facts) == 10, change


async def test_a_restart_goes_on_from_its_fold(store: TradingStore) -> None:
    """Stopped and started again: the log's beginning is not read; totals and memory are what they were."""
    exchange = FakeExchange(SystemClock())
    first = Stage(exchange, store, timing=QUICK)  # type: ignore[arg-type]  # the real journal
    first.venue.market.put_nowait(BOOK)
    await first.run.start()
    await first.until(lambda: sum(order.is_resting for order in first.run.live_orders) == 2)
    order = next(each for each in first.run.live_orders if each.side is Side.BUY)
    first.venue.fill(order.client_order_id, order.size_lots)
    await first.until(lambda: first.run.totals.fills == 1)
    await first.run.stop()
    history = read_history(store, first.run.stream)
    assert history.past is not None
    assert (history.past.fills, history.facts) == (1, [])
    second = Stage(exchange, store, history=history, timing=QUICK)  # type: ignore[arg-type]  # the real journal
    assert second.run.totals.base_lots == order.size_lots
    assert second.run.totals.fees == first.run.totals.fees
    assert second.strategy.state.held_lots == order.size_lots
    await second.run.abandon()
