"""The sandbox's progress job: each cycle closed once, documents by their hash, payouts by the formulas."""

from __future__ import annotations

import asyncio
from hashlib import sha256
from typing import Any

import aiohttp
import pytest

from mrmarket.money.rewards.campaign import Span
from mrmarket.partners.hufi.errors import ResultsError
from mrmarket.partners.hufi.messages import KeyBody
from mrmarket.partners.hufi.results import competitive_batch, read_results
from mrmarket.partners.hufi.sandbox.book import LaunchedCampaign, Participant, Status
from mrmarket.partners.hufi.sandbox.entrance import key_signer
from mrmarket.partners.hufi.sandbox.server import SandboxTerms
from mrmarket.partners.hufi.score import SCALE
from partners.hufi.hufi_stage import CHAIN, CYCLE_MS, ONE, START_MS, HufiStage, trade

OTHER, _ = key_signer(b"\x03" * 32)
NET_CYCLE = 291 * ONE


async def with_two(stage: HufiStage, **changes: Any) -> LaunchedCampaign:
    """A campaign that we and another wallet take part in from the start."""
    campaign = stage.launch(**changes)
    await stage.oracle.join(CHAIN, campaign.offer.address)
    stage.sandbox.book.keys[OTHER, "mexc"] = KeyBody("mexc", "other key", "secret")
    campaign.participants.append(Participant(OTHER, START_MS))
    return campaign


async def document(stage: HufiStage, campaign: LaunchedCampaign) -> bytes:
    """The document as anybody downloads it."""
    item = await stage.launcher.campaign(CHAIN, campaign.offer.address)
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{stage.sandbox.launcher_url}{item.intermediate_results_url}") as response,
    ):
        return await response.read()


