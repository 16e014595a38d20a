"""Transfers: once per key through crashes, lost answers and withdrawals in one and two legs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import pytest

from mrmarket.core.clock import ManualClock, SystemClock
from mrmarket.core.crash import PLAN
from mrmarket.core.errors import InvalidInputError, MrMarketError
from mrmarket.money.payouts.port import SendRequest, SendState
from mrmarket.partners.mixin.address import MixAddress, read_xin, write_xin
from mrmarket.partners.mixin.book import CoinTakenError, Stage, TransferBook, TransferRow
from mrmarket.partners.mixin.client import KeyRequest, RawRequest
from mrmarket.partners.mixin.errors import (
    MixinRefusedError,
    ShortOfFundsError,
    TransferConflictError,
    TransferWaitsError,
)
from mrmarket.partners.mixin.ghost import clamped_scalar, output_secret, public_key, view_scalar
from mrmarket.partners.mixin.ids import CASHIER, request_id
from mrmarket.partners.mixin.order import TransferOrder, canonical_destination
from mrmarket.partners.mixin.rail import MixinAsset, MixinRail
from mrmarket.partners.mixin.sandbox.config import ETHEREUM, POLYGON, USDT_ETHEREUM, USDT_POLYGON
from mrmarket.partners.mixin.sandbox.faults import MixinFault, MixinFaultKind
from mrmarket.partners.mixin.transaction import decode
from mrmarket.partners.mixin.transfers import CRASH_POINTS
from partners.mixin.mixin_bench import MixinBench, chain_hash, new_key
from partners.mixin.mixin_samples import scalar, seeded
from rail_conformance import FINAL, insist, until

OUT = "withdrawal:0x00000000000000000000000000000000000000aa"


class Died(BaseException):
    """The process is gone."""


class DieAt:
    """A crash plan that ends the 'process' at the n-th visit of a label."""

    def __init__(self, label: str) -> None:
        self._label = label
        self.visits = 0

    def reach(self, label: str) -> None:
        """Die once."""
        if label == self._label:
            self.visits += 1
            if self.visits == 1:
                raise Died(label)


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[MixinBench]:
    """A calm sandbox and a rail on it."""
    made = MixinBench(tmp_path, timeout_s=10.0)
    await made.open()
    try:
        yield made
    finally:
        await made.close()


async def reborn(bench: MixinBench) -> None:
    """The rail of a new process: another connection, the book read from its file."""
    await bench.client.close()
    bench.book.close()
    bench.book = TransferBook(bench.folder / "book.sqlite")
    bench.reopen()


@pytest.mark.parametrize("label", CRASH_POINTS)
@pytest.mark.parametrize(
    "fault",
    [
        None,
        MixinFault(MixinFaultKind.LOST_AFTER, "POST /safe/transactions", times=1),
        MixinFault(MixinFaultKind.LATE_EFFECT, "POST /safe/transactions", times=1, delay_ms=80),
        MixinFault(MixinFaultKind.DUPLICATE, "POST *"),
        MixinFault(MixinFaultKind.GARBAGE, "POST *", times=4),
    ],
    ids=lambda fault: fault.kind.value if fault else "calm",
)
async def test_a_death_at_any_point_pays_once(
    bench: MixinBench, label: str, fault: MixinFault | None
) -> None:
    """Killed between any two effects, with answers lost, late or doubled: nothing twice, nothing missing."""
    bench.sandbox.fund(bench.bot.app_id, USDT_POLYGON, 500)
    bench.sandbox.fund(bench.bot.app_id, USDT_POLYGON, 500)
    wanted = [SendRequest(new_key(), "USDT", units, bench.nobody(), f"pay {units}") for units in (100, 200)]
    if fault is not None:
        bench.sandbox.break_things(fault)
    plan = DieAt(label)
    token = PLAN.set(plan)
    try:
        for request in wanted:
            for _ in range(20):
                try:
                    report = await bench.rail.send(request)
                except (MrMarketError, Died) as gone:
                    if isinstance(gone, Died):
                        await reborn(bench)
                    continue
                if report.state is SendState.CONFIRMED:
                    break
    finally:
        PLAN.reset(token)
    assert plan.visits >= 1, "the label was never reached"
    for request in wanted:
        assert (await insist(bench.rail, request)).state is SendState.CONFIRMED
        assert await bench.held(request.destination) == request.units
    await asyncio.sleep(0.1)  # a request that is still on its way comes now
    assert [await bench.held(request.destination) for request in wanted] == [100, 200]
    assert bench.sandbox.ledger.held(bench.bot.app_id, USDT_POLYGON) == 700
    assert bench.book.bound_coins() == set()
    assert bench.book.pending() == []


async def test_a_preview_is_what_would_be_sent(bench: MixinBench) -> None:
    """Bytes and fee without keeping or binding anything; sending makes the very same transaction."""
    await bench.fund_platform(50_000_000)
    order = TransferOrder(new_key(), USDT_POLYGON, 1_000, OUT, "out")
    shown = await bench.rail.transfers.preview(order)
    assert (shown.fee_units, bench.book.find(order.key), bench.book.bound_coins()) == (
        10_000_000,
        None,
        set(),
    )
    made = await bench.rail.transfers.send(order)
    assert [leg.unsigned for leg in made.legs] == [leg.unsigned for leg in shown.legs]
    bad = await bench.rail.transfers.preview(TransferOrder("k", USDT_POLYGON, 0, OUT))
    assert bad.stage is Stage.REFUSED


async def test_after_a_start_what_was_under_way_is_finished(bench: MixinBench) -> None:
    """`resume` signs what is drafted and sends what is signed, without being told the payments again."""
    await bench.fund_platform(1_000)
    receiver = bench.nobody()
    token = PLAN.set(DieAt("mixin.signed"))
    try:
        with pytest.raises(Died):
            await bench.rail.send(SendRequest(new_key(), "USDT", 7, receiver, ""))
    finally:
        PLAN.reset(token)
    await reborn(bench)
    (row,) = await bench.rail.transfers.resume()
    assert row.stage is Stage.DONE
    assert await bench.held(receiver) == 7
    assert await bench.rail.transfers.resume() == []


async def test_a_lost_book_does_not_pay_again(bench: MixinBench) -> None:
    """The request id follows from the key: what Mixin has is taken over, another content is refused."""
    await bench.fund_platform(1_000)
    request = SendRequest(new_key(), "USDT", 40, bench.nobody(), "wages")
    first = await insist(bench.rail, request)
    bench.book.close()
    bench.book = TransferBook(bench.folder / "empty.sqlite")
    bench.reopen()
    assert (await bench.rail.send(request)).reference == first.reference
    assert await bench.held(request.destination) == 40
    bench.book.close()
    bench.book = TransferBook(bench.folder / "empty2.sqlite")
    bench.reopen()
    for other in (
        SendRequest(request.key, "USDT", 41, request.destination, "wages"),
        SendRequest(request.key, "USDT", 40, request.destination, "other"),
        SendRequest(request.key, "USDT", 40, OUT, "wages"),
    ):
        with pytest.raises(TransferConflictError):
            await bench.rail.send(other)
    assert await bench.held(request.destination) == 40


async def test_a_withdrawal_pays_its_fee_in_the_same_asset(bench: MixinBench) -> None:
    """One transaction: the withdrawal first, the cashier next, the change last; the fee is told."""
    await bench.fund_platform(50_000_000)
    report = await insist(bench.rail, SendRequest(new_key(), "USDT", 1_000, OUT, "out"))
    assert (report.state, report.fee_units, report.fee_code) == (SendState.CONFIRMED, 10_000_000, "USDT")
    (left,) = bench.sandbox.withdrawals()
    assert (int(left["units"]), left["address"]) == (1_000, OUT.removeprefix("withdrawal:"))
    assert report.reference == left["chain_hash"]
    assert await bench.held(CASHIER) == 10_000_000
    assert await bench.held(bench.bot.app_id) == 50_000_000 - 10_001_000


async def test_a_withdrawal_may_pay_its_fee_in_another_asset(bench: MixinBench) -> None:
    """Two transactions, the fee's naming the first one's hash; both or none."""
    ledger, bot = bench.sandbox.ledger, bench.bot.app_id
    bench.sandbox.fund(bot, USDT_ETHEREUM, 5_000)
    request = SendRequest(new_key(), "USDT-ETH", 1_000, f"{OUT}?tag=memo", "")
    assert (await bench.rail.send(request)).state is SendState.REFUSED, "there is nothing to pay the fee with"
    assert ledger.held(bot, USDT_ETHEREUM) == 5_000
    bench.sandbox.fund(bot, ETHEREUM, 150_000)
    again = SendRequest(new_key(), "USDT-ETH", 1_000, f"{OUT}?tag=memo", "")
    report = await insist(bench.rail, again)
    assert (report.state, report.fee_units, report.fee_code) == (SendState.CONFIRMED, 100_000, "ETH")
    assert (ledger.held(bot, USDT_ETHEREUM), ledger.held(bot, ETHEREUM)) == (4_000, 50_000)
    (left,) = bench.sandbox.withdrawals()
    assert left["tag"] == "memo"
    fee = await bench.client.transaction(request_id(bot, again.key, "fee"))
    paid = await bench.client.transaction(request_id(bot, again.key, "tx"))
    assert fee is not None
    assert paid is not None
    assert decode(bytes.fromhex(fee.raw_transaction)).references == (paid.transaction_hash,)


async def test_a_withdrawal_is_final_when_its_chain_has_it(tmp_path: Path) -> None:
    """Until the chain's hash is known it is on its way, however often it is asked for."""
    stamps = ManualClock()
    bench = MixinBench(tmp_path, timeout_s=10.0, stamps=stamps, withdrawal_ms=60_000)
    await bench.open()
    try:
        await bench.fund_platform(50_000_000)
        request = SendRequest(new_key(), "USDT", 1_000, OUT, "")
        assert (await bench.rail.send(request)).state is SendState.SENT
        assert (await bench.rail.find(request.key)).state is SendState.SENT
        stamps.advance(60_000_000_000)
        assert (await bench.rail.find(request.key)).state is SendState.CONFIRMED
    finally:
        await bench.close()


