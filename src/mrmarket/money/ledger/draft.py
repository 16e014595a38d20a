"""One transaction's view of the books: what is committed, and what this transaction adds."""

from __future__ import annotations

from typing import NamedTuple

from mrmarket.core.money import Asset
from mrmarket.money.ledger.account import Account
from mrmarket.money.ledger.chain import POSTED, Record, link
from mrmarket.money.ledger.errors import IdempotencyConflictError
from mrmarket.money.ledger.group import Answer, Group, Transfer, account_form, asset_form, transfer_form
from mrmarket.money.ledger.port import LedgerStore, State
from mrmarket.money.ledger.rules import Holding, Posting, Rejection, decide


class Mark(NamedTuple):
    """A point to which a draft can be rewound."""

    assets: dict[str, Asset]
    accounts: dict[str, Account]
    balances: dict[Holding, int]
    records: int


class Draft:
    """Groups decided but not yet committed. It is the `Books` that the rules read."""

    def __init__(self, state: State, store: LedgerStore, at_ms: int) -> None:
        self.at_ms = at_ms
        self.records: list[Record] = []
        self.balances: dict[Holding, int] = {}
        self._state = state
        self._store = store
        self._assets: dict[str, Asset] = {}
        self._accounts: dict[str, Account] = {}
        self._by_key: dict[str, Record] = {}
        self._reversals: dict[str, str] = {}

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

    def holdings(self, account_id: str) -> dict[str, int]:
        """Every asset that an account has ever held, and how much of it now."""
        held: dict[str, int] = {}
        for asset in (*self._state.assets, *self._assets):
            holding = (account_id, asset)
            if holding in self.balances or holding in self._state.balances:
                held[asset] = self.balance(*holding)
        return held

    def record(self, key: str) -> Record | None:
        """The group recorded under a key, also by this transaction."""
        return self._by_key.get(key) or self._store.find(key)

    def reversal(self, key: str) -> str | None:
        """Key of the group that undid another, also by this transaction."""
        return self._reversals.get(key) or self._store.find_reversal(key)

    def preview(self, group: Group) -> Rejection | None:
        """Which rule a group would break now; nothing is recorded."""
        decision = decide(self, group)
        return decision if isinstance(decision, Rejection) else None

    def post(self, group: Group) -> Answer:
        """Record a group, posted or rejected; a key seen before gets the answer it got then.

        Raises:
            IdempotencyConflictError: if the key was used for other content; nothing is recorded.
        """
        content_hash = group.content_hash
        known = self.record(group.key)
        if known is not None:
            if known.content_hash != content_hash:
                raise IdempotencyConflictError(group.key, known.seq)
            return known.answer
        record = self._record(group, content_hash, decide(self, group))
        self.records.append(record)
        self._by_key[group.key] = record
        return record.answer

    def mark(self) -> Mark:
        """Remember this point."""
        return Mark(dict(self._assets), dict(self._accounts), dict(self.balances), len(self.records))

    def rewind(self, mark: Mark) -> None:
        """Forget what came after a point."""
        self._assets, self._accounts, self.balances = mark.assets, mark.accounts, mark.balances
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
        if self.records:
            state.seq, state.hash = self.records[-1].seq, self.records[-1].hash

    def _record(self, group: Group, content_hash: bytes, decision: Posting | Rejection) -> Record:
        last = self.records[-1] if self.records else self._state
        seq = last.seq + 1
        if isinstance(decision, Rejection):
            outcome, message = decision.code, decision.message
            assets: tuple[Asset, ...] = ()
            accounts: tuple[Account, ...] = ()
            transfers: tuple[Transfer, ...] = ()
            reverses = None
        else:
            outcome, message = POSTED, ""
            assets, accounts, transfers = decision.assets, decision.accounts, group.transfers
            reverses = group.reverses
            self.balances.update(decision.balances)
            self._assets.update((asset.id, asset) for asset in assets)
            self._accounts.update((account.id, account) for account in accounts)
            if reverses is not None:
                self._reversals[reverses] = group.key
        digest = link(
            last.hash,
            seq,
            group.key,
            content_hash,
            self.at_ms,
            self._store.epoch,
            outcome,
            message,
            group.memo,
            reverses,
            [asset_form(asset) for asset in assets],
            [account_form(account) for account in accounts],
            [transfer_form(transfer) for transfer in transfers],
        )
        return Record(
            seq,
            group.key,
            content_hash,
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
