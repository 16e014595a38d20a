"""A payment rail and a venue outside the books: what they have done survives whatever happens to us.

They keep the two promises of the port, and no others: they time out before or after the effect, deliver
late, refuse, forget, and tell of payments again and in any order, as a test asks them to.
"""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Final

from mrmarket.core.clock import NS_PER_MS, Clock
from mrmarket.core.money import Asset
from mrmarket.money.payouts.errors import RailUnavailableError
from mrmarket.money.payouts.port import (
    IncomingPage,
    IncomingPayment,
    PaymentState,
    PayTo,
    SendReport,
    SendRequest,
    SendState,
)

USDT: Final = Asset("rail", "USDT", 8)
BTC: Final = Asset("rail", "BTC", 8)
VENUE_USDT: Final = Asset("simulated", "USDT", 18)
TREASURY: Final = "0x" + "77" * 20
FUNDING: Final = "venue:main"
SETTLE_MS: Final = 5_000

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS sends (key TEXT PRIMARY KEY, code TEXT, units INTEGER, destination TEXT, memo TEXT,
    state TEXT, reason TEXT, fee INTEGER, paid INTEGER);
CREATE TABLE IF NOT EXISTS feed (seq INTEGER PRIMARY KEY, id TEXT, code TEXT, units TEXT, sender TEXT,
    memo TEXT, state TEXT, at_ms INTEGER);
