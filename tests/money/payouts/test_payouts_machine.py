"""A random life of money in and out, over a rail that times out, repeats, delays, refuses and forgets."""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import suppress
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from money.payouts.payments_house import ALICE, House
from money.payouts.payments_outside import USDT, VENUE_USDT, OutsideRail, OutsideVenue, Trick
from mrmarket.core.clock import ManualClock
from mrmarket.money.ledger.account import Account, AccountKind
from mrmarket.money.ledger.sqlite_store import SqliteStore
from mrmarket.money.ledger.verification import verify_ledger
from mrmarket.money.payouts.errors import PayoutStateError
from mrmarket.money.payouts.move import Direction, Move, MoveState
from mrmarket.money.payouts.payment import Standing
from mrmarket.money.payouts.payout import PayoutRow, PayoutState, derived_id
from mrmarket.money.payouts.port import IncomingPayment, PaymentState
from mrmarket.money.payouts.repository import PayoutRepository
from mrmarket.money.payouts.view import moves, outbox, payments, status
from mrmarket.store.sql import SqliteReader

POOL = Account.of(AccountKind.POOL, "main")
RESERVE = Account.of(AccountKind.OWNER, "reserve")
SCALE = 10**10
MEMOS = ("deposit:alice", "deposit:bob", "nobody", "park:look", "refund:x")
IDS = st.integers(0, 7)
SEND_TRICKS = st.sampled_from(
    [Trick.LOST_QUESTION, Trick.LOST_ANSWER, Trick.LATE, Trick.REFUSAL, Trick.UNCLEAR, Trick.FORGETS]
)
FEED_TRICKS = st.sampled_from([Trick.UNCLEAR, Trick.SHUFFLED, Trick.REPEATED])
ENDED = {PayoutState.CONFIRMED, PayoutState.REFUSED, PayoutState.CANCELLED}


