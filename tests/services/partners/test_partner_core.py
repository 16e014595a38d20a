"""Partners of an instance: campaigns joined and worked for, whoever of them is away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from mrmarket.campaigns.entity import Campaign, Stage
from mrmarket.campaigns.pipeline import PayoutTerms, take_page
from mrmarket.campaigns.ports import PayoutPage, PayoutSeen
from mrmarket.campaigns.repository import CampaignRepository
from mrmarket.campaigns.rows import PayoutStep, PayoutStepRow
from mrmarket.campaigns.terms import Pause
from mrmarket.core.errors import MrMarketError
from mrmarket.core.money import Asset
from mrmarket.money.ledger.draft import Draft
from mrmarket.money.ledger.errors import LedgerStoppedError
from mrmarket.money.ledger.group import Group
from mrmarket.services.partners.campaign_room import CampaignRoom
from mrmarket.services.partners.core import PartnerCore
from mrmarket.services.partners.figures import campaign_source, partner_source
from mrmarket.services.partners.section import CampaignsSection, Partners
from mrmarket.services.partners.setting import PartnerSetting
from mrmarket.services.telemetry.reading import Reading, Source
from mrmarket.trading.venue.port import KeyPermissions
from partners.hufi.hufi_stage import HufiStage
from services.partners.ally_house import CHAIN, CYCLE_MS, HMT, SECRETS, START_MS, AllyHouse

_PATIENCE_S = 20.0
ONE = 10**18


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[AllyHouse]:
    """Nobody was asked yet."""
    async with HufiStage() as hufi:
        opened = AllyHouse(tmp_path, hufi)
        yield opened
        opened.close()


async def until(true: Callable[[], object]) -> None:
    """Wait for something that nobody is told of."""
    async with asyncio.timeout(_PATIENCE_S):
        while not true():  # noqa: ASYNC110 - nobody is told
            await asyncio.sleep(0.005)


def rooms_of(core: PartnerCore) -> CampaignRoom:
    """Which are open."""
    assert core.campaigns is not None
    return core.campaigns


def campaign(house: AllyHouse, name: str) -> Campaign | None:
    """As it stands in the books."""
    with house.house.offices.treasury.reader.snapshot() as sql:
        return CampaignRepository(sql).find(name)


def stage_of(house: AllyHouse, name: str) -> Stage | None:
    """Its stage."""
    found = campaign(house, name)
    return None if found is None else found.stage


async def joined(house: AllyHouse, core: PartnerCore, name: str) -> None:
    """Rounds until a campaign runs; prices come first."""
    async with asyncio.timeout(_PATIENCE_S):
        while stage_of(house, name) is not Stage.ACTIVE:
            await rooms_of(core).step()


def figures(source: Source) -> dict[str, float]:
    """What Prometheus would see, without labels."""
    return {each.metric: each.value for each in source() if isinstance(each, Reading)}


class Working:
    """A core with its tasks at work."""

    def __init__(self, core: PartnerCore) -> None:
        self._core = core

    async def __aenter__(self) -> None:
        self._tasks = [asyncio.ensure_future(task) for task in self._core.tasks()]

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def test_a_campaign_is_joined_and_worked_for_while_its_chain_is_away(house: AllyHouse) -> None:
    """HuFi gets a key that can only look, the engine a goal, the page everything."""
    name = house.launch()
    async with house.allies(house.setting()) as core:
        async with Working(core):
            await until(lambda: stage_of(house, name) is Stage.ACTIVE)
            await until(lambda: house.operations.goals(0))
            await until(lambda: core.troubles.of("chain dead") and core.troubles.of("vault dead"))
        assert house.hufi.sandbox.book.keys[house.hufi.wallet, "mexc"].api_key == "a key that looks"
        assert [(key.exchange, key.extra) for key in house.asked] == [("mexc", "")]
        [goal] = house.operations.goals(0)
        assert (goal.campaign, goal.venue, goal.account, goal.pair) == (
            name,
            "simulated",
            "default",
            "ETH/USDT",
        )
        desk = core.desk
        assert desk.is_configured
        assert (desk.hufi and desk.hufi.is_in(), len(desk.chains), len(desk.vaults)) == (True, 1, 1)
        assert desk.vaults[0].settings().limit(HMT.address) == 1_000 * ONE
        assert desk.progress(name, 0) is not None
        assert any("no node answers" in sentence for sentence in desk.unclear())
        assert figures(partner_source(core))["mm_partner_troubles"] >= 2


async def test_a_key_that_could_do_harm_is_not_given_away(house: AllyHouse) -> None:
    """It is a trouble until another is there; campaigns are looked at all the same."""
    house.launch()
    house.rights = KeyPermissions(read=True, trade=False, withdraw=True)
    async with house.allies(house.setting()) as core:
        await rooms_of(core).step()
        assert "withdraw" in core.troubles.of("hufi key mexc")
        house.rights = KeyPermissions(read=True, trade=False, withdraw=False)
        await rooms_of(core).step()
        assert core.troubles.of("hufi key mexc") == ""


async def test_a_key_that_was_registered_by_hand_is_only_tried(house: AllyHouse) -> None:
    """Without one in the environment, HuFi's is asked whether it works."""
    few = {name: SECRETS[name] for name in ("MRMARKET_VAULT_KEY", "MRMARKET_MIXIN_KEYSTORE")}
    async with house.allies(house.setting(few)) as core:
        await rooms_of(core).step()
        assert (house.asked, core.troubles.of("hufi key mexc")) == ([], "")


