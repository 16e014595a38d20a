"""Strategies of the registry on a run: orders reach an exchange, fills come back, a bad one fails alone."""

from __future__ import annotations

from fake_exchange import FakeExchange, MemoryJournal, snapshot
from mrmarket.core.clock import SystemClock
from mrmarket.trading.execution.targets import TargetQuotes
from mrmarket.trading.strategy.models.grid import Grid, GridParameters
from mrmarket.trading.strategy.observer import RunState
from mrmarket.trading.strategy.port import MarketView
from mrmarket.trading.strategy.registry import Registry
from strategy_stage import BOOK, Stage


def stage(name: str, **parameters: object) -> Stage:
    """A run of a strategy of ours over the fake exchange."""
    registry = Registry(plugins=lambda: ())
    made = registry.make(registry.parameters(name, parameters))
    return Stage(FakeExchange(SystemClock()), MemoryJournal(), with_strategy=made)


async def test_a_grid_trades_up_and_down_a_level() -> None:
    """A buy that is filled is sold one level higher; what stood before keeps its orders."""
    made = stage("grid", step="0.001", levels=2, anchor_price="60000")
    await made.run.start()
    made.venue.market.put_nowait(BOOK)
    await made.until(lambda: made.resting() == ["d1", "d2", "u1", "u2"])
    bid = next(order for order in made.run.live_orders if order.slot == "d1")
    kept = {order.client_order_id for order in made.run.live_orders if order.slot in ("d2", "u1")}
    made.venue.fill(bid.client_order_id, bid.size_lots)
    made.venue.market.put_nowait(snapshot([(5_993_950, 100_000)], [(5_994_050, 100_000)], last_id=2))
    await made.until(lambda: made.resting() == ["d2", "d3", "u0", "u1"])
    assert kept <= {order.client_order_id for order in made.run.live_orders}
    assert (await made.run.stop("enough")).clean


async def test_a_single_order_is_worked_to_its_end() -> None:
    """Filled, it wants nothing more, and the run says why."""
    made = stage("twap", amount="0.01", slices=1)
    await made.run.start()
    made.venue.market.put_nowait(BOOK)
    await made.until(lambda: made.resting() == ["x1"])
    order = made.run.live_orders[0]
    made.venue.fill(order.client_order_id, order.size_lots)
    await made.until(lambda: made.run.targets.reason == "done: 0.01 of 0.01 bought")
    assert made.exchange.open() == []
    assert (await made.run.stop("enough")).clean


async def test_a_model_that_waits_for_its_market_places_nothing() -> None:
    """Warming up is a reason like any other, and the run is well."""
    made = stage("glft")
    await made.run.start()
    made.venue.market.put_nowait(BOOK)
    await made.until(lambda: made.run.targets.reason.startswith("warming up"))
    assert (made.run.state, made.exchange.open()) == (RunState.RUNNING, [])
    assert made.run.watch.estimates.is_needed
    assert (await made.run.stop("enough")).clean


class Broken(Grid):
    """A strategy that raises once it has orders."""

    def quotes(self, view: MarketView) -> TargetQuotes:
        """Fine at first."""
        if view.bid[0] == 5_999_950:
            return super().quotes(view)
        raise ZeroDivisionError("a fault of the plug-in")


async def test_a_strategy_that_raises_fails_its_run_alone() -> None:
    """Its run is failed with the reason and its orders go; another run of the process goes on."""
    broken = Stage(
        FakeExchange(SystemClock()),
        MemoryJournal(),
        with_strategy=Broken(GridParameters(levels=1, anchor_price=None)),
    )
    other = stage("grid", levels=1)
    for each in (broken, other):
        await each.run.start()
        each.venue.market.put_nowait(BOOK)
        await each.until(lambda each=each: len(each.resting()) == 2)  # type: ignore[misc]  # bound at once
        each.venue.market.put_nowait(snapshot([(5_999_940, 9)], [(6_000_040, 9)], last_id=2))
    await broken.until(lambda: broken.run.state is RunState.FAILED)
    assert broken.run.state_reason == "a fault of the plug-in"
    await broken.run.stop("failed")
    assert broken.exchange.open() == []
    assert other.run.state is RunState.RUNNING
    assert len(other.resting()) == 2
    assert (await other.run.stop("enough")).clean
