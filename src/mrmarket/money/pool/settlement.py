"""From facts to postings: each fact is checked against the chain, each trade is posted once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from mrmarket.core.clock import NS_PER_S
from mrmarket.core.decimals import parse_units
from mrmarket.core.errors import InvalidInputError
from mrmarket.core.events import BalanceObserved, Filled, MarkObserved, decode_fact
from mrmarket.money.ledger.draft import Draft
from mrmarket.money.ledger.errors import IdempotencyConflictError
from mrmarket.money.ledger.group import Group, TransferKind
from mrmarket.money.pool.appraisal import Appraisal, appraise
from mrmarket.money.pool.errors import StreamBrokenError
from mrmarket.money.pool.fill_posting import effect, fill_group, fill_key
from mrmarket.money.pool.plan import PoolPlan
from mrmarket.money.pool.repository import BalanceRow, Cursor, EquityRow, MarkRow, ParkedFill, PoolRepository
from mrmarket.money.pool.stakes import founding_group, read_memo
from mrmarket.money.pool.valuation import Basis, Mark
from mrmarket.store.event_log import LoggedFact, LogHead, chain_hash

EQUITY_POINTS: Final = 4_096
"""At most so many are kept; the older half is thinned when there are more."""


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


@dataclass(slots=True)
class _Batch:
    draft: Draft
    progress: Progress = field(default_factory=Progress)


class Settlement:
    """Applies facts inside the ledger writer's transaction, and moves the cursor in the same one."""

    def __init__(self, plan: PoolPlan, repository: PoolRepository) -> None:
        self._plan = plan
        self._repository = repository

    def apply(self, draft: Draft, facts: Sequence[LoggedFact]) -> Progress:
        """Settle facts that follow the cursor.

        Raises:
            StreamBrokenError: if a fact is not the next one of its chain; nothing of the batch is kept.
        """
        batch = _Batch(draft)
        cursor = self._repository.cursor(self._plan.stream)
        for logged in facts:
            cursor = _advance(cursor, logged)
            self._settle(batch, logged)
            batch.progress.facts += 1
        self._retry_parked(batch)
        self._repository.put_cursor(cursor)
        return batch.progress

    def rewind(self, draft: Draft) -> None:  # noqa: ARG002 - the shape of a unit of work
        """Go back to the stream's first fact; what is posted already will be met and skipped."""
        self._repository.put_cursor(Cursor.start(self._plan.stream))

    def appraise(self, draft: Draft) -> Appraisal:
        """The pool's figures as this transaction sees them."""
        return appraise(self._plan, draft.holdings, self._repository.marks(self._plan.venue))

    def open_accounts(self, draft: Draft, codes: Sequence[str], users: Sequence[str] = ()) -> None:
        """Register assets and open accounts that the books do not know yet."""
        plan = self._plan
        if draft.account(plan.counterparty.id) is None:
            draft.post(
                Group(f"open:{plan.name}@{plan.venue}", assets=(plan.share,), accounts=plan.own_accounts)
            )
        for code in codes:
            asset = plan.asset(code)
            if draft.asset(asset.id) is None:
                draft.post(Group(f"register:{asset.id}", assets=(asset,)))
        for user in users:
            account = plan.depositor(user)
            if draft.account(account.id) is None:
                draft.post(Group(f"open:{account.id}", accounts=(account,)))

    def remember_stakes(self, group: Group) -> None:
        """Carry a posted deposit or withdrawal into the table of stakes."""
        memo = read_memo(group.memo)
        if memo is None:
            return
        stakes = self._repository.stakes(memo.pool)
        for account, units in memo.cost.items():
            self._repository.put_stake(memo.pool, account, stakes.get(account, 0) + int(units))

    def _settle(self, batch: _Batch, logged: LoggedFact) -> None:
        fact = logged.fact
        if fact.venue != self._plan.venue:
            return
        if isinstance(fact, Filled):
            refusal = self._post(batch, fact)
            if refusal is not None:
                fill = ParkedFill(fill_key(fact), logged.stream, logged.seq, logged.payload, *refusal)
                self._repository.park(fill)
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
            self.open_accounts(draft, [fill.base, fill.quote, *([fill.fee_asset] if charged else [])])
            if draft.record(group.key) is None:
                rejection = draft.preview(group)
                if rejection is not None:
                    return rejection.code, rejection.message
                draft.post(group)
                batch.progress.posted += 1
            else:
                draft.post(group)
                batch.progress.repeated += 1
        except (InvalidInputError, IdempotencyConflictError) as error:
            return error.code, str(error)
        return None

    def _retry_parked(self, batch: _Batch) -> None:
        waiting = self._repository.parked(self._plan.stream)
        settled = True
        while waiting and settled:
            settled = False
            still: list[ParkedFill] = []
            for fill in waiting:
                fact = decode_fact(fill.payload)
                if isinstance(fact, Filled) and self._post(batch, fact) is None:
                    self._repository.unpark(fill.key)
                    settled = True
                else:
                    still.append(fill)
            waiting = still

    def _observe_mark(self, batch: _Batch, fact: MarkObserved) -> None:
        try:
            Mark.parse(fact.bid, fact.ask)
        except InvalidInputError:
            batch.progress.ignored += 1
            return
        self._repository.put_mark(
            MarkRow(fact.venue, fact.symbol, fact.base, fact.quote, fact.bid, fact.ask, fact.at_ns)
        )
        self._found(batch)
        self._add_equity_point(batch, fact.at_ns // NS_PER_S)

    def _observe_balance(self, batch: _Batch, fact: BalanceObserved) -> None:
        row = BalanceRow(fact.venue, fact.asset, fact.free, fact.locked, fact.at_ns)
        try:
            observed_units(self._plan, row)
        except InvalidInputError:
            batch.progress.ignored += 1
            return
        self._repository.put_balance(row)
        self._found(batch)

    def _add_equity_point(self, batch: _Batch, at_s: int) -> None:
        last = self._repository.equity(self._plan.name, 1)
        # A replay meets old prices with today's holdings: history is written once, going forward.
        if last and at_s <= last[0].at_s:
            return
        now = self.appraise(batch.draft)
        if now.supply:
            self._repository.put_equity(
                EquityRow(self._plan.name, at_s, now.nav(Basis.MID), now.supply, now.pnl), EQUITY_POINTS
            )

    def _found(self, batch: _Batch) -> None:
        """Give what the venue account holds to the founders, as soon as all of it is known and priced."""
        plan = self._plan
        # Once shares exist, what the account holds has an owner.
        if not plan.founders or plan.share.id in batch.draft.holdings(plan.issuer.id):
            return
        observed = {row.asset: row for row in self._repository.balances(plan.venue)}
        marks = self.appraise(batch.draft).marks
        bases = [row.base for row in self._repository.marks(plan.venue) if row.quote == plan.quote]
        if not bases or not {plan.quote, *bases} <= observed.keys():
            return
        found = {code: observed_units(plan, row) for code, row in observed.items()}
        # Trades logged before anybody was there are in the observed balances; they will be posted next.
        for fill in self._repository.parked(plan.stream):
            for asset, units in self._effect_of(fill).items():
                code = asset.removeprefix(f"{plan.venue}:")
                found[code] = found.get(code, 0) - units
        if not any(units > 0 for units in found.values()):
            return
        brought = {code: units for code, units in found.items() if units > 0}
        self.open_accounts(batch.draft, sorted(brought), [founder.name for founder in plan.founders])
        group = founding_group(plan, brought, marks)
        batch.draft.post(group)
        self.remember_stakes(group)
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