async def test_the_owners_word_goes_before_the_rules(house: AllyHouse) -> None:
    """What is not joined by itself is joined on a wish, and left alone on another."""
    name = house.launch()
    async with house.allies(house.setting(auto_join=False)) as core:
        room = rooms_of(core)
        await room.step()
        found = campaign(house, name)
        assert found is not None
        assert (found.stage, "switched off" in found.reason) == (Stage.DISCOVERED, True)
        await room.wishes.wish(name, "join", "owner")
        await joined(house, core, name)
        await room.wishes.wish(name, "leave", "owner")
        house.pass_time(CYCLE_MS)
        await room.step()
        [goal] = house.operations.goals(0)
        assert goal.pause in {Pause.NOT_WORTH_IT.value, Pause.UNPRICED.value}


async def test_hufi_that_is_away_is_waited_for(house: AllyHouse) -> None:
    """The round says what is unclear; nothing else stops."""
    async with house.allies(house.setting(launcher_url="http://127.0.0.1:1")) as core:
        await rooms_of(core).step()
        assert "campaigns of chain" in core.troubles.of("campaigns: campaign_partner_unclear")
        assert core.desk.hufi is not None
        assert core.desk.hufi.problem()


async def test_what_arrived_is_given_to_users_and_nothing_before(house: AllyHouse) -> None:
    """A reward waits in the vault for the window's end, or for the owner's word, and then for its arrival."""
    name = house.launch()
    async with house.allies(house.setting(auto_join=False)) as core:
        room = rooms_of(core)
        await room.step()
        await enter(house, core.setting, name)
        house.pass_time(2 * CYCLE_MS)
        await room.sweep_now("owner")
        with house.house.offices.treasury.reader.snapshot() as sql:
            [key] = CampaignRepository(sql).open_sweeps()
        done = await room.step()
        assert any("no vault is open" in str(error) for error in done.unclear)
        readings = figures(campaign_source(house.house.offices.treasury.reader))
        assert (readings["mm_sweeps_open"], readings["mm_reward_afar"]) == (1, 3)
        assert runs(house) == 0

        def arrive(draft: Draft) -> None:
            repository = CampaignRepository(draft.sql)
            [payout] = repository.all_payouts()
            repository.add_step(
                PayoutStepRow(payout.id, PayoutStep.ARRIVED, key, payout.units, "snapshot", draft.at_ms)
            )

        house.house.do(arrive)
        await room.step()
        assert runs(house) == 1
        report = await asyncio.to_thread(core.report)
        assert report.rewards_received == {"mixin:HMT": "3"}
        assert report.credited == {"mixin:HMT": "3"}
        assert (report.campaigns_joined, report.withdrawn) == (0, {})
        # No block of the chain was ever read: the books have what the chain's word does not.
        assert not report.identity_ok
        assert "0x01" in " ".join(report.identity_faults)


async def test_a_day_in_trouble_holds_up_no_round(house: AllyHouse) -> None:
    """It is shown, and tried again in the next."""
    name = house.launch()
    async with house.allies(house.setting(auto_join=False)) as core:
        room = rooms_of(core)
        await room.step()
        await enter(house, core.setting, name, swept=True)
        await room.step()
        assert "ends in" in core.troubles.of(f"rewards of {name}, day 0")
        house.pass_time(2 * CYCLE_MS)
        await room.step()
        assert core.troubles.of(f"rewards of {name}, day 0") == ""
        assert runs(house) == 1


