"""Money between venues: who approves it, that each key moves it once, and what a crash leaves."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from mrmarket.core.clock import NS_PER_S, ManualClock
from mrmarket.core.errors import InvalidInputError
from mrmarket.core.notice import Notice
from mrmarket.services.engine.database_line import DatabaseLine
from mrmarket.services.selection.memory import SelectionMemory
from mrmarket.services.selection.rebalance_view import rebalance_view
from mrmarket.services.selection.rebalancing import Rebalancing
from mrmarket.services.selection.section import RebalanceSection
from mrmarket.services.store_address import StoreAddress
from mrmarket.store.errors import DatabaseBusyError
from mrmarket.store.selection_log import SelectionLog
from mrmarket.trading.strategy.rebalance.accounts import AccountTransfers
from mrmarket.trading.strategy.rebalance.plan import Terms
from mrmarket.trading.strategy.rebalance.port import TransferRefusedError, TransferUnknownError

WHOLE = 10**8
PRICE = Decimal(50_000)


class Purse:
    """A wallet in memory; it can lose requests and answers, refuse, or be deaf."""

    def __init__(self, units: dict[str, int]) -> None:
        self.units = units
        self.moved: dict[str, int] = {}
        self.faults: list[str] = []

    async def held(self, asset: str) -> int:
        """Free."""
        if self.faults[:1] == ["deaf"]:
            raise TransferUnknownError("", "no answer")
        return self.units[asset]

    async def move(self, key: str, asset: str, units: int) -> None:
        """Once a key."""
        fault = self.faults.pop(0) if self.faults else ""
        if fault == "lose_request":
            raise TransferUnknownError(key, "no answer")
        if fault == "refuse":
            raise TransferRefusedError(key, "not now")
        if key not in self.moved:
            self.moved[key] = units
            self.units[asset] += units
        if fault == "lose_answer":
            raise TransferUnknownError(key, "no answer")

    async def has_moved(self, key: str) -> bool:
        """By its own books."""
        return key in self.moved


class Stage:
    """Four bitcoin here and none there, and as many dollars on both."""

    def __init__(self, log: SelectionLog, **section: object) -> None:
        self.clock = ManualClock()
        self.memory = SelectionMemory(log, DatabaseLine(self.clock, 5.0), 30)
        self.here = Purse({"BTC": 4 * WHOLE, "USDT": WHOLE})
        self.there = Purse({"BTC": 0, "USDT": WHOLE})
        self.told: list[Notice] = []
        self.charged: list[float] = []
        self.expected = 0.001
        self.section = RebalanceSection(enabled=True, **section)  # type: ignore[arg-type] # by name
        self.made = self.another()

    def another(self) -> Rebalancing:
        """As after a restart."""
        terms = {"BTC": Terms(WHOLE // 1_000), "USDT": Terms(WHOLE)}
        return Rebalancing(
            "arb",
            ("BTC", "USDT"),
            ("here", "there"),
            AccountTransfers(
                {"here": self.here, "there": self.there}, terms, self.clock, delay_ns=20 * NS_PER_S
            ),
            self.section,
            self.memory,
            self.clock,
            self,
            price=lambda asset: PRICE if asset == "BTC" else Decimal(1),
            expected=lambda: self.expected,
            charge=self.charged.append,
        )

    def notify(self, notice: Notice) -> None:
        """Note it."""
        self.told.append(notice)

    async def pass_time(self, seconds: int) -> None:
        """A step a second; bitcoin are never made, nor lost but for the fee and what is under way."""
        for _ in range(seconds):
            self.clock.advance(NS_PER_S)
            await self.made.step()
            assert self.here.units["BTC"] + self.there.units["BTC"] <= 4 * WHOLE

    @property
    def stages(self) -> list[str]:
        """How far transfers are."""
        return [each.stage for each in rebalance_view(self.made).transfers]

    @property
    def waiting(self) -> list[str]:
        """Plans that wait."""
        return [each.id for each in rebalance_view(self.made).proposals]


@pytest.fixture
def log(tmp_path: Path) -> Iterator[SelectionLog]:
    """An empty log."""
    opened = StoreAddress(tmp_path).open_selection()
    yield opened
    opened.close()


SPLIT = {"BTC": 2 * WHOLE}
ARRIVED = 2 * WHOLE - WHOLE // 1_000


async def test_a_plan_above_the_limit_waits_for_the_owner(log: SelectionLog) -> None:
    """Told once; nothing moves before the word, all of it after, and the fee is a cost."""
    stage = Stage(log, auto_limit=Decimal(99_999))
    await stage.made.recover()
    await stage.pass_time(5)
    assert (stage.stages, [each.title for each in stage.told]) == ([], ["Money waits to be moved"])
    view = rebalance_view(stage.made)
    assert (view.proposals[0].value, view.proposals[0].moves[0].amount) == ("100000", "2")
    await stage.made.approve(stage.waiting[0], "ann")
    assert (stage.stages, stage.waiting) == (["pending"], [])
    await stage.pass_time(40)
    assert (stage.here.units["BTC"], stage.there.units["BTC"]) == (2 * WHOLE, ARRIVED)
    transfer = rebalance_view(stage.made).transfers[0]
    assert (transfer.stage, transfer.approved_by, transfer.fee) == ("arrived", "ann", "0.001")
    assert stage.charged == [50.0]
    await stage.pass_time(200)
    assert stage.charged == [50.0]


async def test_a_plan_within_the_limit_goes_by_itself(log: SelectionLog) -> None:
    """Exactly at the limit, by the limit's word."""
    stage = Stage(log, auto_limit=Decimal(100_000))
    await stage.made.recover()
    await stage.pass_time(40)
    assert stage.stages == ["arrived"]
    assert rebalance_view(stage.made).transfers[0].approved_by == "limit"
    assert stage.told == []