class PayoutsMachine(RuleBasedStateMachine):
    """Payments, withdrawals, moves, faults and restarts in any order."""

    @initialize(reserve=st.sampled_from([0, 60, 10_000]), fee=st.integers(0, 2), releases=st.booleans())
    def begin(self, reserve: int, fee: int, releases: bool) -> None:
        """Somebody has money at both places."""
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "money.db"
        self.clock = ManualClock()
        self.rail = OutsideRail(self.clock)
        self.rail.fee_units = fee
        self.venue = OutsideVenue(self.rail)
        self.releases = releases
        self.reserve = reserve
        self.last: dict[str, PaymentState] = {}
        self.loop = asyncio.new_event_loop()
        self.open()
        self.house.fund(ALICE, 500, USDT)
        self.house.fund(POOL, 500, USDT)
        self.house.fund(POOL, 500 * SCALE, VENUE_USDT)
        if reserve:
            self.house.fund(RESERVE, reserve, USDT)

    def open(self) -> None:
        """A process starts."""
        store = SqliteStore.open(self.path, "machine")
        self.reader = SqliteReader.open(self.path)
        self.house = House(
            store, self.reader, self.rail, self.clock, venue=self.venue, releases=self.releases
        )

    @rule(number=IDS, state=st.sampled_from(list(PaymentState)))
    def tell(self, number: int, state: PaymentState) -> None:
        """The rail has news of a payment."""
        payment_id = f"p{number}"
        if state is PaymentState.SEEN and self.last.get(payment_id) is PaymentState.CONFIRMED:
            return
        self.last[payment_id] = state
        self.house.pass_time(1)
        self.rail.tell(payment_id, 10 + number, state, memo=MEMOS[number % len(MEMOS)])

    @rule(number=IDS, units=st.integers(1, 300))
    def withdraw(self, number: int, units: int) -> None:
        """Alice wants money out; what she has asked for is asked for again."""
        key = f"w{number}"
        with self.reader.snapshot() as sql:
            known = {line.row.cause_key: line.row.units for line in outbox(sql, cause="withdrawal")}
        self.house.withdraw(key, known.get(key, units))

    @rule(number=IDS, units=st.integers(1, 300), to_venue=st.booleans())
    def move(self, number: int, units: int, to_venue: bool) -> None:
        """The pool's money is wanted elsewhere."""
        direction = Direction.TO_VENUE if to_venue else Direction.TO_RAIL
        scale = 1 if to_venue else SCALE
        wanted = Move(f"{direction}-{number}-{units}", POOL.id, direction, USDT, VENUE_USDT, units * scale)
        self.loop.run_until_complete(self.house.moves.start(wanted))

    @rule(trick=SEND_TRICKS)
    def trick_send(self, trick: Trick) -> None:
        """The rail's next answer to a payment will be a bad one."""
        self.rail.tricks["send"].append(trick)

    @rule(call=st.sampled_from(["find", "incoming"]), trick=FEED_TRICKS)
    def trick_question(self, call: str, trick: Trick) -> None:
        """Its next answer to a question as well."""
        self.rail.tricks[call].append(trick if call == "incoming" else Trick.UNCLEAR)

    @rule(trick=st.sampled_from([Trick.LOST_QUESTION, Trick.LOST_ANSWER, Trick.LATE, Trick.REFUSAL]))
    def trick_venue(self, trick: Trick) -> None:
        """And the venue's."""
        self.venue.tricks.append(trick)

    @rule()
    def arrive(self) -> None:
        """Late requests arrive, and what is on the network becomes final."""
        self.rail.confirm()
        self.venue.deliver()

    @rule()
    def fail(self) -> None:
        """What is on the network fails there."""
        self.rail.fail("reverted")

    @rule(blocked=st.booleans())
    def gate(self, blocked: bool) -> None:
        """The asset is blocked, or let out."""
        outbox_ = self.house.outbox
        if blocked:
            self.house.do(lambda draft: outbox_.block(draft, "USDT", "it does not add up"))
        else:
            self.house.do(lambda draft: outbox_.unblock(draft, "USDT"))

    @rule()
    def owner(self) -> None:
        """The owner retries what was refused and sends again what was forgotten."""
        with self.reader.snapshot() as sql:
            rows = [line.row for line in outbox(sql)]
        for row in rows:
            if row.state is PayoutState.REFUSED:
                self.retry(row)
            if row.state is PayoutState.UNKNOWN and "by hand" in row.reason:
                self.resend(row)

    @rule(ms=st.sampled_from([1, 1_000, 6_000, 60_000]))
    def work(self, ms: int) -> None:
        """Everything takes a step."""
        self.loop.run_until_complete(self.house.round(ms))

    @rule()
    def restart(self) -> None:
        """The process ends and another one goes on."""
        self.house.close()
        self.reader.close()
        self.open()

    def retry(self, row: PayoutRow) -> None:
        """A cause whose own state forbids it says so."""
        with suppress(PayoutStateError):
            self.house.do(lambda draft: self.house.clearing.retry(draft, row.id))

    def resend(self, row: PayoutRow) -> None:
        """Ask for it again under the same key."""
        self.house.do(lambda draft: self.house.clearing.resend(draft, row.id))

    @invariant()
    def tables_and_ledger_agree(self) -> None:
        """At every moment the audit finds nothing."""
        assert self.house.faults() == []

    @invariant()
    def nothing_is_paid_twice(self) -> None:
        """Over all the keys of a payout at most one payment was made, and none for what has ended without."""
        paid = {key: units for key, units, _, _ in self.rail.paid()}
        with self.reader.snapshot() as sql:
            rows = PayoutRepository(sql).listed(list(PayoutState), None, None, 10_000)
        keys = {key for row in rows for key in keys_of(row)}
        assert set(paid) <= keys
        for row in rows:
            made = [paid[key] for key in keys_of(row) if key in paid]
            assert len(made) <= 1, row
            assert all(units == row.units for units in made)
            if row.state in ENDED:
                assert len(made) == (row.state is PayoutState.CONFIRMED), row

    def teardown(self) -> None:
        """With an honest rail everything comes to its end, and every unit is where it must be."""
        if not hasattr(self, "house"):
            return
        for tricks in (*self.rail.tricks.values(), self.venue.tricks):
            tricks.clear()
        self.house.do(lambda draft: self.house.outbox.unblock(draft, "USDT"))
        for _ in range(3):
            self.loop.run_until_complete(self.house.settle_down(12))
            self.owner()
        self.loop.run_until_complete(self.house.settle_down(12))
        self.check_ends()
        self.house.close()
        self.reader.close()
        check = verify_ledger(self.path)
        assert check.ok, check.reason
        self.rail.close()
        self.loop.close()
        self.folder.cleanup()

    def check_ends(self) -> None:
        """Each payment has its one disposition, each payout and move its end, and the rail agrees."""
        self.tables_and_ledger_agree()
        self.nothing_is_paid_twice()
        with self.reader.snapshot() as sql:
            assert {line.row.state for line in outbox(sql, limit=10_000)} <= ENDED
            assert {row.state for row in moves(sql, limit=10_000)} <= {MoveState.DONE, MoveState.REFUSED}
            rows = payments(sql, limit=10_000)
            missing = sum(each.units for each in status(sql).incidents if each.kind == "retraction")
        last: dict[str, IncomingPayment] = {}
        for update in self.rail.told():
            last[update.id] = update
        assert {row.id for row in rows} == set(last)
        for row in rows:
            state = last[row.id].state
            if state is PaymentState.CONFIRMED:
                assert row.booked
                assert row.standing in {Standing.CLAIMED, Standing.REFUNDED, Standing.PARKED}
            else:
                assert not row.booked
                assert row.standing not in {Standing.RECEIVED, Standing.PARKED, Standing.REFUNDING}
        held = self.loop.run_until_complete(self.rail.balances())["USDT"]
        assert -self.house.balance("rail:rail") == held + missing
        if self.reserve >= 10_000:
            assert missing == 0


def keys_of(row: PayoutRow) -> list[str]:
    """Every key under which the rail may have been asked for a payout."""
    rounds = [derived_id("round", row.id, str(number)) for number in range(1, row.round + 1)]
    return [row.id, *rounds]


TestPayoutsMachine = PayoutsMachine.TestCase
TestPayoutsMachine.settings = settings(max_examples=20, stateful_step_count=30, deadline=None)
