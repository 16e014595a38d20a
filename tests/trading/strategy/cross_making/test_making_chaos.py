"""A maker on two venues under random faults and crashes: no fill is hedged twice, none is forgotten."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from fractions import Fraction
from random import Random

import pytest

from arbitrage_stage import UNITS
from making_stage import LOTS, MakingStage
from mrmarket.core.events import Filled, RiskChanged
from mrmarket.trading.execution.risk.state import Cause, RiskState
from mrmarket.trading.strategy.arbitrage.pair_log import base_of

FAULTS = ("", "", "refuse", "lose_request", "lose_answer", "part:300", "part:1")
LEAST = 40


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_every_fill_is_hedged_once_or_told(seed: int) -> None:
    """Lost answers, refusals, parts and two crashes: what is owed is less than the hedge venue takes.

    Both exchanges together have gained exactly what the log's fills add up to, hedges have never passed on
    more than was filled, and what could not be passed on the owner was told of.
    """
    rng = Random(seed)  # noqa: S311 - a reproducible bad day, not a secret
    stage = MakingStage(least_lots=LEAST)
    try:
        run = await stage.quoting()
        for life in range(3):
            for venue in stage.venues:
                venue.faults.extend(rng.choice(FAULTS) for _ in range(8))
            for _ in range(3):
                stage.hit(rng.randrange(1, LOTS), bid=rng.random() < 0.5)
                for _ in range(rng.randrange(30)):
                    await asyncio.sleep(0)
                if run.board.state("xemm-1") is RiskState.HALT:
                    break
                bound = Fraction(2 * LOTS + LEAST, 100_000)
                assert abs(run.work.owed) <= bound
            if life == 2:
                break
            await run.abandon()
            run = await stage.begin()
            await run.start()
        for venue in stage.venues:
            venue.faults.clear()
        await stage.until(lambda: run.board.state("xemm-1") is RiskState.HALT or run.work.due is None)
        if run.board.state("xemm-1") is RiskState.HALT:
            assert any(fact.cause == Cause.PARTIAL_LEG for fact in stage.facts(RiskChanged))
            run.rearm()
        await stage.until(lambda: run.work.due is None and not run.work.is_at_work)
        report = await run.stop()
        assert report.clean
        owed = sum(
            (
                base_of(fill.side, Decimal(fill.size), Decimal(fill.fee), in_base=fill.fee_asset == "BTC")
                for fill in stage.facts(Filled)
            ),
            Fraction(0),
        )
        assert run.work.owed == owed
        assert abs(owed) < Fraction(LEAST, 100_000)
        assert sum(stage.held()) == 2 * UNITS + owed * UNITS
        fills = stage.facts(Filled)
        assert len({(fill.venue, fill.trade_id) for fill in fills}) == len(fills)
        quoted, hedged = stage.sums()
        assert quoted * hedged <= 0
        assert abs(hedged) <= abs(quoted) + LEAST
    finally:
        await stage.end()