async def test_transfers_side_by_side_do_not_share_coins(bench: MixinBench) -> None:
    """Twelve payments at once from four coins: each is made in the end, and what is left is exact."""
    for _ in range(4):
        bench.sandbox.fund(bench.bot.app_id, USDT_POLYGON, 1_000)
    requests = [SendRequest(new_key(), "USDT", 10 + n, bench.nobody(), "") for n in range(12)]
    reports = await asyncio.gather(*(insist(bench.rail, request) for request in requests))
    assert {report.state for report in reports} == {SendState.CONFIRMED}
    assert [await bench.held(request.destination) for request in requests] == [10 + n for n in range(12)]
    assert bench.sandbox.ledger.held(bench.bot.app_id, USDT_POLYGON) == 4_000 - sum(range(10, 22))


async def test_small_coins_are_gathered_until_they_suffice(bench: MixinBench) -> None:
    """300 coins of one unit pay 290 after a gathering; 255 is the most that one transaction takes."""
    for _ in range(300):
        bench.sandbox.fund(bench.bot.app_id, USDT_POLYGON, 1)
    request = SendRequest(new_key(), "USDT", 290, bench.nobody(), "")
    with pytest.raises(TransferWaitsError):
        await bench.rail.send(request)
    report = await until(lambda: bench.rail.send(request), lambda told: told.state in FINAL)
    assert report.state is SendState.CONFIRMED
    assert await bench.held(request.destination) == 290
    assert await bench.rail.transfers.gather(ETHEREUM) is None