async def test_a_plan_is_declined_or_grows_old(log: SelectionLog) -> None:
    """Either way it is gone, and in due time another look makes another one; an old word moves nothing."""
    stage = Stage(log, every_s=10.0, proposal_s=30.0)
    await stage.made.recover()
    await stage.pass_time(1)
    first = stage.waiting[0]
    await stage.made.decline(first)
    await stage.pass_time(5)
    assert stage.waiting == []
    await stage.pass_time(6)
    second = stage.waiting[0]
    await stage.pass_time(31)
    assert stage.waiting == []
    for old in (first, second):
        with pytest.raises(InvalidInputError, match="none does"):
            await stage.made.approve(old, "ann")
    assert stage.here.moved == {}


async def test_what_earns_less_than_it_costs_stays_and_says_why(log: SelectionLog) -> None:
    """Without an expectation every fee is too much; so is a balance that nobody knows."""
    stage = Stage(log)
    stage.expected = 0.0
    await stage.made.recover()
    await stage.pass_time(2)
    assert stage.waiting == []
    assert "BTC here → there: costs" in rebalance_view(stage.made).left[0]
    blind = Stage(log)
    blind.here.faults = ["deaf"]
    await blind.made.recover()
    await blind.pass_time(1)
    assert (blind.waiting, rebalance_view(blind.made).left) == ([], [])


@pytest.mark.parametrize("fault", ["lose_answer", "lose_request"])
async def test_a_restart_in_the_middle_moves_the_money_once(log: SelectionLog, fault: str) -> None:
    """The answer is lost, the process ends, another one asks, and sends again only what never was."""
    stage = Stage(log, auto_limit=Decimal(10**9))
    stage.here.faults = [fault]
    await stage.made.recover()
    await stage.pass_time(1)
    key = rebalance_view(stage.made).transfers[0].key
    stage.made = stage.another()
    await stage.made.recover()
    assert rebalance_view(stage.made).transfers[0].key == key
    await stage.pass_time(150)
    assert stage.stages == ["arrived"]
    assert stage.here.moved == {f"{key}:out": -2 * WHOLE}
    assert stage.there.moved == {f"{key}:in": ARRIVED}
    stage.made = stage.another()
    await stage.made.recover()
    await stage.pass_time(100)
    assert stage.charged == [50.0]


async def test_a_refused_transfer_fails_with_its_reason_and_a_target_that_refuses_keeps_it_open(
    log: SelectionLog,
) -> None:
    """Nothing is out after the first; after the second it is under way until the target takes it."""
    stage = Stage(log, auto_limit=Decimal(10**9), every_s=30.0)
    stage.here.faults, stage.there.faults = ["refuse"], ["refuse"]
    await stage.made.recover()
    await stage.pass_time(2)
    assert (stage.stages, rebalance_view(stage.made).transfers[0].reason) == (["failed"], "not now")
    assert stage.here.units["BTC"] == 4 * WHOLE
    await stage.pass_time(55)
    assert (stage.here.units["BTC"], stage.there.units["BTC"]) == (2 * WHOLE, 0)
    assert stage.stages == ["pending"]
    await stage.pass_time(20)
    assert (stage.stages, stage.there.units["BTC"]) == (["arrived"], ARRIVED)


async def test_what_could_not_be_written_down_is_not_sent(
    log: SelectionLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The owner's word is refused with the database's reason, the plan waits on, and then it goes."""
    stage = Stage(log)
    await stage.made.recover()
    await stage.pass_time(1)
    written = stage.memory.save_transfers

    async def away(_candidate: str, _book: bytes) -> None:
        raise DatabaseBusyError("control.db")

    monkeypatch.setattr(stage.memory, "save_transfers", away)
    with pytest.raises(DatabaseBusyError):
        await stage.made.approve(stage.waiting[0], "ann")
    assert stage.here.moved == {}
    assert len(stage.waiting) == 1
    monkeypatch.setattr(stage.memory, "save_transfers", written)
    await stage.made.approve(stage.waiting[0], "ann")
    await stage.pass_time(40)
    assert stage.stages == ["arrived"]


async def test_a_record_that_cannot_be_read_ends_it(log: SelectionLog) -> None:
    """What was under way is for a person to look at: nothing is planned over it."""
    stage = Stage(log, auto_limit=Decimal(10**9))
    log.put("transfers:arb", "{")
    await stage.made.keep()
    assert "cannot be read" in rebalance_view(stage.made).problem
    assert stage.here.moved == {}


async def test_a_place_that_is_gone_is_no_proof_of_anything(log: SelectionLog) -> None:
    """A transfer to a place that the configuration has no more is neither sent nor given up."""
    stage = Stage(log)
    port = AccountTransfers({"here": stage.here}, {"BTC": Terms(1)}, stage.clock)
    assert port.terms("BTC", "here", "there") is None
    assert port.terms("BTC", "here", "here") is None
    await stage.made.recover()
    await stage.pass_time(1)
    await stage.made.approve(stage.waiting[0], "ann")
    (state,) = stage.made.book.transfers["BTC"]
    with pytest.raises(TransferUnknownError):
        await port.fate(state.order)
    with pytest.raises(TransferRefusedError):
        await port.request(state.order)


@pytest.mark.parametrize("table", [{"auto_limit": "-1"}, {"fees": {"BTC": "NaN"}}])
def test_a_limit_or_fee_below_nothing_is_refused(table: dict[str, object]) -> None:
    """Also what is no number."""
    assert msgspec.convert({"fees": {"BTC": "0.1"}}, RebalanceSection).fees == {"BTC": Decimal("0.1")}
    with pytest.raises(msgspec.ValidationError, match="0 or more"):
        msgspec.convert(table, RebalanceSection)
