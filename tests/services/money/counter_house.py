"""The business core as an instance has it, over real tables; the rail, the venue and time are the test's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from msgspec.structs import replace

from money.payouts.payments_outside import OutsideRail, OutsideVenue
from money.pool.pool_house import plan
from money.pool_samples import balance, mark
from mrmarket.core.clock import NS_PER_MS, ManualClock
from mrmarket.core.events import Fact
from mrmarket.money.ledger.account import Account, AccountKind
from mrmarket.money.ledger.draft import Draft
from mrmarket.money.ledger.group import Group
from mrmarket.money.pool.plan import Founder
from mrmarket.money.pool.terms import Terms
from mrmarket.money.rewards.campaign import Campaign
from mrmarket.money.rewards.receipts import Receipt, receive, register
from mrmarket.services.money.face import MoneyOffice
from mrmarket.services.money.offices import Limits, Offices
from mrmarket.services.money.rounds import Rhythm, Rounds
from mrmarket.services.money.watch import SolvencyWatch
from mrmarket.services.money.world import PaymentWorld
from mrmarket.store.trading_store import TradingStore

T = TypeVar("T")
WHOLE = 10**8
RHYTHM = Rhythm(seal_ms=60_000, fees_ms=60_000)


class CounterHouse:
    """A founded pool, half of which is Alice's and half Bob's."""

    def __init__(
        self, folder: Path, clock: ManualClock, rail: OutsideRail, founders: str = "alice bob"
    ) -> None:
        self.clock = clock
        self.rail = rail
        self.log = TradingStore.open(folder / "trading.db")
        first = plan(
            Terms(minimum_deposit="10"), founders=tuple(Founder(name, 1) for name in founders.split())
        )
        world = PaymentWorld({"rail": rail}, {"simulated": OutsideVenue(rail)})
        self.offices = Offices.open(folder, self.log, [first], clock, world, Limits())
        self.offices.prepare([])
        self.watch = SolvencyWatch(self.offices)
        self.rounds = Rounds(self.offices, RHYTHM, self.watch)
        self.office = MoneyOffice(
            self.offices, None, lambda: None, fills=lambda _: (), watch=self.watch, look=self.rounds.look
        )
        self.write(balance("USDT", "1000000"), balance("BTC", "10"), mark(0, "60000", "60000"))

    def write(self, *facts: Fact) -> None:
        """Append facts of now and settle them."""
        stamped = [replace(fact, venue="simulated", at_ns=self.clock.now_ns()) for fact in facts]
        self.log.append_facts("run/1", stamped)
        self.offices.treasury.settle()

    async def live(self, rounds: int = 1, seconds: float = 1.0) -> None:
        """Rounds with a price each, and a rail that finishes what it began."""
        for _ in range(rounds):
            self.clock.advance(int(seconds * 1_000) * NS_PER_MS)
            self.write(mark(0, "60000", "60000"))
            self.rail.confirm()
            await self.rounds.step()

    def do(self, work: Callable[[Draft], T]) -> T:
        """A unit of work."""
        return self.offices.treasury.writer.perform(work).result(30)

    def reward(self, *campaigns: Campaign) -> None:
        """Somebody outside pays 100 units for the first day of each campaign."""

        def begin(draft: Draft) -> None:
            sponsor = Account.of(AccountKind.EXTERNAL, "sponsor")
            draft.post(Group("sponsor", (), (), (sponsor,)))
            for each in campaigns:
                register(draft, each)
                receipt = Receipt("test", each.id, each.id, 0, "rail:USDT", 100, self.now_ms)
                receive(draft, receipt, sponsor)

        self.do(begin)

    @property
    def now_ms(self) -> int:
        """The clock's time."""
        return self.clock.now_ns() // NS_PER_MS

    def close(self) -> None:
        """Release the files."""
        self.offices.close()
        self.log.close()