async def test_a_coin_spent_elsewhere_leads_to_new_bytes(bench: MixinBench) -> None:
    """The owner spends a bound coin by hand: the old bytes are dead, and the payment is made with others."""
    await bench.fund_platform(1_000)
    request = SendRequest(new_key(), "USDT", 100, bench.nobody(), "")
    token = PLAN.set(DieAt("mixin.signed"))
    try:
        with pytest.raises(Died):
            await bench.rail.send(request)
    finally:
        PLAN.reset(token)
    await reborn(bench)
    bench.sandbox.pay(bench.bot.app_id, bench.nobody(), USDT_POLYGON, 400)
    assert (await bench.rail.find(request.key)).state is SendState.ABSENT
    with pytest.raises(TransferWaitsError):
        await bench.rail.send(request)
    assert (await insist(bench.rail, request)).state is SendState.CONFIRMED
    assert await bench.held(request.destination) == 100
    assert await bench.held(bench.bot.app_id) == 500


async def test_a_request_that_mixin_forgot_is_checked_again(bench: MixinBench) -> None:
    """Signed, never sent, and forgotten there: the same bytes are checked and sent, once."""
    await bench.fund_platform(1_000)
    request = SendRequest(new_key(), "USDT", 100, bench.nobody(), "")
    token = PLAN.set(DieAt("mixin.signed"))
    try:
        with pytest.raises(Died):
            await bench.rail.send(request)
    finally:
        PLAN.reset(token)
    bench.sandbox._journal.change("DELETE FROM requests")
    await reborn(bench)
    before = bench.book.find(request.key)
    assert (await insist(bench.rail, request)).state is SendState.CONFIRMED
    after = bench.book.find(request.key)
    assert before is not None
    assert after is not None
    assert after.legs == before.legs
    assert await bench.held(request.destination) == 100


