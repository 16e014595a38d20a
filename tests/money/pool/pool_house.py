"""A pool with everything around it: an event log, a payment rail, the venue's funding, and people."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, TypeVar

from msgspec.structs import replace

from money.payouts.payments_outside import OutsideRail, OutsideVenue
from money.pool_samples import balance, fill, mark
from mrmarket.core.clock import NS_PER_MS, ManualClock
from mrmarket.core.events import Fact
from mrmarket.core.side import Side
from mrmarket.money.ledger.draft import Draft
from mrmarket.money.ledger.group import Group
from mrmarket.money.ledger.port import LedgerStore
from mrmarket.money.payouts.audit import faults as payout_faults
from mrmarket.money.payouts.clearing import Clearing
from mrmarket.money.payouts.custody import CustodyMoves
from mrmarket.money.payouts.delivery import Deliverer
from mrmarket.money.payouts.incoming import IncomingPayments
from mrmarket.money.payouts.intake import Intake
from mrmarket.money.payouts.move import Move
from mrmarket.money.payouts.move_book import MoveBook
from mrmarket.money.payouts.outbox import Outbox
from mrmarket.money.payouts.port import PaymentState
from mrmarket.money.payouts.pursuit import Patience
from mrmarket.money.pool.audit import faults as pool_faults
from mrmarket.money.pool.deposit import CLAIM_KIND, DepositAsk
from mrmarket.money.pool.plan import Founder, PoolPlan
from mrmarket.money.pool.rows import DepositRow, WithdrawalRow
from mrmarket.money.pool.terms import Terms
from mrmarket.money.pool.treasury import Treasury
from mrmarket.money.pool.view import AdvanceReport, PositionFigures
from mrmarket.money.pool.wanted_moves import MovePolicy
from mrmarket.money.pool.withdrawal import WithdrawalAsk
from mrmarket.store.sql import SqlReader
from mrmarket.store.trading_store import TradingStore

ONE: Final = 10**8
"""One whole unit of an asset on the rail."""
SHARE: Final = 10**18
WALLET: Final = "0x" + "aa" * 20
OTHER_WALLET: Final = "0x" + "bb" * 20
ALICE, BOB = "user:alice", "user:bob"
PATIENCE: Final = Patience(proofs=3, first_pause_ms=1_000, longest_pause_ms=8_000)
OPEN_TERMS: Final = Terms()

T = TypeVar("T")


def plan(terms: Terms = OPEN_TERMS, **changes: object) -> PoolPlan:
    """The house's first pool: founded by one Felix with what the venue account holds."""
    wanted: dict[str, object] = {
        "stream": "run/1",
        "venue": "simulated",
        "quote": "USDT",
        "rail": "rail",
        "founders": (Founder("felix", 1),),
        "terms": terms,
        **changes,
    }
    return PoolPlan(**wanted)  # type: ignore[arg-type]  # a table of changes


