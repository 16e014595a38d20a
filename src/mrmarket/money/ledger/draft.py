"""One transaction's view of the books: what is committed, and what this transaction adds."""

from __future__ import annotations

from operator import itemgetter
from typing import Any, NamedTuple, TypeVar

import msgspec

from mrmarket.core.money import Asset
from mrmarket.money.ledger.account import Account
from mrmarket.money.ledger.books import NOTHING_PENDING, Holding, Pending, Posting, Rejection
from mrmarket.money.ledger.chain import POSTED, Record, link
from mrmarket.money.ledger.errors import IdempotencyConflictError
from mrmarket.money.ledger.group import (
    Answer,
    Group,
    Hold,
    HoldState,
    Transfer,
    account_form,
    asset_form,
    content_hash,
    transfers_form,
)
from mrmarket.money.ledger.port import LedgerStore, State
from mrmarket.money.ledger.rules import decide
from mrmarket.store.sql import Sql

K = TypeVar("K")
V = TypeVar("V")


class Mark(NamedTuple):
    """A point to which a draft can be rewound, until the next mark is set."""

    records: int


class Draft:
    """Groups decided but not yet committed. It is the `Books` that the rules read."""

    def __init__(
        self, state: State, store: LedgerStore, at_ms: int, looked_up: dict[str, Record | None]
    ) -> None:
        self.at_ms = at_ms
        self.records: list[Record] = []
        self.balances: dict[Holding, int] = {}
        self._holds: dict[str, Hold] = {}
        self._pending: dict[Holding, Pending] = {}
        self._state = state
        self._store = store
        self._looked_up = looked_up
        self._assets: dict[str, Asset] = {}
        self._accounts: dict[str, Account] = {}
        self._by_key: dict[str, Record] = {}
        self._reversals: dict[str, str] = {}
        self._previewed: tuple[Group, int, Posting | Rejection] | None = None
        """What was decided of a group last, and after how many records."""
        self._undo: list[tuple[dict[Any, Any], Any, Any]] | None = None
        """Dictionary, key and what was there, for every change since the mark; None before the first mark."""

    @property
    def sql(self) -> Sql:
        """Other tables of the same database: what is written there is committed with the groups, or not."""
        return self._store.sql

    def asset(self, asset_id: str) -> Asset | None:
        """A registered asset."""
        return self._assets.get(asset_id) or self._state.assets.get(asset_id)

    def account(self, account_id: str) -> Account | None:
        """An open account."""
        return self._accounts.get(account_id) or self._state.accounts.get(account_id)

    def balance(self, account_id: str, asset_id: str) -> int:
        """Credits less debits, in base units."""
        holding = (account_id, asset_id)
        units = self.balances.get(holding)
        return self._state.balances.get(holding, 0) if units is None else units

    def pending(self, account_id: str, asset_id: str) -> Pending:
        """What open holds set aside of a holding."""
        holding = (account_id, asset_id)
        return self._pending.get(holding) or self._state.pending.get(holding, NOTHING_PENDING)

    def available(self, account_id: str, asset_id: str) -> int:
        """What an account can spend: its balance less what is held, in base units."""
        return self.balance(account_id, asset_id) - self.pending(account_id, asset_id).outgoing

    def hold(self, hold_id: str) -> Hold | None:
        """A hold, pending or settled; None where the group that would have made it was refused."""
        return self._holds.get(hold_id) or self._state.holds.get(hold_id) or self._store.find_hold(hold_id)

    def expired_holds(self, limit: int) -> list[Hold]:
        """Pending holds whose time has run out, oldest first."""
        late = [
            (hold.expires_ms, hold.id, hold)
            for hold in (self._state.holds | self._holds).values()
            if hold.state is HoldState.PENDING
            and hold.expires_ms is not None
            and hold.expires_ms <= self.at_ms
        ]
        return [hold for _, _, hold in sorted(late, key=itemgetter(0, 1))[:limit]]

    def holdings(self, account_id: str) -> dict[str, int]:
        """Every asset that an account has ever held, and how much of it now."""
        held: dict[str, int] = {}
        here, committed = self.balances, self._state.balances
        for asset in (*self._state.assets, *self._assets):
            holding = (account_id, asset)
            units = here.get(holding)
            if units is None:
                units = committed.get(holding)
            if units is not None:
                held[asset] = units
        return held

    def record(self, key: str) -> Record | None:
        """The group recorded under a key, also by this transaction."""
        found = self._by_key.get(key)
        if found is not None:
            return found
        if key not in self._looked_up:  # asked once: nobody else commits while this transaction is open
            self._looked_up[key] = self._store.find(key)
        return self._looked_up[key]

    def reversal(self, key: str) -> str | None:
        """Key of the group that undid another, also by this transaction."""
        return self._reversals.get(key) or self._store.find_reversal(key)

    def preview(self, group: Group) -> Rejection | None:
        """Which rule a group would break now; nothing is recorded."""
        decision = decide(self, group)
        self._previewed = (group, len(self.records), decision)
        return decision if isinstance(decision, Rejection) else None

    def post(self, group: Group) -> Answer:
        """Record a group, posted or rejected; a key seen before gets the answer it got then.

        Raises:
            IdempotencyConflictError: if the key was used for other content; nothing is recorded.
        """
        form = transfers_form(group.transfers)
        digest = content_hash(group, form)
        known = self.record(group.key)
        if known is not None:
            if known.content_hash != digest:
                raise IdempotencyConflictError(group.key, known.seq)
            return known.answer
        record = self._record(group, digest, form, self._decide(group))
        self.records.append(record)
        self._by_key[group.key] = record
        return record.answer

    def _decide(self, group: Group) -> Posting | Rejection:
        """By the rules; what was previewed just now need not be decided again."""
        previewed, self._previewed = self._previewed, None
        if previewed is not None and previewed[0] is group and previewed[1] == len(self.records):
            return previewed[2]
        return decide(self, group)

    def mark(self) -> Mark:
        """Remember this point; an earlier mark is forgotten."""
        self._undo = []
        return Mark(len(self.records))

    def rewind(self, mark: Mark) -> None:
        """Forget what came after the mark."""
        for book, key, before in reversed(self._undo or []):
            if before is None:
                del book[key]
            else:
                book[key] = before
        self._undo = self._previewed = None
        for record in self.records[mark.records :]:
            del self._by_key[record.key]
            if record.reverses is not None:
                self._reversals.pop(record.reverses, None)
        del self.records[mark.records :]

    def settle_into(self, state: State) -> None:
        """After the commit: make the transaction's view the committed one."""
        state.assets.update(self._assets)
        state.accounts.update(self._accounts)
        state.balances.update(self.balances)
        for name, hold in self._holds.items():
            if hold.state is HoldState.PENDING:
                state.holds[name] = hold
            else:
                state.holds.pop(name, None)
        for holding, pending in self._pending.items():
            if pending == NOTHING_PENDING:
                state.pending.pop(holding, None)
            else:
                state.pending[holding] = pending
        if self.records:
            last = self.records[-1]
            state.seq, state.at_ms, state.hash = last.seq, last.at_ms, last.hash

    def _record(
        self, group: Group, content: bytes, form: msgspec.Raw, decision: Posting | Rejection
    ) -> Record:
        last = self.records[-1] if self.records else self._state
        seq = last.seq + 1
        if isinstance(decision, Rejection):
            outcome, message = decision.code, decision.message
            assets: tuple[Asset, ...] = ()
            accounts: tuple[Account, ...] = ()
            transfers: tuple[Transfer, ...] = ()
            reverses = None
            form = transfers_form(())
        else:
            outcome, message = POSTED, ""
            assets, accounts, transfers = decision.assets, decision.accounts, decision.transfers
            reverses = group.reverses
            if transfers is not group.transfers:
                form = transfers_form(transfers)  # a clamp moved less than was asked for
            self._update(self.balances, decision.balances)
            if decision.holds:
                self._update(self._pending, decision.pending)
                self._update(self._holds, decision.holds)
            if assets or accounts:
                self._update(self._assets, {asset.id: asset for asset in assets})
                self._update(self._accounts, {account.id: account for account in accounts})
            if reverses is not None:
                self._reversals[reverses] = group.key
        digest = link(
            last.hash,
            seq,
            group.key,
            content,
            self.at_ms,
            self._store.epoch,
            outcome,
            message,
            group.memo,
            reverses,
            [asset_form(asset) for asset in assets],
            [account_form(account) for account in accounts],
            form,
        )
        return Record(
            seq,
            group.key,
            content,
            self.at_ms,
            self._store.epoch,
            outcome,
            message,
            group.memo,
            reverses,
            assets,
            accounts,
            transfers,
            digest,
        )

    def _update(self, book: dict[K, V], changes: dict[K, V]) -> None:
        if self._undo is not None:
            self._undo += [(book, key, book.get(key)) for key in changes]
        book.update(changes)
