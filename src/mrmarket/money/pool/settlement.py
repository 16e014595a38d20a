"""From facts to postings: each fact is checked against the chain, each trade is posted once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from msgspec.structs import replace

from mrmarket.core.clock import NS_PER_MS, NS_PER_S
from mrmarket.core.decimals import parse_units
from mrmarket.core.errors import InvalidInputError
from mrmarket.core.events import BalanceObserved, Filled, MarkObserved, decode_fact
from mrmarket.money.ledger.draft import Draft
from mrmarket.money.ledger.errors import IdempotencyConflictError
from mrmarket.money.ledger.group import Group, TransferKind
from mrmarket.money.pool.book import PoolBook, plain_lot
from mrmarket.money.pool.errors import StreamBrokenError
from mrmarket.money.pool.fill_posting import effect, fill_group, fill_key
from mrmarket.money.pool.plan import PoolPlan
from mrmarket.money.pool.repository import BalanceRow, Cursor, MarkRow, ParkedFill, PoolRepository
from mrmarket.money.pool.rows import EntryKind
from mrmarket.money.pool.share_repository import ShareRepository
from mrmarket.money.pool.stakes import founding_group, founding_shares
from mrmarket.money.pool.terms import DAY_MS
from mrmarket.money.pool.valuation import Basis, Mark, worth
from mrmarket.store.event_log import LoggedFact, LogHead, chain_hash


class FactReader(Protocol):
    """The event log as settlement sees it; `TradingStore` is one."""

    def read_facts(self, stream: str, after_seq: int, limit: int) -> list[LoggedFact]:
        """Up to `limit` facts with a sequence number above `after_seq`, in order."""
        ...

    def head(self, stream: str) -> LogHead:
        """Where a stream ends."""
        ...


@dataclass(slots=True)
class Progress:
    """What one batch of facts came to."""

    facts: int = 0
    posted: int = 0
    repeated: int = 0
    parked: int = 0
    ignored: int = 0
    """Observations that make no sense (a crossed book, a negative balance); the last good ones stand."""
    founded: bool = False

    def add(self, other: Progress) -> None:
        """Count another batch in."""
        self.facts += other.facts
        self.posted += other.posted
        self.repeated += other.repeated
        self.parked += other.parked
        self.ignored += other.ignored
        self.founded |= other.founded


@dataclass(slots=True)
class _Day:
    """What a batch adds to a day's figures."""

    fills: int = 0
    volume_units: int = 0
    venue_fee_units: int = 0


@dataclass(slots=True)
class _Batch:
    draft: Draft
    repository: PoolRepository
    progress: Progress = field(default_factory=Progress)
    days: dict[int, _Day] = field(default_factory=dict)
    """By the time at which a day begins."""


