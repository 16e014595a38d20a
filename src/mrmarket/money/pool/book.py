"""One pool inside a unit of work: its accounts, its terms, and every change of its shares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from msgspec.structs import replace

from mrmarket.money.ledger.account import Account
from mrmarket.money.ledger.draft import Draft
from mrmarket.money.ledger.group import Answer, Group, Posted, Rejected
from mrmarket.money.pool.appraisal import Appraisal, appraise
from mrmarket.money.pool.books_view import BooksView
from mrmarket.money.pool.errors import PostingRefusedError
from mrmarket.money.pool.lots import Part
from mrmarket.money.pool.plan import PoolPlan
from mrmarket.money.pool.repository import EquityRow, PoolRepository
from mrmarket.money.pool.rows import EntryKind, EntryRow, LotRow, TermsRow
from mrmarket.money.pool.share_repository import ShareRepository
from mrmarket.money.pool.stakes import leaving_cost, read_memo
from mrmarket.money.pool.terms import DAY_MS, LockTier, Terms, TermsVersion, version_at
from mrmarket.money.pool.valuation import Basis

EQUITY_POINTS: Final = 4_096
"""At most so many are kept; the older half is thinned when there are more."""

FOUNDING_TIER: Final = LockTier(name="founding", exit_fee_bps=0)
"""Of shares that promise nothing: those of founders, and of deposits in kind at the venue."""


class PoolBook:
    """What is done to one pool. Stateless: everything is in the ledger and the tables beside it."""

    def __init__(self, plan: PoolPlan) -> None:
        self.plan = plan
        self._pool = plan.pool.id

    def appraise(self, view: BooksView) -> Appraisal:
        """The pool's figures as these books have them."""
        return appraise(self.plan, view, PoolRepository(view.sql).marks(self.plan.venue))

    def open_accounts(
        self, draft: Draft, codes: Sequence[str] = (), accounts: Sequence[Account] = ()
    ) -> None:
        """Register assets and open accounts that the books do not know yet."""
        plan = self.plan
        if draft.account(self._pool) is None:
            draft.post(
                Group(f"open:{plan.name}@{plan.venue}", assets=(plan.share,), accounts=plan.own_accounts)
            )
        for code in codes:
            asset = plan.asset(code)
            if draft.asset(asset.id) is None:
                draft.post(Group(f"register:{asset.id}", assets=(asset,)))
        for account in accounts:
            if draft.account(account.id) is None:
                draft.post(Group(f"open:{account.id}", accounts=(account,)))

    def versions(self, view: BooksView) -> list[TermsVersion]:
        """Every version of the terms. Until one is written down, the plan's own is the first."""
        rows = ShareRepository(view.sql).terms(self.plan.name)
        if not rows:
            return [TermsVersion(1, 0, self.plan.terms)]
        return [TermsVersion(row.version, row.effective_ms, Terms.decode(row.document)) for row in rows]

    def terms(self, view: BooksView) -> TermsVersion:
        """What holds now."""
        return version_at(self.versions(view), view.at_ms)

    def terms_of(self, view: BooksView, version: int) -> Terms:
        """What somebody agreed to."""
        return self.versions(view)[version - 1].terms

    def add_terms(self, draft: Draft, terms: Terms, effective_ms: int) -> TermsVersion:
        """Write a version down; it holds from `effective_ms`."""
        rows = ShareRepository(draft.sql).terms(self.plan.name)
        row = TermsRow(self.plan.name, len(rows) + 1, effective_ms, draft.at_ms, terms.encode())
        ShareRepository(draft.sql).add_terms(row)
        return TermsVersion(row.version, effective_ms, terms)

    def add_equity_point(self, draft: Draft, at_s: int) -> None:
        """Add what the pool is worth now to its curve, unless the curve is past that second."""
        repository = PoolRepository(draft.sql)
        last = repository.equity(self.plan.name, 1)
        # A replay meets old prices with today's holdings: history is written once, going forward.
        if not last or at_s > last[0].at_s:
            self._put_equity(draft, repository, at_s)

    def renew_equity_point(self, draft: Draft) -> None:
        """Let the curve end with what the pool is worth after somebody came or went at a fresh price."""
        repository = PoolRepository(draft.sql)
        last = repository.equity(self.plan.name, 1)
        at_s = draft.at_ms // 1_000
        self._put_equity(draft, repository, max(at_s, last[0].at_s) if last else at_s)

    def post(self, draft: Draft, group: Group) -> Answer:
        """Post a group, and carry what it does to the cost of shares into the table of stakes."""
        known = draft.record(group.key) is not None
        answer = draft.post(group)
        if isinstance(answer, Posted) and not known:
            self._remember_cost(draft, group)
        return answer

    def require(self, draft: Draft, group: Group) -> Posted:
        """Post a group that must not be refused.

        Raises:
            PostingRefusedError: if the ledger refuses it all the same; the unit of work is undone.
        """
        answer = self.post(draft, group)
        if isinstance(answer, Rejected):
            raise PostingRefusedError(group.key, answer.code, answer.message)
        return answer

    def note_mint(  # the whole of what a mint leaves behind
        self,
        draft: Draft,
        lot: LotRow,
        kind: EntryKind,
        *,
        value: int,
        fee: int = 0,
    ) -> None:
        """Remember shares that were minted as a lot and as an entry of the pool's history."""
        shares = ShareRepository(draft.sql)
        known = shares.lot(lot.id)
        if known is not None:
            shares.put_lot(replace(known, share_units=known.share_units + lot.share_units))
        else:
            shares.put_lot(lot)
        self._enter(draft, lot.account, lot.id, kind, lot.share_units, value, fee)

    def note_burn(
        self, draft: Draft, account: str, parts: Mapping[Part, tuple[int, int]], *, held: bool
    ) -> None:
        """Remember shares that were burned, by lot.

        Args:
            draft: the unit of work that burned them.
            account: whose they were.
            parts: what left, with the value paid and the exit fee, in quote units.
            held: whether a withdrawal had held them.
        """
        shares = ShareRepository(draft.sql)
        for part, (value, fee) in parts.items():
            lot = shares.lot(part.lot)
            if lot is None:
                raise LookupError(part.lot)
            shares.put_lot(
                replace(
                    lot,
                    share_units=lot.share_units - part.share_units,
                    held_units=lot.held_units - (part.share_units if held else 0),
                )
            )
            self._enter(draft, account, part.lot, EntryKind.BURN, -part.share_units, -value, fee)

    def cost_of(self, draft: Draft, account: str, shares: int) -> int:
        """What `shares` of an account's shares have cost, rounded up."""
        paid_in = PoolRepository(draft.sql).stake(self.plan.name, account) or 0
        return leaving_cost(paid_in, shares, draft.balance(account, self.plan.share.id))

    def adopt(self, draft: Draft) -> int:
        """Bring a pool of an older version up to date; how many accounts it concerned.

        Its terms are written down as the first, and shares that are older than the history of shares get a
        lot and an entry each.
        """
        shares = ShareRepository(draft.sql)
        if not shares.terms(self.plan.name):
            self.add_terms(draft, self.plan.terms, 0)
        if shares.last_entry(self.plan.name) is not None:
            return 0
        repository = PoolRepository(draft.sql)
        stakes = repository.stakes(self.plan.name)
        adopted = 0
        for account in stakes:
            units = draft.balance(account, self.plan.share.id)
            if units:
                lot = plain_lot(f"adopted:{self.plan.name}:{account}", self.plan, account, units, draft.at_ms)
                self.note_mint(draft, lot, EntryKind.FOUND, value=stakes[account])
                adopted += 1
        return adopted

    def _put_equity(self, draft: Draft, repository: PoolRepository, at_s: int) -> None:
        now = self.appraise(draft)
        if now.supply:
            row = EquityRow(self.plan.name, at_s, now.nav(Basis.MID), now.supply, now.pnl)
            repository.put_equity(row, EQUITY_POINTS)

    def _remember_cost(self, draft: Draft, group: Group) -> None:
        memo = read_memo(group.memo)
        if memo is None:
            return
        repository = PoolRepository(draft.sql)
        for account, units in memo.cost.items():
            paid_in = repository.stake(memo.pool, account) or 0
            repository.put_stake(memo.pool, account, paid_in + int(units))

    def _enter(
        self, draft: Draft, account: str, lot: str, kind: EntryKind, shares: int, value: int, fee: int
    ) -> None:
        repository = ShareRepository(draft.sql)
        last = repository.last_entry(self.plan.name)
        # A clock that was set back must not put a change into a window that was closed.
        at_ms = draft.at_ms if last is None else max(last.at_ms, draft.at_ms)
        number = 1 if last is None else last.number + 1
        repository.add_entry(EntryRow(self.plan.name, number, at_ms, account, lot, kind, shares, value, fee))
        if kind is not EntryKind.FEE:
            day = repository.day(self.plan.name, at_ms - at_ms % DAY_MS)
            repository.put_day(
                replace(
                    day,
                    brought_units=day.brought_units + max(value, 0),
                    taken_units=day.taken_units + max(-value, 0),
                )
            )


def plain_lot(lot_id: str, plan: PoolPlan, account: str, shares: int, at_ms: int) -> LotRow:
    """Shares that promise nothing."""
    return tier_lot(lot_id, plan, account, FOUNDING_TIER, shares, at_ms)


def tier_lot(lot_id: str, plan: PoolPlan, account: str, tier: LockTier, shares: int, at_ms: int) -> LotRow:
    """Shares with a tier's promise, from now on."""
    return LotRow(
        lot_id,
        plan.name,
        account,
        tier.name,
        shares,
        0,
        at_ms,
        tier.locked_until_ms(at_ms),
        tier.weight_num,
        tier.weight_den,
        tier.exit_fee_bps,
    )