async def test_what_was_parked_is_entered_when_it_fits(house: AllyHouse) -> None:
    """Such as a payout in a token that had no place at Mixin before."""
    name = house.launch()
    async with house.allies(house.setting(auto_join=False)) as core:
        room = rooms_of(core)
        await room.step()
        nobody = PayoutTerms("main", 0, lambda chain_id, token: None)
        await enter(house, core.setting, name, terms=nobody)
        assert await room.reconsider() == 1
        assert await room.reconsider() == 0


async def test_a_parked_payout_in_trouble_holds_up_no_round(house: AllyHouse) -> None:
    """It stays parked and is shown: here the ledger does not know the rail's asset."""
    name = house.launch()
    async with house.allies(house.setting(auto_join=False)) as core:
        room = rooms_of(core)
        await room.step()
        nobody = PayoutTerms("main", 0, lambda chain_id, token: None)
        await enter(house, core.setting, name, terms=nobody, registered=False)
        assert await room.reconsider() == 0
        assert core.troubles.of("parked payouts")
        await room.step()


async def test_a_fault_of_ours_is_noted_and_the_work_begun_anew(house: AllyHouse) -> None:
    """Only a ledger that has stopped ends the instance."""
    async with house.allies(house.setting()) as core:
        broken = asyncio.ensure_future(core._guarded("part", _fails))
        await until(lambda: core.troubles.of("part"))
        broken.cancel()
        with pytest.raises(LedgerStoppedError):
            await core._guarded("part", _stops)
        with pytest.raises(asyncio.CancelledError):
            await broken
        await core._guarded("part", _works)
        assert core.troubles.of("part") == ""


async def test_without_its_key_a_vault_keeps_the_instance_from_starting(house: AllyHouse) -> None:
    """One clear error, and nothing stays open."""
    few = {"MRMARKET_MIXIN_KEYSTORE": SECRETS["MRMARKET_MIXIN_KEYSTORE"]}
    with pytest.raises(MrMarketError, match="MRMARKET_VAULT_KEY"):
        async with house.allies(house.setting(few)):
            pass


async def test_a_bot_without_campaigns_is_a_rail_and_nothing_else(house: AllyHouse) -> None:
    """And without a bot there is nothing at all."""
    whole = house.setting()
    only_bot = Partners(
        [], whole.partners.vault, CampaignsSection(), whole.partners.mixin, whole.partners.prices
    )
    setting = PartnerSetting(only_bot, house.folder, whole.environ, whole.world, whole.wall)
    async with house.allies(setting) as core:
        works = core.tasks()
        for work in works:
            work.close()
        assert (core.campaigns, core.vault_book, core.desk.sweeper, len(works)) == (None, None, None, 1)
        assert core.desk.mixin is not None
        assert core.identity().ok
    core = await PartnerCore.open(setting, house.rooms(), None)
    assert (core.tasks(), core.desk.is_configured) == ([], False)
    await core.close()


async def enter(
    house: AllyHouse,
    setting: PartnerSetting,
    name: str,
    *,
    terms: PayoutTerms | None = None,
    swept: bool = False,
    registered: bool = True,
) -> None:
    """A payout of three tokens for the first cycle is final; the rail's asset is known."""
    escrow = name.rpartition("-")[2]
    seen = PayoutSeen(
        CHAIN, "0x01", 0, name, 0, HMT.address, 3 * ONE, escrow, START_MS + CYCLE_MS, is_final=True
    )

    def work(draft: Draft) -> None:
        if registered:
            draft.post(Group("register:mixin:HMT", assets=(Asset("mixin", "HMT", 8),)))
        found = terms or PayoutTerms("main", 0, setting.partners.asset_of)
        take_page(draft, "test", "", PayoutPage([seen], [], "1"), found)
        repository = CampaignRepository(draft.sql)
        [payout] = repository.all_payouts()
        if swept:
            for step in (PayoutStep.SWEEPING, PayoutStep.ARRIVED):
                repository.add_step(PayoutStepRow(payout.id, step, "sweep", payout.units, "", draft.at_ms))

    house.house.do(work)


def runs(house: AllyHouse) -> int:
    """Allocations so far."""
    with house.house.offices.treasury.reader.snapshot() as sql:
        return len(list(sql.rows("SELECT id FROM reward_runs")))


async def _fails() -> None:
    raise ZeroDivisionError("a fault of ours")


async def _stops() -> None:
    raise LedgerStoppedError("the disk is full")


async def _works() -> None:
    return