class PoolHouse:
    """The real rooms over real tables; only the world outside is a fake."""

    def __init__(
        self,
        folder: Path,
        rail: OutsideRail,
        clock: ManualClock,
        plans: Sequence[PoolPlan] | None = None,
        *,
        instance_capacity: int | None = None,
        moves: MovePolicy | None = None,
        stores: tuple[LedgerStore, SqlReader] | None = None,
        start: int = 0,
    ) -> None:
        self.clock = clock
        self.rail = rail
        self.venue = OutsideVenue(rail)
        self.log = TradingStore.open(folder / "trading.db")
        plans = plans or [plan()]
        if stores is None:
            self.treasury = Treasury.open(
                folder / "money.db",
                self.log,
                plans,
                clock,
                instance_capacity=instance_capacity,
                moves=moves,
            )
        else:
            self.treasury = Treasury(plans, self.log, *stores, clock)
        desk = self.treasury.desk
        rng = random.Random(7)  # noqa: S311 - spreads pauses, guards nothing
        outbox = Outbox()
        rails, venues = {"rail": rail}, {"simulated": self.venue}
        book = MoveBook(outbox, venues, PATIENCE, rng.random)
        intake = Intake(
            rails,
            outbox,
            (book.claim, desk.deposit_claimer),
            {CLAIM_KIND: desk.deposit_releaser},
            (desk.deposit_observer,),
        )
        settlers = {"refund": intake.settle_refund, "custody": book.settle, **desk.settlers}
        self.clearing = Clearing(rails, settlers, PATIENCE, rng.random)
        writer, reader = self.treasury.writer, self.treasury.reader
        self.deliverer = Deliverer(writer, reader, rails, self.clearing)
        self.incoming = IncomingPayments(writer, reader, rails, intake, PATIENCE, rng.random)
        self.moves = CustodyMoves(writer, reader, rails, venues, book)
        self._start = start
        self._payments = 0
        self._moves = 0
        self._requests = 0

    # Time and the market.

    @property
    def now_ms(self) -> int:
        """The clock's time."""
        return self.clock.now_ns() // NS_PER_MS

    def pass_time(self, seconds: float) -> None:
        """Move the clock."""
        self.clock.advance(int(seconds * 1_000) * NS_PER_MS)

    def write(self, *facts: Fact) -> None:
        """Append facts of now and settle them."""
        stamped = [replace(fact, venue="simulated", at_ns=self.clock.now_ns()) for fact in facts]
        self.log.append_facts("run/1", stamped)
        self.treasury.settle()

    def found(self, usdt: str = "1000000", btc: str = "10") -> None:
        """The venue account is seen and priced: Felix has everything."""
        self.register_rail()
        self.write(balance("USDT", usdt), balance("BTC", btc), mark(0, "60000", "60000"))

    def register_rail(self) -> None:
        """What the rail told of its assets before."""
        listed = tuple(self.rail.assets())
        self.do(lambda draft: draft.post(Group("rail assets", assets=listed)))

    def price(self, bid: str, ask: str | None = None) -> AdvanceReport:
        """A new price after a second, settled, and whatever it lets through."""
        self.pass_time(1)
        self.write(mark(0, bid, ask or bid))
        return self.treasury.desk.advance()

    def trade(self, name: str, side: Side, size: str, value: str, fee: str = "0") -> None:
        """A trade of the pool."""
        self.write(fill(name, side, size, value, fee))

    # People.

    def intend(
        self,
        units: int,
        account: str = ALICE,
        *,
        pool: str = "main",
        tier: str = "",
        asset: str = "rail:USDT",
    ) -> DepositRow:
        """Announce a deposit."""
        ask = DepositAsk(account, pool, asset, units, tier)
        return self.treasury.desk.open_deposit(ask, self._key())

    def pay(  # what a payment says
        self,
        row: DepositRow,
        units: int | None = None,
        *,
        code: str | None = None,
        state: PaymentState = PaymentState.CONFIRMED,
        name: str | None = None,
    ) -> str:
        """Pay a deposit on the rail, or nearly; the payment's id."""
        self._payments += 1
        payment = name or f"pay-{self._start}-{self._payments}"
        self.rail.tell(
            payment,
            row.units if units is None else units,
            state,
            code=code or row.asset.partition(":")[2],
            sender=WALLET,
            memo=row.memo,
        )
        self.round()
        return payment

    def credit(self, units: int, account: str = ALICE, **terms: str) -> DepositRow:
        """Announce and pay."""
        row = self.intend(units, account, **terms)
        self.pay(row)
        return self.deposit(row.id)

    def enter(self, units: int, account: str = ALICE, *, at: str = "60000", **terms: str) -> DepositRow:
        """Announce, pay, and be minted at the next price."""
        row = self.credit(units, account, **terms)
        self.price(at)
        return self.deposit(row.id)

    def leave(
        self, shares: int | None = None, account: str = ALICE, pool: str = "main", to: str = OTHER_WALLET
    ) -> WithdrawalRow:
        """Ask shares back."""
        return self.treasury.desk.request_withdrawal(WithdrawalAsk(account, pool, to, shares), self._key())

    # What is.

    def deposit(self, deposit_id: str) -> DepositRow:
        """A deposit as it stands."""
        row = self.treasury.figures.deposit(deposit_id)
        assert row is not None
        return row

    def withdrawal(self, withdrawal_id: str) -> WithdrawalRow:
        """A withdrawal as it stands."""
        row = self.treasury.figures.withdrawal(withdrawal_id)
        assert row is not None
        return row

    def position(self, account: str = ALICE, pool: str = "main") -> PositionFigures:
        """What somebody has."""
        (found,) = [each for each in self.treasury.figures.positions(account) if each.pool == pool]
        return found

    def shares(self, account: str = ALICE, pool: str = "main") -> int:
        """Share units by the ledger."""
        return self.units(account, f"pool:{pool}")

    def units(self, account: str, asset: str = "rail:USDT") -> int:
        """Posted units."""
        return self.do(lambda draft: draft.balance(account, asset))

    def free(self, account: str, asset: str = "rail:USDT") -> int:
        """Posted units less what is held."""
        return self.do(lambda draft: draft.available(account, asset))

    def paid(self) -> list[tuple[int, str]]:
        """What the rail has paid out: units and destination."""
        return sorted((units, destination) for _, units, destination, _ in self.rail.paid())

    def faults(self) -> list[str]:
        """What the audits find, and what the ledger's verification says."""
        with self.treasury.reader.snapshot() as sql:
            found = [*pool_faults(sql), *payout_faults(sql)]
        check = self.treasury.verify()
        return found if check.ok else [*found, str(check.reason)]

    # The machinery.

    def do(self, work: Callable[[Draft], T]) -> T:
        """A unit of work."""
        return self.treasury.writer.perform(work).result(30)

    def round(self, seconds: float = 0) -> None:
        """Payments come in and go out, moves go on."""
        asyncio.run(self._round())
        self.pass_time(seconds)

    def settle_down(self, rounds: int = 8) -> None:
        """Rounds with a rail that finishes what it began."""
        for _ in range(rounds):
            self.rail.confirm()
            self.venue.deliver()
            self.round(5)

    def carry_moves(self) -> int:
        """Start every wanted move; how many."""
        wanted = self.treasury.desk.wanted_moves()
        for move in wanted:
            self._moves += 1
            asked = Move(
                f"move-{self._start}-{self._moves}",
                move.account,
                move.direction,
                move.rail_asset,
                move.venue_asset,
                move.units,
            )
            asyncio.run(self.moves.start(asked))
        return len(wanted)

    def close(self) -> None:
        """End everything; what is in the tables stays."""
        self.treasury.close()
        self.log.close()

    def _key(self) -> str:
        """The same in every run of a test, and another for every request; `start` tells restarts apart."""
        self._requests += 1
        return f"{self._start}-{self._requests}"

    async def _round(self) -> None:
        await self.incoming.step(self.now_ms)
        await self.moves.step(self.now_ms)
        await self.deliverer.step(self.now_ms)