async def test_bound_coins_make_a_payment_wait_not_fail(bench: MixinBench) -> None:
    """Too little is free now, but another transfer's change will come: the payment is not refused."""
    await bench.fund_platform(1_000)
    first = SendRequest(new_key(), "USDT", 100, bench.nobody(), "")
    bench.sandbox.break_things(MixinFault(MixinFaultKind.LOST_BEFORE, "POST /safe/transactions", times=1))
    with pytest.raises(MrMarketError):
        await bench.rail.send(first)
    second = SendRequest(new_key(), "USDT", 800, bench.nobody(), "")
    with pytest.raises(TransferWaitsError):
        await bench.rail.send(second)
    assert (await bench.rail.find(second.key)).state is SendState.ABSENT
    await insist(bench.rail, first)
    assert (await insist(bench.rail, second)).state is SendState.CONFIRMED


async def test_what_mixin_refuses_for_good_stays_refused(bench: MixinBench) -> None:
    """A receiver who never registered, an address that is none, a memo too long: refused with the reason."""
    await bench.fund_platform(50_000_000)
    stranger = str(UUID(int=7, version=4))
    for destination, memo, word in (
        (stranger, "", "not_registered"),
        ("withdrawal:0xabc", "", "invalid_address"),
        (bench.nobody(), "x" * 257, "memo"),
    ):
        request = SendRequest(new_key(), "USDT", 5, destination, memo)
        report = await bench.rail.send(request)
        assert (report.state, word in report.reason) == (SendState.REFUSED, True)
        assert (await bench.rail.find(request.key)).state is SendState.REFUSED
    assert bench.book.bound_coins() == set()
    for code, destination in (("DOGE", stranger), ("USDT", bench.bot.app_id), ("USDT", "nobody")):
        with pytest.raises(InvalidInputError):
            await bench.rail.send(SendRequest(new_key(), code, 5, destination, ""))


async def test_kernel_addresses_are_paid_with_keys_of_our_own(bench: MixinBench) -> None:
    """The receiver's two private keys give the private key of the output."""
    rng = seeded(4)
    spend_seed, view = rng.randbytes(32), scalar(rng)
    spend_key = public_key(clamped_scalar(spend_seed))
    xin = write_xin(spend_key, public_key(view))
    assert read_xin(xin)[:32] == spend_key
    await bench.fund_platform(1_000)
    request = SendRequest(new_key(), "USDT", 60, xin, "")
    assert (await insist(bench.rail, request)).state is SendState.CONFIRMED
    view_of = await bench.client.transaction(request_id(bench.bot.app_id, request.key, "tx"))
    assert view_of is not None
    made = decode(bytes.fromhex(view_of.raw_transaction)).outputs[0]
    secret = output_secret(view_scalar(view, bytes.fromhex(made.mask), 0), clamped_scalar(spend_seed))
    assert public_key(secret).hex() == made.keys[0]


async def test_a_group_is_paid_as_a_group(bench: MixinBench) -> None:
    """A MIX address of two users gets one output that asks for both signatures."""
    await bench.fund_platform(1_000)
    group = str(MixAddress((bench.nobody(), bench.nobody()), 2))
    request = SendRequest(new_key(), "USDT", 60, group, "")
    assert (await insist(bench.rail, request)).state is SendState.CONFIRMED
    view = await bench.client.transaction(request_id(bench.bot.app_id, request.key, "tx"))
    assert view is not None
    made = decode(bytes.fromhex(view.raw_transaction)).outputs[0]
    assert (len(made.keys), made.script) == (2, "fffe02")


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        (OUT, OUT),
        (f"{OUT}?tag=7", f"{OUT}?tag=7"),
        ("withdrawal:", None),
        (f"{OUT}?tag=", None),
        (f"{OUT}?x=1", None),
        (f"{OUT} ", None),
        ("withdrawal:" + "a" * 300, None),
        (CASHIER.upper(), CASHIER),
        (str(MixAddress((CASHIER,))), CASHIER),
        ("0xabc", None),
    ],
)
def test_destinations_have_one_form(text: str, canonical: str | None) -> None:
    """A group of one is its member; a withdrawal is marked as such."""
    assert canonical_destination(text) == canonical


def test_an_order_that_can_never_be_made_says_why() -> None:
    """Nothing to pay, no asset, no destination."""
    order = TransferOrder("k", USDT_POLYGON, 1, CASHIER)
    assert order.objection() == ""
    for bad in (
        TransferOrder("k", USDT_POLYGON, 0, CASHIER),
        TransferOrder("k", "USDT", 1, CASHIER),
        TransferOrder("k", USDT_POLYGON, 1, "nobody"),
    ):
        assert bad.objection()


