"""Each order of a round spends what the one before brought: it waits for that, asks for it, and gives up."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import pytest

from arbitrage_stage import FaultyVenue
from mrmarket.core.clock import ScaledClock, SystemClock
from mrmarket.core.events import RiskChanged
from mrmarket.trading.execution.legs import LegStage
from mrmarket.trading.execution.risk.state import Cause, RiskState
from mrmarket.trading.venue.port import BalanceReport, FillReport, UserEvent
from triangle_stage import STREAM, TriangleStage


class QuietVenue(FaultyVenue):
    """`quiet`: no balance is told of by itself; `old`: and who asks hears what was so before."""

    quiet = False
    old: list[BalanceReport] | None = None
    asked = 0

    async def user_events(self) -> AsyncGenerator[UserEvent, None]:
        """Orders and trades, and balances unless it is quiet."""
        async for event in super().user_events():
            if not (self.quiet and isinstance(event, BalanceReport)):
                yield event

    async def balances(self) -> list[BalanceReport]:
        """What the account holds, or held."""
        self.asked += 1
        return await super().balances() if self.old is None else self.old


class QuietStage(TriangleStage):
    """The same with a venue that may keep balances to itself."""

    def new_venue(self) -> QuietVenue:
        """The account, each time anew over the same exchange."""
        self.quiet = QuietVenue(self.feed, self.exchange)
        return self.quiet


@pytest.fixture
async def stage() -> AsyncIterator[QuietStage]:
    """10,000 USDT on one exchange with three pairs, and 1,000 a round."""
    made = QuietStage(max_book_age=3600)
    yield made
    await made.close()


async def begun(stage: QuietStage, speed: float) -> Any:
    """A run that looks for triangles in a world of this speed."""
    return await stage.ready(world=ScaledClock(SystemClock(), speed))


async def test_an_order_waits_for_the_balance_and_asks_for_it(stage: QuietStage) -> None:
    """Nobody tells of what the first order brought: half a second later it is asked for, and on it goes."""
    run = await begun(stage, 2)
    stage.quiet.quiet = True
    asked = stage.quiet.asked
    stage.stray()
    await stage.until(lambda: len(run.rounds) > 0)
    assert stage.slots()[:3] == ["t100", "t200", "t300"]
    assert run.rounds[0].end == "all three are through"
    assert stage.quiet.asked > asked


async def test_a_balance_that_never_shows_ends_in_a_halt(stage: QuietStage) -> None:
    """Neither the second order nor the way home can be paid for by what is known: nothing more is sent."""
    run = await begun(stage, 100)
    stage.quiet.quiet = True
    stage.quiet.old = await stage.quiet.balances()
    stage.stray()
    await stage.until(lambda: len(run.rounds) > 0)
    assert run.rounds[0].stage is LegStage.HALTED
    assert "did not show in the balances" in run.rounds[0].end
    assert [order.client_order_id for order in stage.venue.placed] == list(stage.journal.records)[:1]
    assert run.board.state(STREAM) is RiskState.HALT
    await stage.until(lambda: any(each.cause == Cause.PARTIAL_LEG for each in stage.facts(RiskChanged)))


async def test_a_fill_of_a_round_long_over_halts(stage: QuietStage) -> None:
    """Nobody would bring it home, so the owner is told what it changed."""
    run = await stage.ready()
    stage.stray()
    await stage.until(lambda: len(run.rounds) > 1)
    await run.pause("look")
    old = next(record for record in stage.journal.records.values() if record.slot == "t100")
    late = FillReport(
        symbol=old.symbol,
        trade_id="late",
        client_order_id="",
        venue_order_id=old.venue_order_id,
        side=old.side,
        price_ticks=old.price_ticks,
        size_lots=7,
        fee="0",
        fee_asset="BTC",
        maker=False,
        venue_ns=1,
    )
    run.markets[old.symbol].execution.desk.fill(late)
    await stage.until(lambda: run.board.state(STREAM) is RiskState.HALT)
    why = run.board.explain(STREAM, "")
    assert "a fill came after its round was settled" in why
    assert "0.0007 BTC" in why