CREATE TABLE IF NOT EXISTS withdrawals (key TEXT PRIMARY KEY, code TEXT, units TEXT, state TEXT, fee TEXT);
"""


class Trick(StrEnum):
    """What a call may come to instead of a plain answer."""

    LOST_QUESTION = "lost question"
    """Time-out, and nothing happened."""
    LOST_ANSWER = "lost answer"
    """Time-out, and it happened."""
    LATE = "late"
    """Time-out, and it will happen when `deliver` is called."""
    REFUSAL = "refusal"
    UNCLEAR = "unclear"
    """An answer that says nothing."""
    FORGETS = "forgets"
    """Accepted, and then not known any more."""
    SHUFFLED = "shuffled"
    """A page out of order."""
    REPEATED = "repeated"
    """A page that tells everything once more."""


class OutsideRail:
    """Keeps its payments in a file of its own, or in memory."""

    def __init__(self, clock: Clock, path: Path | None = None) -> None:
        self._clock = clock
        self.fee_units = 0
        self._db = sqlite3.connect(path or ":memory:", isolation_level=None)
        self._db.executescript(_SCHEMA)
        self._late: list[SendRequest] = []
        self.tricks: dict[str, deque[Trick]] = {"send": deque(), "find": deque(), "incoming": deque()}
        self.listed = [USDT, BTC]
        self.calls: list[str] = []

    @property
    def name(self) -> str:
        """Namespace of its assets."""
        return "rail"

    @property
    def settle_ms(self) -> int:
        """A late request has its effect before that."""
        return SETTLE_MS

    def assets(self) -> list[Asset]:
        """What it carries."""
        return list(self.listed)

    def valid_destination(self, text: str) -> str | None:
        """Addresses of 20 bytes, and the venue."""
        lower = text.lower()
        is_address = lower.startswith("0x") and len(lower) == len(TREASURY)
        return lower if is_address or lower == FUNDING else None

    async def instructions(self, user: str, memo: str) -> PayTo:
        """One address for all; the memo tells."""
        return PayTo(TREASURY, memo, "")

    async def send(self, request: SendRequest) -> SendReport:
        """Make a payment, or do as a trick says."""
        self.calls.append(f"send {request.key}")
        trick = self._trick("send")
        if trick is Trick.LOST_QUESTION:
            raise RailUnavailableError("rail", "no answer")
        if trick is Trick.LATE:
            self._late.append(request)
            raise TimeoutError
        if trick is Trick.UNCLEAR:
            return SendReport(SendState.UNKNOWN, reason="try later")
        self._accept(request, refused=trick is Trick.REFUSAL)
        if trick is Trick.LOST_ANSWER:
            raise RailUnavailableError("rail", "no answer")
        report = self._report(request.key)
        if trick is Trick.FORGETS:
            self._db.execute("DELETE FROM sends WHERE key = ?", (request.key,))
        return report

    async def find(self, key: str) -> SendReport:
        """What became of a payment, or what a trick says."""
        self.calls.append(f"find {key}")
        trick = self._trick("find")
        if trick is Trick.UNCLEAR:
            return SendReport(SendState.UNKNOWN, reason="try later")
        if trick is not None:
            raise RailUnavailableError("rail", "no answer")
        return self._report(key)

    async def incoming(self, cursor: str, limit: int) -> IncomingPage:
        """Updates after a cursor, or what a trick says."""
        self.calls.append(f"incoming {cursor}")
        trick = self._trick("incoming")
        if trick in {Trick.LOST_QUESTION, Trick.LOST_ANSWER, Trick.UNCLEAR}:
            raise RailUnavailableError("rail", "no answer")
        rows = self._db.execute(
            "SELECT seq, id, code, units, sender, memo, state, at_ms FROM feed"
            " WHERE seq > ? ORDER BY seq LIMIT ?",
            (int(cursor or 0), limit),
        ).fetchall()
        updates = [_update(row[1:]) for row in rows]
        if trick is Trick.SHUFFLED:
            updates.reverse()
        if trick is Trick.REPEATED:
            updates = [*self.told(), *updates]
        return IncomingPage(updates, str(rows[-1][0]) if rows else cursor)

    async def balances(self) -> dict[str, int]:
        """What came in less what went out."""
        held = dict.fromkeys((asset.code for asset in self.listed), 0)
        final: dict[str, IncomingPayment] = {}
        for update in self.told():
            if update.id not in final or update.at_ms >= final[update.id].at_ms:
                final[update.id] = update
        for update in final.values():
            if update.state is PaymentState.CONFIRMED:
                held[update.asset_code] = held.get(update.asset_code, 0) + update.units
        for code, units, fee in self._db.execute("SELECT code, units, fee FROM sends WHERE paid = 1"):
            held[code] -= units + fee
        return held

    def tell(
        self,
        payment_id: str,
        units: int,
        state: PaymentState = PaymentState.CONFIRMED,
        *,
        code: str = "USDT",
        sender: str = "0x" + "aa" * 20,
        memo: str = "",
        at_ms: int | None = None,
    ) -> None:
        """Put a word about an incoming payment into the feed."""
        when = self._clock.now_ns() // NS_PER_MS if at_ms is None else at_ms
        self._db.execute(
            "INSERT INTO feed (id, code, units, sender, memo, state, at_ms) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (payment_id, code, str(units), sender, memo, state.value, when),
        )

    def told(self) -> list[IncomingPayment]:
        """Everything in the feed."""
        rows = self._db.execute("SELECT id, code, units, sender, memo, state, at_ms FROM feed ORDER BY seq")
        return [_update(row) for row in rows]

    def deliver(self) -> None:
        """Requests that were under way arrive."""
        for request in self._late:
            self._accept(request, refused=False)
        self._late.clear()

    def confirm(self) -> None:
        """Everything on the network becomes final."""
        self.deliver()
        self._db.execute("UPDATE sends SET state = 'confirmed' WHERE state = 'sent'")

    def fail(self, reason: str) -> None:
        """Everything on the network fails there after all."""
        self._db.execute(
            "UPDATE sends SET state = 'refused', paid = 0, reason = ? WHERE state = 'sent'", (reason,)
        )

    def paid(self) -> list[tuple[str, int, str, str]]:
        """Payments that were made: (key, units, destination, memo)."""
        return self._db.execute(
            "SELECT key, units, destination, memo FROM sends WHERE paid = 1 ORDER BY key"
        ).fetchall()

    def close(self) -> None:
        """Leave the file as it is."""
        self._db.close()

    def _trick(self, call: str) -> Trick | None:
        return self.tricks[call].popleft() if self.tricks[call] else None

    def _accept(self, request: SendRequest, *, refused: bool) -> None:
        known = self._db.execute(
            "SELECT code, units, destination, memo FROM sends WHERE key = ?", (request.key,)
        ).fetchone()
        if known is not None:
            assert known == (request.asset_code, request.units, request.destination, request.memo)
            return
        self._db.execute(
            "INSERT INTO sends VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                request.key,
                request.asset_code,
                request.units,
                request.destination,
                request.memo,
                "refused" if refused else "sent",
                "not today" if refused else "",
                0 if refused else self.fee_units,
                0 if refused else 1,
            ),
        )

    def _report(self, key: str) -> SendReport:
        row = self._db.execute("SELECT state, reason, fee FROM sends WHERE key = ?", (key,)).fetchone()
        if row is None:
            return SendReport(SendState.ABSENT)
        return SendReport(
            SendState(row[0]), f"tx-{key[:8]}", row[1], row[2], self._clock.now_ns() // NS_PER_MS
        )


class OutsideVenue:
    """A trading venue whose withdrawals arrive on the rail."""

    def __init__(self, rail: OutsideRail, fee_units: int = 0) -> None:
        self._rail = rail
        self._fee_units = fee_units
        self.tricks: deque[Trick] = deque()
        self._late: list[tuple[str, str, int, str]] = []

    @property
    def venue(self) -> str:
        """Namespace of its assets."""
        return "simulated"

    @property
    def settle_ms(self) -> int:
        """A late request has its effect before that."""
        return SETTLE_MS

    async def deposit_address(self, code: str) -> str:
        """The rail's name for the venue account."""
        return FUNDING

    async def withdraw(
        self, key: str, code: str, units: int, decimals: int, address: str, memo: str
    ) -> SendReport:
        """Pay to the treasury, or do as a trick says."""
        assert (decimals, address) == (VENUE_USDT.decimals, TREASURY)
        trick = self.tricks.popleft() if self.tricks else None
        if trick is Trick.LOST_QUESTION:
            raise TimeoutError
        if trick is Trick.LATE:
            self._late.append((key, code, units, memo))
            raise TimeoutError
        if trick is Trick.REFUSAL:
            self._note(key, code, units, "refused")
            return SendReport(SendState.REFUSED, reason="more than is free")
        self._pay(key, code, units, memo)
        if trick is Trick.LOST_ANSWER:
            raise ConnectionResetError
        return await self.find(key)

    async def find(self, key: str) -> SendReport:
        """What became of a withdrawal."""
        row = self._rail._db.execute("SELECT state, fee FROM withdrawals WHERE key = ?", (key,)).fetchone()
        return (
            SendReport(SendState.ABSENT)
            if row is None
            else SendReport(SendState(row[0]), fee_units=int(row[1]))
        )

    def deliver(self) -> None:
        """Requests that were under way arrive."""
        for late in self._late:
            self._pay(*late)
        self._late.clear()

    def _pay(self, key: str, code: str, units: int, memo: str) -> None:
        if self._note(key, code, units, "confirmed"):
            arrives = (units - self._fee_units) // 10 ** (VENUE_USDT.decimals - USDT.decimals)
            self._rail.tell(f"venue-{key}", arrives, code=code, sender=FUNDING, memo=memo)

    def _note(self, key: str, code: str, units: int, state: str) -> bool:
        done = self._rail._db.execute(
            "INSERT INTO withdrawals VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (key, code, str(units), state, str(self._fee_units)),
        )
        return done.rowcount == 1


def _update(row: Sequence[object]) -> IncomingPayment:
    payment_id, code, units, sender, memo, state, at_ms = map(str, row)
    return IncomingPayment(
        "rail", payment_id, code, int(units), sender, memo, PaymentState(state), 1, 1, int(at_ms)
    )