def test_a_coin_is_bound_once(tmp_path: Path) -> None:
    """Two books on one file: the second to bind a coin is told, and its row is not kept."""
    one, other = TransferBook(tmp_path / "b.sqlite"), TransferBook(tmp_path / "b.sqlite")
    rows = [TransferRow(TransferOrder(key, USDT_POLYGON, 1, CASHIER), Stage.DRAFTED) for key in "ab"]
    one.put(rows[0], bind=["coin"])
    with pytest.raises(CoinTakenError):
        other.put(rows[1], bind=["coin"])
    assert (other.find("b"), other.pending(), other.bound_coins()) == (None, ["a"], {"coin"})
    one.close()
    other.close()


def test_assets_have_one_code_each(bench: MixinBench) -> None:
    """Two codes for one asset, one code for two, or none at all are refused."""
    for assets in (
        [],
        [MixinAsset("A", ETHEREUM), MixinAsset("B", ETHEREUM)],
        [MixinAsset("A", ETHEREUM), MixinAsset("A", POLYGON)],
    ):
        with pytest.raises(InvalidInputError):
            MixinRail(bench.client, bench.book, SystemClock(), assets)
    with pytest.raises(InvalidInputError):
        MixinAsset("A", "not a uuid")


async def test_deposits_from_a_chain_arrive_once(bench: MixinBench) -> None:
    """The address stays the same; a deposit waits for confirmations and is told once, without a sender."""
    entries = [(await bench.client.deposit_entries(POLYGON))[0].destination for _ in range(2)]
    assert entries[0] == entries[1]
    hashed = chain_hash()
    for final in (False, False, True, True):
        bench.sandbox.deposit(entries[0], USDT_POLYGON, 900, hashed, sender="0xfeed", final=final)
        waiting = await bench.client.pending_deposits(USDT_POLYGON, entries[0])
        assert [deposit.transaction_hash for deposit in waiting] == ([] if final else [hashed])
    page = await bench.rail.incoming("", 10)
    assert [(update.units, update.sender, update.memo) for update in page.updates] == [(900, "", "")]
    with pytest.raises(MrMarketError):
        bench.sandbox.deposit("0xnobody", USDT_POLYGON, 1, hashed)


async def test_the_sandbox_refuses_what_the_kernel_would(bench: MixinBench) -> None:
    """Coins of others, coins out of nothing, doubled inputs, broken signatures, reused ids and hints."""
    await bench.fund_platform(1_000)
    request = SendRequest(new_key(), "USDT", 100, bench.nobody(), "")
    await insist(bench.rail, request)
    row = bench.book.find(request.key)
    assert row is not None
    leg = row.legs[0]
    thief = bench.sandbox.enrol("thief")
    assert (await bench.client.send([RawRequest(leg.request_id, leg.signed)]))[0].is_final, (
        "the same bytes again"
    )
    broken = leg.signed[:-2] + ("00" if leg.signed[-2:] != "00" else "01")
    other = new_key()
    for call in (
        bench.client.check([RawRequest(other, leg.unsigned)]),
        bench.client.check([RawRequest("x", leg.unsigned)]),
        bench.client.check([RawRequest(other, "zz")]),
        bench.client.send([RawRequest(other, broken)]),
        bench.client.keys([KeyRequest([bench.bot.app_id] * 2, 0, new_key())]),
        bench.client.keys([KeyRequest([thief.app_id], 0, "hint")]),
        bench.client.asset(new_key()),
        bench.client.snapshot(new_key()),
        bench.client.deposit_entries(new_key()),
    ):
        with pytest.raises(MixinRefusedError):
            await call
    with pytest.raises(ShortOfFundsError):
        bench.sandbox.pay(thief.app_id, bench.bot.app_id, USDT_POLYGON, 1)


async def test_the_sandbox_forgets_nothing_over_a_start(bench: MixinBench) -> None:
    """Users, coins, snapshots and requests are there again, on the same file."""
    await bench.fund_platform(1_000)
    request = SendRequest(new_key(), "USDT", 100, bench.nobody(), "kept")
    report = await insist(bench.rail, request)
    await bench.sandbox.stop()
    bench.sandbox = bench.new_sandbox()
    assert bench.sandbox.enrol("bot", bench.bot.app_id).session_seed == bench.bot.session_seed
    await bench.client.close()
    await bench.sandbox.start()
    bench.reopen()
    assert (await bench.rail.find(request.key)).reference == report.reference
    assert await bench.held(request.destination) == 100
    assert (await bench.rail.balances())["USDT"] == 900
