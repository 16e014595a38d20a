"""Capital that is divided between runs: what binds them, who may change it, and what a restart leaves."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from mrmarket.core.errors import InvalidInputError
from mrmarket.services.selection.capital import allocation_rules, quote_text
from mrmarket.services.selection.section import CapitalSection
from mrmarket.services.store_address import StoreAddress
from mrmarket.store.errors import DatabaseBusyError
from mrmarket.trading.strategy.selection.budget_plan import BudgetState
from mrmarket.trading.strategy.selection.candidate import Activity
from services.selection_stage import Stage

ACTING = CapitalSection(act=True, rest_s=20.0, most_change=1.0)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """Two runs of 10,000 each; arbitrage has a cap of 15 %, and budgets bind."""
    log = StoreAddress(tmp_path).open_selection()
    yield Stage(log, ACTING)
    log.close()


async def funded(stage: Stage) -> list[str]:
    """Reasons of the changes of budgets, newest first."""
    return [each.reason for each in await stage.office.decisions(50, None) if each.outcome == "funded"]


async def test_before_anything_is_measured_the_limits_divide_the_whole(stage: Stage) -> None:
    """70 % of 20,000 for market making, the cap of 15 % for arbitrage; one decision says so."""
    await stage.look(4)
    assert stage.budget("pool.run") == Decimal(14_000)
    assert stage.budget("arb") == Decimal(3_000)
    (reason,) = await funded(stage)
    assert reason == "arb may have 3000 in play, by cap; pool.run may have 14000 in play, by slice"
    view = stage.office.standing()
    assert (view.capital, view.budgets_bind) == ("20000", True)
    assert [(each.run, each.limit, each.budget) for each in view.slices] == [
        ("pool.run", "14000", "14000"),
        ("arb", "3000", "3000"),
    ]
    assert view.idle_share == pytest.approx(0.15)


async def test_as_advice_nobody_is_bound(tmp_path: Path) -> None:
    """The same division is shown; no run has a budget, and no decision is recorded."""
    log = StoreAddress(tmp_path).open_selection()
    stage = Stage(log)
    await stage.look(3)
    view = stage.office.standing()
    assert [each.budget for each in view.slices] == ["14000", "3000"]
    assert not view.budgets_bind
    assert (stage.budget("pool.run"), stage.budget("arb"), await funded(stage)) == (None, None, [])
    log.close()


async def test_measured_losses_take_capital_away_down_to_the_floor(stage: Stage) -> None:
    """Enough stretches in common, and a strategy that loses keeps a twentieth."""
    stage.world.live_rate["pool.run"] = stage.world.paper_rate["main"] = -0.001
    await stage.look(34)
    assert stage.budget("pool.run") == Decimal(1_000)
    assert sum("pool.run" in reason for reason in await funded(stage)) == 2


async def test_the_owners_cap_wins_at_once_and_is_kept(stage: Stage) -> None:
    """Down to the unit with the next look, recorded with who did it; a restart keeps it."""
    await stage.look(2)
    view = await stage.office.set_cap("main", 0.123, "owner")
    assert next(each for each in view.candidates if each.id == "main").capped_by_owner
    await stage.look()
    assert stage.budget("pool.run") == Decimal(2_460)
    decision = next(each for each in await stage.office.decisions(5, None) if each.verdict == "owner_capped")
    assert (decision.by, decision.changed) == ("owner", {"main": 0.123})
    await stage.restart()
    assert stage.budget("pool.run") == Decimal(2_460)
    await stage.office.set_cap("main", 0.123, "owner")
    await stage.look()
    assert stage.budget("pool.run") == Decimal(2_460)
    await stage.office.set_cap("main", None, "owner")
    await stage.look(4)
    assert stage.budget("pool.run") == Decimal(14_000)


async def test_a_cap_of_nobody_or_of_nothing_is_refused(stage: Stage) -> None:
    """An unknown candidate, more than the whole, and where nobody divides the capital."""
    for candidate, share in (("nobody", 0.5), ("main", 1.5), ("main", -0.1)):
        with pytest.raises(InvalidInputError):
            await stage.office.set_cap(candidate, share, "owner")
    stage.chooser.capital = None
    with pytest.raises(InvalidInputError, match="nobody divides"):
        await stage.office.set_cap("main", 0.5, "owner")
    assert stage.office.standing().slices == []


async def test_a_restart_binds_runs_before_they_begin(stage: Stage) -> None:
    """Nothing was seen yet in the new life, and each has its old budget."""
    await stage.look(2)
    await stage.restart()
    assert stage.budget("pool.run") == Decimal(14_000)
    assert stage.budgets.of("arb").reason == "as before the restart"
    stage.world.blind = True
    await stage.look()
    assert stage.budget("arb") == Decimal(3_000)


async def test_what_trading_has_lost_shrinks_everything(stage: Stage) -> None:
    """In twentieths of what is tolerated: a small loss moves nothing; all of it, and nothing is left."""
    stage.world.owner = {"pool.run": "paused"}  # so that nobody takes over
    await stage.look(2)
    stage.world.live_rate["pool.run"] = 0.0  # ten dollars of the twenty that were made are lost again
    await stage.look()
    lost = stage.office.standing().drawdown
    assert 0.0 < lost < 0.01
    assert stage.budget("arb") == Decimal(3_000)
    stage.world.live_rate["pool.run"] = -60.0
    await stage.look()
    lost = stage.office.standing().drawdown
    assert 0.1 < lost < 0.15
    limit = Decimal(next(each.limit for each in stage.office.standing().slices if each.run == "arb"))
    assert stage.budget("arb") == limit == Decimal(3_000) * (20 - int(lost / 0.01)) / 20
    stage.world.live_rate["pool.run"] = -400.0
    await stage.look()
    assert (stage.budget("pool.run"), stage.budget("arb")) == (Decimal(0), Decimal(0))


async def test_nothing_binds_that_could_not_be_written_down(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A database that is away leaves budgets as they were."""
    await stage.look(2)
    state = await stage.memory.budgets()

    async def away(_: BudgetState) -> None:
        raise DatabaseBusyError("control.db")

    monkeypatch.setattr(stage.memory, "save_budgets", away)
    stage.world.worth["pool.run"] = 100.0
    await stage.look()
    assert stage.budget("pool.run") == Decimal(14_000)
    assert state is not None
    assert state.units["pool.run"] == 14_000 * 10**8


def test_slices_of_any_spelling_add_up() -> None:
    """What the two leave is idle, to the last digit; more than all is refused."""
    rules = allocation_rules(CapitalSection(market_making=0.333, arbitrage=0.3))
    assert rules.slices[Activity.IDLE] == pytest.approx(0.367)
    with pytest.raises(msgspec.ValidationError, match="together at most 1"):
        msgspec.convert({"market_making": 0.9, "arbitrage": 0.2}, CapitalSection)
    assert [quote_text(units) for units in (0, 1, 7 * 10**11)] == ["0", "0.00000001", "7000"]
