"""What every payment rail must do, whatever it is and whatever goes wrong on the way to it.

A test module subclasses `RailConformance` and gives it a fixture `bench`: the rail under test, and the world
outside it, which the suite believes.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Protocol, TypeVar

import pytest

from mrmarket.core.errors import MrMarketError
from mrmarket.money.payouts.port import (
    IncomingPayment,
    PaymentRail,
    PaymentState,
    SendReport,
    SendRequest,
    SendState,
)

DEADLINE_S = 30.0
FINAL = (SendState.CONFIRMED, SendState.REFUSED)

Value = TypeVar("Value")


class RailBench(Protocol):
    """A rail and the world around it. The world's own answers are never disturbed."""

    rail: PaymentRail
    code: str
    """An asset that the rail carries."""

    async def payer(self, units: int) -> str:
        """The address of a new wallet that has so many units."""
        ...

    async def pay_in(self, sender: str, units: int, memo: str) -> str:
        """Let a wallet pay the platform; the rail's name for the payment."""
        ...

    async def held(self, address: str) -> int:
        """Units that an address really has."""
        ...

    async def fund_platform(self, units: int) -> None:
        """Let the platform have at least so many units that can be sent."""
        ...

    def nobody(self) -> str:
        """An address that nobody has used."""
        ...


async def until(ask: Callable[[], Awaitable[Value]], holds: Callable[[Value], bool]) -> Value:
    """Ask until the answer is as wanted; what is raised on the way counts as no answer."""
    deadline = time.monotonic() + DEADLINE_S
    last: object = None
    while time.monotonic() < deadline:
        try:
            value = await ask()
        except MrMarketError as silent:
            last = silent
        else:
            if holds(value):
                return value
            last = value
        await asyncio.sleep(0.01)
    raise AssertionError(f"it never came to that; last: {last!r}")


async def insist(rail: PaymentRail, request: SendRequest) -> SendReport:
    """Send as a careful platform does: unclear means look, absent means the same key again."""

    async def once() -> SendReport:
        with suppress(MrMarketError):
            await rail.send(request)
        return await rail.find(request.key)

    return await until(once, lambda report: report.state in FINAL)


def new_request(bench: RailBench, units: int, destination: str, memo: str = "") -> SendRequest:
    """A payment under a key of its own."""
    return SendRequest(str(uuid.uuid4()), bench.code, units, destination, memo)


class Follower:
    """Reads the feed as the platform does and keeps the youngest word on each payment."""

    def __init__(self, rail: PaymentRail, limit: int = 50) -> None:
        self._rail = rail
        self._limit = limit
        self.cursor = ""
        self.latest: dict[str, IncomingPayment] = {}

    async def read(self) -> dict[str, IncomingPayment]:
        """One page."""
        page = await self._rail.incoming(self.cursor, self._limit)
        for update in page.updates:
            known = self.latest.get(update.id)
            if known is None or update.at_ms >= known.at_ms:
                self.latest[update.id] = update
        self.cursor = page.next_cursor
        return self.latest

    async def catch_up(self) -> None:
        """Read until the feed has no more."""

        async def moved() -> bool:
            before = self.cursor
            await self.read()
            return self.cursor != before

        await until(moved, lambda more: not more)


