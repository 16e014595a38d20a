"""How a cycle goes: the partner's leaderboard, brought up to date by our own trades."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest

from mrmarket.campaigns.entity import Campaign, Stage
from mrmarket.campaigns.errors import PartnerUnclearError
from mrmarket.core.clock import NS_PER_MS
from mrmarket.core.events import Filled
from mrmarket.core.side import Side
from mrmarket.partners.hufi.estimate import CostModel, Price
from mrmarket.services.partners.own_trades import OwnTradeReader
from mrmarket.services.partners.progress import CampaignProgress, streams_of
from mrmarket.store.operations import RunSpec
from mrmarket.store.sqlite_operations import SqliteOperations
from mrmarket.store.trading_store import TradingStore
from partners.hufi.hufi_stage import CHAIN, CYCLE_MS, START_MS, HufiStage, trade

ASSUMED = CostModel(0, 1_000, 1_000_000, 200)


@pytest.fixture
async def stage() -> AsyncIterator[HufiStage]:
    """A HuFi sandbox on loopback."""
    async with HufiStage() as opened:
        yield opened


@pytest.fixture
def log(tmp_path: Path) -> Iterator[TradingStore]:
    """An event log."""
    made = TradingStore.open(tmp_path / "trading.db")
    with closing(made):
        yield made


def bought(at_ms: int, cost: str) -> Filled:
    """A trade of ours so long after the start; a tenth of a per cent is its fee."""
    return Filled(
        venue="simulated", at_ns=(START_MS + at_ms) * NS_PER_MS, symbol="ETH/USDT", base="ETH", quote="USDT",
        trade_id=str(at_ms), client_order_id="c", venue_order_id="o", side=Side.BUY, price="100",
        size=str(Decimal(cost) / 100), quote_size=cost, fee=str(Decimal(cost) / 1_000), fee_asset="USDT",
        maker=True,
    )  # fmt: skip


async def taking_part(stage: HufiStage) -> Campaign:
    """A campaign that we have joined."""
    campaign = stage.launch()
    await stage.oracle.join(CHAIN, campaign.offer.address)
    return Campaign(campaign.offer, Stage.ACTIVE, stage.wallet, "default", START_MS, "", 1)


def report(stage: HufiStage, log: TradingStore, *streams: str) -> CampaignProgress:
    """As an instance composes it."""
    own = OwnTradeReader(log)
    return CampaignProgress(
        stage.oracle, own, lambda _: streams, ASSUMED, lambda _: Price(Decimal("0.5"), "hand")
    )


async def test_our_volume_is_what_we_have_traded_where_the_partner_has_not_counted_it_yet(
    stage: HufiStage, log: TradingStore
) -> None:
    """Its 400 are 700 by now, everybody's grows with ours, and the cycle has cost its fees."""
    campaign = await taking_part(stage)
    stage.feed.made["our key", "ETH/USDT"] = [trade(5, "400")]
    log.append_facts("run-1", [bought(5, "400"), bought(9, "300"), bought(CYCLE_MS + 1, "50")])
    found = await report(stage, log, "run-1").progress(campaign, 0)
    assert found is not None
    assert (found.volume, found.total_volume) == (Decimal(700), Decimal(700))
    assert found.cost == Decimal("0.7")
    assert found.price_source == "hand"


async def test_the_partners_count_stands_where_it_has_more(stage: HufiStage, log: TradingStore) -> None:
    """Such as trades from before our memory began."""
    campaign = await taking_part(stage)
    stage.feed.made["our key", "ETH/USDT"] = [trade(5, "400")]
    log.append_facts("run-1", [bought(5, "10")])
    found = await report(stage, log, "run-1").progress(campaign, 0)
    assert found is not None
    assert (found.volume, found.total_volume, found.cost) == (Decimal(400), Decimal(400), Decimal("0.01"))


async def test_nobody_can_say_once_the_leaderboard_is_closed(stage: HufiStage, log: TradingStore) -> None:
    """Then nothing is spent."""
    campaign = await taking_part(stage)
    stage.pass_time(3 * CYCLE_MS)
    await stage.sandbox.record_due()
    assert await report(stage, log).progress(campaign, 2) is None


async def test_a_log_that_does_not_answer_leaves_the_cycle_unclear(
    stage: HufiStage, log: TradingStore
) -> None:
    """It is said, and what holds goes on to hold."""
    campaign = await taking_part(stage)
    log.close()
    with pytest.raises(PartnerUnclearError):
        await report(stage, log, "run-1").progress(campaign, 0)


async def test_the_streams_of_a_campaign_are_its_accounts_runs_on_its_market(
    stage: HufiStage, tmp_path: Path
) -> None:
    """Not those of another pair or account."""
    campaign = await taking_part(stage)
    with closing(SqliteOperations.open(tmp_path / "control.db")) as operations:
        for name, account, pair in (
            ("run-1", "default", "ETH/USDT"),
            ("x", "other", "ETH/USDT"),
            ("y", "default", "BTC/USDT"),
        ):
            operations.put_run(
                RunSpec(id=name, venue="simulated", account=account, pair=pair, kind="pure_market_making")
            )
        assert streams_of(operations, {"mexc": "simulated"})(campaign) == ["run-1"]
        assert streams_of(operations, {})(campaign) == []
