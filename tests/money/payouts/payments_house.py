"""The room put together over a real ledger, with users who deposit by memo."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final, TypeVar

from money.payouts.payments_outside import OutsideRail, OutsideVenue
from mrmarket.core.clock import NS_PER_MS, ManualClock
from mrmarket.core.money import Asset
from mrmarket.money.ledger.account import Account, AccountKind
from mrmarket.money.ledger.draft import Draft
from mrmarket.money.ledger.group import Group, Posted, Transfer, TransferKind
from mrmarket.money.ledger.ledger import Ledger
from mrmarket.money.ledger.port import LedgerStore
from mrmarket.money.ledger.rules import Rejection
from mrmarket.money.ledger.writer import LedgerWriter
from mrmarket.money.payouts.audit import faults
from mrmarket.money.payouts.clearing import Clearing
from mrmarket.money.payouts.custody import CustodyMoves
from mrmarket.money.payouts.delivery import Deliverer, DeliverySettings
from mrmarket.money.payouts.incoming import IncomingPayments
from mrmarket.money.payouts.intake import Intake
from mrmarket.money.payouts.move_book import MoveBook
from mrmarket.money.payouts.outbox import Outbox
from mrmarket.money.payouts.payment import Claim, Decline, Park, Payment, Verdict, Wait
from mrmarket.money.payouts.payout import Ending, Payout, PayoutRow
from mrmarket.money.payouts.port import IncomingPayment
from mrmarket.money.payouts.pursuit import Patience
from mrmarket.money.payouts.repository import PaymentRepository, PayoutRepository
from mrmarket.store.sql import SqlReader

ALICE: Final = Account.of(AccountKind.USER, "alice")
BOB_ADDRESS: Final = "0x" + "bb" * 20
SENDER: Final = "0x" + "aa" * 20
PATIENCE: Final = Patience(proofs=3, first_pause_ms=1_000, longest_pause_ms=8_000)

T = TypeVar("T")


def deposit_claimer(draft: Draft, payment: Payment) -> Verdict:
    """`deposit:alice` is credited; `wait`, `park` and `decline` are answered as they ask."""
    word, _, who = payment.memo.partition(":")
    if word == "deposit":
        account = Account.of(AccountKind.USER, who)
        transfer = Transfer(payment.suspense, account.id, payment.asset, payment.units, TransferKind.DEPOSIT)
        answer = draft.post(Group(f"credit:{payment.name}", (transfer,), accounts=(account,)))
        assert isinstance(answer, Posted)
        return Claim("deposit", who)
    answers: dict[str, Verdict] = {"wait": Wait(who), "park": Park(who), "decline": Decline(who)}
    return answers.get(word)


def release_deposit(draft: Draft, payment: Payment) -> bool:
    """Give a deposit back to suspense, if the user still has it."""
    account = f"user:{payment.ref}"
    if draft.available(account, payment.asset) < payment.units:
        return False
    transfer = Transfer(account, payment.suspense, payment.asset, payment.units, TransferKind.ADJUSTMENT)
    draft.post(Group(f"uncredit:{payment.name}", (transfer,)))
    return True


class House:
    """Everything between the ledger and the outside, rebuilt at will."""

    def __init__(
        self,
        store: LedgerStore,
        reader: SqlReader,
        rail: OutsideRail,
        clock: ManualClock,
        *,
        venue: OutsideVenue | None = None,
        releases: bool = True,
        settings: DeliverySettings | None = None,
    ) -> None:
        self.clock = clock
        self.rail = rail
        self.venue = venue or OutsideVenue(rail)
        self.reader = reader
        self.writer = LedgerWriter(Ledger(store, clock))
        self.endings: list[tuple[str, Ending]] = []
        self.told: list[tuple[str, str]] = []
        self.outbox = Outbox()
        rng = random.Random(7)  # noqa: S311 - spreads pauses, guards nothing
        rails, venues = {"rail": rail}, {"simulated": self.venue}
        self.book = MoveBook(self.outbox, venues, PATIENCE, rng.random)
        self.intake = Intake(
            rails,
            self.outbox,
            (self.book.claim, deposit_claimer),
            {"deposit": release_deposit} if releases else {},
            (self._observe,),
        )
        settlers = {
            "refund": self.intake.settle_refund,
            "custody": self.book.settle,
            "withdrawal": self._settle,
        }
        self.clearing = Clearing(rails, settlers, PATIENCE, rng.random)
        self.deliverer = Deliverer(self.writer, reader, rails, self.clearing, settings)
        self.incoming = IncomingPayments(self.writer, reader, rails, self.intake, PATIENCE, rng.random)
        self.moves = CustodyMoves(self.writer, reader, rails, venues, self.book)

    @property
    def now_ms(self) -> int:
        """The clock's time."""
        return self.clock.now_ns() // NS_PER_MS

    def pass_time(self, ms: int) -> None:
        """Move the clock."""
        self.clock.advance(ms * NS_PER_MS)

    def do(self, work: Callable[[Draft], T]) -> T:
        """A unit of work."""
        return self.writer.perform(work).result(30)

    async def round(self, ms: int = 1_000) -> None:
        """Everything takes one step, then time passes."""
        await self.incoming.step(self.now_ms)
        await self.moves.step(self.now_ms)
        await self.deliverer.step(self.now_ms)
        self.pass_time(ms)

    async def settle_down(self, rounds: int = 14) -> None:
        """Rounds with a rail that finishes what it began."""
        for _ in range(rounds):
            self.rail.confirm()
            self.venue.deliver()
            await self.round(5_000)

    def fund(self, account: Account, units: int, asset: Asset) -> None:
        """Money for tests that begin with it, from outside everything."""
        world = Account.of(AccountKind.EXTERNAL, "tests")
        transfer = Transfer(world.id, account.id, asset.id, units, TransferKind.DEPOSIT)
        key = f"fund:{account.id}:{asset.id}:{units}:{self.now_ms}"
        group = Group(key, (transfer,), (asset,), (world, account))
        assert isinstance(self.do(lambda draft: draft.post(group)), Posted)

    def withdraw(self, key: str, units: int, account: Account = ALICE) -> PayoutRow | Rejection:
        """Owe somebody a payment."""
        payout = Payout("withdrawal", key, "rail", account.id, "rail:USDT", units, BOB_ADDRESS, key)
        return self.do(lambda draft: self.outbox.enqueue(draft, payout))

    def payout(self, key: str) -> PayoutRow:
        """A withdrawal as it stands."""
        payout_id = Payout("withdrawal", key, "rail", ALICE.id, "rail:USDT", 1, BOB_ADDRESS).id
        with self.reader.snapshot() as sql:
            row = PayoutRepository(sql).find(payout_id)
        assert row is not None
        return row

    def payment(self, payment_id: str) -> Payment:
        """An incoming payment as it stands."""
        with self.reader.snapshot() as sql:
            row = PaymentRepository(sql).find("rail", payment_id)
        assert row is not None
        return row

    def balance(self, account: str, asset: str = "rail:USDT") -> int:
        """Posted units."""
        return self.do(lambda draft: draft.balance(account, asset))

    def available(self, account: str, asset: str = "rail:USDT") -> int:
        """Posted units less what is held."""
        return self.do(lambda draft: draft.available(account, asset))

    def take_word(self, update: IncomingPayment) -> Payment:
        """Book one update."""
        return self.do(lambda draft: self.intake.book(draft, update))

    def faults(self) -> list[str]:
        """What the audit finds."""
        with self.reader.snapshot() as sql:
            return list(faults(sql))

    def close(self) -> None:
        """End the writer; what is in the tables stays."""
        self.writer.close()

    def _settle(self, draft: Draft, row: PayoutRow, ending: Ending) -> None:
        if row.cause_key == "forbidden" and ending is Ending.REVIVED:
            raise ValueError("this withdrawal is paid elsewhere")
        if row.cause_key == "stubborn" and not self.endings:
            self.endings.append((row.cause_key, ending))
            raise ValueError("not yet")
        self.endings.append((row.cause_key, ending))

    def _observe(self, draft: Draft, payment: Payment) -> None:
        self.told.append((payment.id, payment.standing))