async def test_a_campaign_is_recorded_and_paid_to_the_end(stage: HufiStage) -> None:
    """Three cycles: shared, alone, nobody; what was paid is what the formulas say, and it is completed."""
    campaign = await with_two(stage)
    stage.feed.made["our key", "ETH/USDT"] = [trade(1, "300"), trade(CYCLE_MS, "2000")]
    stage.feed.made["other key", "ETH/USDT"] = [trade(2, "100")]
    assert await stage.sandbox.record_due() == 0
    stage.pass_time(CYCLE_MS)
    assert await stage.sandbox.record_due() == 1
    assert await stage.sandbox.record_due() == 0
    stage.pass_time(2 * CYCLE_MS)
    assert await stage.sandbox.record_due() == 2
    payments = list(stage.settlement.paid.values())
    pool = NET_CYCLE * 400 // 1000
    assert [(one.cycle, dict(one.parts), one.is_last) for one in payments] == [
        (0, {stage.wallet: pool * 3 // 4, OTHER: pool // 4}, False),
        (1, {stage.wallet: NET_CYCLE}, False),
        (2, {}, True),
    ]
    assert [reserved for _, _, reserved in stage.settlement.stored] == [pool, NET_CYCLE]
    item = await stage.launcher.campaign(CHAIN, campaign.offer.address)
    assert (item.status, item.amount_paid) == ("completed", str(pool + NET_CYCLE))
    assert [one.amount for one in (await stage.launcher.paid(CHAIN, item.address)).results] == [
        str(pool),
        str(NET_CYCLE),
        "0",
    ]


async def test_several_missed_cycles_are_one_document(stage: HufiStage) -> None:
    """After a downtime all that ended are written at once, each with its own window."""
    campaign = await with_two(stage)
    stage.feed.made["our key", "ETH/USDT"] = [trade(n * CYCLE_MS + 5, "1000") for n in range(3)]
    stage.pass_time(3 * CYCLE_MS)
    assert await stage.sandbox.record_due() == 3
    assert len(stage.settlement.stored) == 1
    content = await document(stage, campaign)
    recorded = read_results(content, campaign.document_hash, 18)
    assert [one.span for one in recorded.cycles] == [campaign.offer.cycle(number) for number in range(3)]
    assert sum(one.reserved_units for one in recorded.cycles) == campaign.reserved_units == 3 * NET_CYCLE
    assert recorded.address == campaign.offer.address
    assert recorded.cycles[0].addresses == {stage.wallet, OTHER}


async def test_a_batch_leads_to_its_cycle(stage: HufiStage) -> None:
    """By its id, in any campaign; a stranger leads nowhere."""
    campaign = await with_two(stage)
    stage.feed.made["our key", "ETH/USDT"] = [trade(1, "10"), trade(CYCLE_MS, "10")]
    stage.pass_time(2 * CYCLE_MS)
    await stage.sandbox.record_due()
    recorded = read_results(campaign.document, "0x" + campaign.document_hash.upper(), 18)
    for payment in stage.settlement.paid.values():
        assert recorded.cycle_of_batch(payment.batch, START_MS, CYCLE_MS) == payment.cycle
    assert recorded.cycle_of_batch("stranger", START_MS, CYCLE_MS) is None


async def test_a_competition_is_one_batch_named_by_its_window(stage: HufiStage) -> None:
    """Its name is the hash of the cycle's two dates; with `0x` it is the same."""
    campaign = await with_two(
        stage,
        type="COMPETITIVE_MARKET_MAKING",
        daily_volume_target=None,
        minimum_volume_required=10,
        rewards_distribution=[70, 30],
    )
    stage.feed.made["our key", "ETH/USDT"] = [trade(1, "20")]
    stage.feed.made["other key", "ETH/USDT"] = [trade(2, "30")]
    stage.pass_time(CYCLE_MS)
    await stage.sandbox.record_due()
    (payment,) = stage.settlement.paid.values()
    assert payment.batch == competitive_batch(Span(START_MS, START_MS + CYCLE_MS))
    wanted = b"2023-11-14T22:13:20.000Z/2023-11-14T22:14:20.000Z"
    assert payment.batch == sha256(wanted).hexdigest()
    assert payment.parts == {OTHER: NET_CYCLE * 7 // 10, stage.wallet: NET_CYCLE * 3 // 10}
    recorded = read_results(campaign.document, campaign.document_hash, 18)
    assert recorded.cycle_of_batch("0x" + payment.batch, START_MS, CYCLE_MS) == 0


async def test_many_participants_are_several_batches() -> None:
    """A hundred at a time in production; two here: five people are three batches, paid whole together."""
    async with HufiStage(SandboxTerms(cycle_ms=CYCLE_MS, batch_size=2)) as stage:
        campaign = stage.launch(exchange="pancakeswap")
        wallets = [key_signer(bytes([number]) * 32)[0] for number in range(10, 15)]
        for wallet in wallets:
            campaign.participants.append(Participant(wallet, START_MS))
            stage.feed.made[wallet, "ETH/USDT"] = [trade(1, "200")]
        stage.pass_time(CYCLE_MS)
        await stage.sandbox.record_due()
        assert [len(one.parts) for one in stage.settlement.paid.values()] == [2, 2, 1]
        paid = {
            wallet: units for one in stage.settlement.paid.values() for wallet, units in one.parts.items()
        }
        assert paid == dict.fromkeys(wallets, NET_CYCLE // 5)


async def test_volume_of_before_joining_does_not_count(stage: HufiStage) -> None:
    """Whoever joins in the middle is scored from then on."""
    campaign = stage.launch()
    stage.feed.made["our key", "ETH/USDT"] = [trade(1, "500"), trade(20_000, "100")]
    stage.pass_time(20_000)
    await stage.oracle.join(CHAIN, campaign.offer.address)
    stage.pass_time(CYCLE_MS)
    await stage.sandbox.record_due()
    (payment,) = stage.settlement.paid.values()
    assert payment.parts == {stage.wallet: NET_CYCLE // 10}


async def test_a_shared_deposit_address_drops_the_later_one(stage: HufiStage) -> None:
    """Two wallets over one account are one person: who joined first."""
    await with_two(stage)
    stage.feed.addresses |= {"our key": "0xsame", "other key": "0xsame"}
    stage.feed.made["our key", "ETH/USDT"] = [trade(1, "1000")]
    stage.feed.made["other key", "ETH/USDT"] = [trade(1, "1000")]
    stage.pass_time(CYCLE_MS)
    await stage.sandbox.record_due()
    (payment,) = stage.settlement.paid.values()
    assert list(payment.parts) == [min(stage.wallet, OTHER)]


async def test_a_dead_key_misses_the_cycle(stage: HufiStage) -> None:
    """Who cannot be seen has no outcome in that cycle, and has one in the next."""
    campaign = await with_two(stage)
    stage.feed.made["our key", "ETH/USDT"] = [trade(1, "1000"), trade(CYCLE_MS, "1000")]
    stage.feed.allowed["our key"] = None
    stage.pass_time(CYCLE_MS)
    await stage.sandbox.record_due()
    stage.feed.allowed.clear()
    stage.pass_time(CYCLE_MS)
    await stage.sandbox.record_due()
    recorded = read_results(campaign.document, campaign.document_hash, 18)
    assert [stage.wallet in one.addresses for one in recorded.cycles] == [False, True]


async def test_work_counts_up_to_the_cancellation(stage: HufiStage) -> None:
    """A campaign that is being cancelled closes a last, shorter cycle and is cancelled."""
    campaign = await with_two(stage)
    stage.feed.made["our key", "ETH/USDT"] = [trade(100, "500"), trade(400, "500")]
    stage.pass_time(300)
    stage.sandbox.cancel(campaign.offer.address)
    stage.sandbox.cancel(campaign.offer.address)
    assert campaign.status.value == "to_cancel"
    await stage.sandbox.record_due()
    (payment,) = stage.settlement.paid.values()
    assert (payment.parts, payment.is_last) == ({stage.wallet: NET_CYCLE // 2}, True)
    assert (campaign.status.value, campaign.finalized_ms) == ("cancelled", START_MS + 300)


async def test_cancelled_before_it_began(stage: HufiStage) -> None:
    """Nothing is recorded, and it is over."""
    campaign = stage.launch(start_date="2023-11-14T22:14:00.000Z")
    stage.sandbox.cancel(campaign.offer.address)
    assert await stage.sandbox.record_due() == 0
    assert campaign.status is Status.CANCELLED


async def test_who_holds_too_little_loses_the_slot(stage: HufiStage) -> None:
    """Thresholds of balances with slots: who is below at the check must join again; without slots, not."""
    fields = {
        "type": "THRESHOLD",
        "symbol": "HMT",
        "pair": None,
        "daily_volume_target": None,
        "minimum_balance_target": 5,
    }
    with_slots = await with_two(stage, **fields, max_participants=2)
    without = await with_two(stage, **fields)
    stage.feed.balances["our key", "HMT"] = 5 * SCALE
    stage.feed.balances["other key", "HMT"] = 5 * SCALE - 1
    stage.pass_time(CYCLE_MS)
    await stage.sandbox.record_due()
    assert [one.wallet for one in with_slots.participants] == [stage.wallet]
    assert {one.wallet for one in without.participants} == {stage.wallet, OTHER}
    paid = [dict(one.parts) for one in stage.settlement.paid.values()]
    assert paid == [{stage.wallet: NET_CYCLE // 2}, {stage.wallet: NET_CYCLE}]


async def test_the_job_runs_until_it_is_stopped(stage: HufiStage) -> None:
    """It closes what is due after each pause, and ends quietly."""
    await with_two(stage)
    stage.feed.made["our key", "ETH/USDT"] = [trade(1, "1000")]
    paid = asyncio.Event()

    async def pause() -> None:
        if stage.settlement.paid:
            paid.set()
            await asyncio.Event().wait()
        stage.pass_time(CYCLE_MS // 2)

    job = asyncio.create_task(stage.sandbox.keep_recording(pause))
    await paid.wait()
    job.cancel()
    await job
    assert len(stage.settlement.paid) == 1


GOOD = (
    b'{"chain_id":1,"address":"0xAA","exchange":"mexc","symbol":"ETH/USDT","results":['
    b'{"from":"2026-01-01T00:00:00.000Z","to":"2026-01-02T00:00:00.000Z","reserved_funds":"1.5",'
    b'"participants_outcomes_batches":[{"id":"a","results":[{"address":"0xBB","score":1.25,"total_volume":2}]}],'
    b'"total_volume":2}]}'
)


def test_a_document_is_read_exactly() -> None:
    """Decimal text becomes base units, addresses lower case."""
    recorded = read_results(GOOD, sha256(GOOD).hexdigest(), 6)
    (cycle,) = recorded.cycles
    assert (recorded.address, cycle.reserved_units, cycle.batches) == ("0xaa", 1_500_000, ("a",))
    assert cycle.addresses == {"0xbb"}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (GOOD.replace(b'"1.5"', b'"1.5555555"'), "cannot be read"),
        (GOOD.replace(b'"1.5"', b'"-1"'), "cannot be read"),
        (GOOD.replace(b'"results":[{"from"', b'"results":[{"since"'), "cannot be read"),
        (GOOD.replace(b"2026-01-02T", b"2026-01-01T"), "cannot be read"),
        (b"[]", "cannot be read"),
        (b"\xff", "cannot be read"),
        (GOOD[:-2] + b"," + GOOD[GOOD.index(b'{"from"') :], "overlap"),
        (
            GOOD[:-2]
            + b","
            + GOOD[GOOD.index(b'{"from"') :]
            .replace(b"2026-01-02", b"2026-01-03")
            .replace(b"2026-01-01", b"2026-01-02"),
            "recorded twice",
        ),
    ],
)
def test_a_document_that_does_not_fit_is_refused(content: bytes, reason: str) -> None:
    """Each with one sentence, although its hash is right."""
    with pytest.raises(ResultsError, match=reason):
        read_results(content, sha256(content).hexdigest(), 6)


def test_another_document_is_refused() -> None:
    """The hash that the escrow stores decides."""
    for stated in (sha256(b"x").hexdigest(), "", "0x12"):
        with pytest.raises(ResultsError):
            read_results(GOOD, stated, 6)
