"""Arbitrage under random faults and crashes: nothing is lost, nothing is held unsaid."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from decimal import Decimal
from random import Random

import pytest

from arbitrage_stage import UNITS, CrossStage
from mrmarket.core.events import Filled, RiskChanged
from mrmarket.trading.execution.order_id import parse_order_id
from mrmarket.trading.execution.risk.state import Cause

FAULTS = ("", "", "", "refuse", "lose_request", "lose_answer", "part:30", "part:1")
LOT = Decimal("0.00001")


def held_by_pair(stage: CrossStage) -> dict[int, Decimal]:
    """What each pair's fills add up to in base, fees in base taken off, from the event log alone."""
    held: dict[int, Decimal] = defaultdict(Decimal)
    for fill in stage.facts(Filled):
        parsed = parse_order_id(fill.client_order_id)
        assert parsed is not None
        fee = Decimal(fill.fee) if fill.fee_asset == "BTC" else Decimal(0)
        held[parsed.sequence] += fill.side.sign * Decimal(fill.size) - fee
    return held


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_nothing_is_lost_whatever_the_venues_do(seed: int) -> None:
    """Refusals, lost requests and answers, parts and two crashes: the log tells every unit that moved.

    Each pair ends with less than its venues would take, or the owner was told of it by its number.
    """
    rng = Random(seed)  # noqa: S311 - a reproducible bad day, not a secret
    stage = CrossStage()
    try:
        run = await stage.ready()
        for life in range(3):
            for venue in stage.venues:
                venue.faults.extend(rng.choice(FAULTS) for _ in range(15))
            stage.diverge()
            pairs = rng.randrange(2, 5)
            await stage.until(
                lambda run=run, pairs=pairs: len(run.pairs) >= pairs or bool(run.board.state("arb-1"))  # type: ignore[misc]  # bound now
            )
            if life == 2:
                break
            await asyncio.sleep(rng.random() / 50)
            await run.abandon()
            run = await stage.life(history=list(stage.journal.facts), fence=life + 1)
            await run.start()
            await stage.until(lambda run=run: run.decision is not None or bool(run.board.state("arb-1")))  # type: ignore[misc]  # bound now
        for venue in stage.venues:
            venue.faults.clear()
        report = await run.stop()
        assert report.clean
        held = held_by_pair(stage)
        assert sum(stage.held()) == 2 * UNITS + sum(held.values()) * UNITS
        told = " ".join(fact.detail for fact in stage.facts(RiskChanged) if fact.cause == Cause.PARTIAL_LEG)
        for number, base in held.items():
            assert abs(base) <= 3 * LOT or f"pair {number}:" in told
    finally:
        await stage.close()