class RailConformance:
    """The suite."""

    async def test_a_key_is_one_payment_however_often_it_is_sent(self, bench: RailBench) -> None:
        """Many sends at once and again later: the receiver has the amount once, or it was refused."""
        await bench.fund_platform(1_000)
        request = new_request(bench, 300, bench.nobody(), "wages")
        reports = await asyncio.gather(*(insist(bench.rail, request) for _ in range(4)))
        assert len({(report.state, report.reference) for report in reports}) == 1
        again = await insist(bench.rail, request)
        assert again.state is reports[0].state
        expected = 300 if again.state is SendState.CONFIRMED else 0
        assert await bench.held(request.destination) == expected

    async def test_another_content_under_a_used_key_moves_nothing(self, bench: RailBench) -> None:
        """It raises or answers with the first one; only the first one's receiver can have anything."""
        await bench.fund_platform(1_000)
        first = new_request(bench, 100, bench.nobody())
        report = await insist(bench.rail, first)
        other = SendRequest(first.key, bench.code, 200, bench.nobody(), "")
        with pytest.raises(MrMarketError):
            await bench.rail.send(other)
        known = await until(lambda: bench.rail.find(first.key), lambda told: told.state in FINAL)
        assert known.state is report.state
        assert await bench.held(other.destination) == 0
        assert await bench.held(first.destination) == (100 if report.state is SendState.CONFIRMED else 0)

    async def test_a_refusal_is_final_and_moves_nothing(self, bench: RailBench) -> None:
        """More than there is: refused with a reason, refused again, nothing anywhere."""
        request = new_request(bench, 10**30, bench.nobody())
        report = await insist(bench.rail, request)
        assert (report.state, bool(report.reason)) == (SendState.REFUSED, True)
        await bench.fund_platform(1_000)
        assert (await insist(bench.rail, request)).state is SendState.REFUSED
        assert await bench.held(request.destination) == 0

    async def test_a_key_that_was_never_used_is_absent(self, bench: RailBench) -> None:
        """Absent, not unknown and not an error."""
        report = await until(lambda: bench.rail.find(str(uuid.uuid4())), lambda _: True)
        assert report.state is SendState.ABSENT

    async def test_every_payment_in_is_told_to_its_end(self, bench: RailBench) -> None:
        """Whatever the feed repeats or leaves for later, its youngest word is what really happened."""
        sender = await bench.payer(1_500)
        amounts = {await bench.pay_in(sender, units, f"intent {units}"): units for units in (100, 200, 300)}
        follower = Follower(bench.rail)

        def all_told(latest: dict[str, IncomingPayment]) -> bool:
            return all(
                key in latest and latest[key].state in (PaymentState.CONFIRMED, PaymentState.RETRACTED)
                for key in amounts
            )

        latest = await until(follower.read, all_told)
        for key, units in amounts.items():
            update = latest[key]
            assert (update.rail, update.asset_code) == (bench.rail.name, bench.code)
            assert (update.units, update.sender, update.memo) == (units, sender, f"intent {units}")
            assert update.confirmations <= update.required

        def gone() -> int:
            now = follower.latest
            return sum(units for key, units in amounts.items() if now[key].state is PaymentState.CONFIRMED)

        async def difference() -> int:
            await follower.read()
            return (1_500 - await bench.held(sender)) - gone()

        await until(difference, lambda value: value == 0)

    async def test_a_cursor_goes_on_where_it_was(self, bench: RailBench) -> None:
        """Reading one at a time from an old cursor leads to the same words as reading all."""
        quick = Follower(bench.rail, 100)
        await quick.catch_up()
        slow = Follower(bench.rail, 1)
        slow.cursor = quick.cursor
        sender = await bench.payer(100)
        key = await bench.pay_in(sender, 100, "")
        ends = (PaymentState.CONFIRMED, PaymentState.RETRACTED)
        told = await until(quick.read, lambda latest: key in latest and latest[key].state in ends)
        slowly = await until(slow.read, lambda latest: key in latest and latest[key].state in ends)
        assert slowly[key].units == told[key].units == 100

    async def test_what_it_holds_is_told_in_whole_units_of_its_assets(self, bench: RailBench) -> None:
        """Every asset of the list has a balance, an int, and at least what was paid in."""
        await bench.fund_platform(1_000)
        held = await until(bench.rail.balances, lambda _: True)
        assert {asset.code for asset in bench.rail.assets()} == set(held)
        assert all(type(units) is int for units in held.values())
        assert held[bench.code] >= 1_000

    async def test_instructions_carry_the_memo(self, bench: RailBench) -> None:
        """Whoever follows them pays us with the memo that was asked for."""
        told = await until(lambda: bench.rail.instructions("user:alice", "d-17 &?"), lambda _: True)
        assert told.memo == "d-17 &?"
        assert bench.rail.valid_destination(told.address) is None, "we do not pay ourselves"

    def test_destinations_have_one_spelling(self, bench: RailBench) -> None:
        """A valid destination is its own canonical form; nonsense is none."""
        address = bench.nobody()
        canonical = bench.rail.valid_destination(address)
        assert canonical is not None
        assert bench.rail.valid_destination(canonical) == canonical
        for nonsense in ("", " ", "alice", f"{address} ", f"{address}0", "\N{FULLWIDTH DIGIT ZERO}x00"):
            assert bench.rail.valid_destination(nonsense) is None

    def test_its_promises_are_bounded(self, bench: RailBench) -> None:
        """Its name is a namespace of its assets, and its settling time is told."""
        assert bench.rail.settle_ms > 0
        assert {asset.namespace for asset in bench.rail.assets()} == {bench.rail.name}
