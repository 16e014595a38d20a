"""A withdrawal whose fee rises after it was signed comes to its end, once, at the new fee."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mrmarket.core.crash import PLAN
from mrmarket.core.errors import MrMarketError
from mrmarket.money.payouts.port import SendRequest, SendState
from mrmarket.partners.mixin.errors import ShortOfFundsError, TransferWaitsError
from mrmarket.partners.mixin.ids import CASHIER
from mrmarket.partners.mixin.sandbox.config import ETHEREUM, USDT_ETHEREUM, USDT_POLYGON
from mrmarket.partners.mixin.sandbox.faults import MixinFault, MixinFaultKind
from mrmarket.partners.mixin.selection import Coin, extend
from partners.mixin.mixin_bench import MixinBench, new_key
from partners.mixin.test_mixin_transfers import OUT, DieAt, Died, reborn
from rail_conformance import insist

LOST = MixinFault(MixinFaultKind.LOST_BEFORE, "POST /safe/transactions", times=1)


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[MixinBench]:
    """A calm sandbox and a rail on it."""
    made = MixinBench(tmp_path, timeout_s=10.0)
    await made.open()
    try:
        yield made
    finally:
        await made.close()


async def signed(bench: MixinBench, code: str = "USDT") -> SendRequest:
    """A withdrawal that is signed and of which nobody has heard."""
    request = SendRequest(new_key(), code, 1_000, OUT, "")
    bench.sandbox.break_things(LOST)
    with pytest.raises(MrMarketError):
        await bench.rail.send(request)
    return request


async def test_the_dearer_fee_is_paid_out_of_the_same_coins(bench: MixinBench) -> None:
    """Less change comes back; there is one withdrawal, and one fee."""
    await bench.fund_platform(50_000_000)
    request = await signed(bench)
    bench.sandbox.ledger.set_fee(USDT_POLYGON, 15_000_000)
    report = await insist(bench.rail, request)
    assert (report.state, report.fee_units) == (SendState.CONFIRMED, 15_000_000)
    (left,) = bench.sandbox.withdrawals()
    assert (int(left["units"]), report.reference) == (1_000, left["chain_hash"])
    assert await bench.held(CASHIER) == 15_000_000
    assert await bench.held(bench.bot.app_id) == 50_000_000 - 15_001_000
    assert bench.book.bound_coins() == set()


async def test_more_coins_are_taken_along_where_that_needs_them(bench: MixinBench) -> None:
    """It waits while there are none, bound to its first coins, and goes on once there are."""
    await bench.fund_platform(10_001_000)
    request = await signed(bench)
    bound = bench.book.bound_coins()
    bench.sandbox.ledger.set_fee(USDT_POLYGON, 12_000_000)
    with pytest.raises(TransferWaitsError, match="fee has risen"):
        await bench.rail.transfers.send(bench.book.find(request.key).order)  # type: ignore[union-attr]
    assert bench.book.bound_coins() == bound
    await bench.fund_platform(15_001_000)
    report = await insist(bench.rail, request)
    assert (report.state, report.fee_units) == (SendState.CONFIRMED, 12_000_000)
    assert len(bench.sandbox.withdrawals()) == 1
    assert await bench.held(bench.bot.app_id) == 15_001_000 - 12_001_000


async def test_a_fee_in_another_asset_rises_alone(bench: MixinBench) -> None:
    """The payment's own bytes stay what they were; only the fee's are made anew."""
    ledger, bot = bench.sandbox.ledger, bench.bot.app_id
    bench.sandbox.fund(bot, USDT_ETHEREUM, 5_000)
    bench.sandbox.fund(bot, ETHEREUM, 150_000)
    request = await signed(bench, "USDT-ETH")
    before = bench.book.find(request.key)
    ledger.set_fee(USDT_ETHEREUM, 120_000)
    report = await insist(bench.rail, request)
    after = bench.book.find(request.key)
    assert before is not None
    assert after is not None
    assert (report.state, report.fee_units, report.fee_code) == (SendState.CONFIRMED, 120_000, "ETH")
    assert before.legs[0] == after.legs[0]
    assert before.legs[1].hash != after.legs[1].hash
    assert (ledger.held(bot, USDT_ETHEREUM), ledger.held(bot, ETHEREUM)) == (4_000, 30_000)


@pytest.mark.parametrize("label", ["mixin.signed", "mixin.sent"])
async def test_a_death_on_the_way_pays_once(bench: MixinBench, label: str) -> None:
    """Before and after the dearer bytes have left."""
    await bench.fund_platform(50_000_000)
    request = await signed(bench)
    bench.sandbox.ledger.set_fee(USDT_POLYGON, 15_000_000)
    token = PLAN.set(DieAt(label))
    try:
        with pytest.raises(Died):
            await bench.rail.send(request)
    finally:
        PLAN.reset(token)
    await reborn(bench)
    assert (await insist(bench.rail, request)).state is SendState.CONFIRMED
    assert len(bench.sandbox.withdrawals()) == 1
    assert await bench.held(bench.bot.app_id) == 50_000_000 - 15_001_000


async def test_a_fee_that_falls_again_is_paid_as_it_was_signed(bench: MixinBench) -> None:
    """What was signed for more is still good: nothing is signed again."""
    await bench.fund_platform(50_000_000)
    request = await signed(bench)
    bench.sandbox.ledger.set_fee(USDT_POLYGON, 1_000_000)
    assert (await insist(bench.rail, request)).fee_units == 10_000_000
    assert len(bench.sandbox.withdrawals()) == 1


def test_the_same_coins_come_first() -> None:
    """Others only for what is lacking; none where nothing is; a refusal where there is too little."""
    kept, free = [Coin("a", "aa", 0, 5, 1)], [Coin("b", "bb", 0, 3, 2), Coin("c", "cc", 0, 9, 3)]
    assert [coin.id for coin in extend(kept, free, 4).coins] == ["a"]
    assert extend(kept, free, 4).change == 1
    assert [coin.id for coin in extend(kept, free, 8).coins] == ["a", "b"]
    with pytest.raises(ShortOfFundsError):
        extend(kept, free, 18)
