"""A run and the risk board: what trips in it, what it hears of, and that no run takes others along."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from fake_exchange import FakeExchange, FakeVenue, MemoryJournal, btc_usdt, snapshot
from mrmarket.core.clock import NS_PER_MS, NS_PER_S, SystemClock
from mrmarket.core.events import Fact, Filled, MarkObserved, RiskChanged
from mrmarket.core.side import Side
from mrmarket.store.operations import Restriction
from mrmarket.trading.execution.differences import Difference, DifferenceKind
from mrmarket.trading.execution.risk.board import Rearming, RiskBoard
from mrmarket.trading.execution.risk.breakers import LossLimit
from mrmarket.trading.execution.risk.limits import BreakerLimits
from mrmarket.trading.execution.risk.pretrade import RiskLimits
from mrmarket.trading.execution.risk.state import INSTANCE, REARMED, RiskState, run_scope, venue_scope
from mrmarket.trading.strategy.observer import RunState
from mrmarket.trading.strategy.past import History, PastFold
from mrmarket.trading.strategy.port import MarketView
from mrmarket.trading.venue.port import AuthenticationRefusedError, RateLimitedError
from mrmarket.trading.venue.rate_budget import RateBudget, RateLimit, RequestKind
from strategy_stage import BOOK, Stage

QUICK_REARM = Rearming(cool_down_ns=20 * NS_PER_MS, dwell_ns=10 * NS_PER_MS)


@pytest.fixture
async def stages() -> AsyncIterator[list[Stage]]:
    """Ends the runs of the stages that a test puts here."""
    made: list[Stage] = []
    yield made
    for stage in made:
        await stage.run.abandon()


def make(stages: list[Stage], **more: Any) -> Stage:
    """A stage that is ended with the test."""
    stage = Stage(more.pop("exchange", None) or FakeExchange(SystemClock()), MemoryJournal(), **more)
    stages.append(stage)
    return stage


def board(**more: Any) -> RiskBoard:
    """A board whose soft restrictions end quickly."""
    return RiskBoard(SystemClock(), rearming=QUICK_REARM, **more)


def causes(stage: Stage) -> set[str]:
    """What is in force."""
    return {row.cause for row in stage.run.risk.board.restrictions()}


async def test_a_loss_pulls_the_increasing_side_and_ends_by_itself(stages: list[Stage]) -> None:
    """Bought, then the market falls: REDUCE, a fact, and quotes on both sides once the window is past."""
    limits = BreakerLimits(loss_1m=LossLimit(Decimal(1)))
    stage = make(stages, board=board(), breakers=limits, strategy={"order_amount": "0.1"})
    await stage.quoting()
    bid = next(order for order in stage.run.live_orders if order.side is Side.BUY)
    stage.venue.fill(bid.client_order_id, bid.size_lots)
    await stage.until(lambda: len(stage.diary.fills) == 1)
    stage.venue.market.put_nowait(snapshot([(5_969_950, 100_000)], [(5_970_050, 100_000)], last_id=2))
    await stage.until(lambda: "loss_1m" in causes(stage))
    assert stage.run.risk.state is RiskState.REDUCE
    await stage.run.facts.flush()
    (fact,) = stage.facts(RiskChanged)
    assert (fact.scope, fact.state, fact.cause) == ("run:run-1", "reduce", "loss_1m")


async def test_a_fault_in_one_run_leaves_the_others_alone(stages: list[Stage]) -> None:
    """Its quotes are pulled, it is FAILED and cools down; its neighbour on the same board quotes on."""
    shared = board()

    def broken(view: MarketView) -> Any:
        raise ZeroDivisionError("a bug in the strategy")

    failing = make(stages, board=shared)
    other = make(stages, board=shared, stream="run-2")
    await failing.quoting()
    await other.quoting()
    failing.strategy.quotes = broken  # type: ignore[method-assign]  # a bug
    failing.venue.market.put_nowait(snapshot([(5_999_900, 9)], [(6_000_100, 9)], last_id=2))
    await failing.until(lambda: failing.run.state is RunState.FAILED and not failing.exchange.open())
    assert [row.cause for row in shared.restrictions(run_scope("run-1"))] == ["run_failed"]
    assert other.run.risk.state is RiskState.ACTIVE
    assert other.resting() == ["b1", "s1"]
    assert other.run.state is RunState.RUNNING


async def test_a_breaker_with_a_fault_halts_its_run_only(stages: list[Stage]) -> None:
    """The other run on the board is free."""
    shared = board()
    one, other = make(stages, board=shared), make(stages, board=shared, stream="run-2")
    await one.quoting()
    await other.quoting()
    one.run.risk.governor.drawdown = None  # type: ignore[assignment]  # a bug
    await one.until(lambda: not one.exchange.open())
    assert causes(one) == {"breaker_fault"}
    assert other.run.risk.state is RiskState.ACTIVE
    assert other.resting() == ["b1", "s1"]


async def test_a_refused_key_and_a_ban_halt_the_venue(stages: list[Stage]) -> None:
    """Every other run on that venue stops, one on another venue does not."""
    shared = board()
    one, other = make(stages, board=shared), make(stages, board=shared, stream="run-2")
    await one.run.start()
    await other.quoting()
    one.venue.faults.append(AuthenticationRefusedError("fake", "place", "bad key"))
    one.venue.market.put_nowait(BOOK)
    await other.until(lambda: not other.exchange.open())
    assert {row.cause for row in shared.restrictions(venue_scope("fake"))} == {"auth_refused"}
    assert shared.state("run-3", "elsewhere") is RiskState.ACTIVE

    banned = make(stages, board=board(), stream="run-4")
    await banned.run.start()
    banned.venue.faults.append(RateLimitedError("fake", "place", "banned", 0.05, banned=True))
    banned.venue.market.put_nowait(BOOK)
    await banned.until(lambda: "venue_banned" in causes(banned))
    assert banned.run.risk.state is RiskState.HALT


async def test_what_another_process_restricts_reaches_the_run(stages: list[Stage]) -> None:
    """Rows read from the database bind at once and are facts of the run."""
    stage = make(stages, board=board())
    await stage.quoting()
    row = Restriction(scope=INSTANCE, cause="angel", state="halt", by="angel", since_ms=1)
    stage.run.risk.board.load([row])
    await stage.until(lambda: not stage.exchange.open())
    await stage.run.facts.flush()
    assert [fact.cause for fact in stage.facts(RiskChanged)] == ["angel"]


async def test_an_index_far_away_pulls_the_quotes(stages: list[Stage]) -> None:
    """A second later; back within the band the run quotes again by itself."""
    index = [Decimal(60_000)]
    limits = BreakerLimits(index_after_ns=20 * NS_PER_MS)
    stage = make(stages, board=board(), breakers=limits, index=lambda: index[0])
    await stage.quoting()
    index[0] = Decimal(62_000)
    await stage.until(lambda: not stage.exchange.open())
    assert causes(stage) == {"index_gap"}
    assert stage.run.pulled.startswith("cancel_only: our fair value")
    index[0] = Decimal(60_100)
    await stage.until(lambda: stage.resting() == ["b1", "s1"])


async def test_a_book_that_stays_stale_makes_the_run_settle_first(stages: list[Stage]) -> None:
    """Quotes are pulled at once; after the time for it the cause stands on the board."""
    limits = BreakerLimits(stale_after_ns=30 * NS_PER_MS)
    stage = make(stages, board=board(), breakers=limits)
    await stage.quoting()
    stage.venue.market.put_nowait(snapshot([], [], last_id=2))
    await stage.until(lambda: not stage.exchange.open() and "book_stale" in causes(stage))
    stage.venue.market.put_nowait(BOOK)
    await stage.until(lambda: stage.resting() == ["b1", "s1"])
    assert causes(stage) == set()


async def test_a_jump_of_the_book_is_not_believed_at_once(stages: list[Stage]) -> None:
    """Quotes around the new mid are held back by the fair value, whatever the strategy wants."""
    stage = make(stages, limits=RiskLimits(fair_band=Decimal("0.01")), strategy={"order_refresh_time": 0.1})
    await stage.quoting()
    stage.venue.market.put_nowait(snapshot([(6_599_950, 100_000)], [(6_600_050, 100_000)], last_id=2))
    await stage.until(lambda: any("fair value" in reason for reason in stage.run.held_back().values()))
    assert all(order.order.price_ticks < 6_100_000 for order in stage.exchange.open())


async def test_an_order_far_beyond_the_books_depth_is_held_back(stages: list[Stage]) -> None:
    """A slip of the finger is larger than what everybody else shows."""
    limits = RiskLimits(max_depth_multiple=Decimal("0.001"))
    stage = make(stages, limits=limits, strategy={"order_amount": "0.5"})
    await stage.run.start()
    stage.venue.market.put_nowait(BOOK)
    await stage.until(lambda: stage.run.risk.gate.context.depth_lots is not None)
    await stage.until(lambda: any("what the book shows" in text for text in stage.run.held_back().values()))


class Counting(FakeVenue):
    """A venue that counts its requests and knows of its clock."""

    def __init__(self, exchange: FakeExchange) -> None:
        super().__init__(exchange)
        self.budget = RateBudget("fake", SystemClock(), [RateLimit("weight:60", 6_000, 3_600)])
        self.clock_trusted = True


async def test_requests_and_clock_of_the_venue_are_watched(stages: list[Stage]) -> None:
    """A budget that is used up, and clocks that cannot be brought together, bind every run of the venue."""
    exchange = FakeExchange(SystemClock())
    venue = Counting(exchange)
    limits = BreakerLimits(budget_after_ns=0, clock_after_ns=0)
    stage = make(stages, exchange=exchange, with_venue=venue, board=board(), breakers=limits)
    await stage.quoting()
    assert venue.budget.try_acquire(RequestKind.CANCEL, 1_450)
    await stage.until(lambda: causes(stage) == {"rate_budget"})
    venue.budget.set_limits([RateLimit("weight:60", 6_000, 60)])
    await stage.until(lambda: stage.resting() == ["b1", "s1"])
    venue.clock_trusted = False
    await stage.until(lambda: causes(stage) == {"clock_offset"})
    assert [row.scope for row in stage.run.risk.board.restrictions()] == ["venue:fake"]


async def test_a_difference_binds_the_run(stages: list[Stage]) -> None:
    """What the comparison with the venue finds is REDUCE while it stands."""
    stage = make(stages, board=board())
    await stage.quoting()
    found = Difference(DifferenceKind.BALANCE, "USDT", "1000000", "999000")
    stage.run._reconciler.differences.found(found)
    assert stage.run.risk.state is RiskState.REDUCE
    stage.run._reconciler.differences.gone(found.kind, found.subject, "a transfer explains it")
    await stage.until(lambda: stage.run.risk.state is RiskState.ACTIVE)


def mark(at_ns: int, bid: str, ask: str) -> MarkObserved:
    """What an earlier life saw of the market."""
    return MarkObserved(
        venue="fake", at_ns=at_ns, symbol="BTC/USDT", base="BTC", quote="USDT", bid=bid, ask=ask
    )


async def test_the_high_water_mark_survives_a_restart(stages: list[Stage]) -> None:
    """A fill and a mark of an earlier life: profit was 1,000 then, and is measured against that."""
    now = SystemClock().now_ns()
    history: list[Fact] = [
        mark(now - 20 * NS_PER_S, "60000", "60000"),
        Filled(
            venue="fake",
            at_ns=now - 19 * NS_PER_S,
            symbol="BTC/USDT",
            base="BTC",
            quote="USDT",
            trade_id="1",
            client_order_id="x",
            venue_order_id="1",
            side=Side.BUY,
            price="60000",
            size="1",
            quote_size="60000",
            fee="0",
            fee_asset="BNB",
            maker=True,
        ),
        mark(now - 10 * NS_PER_S, "60999", "61001"),
    ]
    limits = BreakerLimits(drawdown=LossLimit(Decimal(900)), loss_1m=LossLimit())
    stage = make(stages, history=history, breakers=limits)
    assert stage.run.risk.governor.drawdown.high == 1_000
    await stage.run.start()
    stage.venue.market.put_nowait(BOOK)
    await stage.until(lambda: "drawdown" in causes(stage))
    assert stage.run.risk.state is RiskState.HALT
    stage.run.rearm()
    await stage.until(lambda: stage.resting() == ["b1", "s1"])


@pytest.mark.parametrize("folded", [False, True])
async def test_what_was_re_armed_stays_so_after_a_restart(stages: list[Stage], folded: bool) -> None:
    """The high-water mark of before the owner's word is not brought back, by the log or by its fold."""
    now = SystemClock().now_ns()
    bought = Filled(
        venue="fake",
        at_ns=now - 30 * NS_PER_S,
        symbol="BTC/USDT",
        base="BTC",
        quote="USDT",
        trade_id="1",
        client_order_id="x",
        venue_order_id="1",
        side=Side.BUY,
        price="60000",
        size="1",
        quote_size="60000",
        fee="0",
        fee_asset="USDT",
        maker=True,
    )
    word = RiskChanged(
        venue="fake",
        at_ns=now - 10 * NS_PER_S,
        symbol="BTC/USDT",
        scope="run:run-1",
        state="active",
        cause="drawdown",
        detail=REARMED,
    )
    history: list[Fact] = [
        bought,
        mark(now - 20 * NS_PER_S, "61000", "61000"),
        word,
        mark(now, "60000", "60000"),
    ]
    fold = PastFold("run-1", btc_usdt(), SystemClock(), None)
    for fact in history:
        fold.replay(fact)
    stage = make(stages, history=History(past=fold.past()) if folded else history)
    assert stage.run.risk.governor.drawdown.high == 0


async def test_fees_in_base_are_valued_and_third_assets_left_out(stages: list[Stage]) -> None:
    """As the totals do it, so that promise and profit compare."""
    stage = make(stages)
    await stage.quoting()
    before = stage.run.risk.governor._promised
    order = next(order for order in stage.run.live_orders if order.side is Side.BUY)
    stage.venue.fill(order.client_order_id, 100)
    await stage.until(lambda: len(stage.diary.fills) == 1)
    own = stage.diary.fills[0].own
    step = stage.run.risk.governor._promised - before
    for asset, fee in (("BTC", "0.001"), ("BNB", "5")):
        told = replace(own, fill=msgspec.structs.replace(own.fill, fee=fee, fee_asset=asset))
        before = stage.run.risk.governor._promised
        stage.run.risk.on_own_fill(told)
        free = stage.run.risk.governor._promised - before - step - Decimal(own.fill.fee)
        expected = -Decimal("0.001") * 59_940 if asset == "BTC" else Decimal(0)
        assert free == expected