class Settlement:
    """Applies facts inside the ledger writer's transaction, and moves the cursor in the same one."""

    def __init__(self, book: PoolBook, stream: str) -> None:
        self._book = book
        self._plan = book.plan
        self._stream = stream
        self._pool = book.plan.pool.id

    def apply(self, draft: Draft, facts: Sequence[LoggedFact]) -> Progress:
        """Settle facts that follow the cursor.

        Raises:
            StreamBrokenError: if a fact is not the next one of its chain; nothing of the batch is kept.
        """
        batch = _Batch(draft, PoolRepository(draft.sql))
        cursor = batch.repository.cursor(self._stream)
        for logged in facts:
            cursor = _advance(cursor, logged)
            self._settle(batch, logged)
            batch.progress.facts += 1
        self._retry_parked(batch)
        self._keep_days(batch)
        batch.repository.put_cursor(cursor)
        return batch.progress

    def rewind(self, draft: Draft) -> None:
        """Go back to the stream's first fact; what is posted already will be met and skipped."""
        PoolRepository(draft.sql).put_cursor(Cursor.start(self._stream))

    def _settle(self, batch: _Batch, logged: LoggedFact) -> None:
        fact = logged.fact
        if fact.venue != self._plan.venue:
            return
        if isinstance(fact, Filled):
            refusal = self._post(batch, fact)
            if refusal is not None:
                fill = ParkedFill(fill_key(fact), logged.stream, logged.seq, logged.payload, *refusal)
                batch.repository.park(fill)
                batch.progress.parked += 1
        elif isinstance(fact, MarkObserved):
            self._observe_mark(batch, fact)
        elif isinstance(fact, BalanceObserved):
            self._observe_balance(batch, fact)

    def _post(self, batch: _Batch, fill: Filled) -> tuple[str, str] | None:
        """Post a trade; what keeps it out, if anything does. A refusal is not recorded under its key."""
        draft = batch.draft
        try:
            group = fill_group(self._plan, fill)
            charged = any(transfer.kind is TransferKind.FEE for transfer in group.transfers)
            codes = [fill.base, fill.quote, *([fill.fee_asset] if charged else [])]
            self._book.open_accounts(draft, codes)
            if draft.record(group.key) is None:
                rejection = draft.preview(group)
                if rejection is not None:
                    return rejection.code, rejection.message
                draft.post(group)
                batch.progress.posted += 1
                self._count(batch, fill, group)
            else:
                draft.post(group)
                batch.progress.repeated += 1
        except (InvalidInputError, IdempotencyConflictError) as error:
            return error.code, str(error)
        return None

    def _retry_parked(self, batch: _Batch) -> None:
        waiting = batch.repository.parked(self._stream)
        settled = True
        while waiting and settled:
            settled = False
            still: list[ParkedFill] = []
            for fill in waiting:
                fact = decode_fact(fill.payload)
                if isinstance(fact, Filled) and self._post(batch, fact) is None:
                    batch.repository.unpark(fill.key)
                    settled = True
                else:
                    still.append(fill)
            waiting = still

    def _count(self, batch: _Batch, fill: Filled, group: Group) -> None:
        """Add a trade to its day's figures, which are valued in quote at the last known prices."""
        at_ms = fill.at_ns // NS_PER_MS
        day = batch.days.setdefault(at_ms - at_ms % DAY_MS, _Day())
        day.fills += 1
        _, quote, *fees = group.transfers
        day.volume_units += self._in_quote(batch, fill.quote, quote.units)
        for fee in fees:
            units = fee.units if fee.debit == self._pool else -fee.units
            day.venue_fee_units += self._in_quote(batch, fill.fee_asset, units)

    def _in_quote(self, batch: _Batch, code: str, units: int) -> int:
        if code == self._plan.quote or units == 0:
            return units
        for row in batch.repository.marks(self._plan.venue):
            if (row.base, row.quote) == (code, self._plan.quote):
                return worth(units, Mark.parse(row.bid, row.ask), Basis.MID)
        return 0

    def _keep_days(self, batch: _Batch) -> None:
        shares = ShareRepository(batch.draft.sql)
        for start_ms, added in batch.days.items():
            day = shares.day(self._plan.name, start_ms)
            shares.put_day(
                replace(
                    day,
                    fills=day.fills + added.fills,
                    volume_units=day.volume_units + added.volume_units,
                    venue_fee_units=day.venue_fee_units + added.venue_fee_units,
                )
            )

    def _observe_mark(self, batch: _Batch, fact: MarkObserved) -> None:
        try:
            Mark.parse(fact.bid, fact.ask)
        except InvalidInputError:
            batch.progress.ignored += 1
            return
        batch.repository.put_mark(
            MarkRow(fact.venue, fact.symbol, fact.base, fact.quote, fact.bid, fact.ask, fact.at_ns)
        )
        self._found(batch)
        self._book.add_equity_point(batch.draft, fact.at_ns // NS_PER_S)

    def _observe_balance(self, batch: _Batch, fact: BalanceObserved) -> None:
        row = BalanceRow(fact.venue, fact.asset, fact.free, fact.locked, fact.at_ns)
        try:
            observed_units(self._plan, row)
        except InvalidInputError:
            batch.progress.ignored += 1
            return
        batch.repository.put_balance(row)
        self._found(batch)

    def _found(self, batch: _Batch) -> None:
        """Give what the venue account holds to the founders, as soon as all of it is known and priced."""
        plan, draft = self._plan, batch.draft
        # Once shares exist, what the account holds has an owner.
        if not plan.founders or plan.share.id in draft.holdings(plan.issuer.id):
            return
        observed = {row.asset: row for row in batch.repository.balances(plan.venue)}
        now = self._book.appraise(draft)
        bases = [row.base for row in batch.repository.marks(plan.venue) if row.quote == plan.quote]
        if not bases or not {plan.quote, *bases} <= observed.keys():
            return
        found = {code: observed_units(plan, row) for code, row in observed.items()}
        # Trades logged before anybody was there are in the observed balances; they will be posted next.
        for fill in batch.repository.parked(self._stream):
            for asset, units in self._effect_of(fill).items():
                code = asset.removeprefix(f"{plan.venue}:")
                found[code] = found.get(code, 0) - units
        if not any(units > 0 for units in found.values()):
            return
        brought = {code: units for code, units in found.items() if units > 0}
        accounts = [plan.depositor(founder.name) for founder in plan.founders]
        self._book.open_accounts(draft, sorted(brought), accounts)
        group = founding_group(plan, brought, now)
        self._book.require(draft, group)
        for account, shares in founding_shares(plan, group).items():
            lot = plain_lot(f"{group.key}:{account}", plan, account, shares, draft.at_ms)
            self._book.note_mint(draft, lot, EntryKind.FOUND, value=shares)
        batch.progress.founded = True

    def _effect_of(self, fill: ParkedFill) -> dict[str, int]:
        fact = decode_fact(fill.payload)
        # Only a shortage resolves itself; a trade that cannot be read or contradicts another never will.
        if not isinstance(fact, Filled) or fill.code != "insufficient_funds":
            return {}
        return effect(self._plan, fill_group(self._plan, fact))


def observed_units(plan: PoolPlan, row: BalanceRow) -> int:
    """Free and locked together, in base units."""
    decimals = plan.asset(row.asset).decimals
    return parse_units(row.free, decimals, field="free") + parse_units(row.locked, decimals, field="locked")


def _advance(cursor: Cursor, logged: LoggedFact) -> Cursor:
    if logged.seq != cursor.seq + 1:
        raise StreamBrokenError(logged.stream, cursor.seq + 1, "is missing")
    if chain_hash(cursor.hash, logged.epoch, logged.seq, logged.payload) != logged.hash:
        raise StreamBrokenError(logged.stream, logged.seq, "the hash does not match the content")
    return Cursor(logged.stream, logged.epoch, logged.seq, logged.hash)
