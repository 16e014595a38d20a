"""Where payments that are owed wait, written in the transaction that owes them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec
from msgspec.structs import replace

from mrmarket.core.errors import InvalidInputError
from mrmarket.money.ledger.draft import Draft
from mrmarket.money.ledger.group import Group, Phase, Posted, Transfer, hold_id, void_hold
from mrmarket.money.ledger.rules import Rejection
from mrmarket.money.payouts.errors import (
    PayoutConflictError,
    PayoutStateError,
    SettlementRefusedError,
    UnknownPayoutError,
)
from mrmarket.money.payouts.payout import CAUSES, Block, Payout, PayoutRow, PayoutState, rail_account
from mrmarket.money.payouts.port import clean_text
from mrmarket.money.payouts.repository import PayoutRepository
from mrmarket.store.sql import Sql


class Outbox:
    """Takes payouts in and keeps the gate. Stateless: everything is in the tables."""

    def enqueue(self, draft: Draft, payout: Payout) -> PayoutRow | Rejection:
        """Hold the units and write the row, both in the caller's transaction.

        Asking again for the same payout gives its row as it stands. Where the books refuse the hold, their
        reason comes back and nothing is written, so that it may be asked for again.

        Raises:
            PayoutConflictError: if the cause has a payout with other content.
        """
        repository = PayoutRepository(draft.sql)
        known = repository.find(payout.id)
        if known is not None:
            if not _is_same(known, payout):
                raise PayoutConflictError(payout.id, payout.cause, payout.cause_key)
            return known
        row = _row_of(payout.id, payout, draft.at_ms)
        refusal = hold(draft, row)
        if refusal is not None:
            return refusal
        repository.put(row)
        return row

    def enqueue_all(self, draft: Draft, payouts: Sequence[Payout]) -> list[PayoutRow | Rejection]:
        """As `enqueue` for each of them, in order, with one group that holds the units of all.

        Where the books refuse the group it is halved, until those alone are refused that cannot be paid. A
        payout that is named twice gets the same answer twice.

        Raises:
            PayoutConflictError: as `enqueue`; then nothing is written.
        """
        repository = PayoutRepository(draft.sql)
        ids = [payout.id for payout in payouts]
        named = dict(zip(ids, payouts, strict=True))
        known = repository.find_all(list(named))
        for payout_id, payout in named.items():
            if payout_id in known and not _is_same(known[payout_id], payout):
                raise PayoutConflictError(payout_id, payout.cause, payout.cause_key)
        answers: dict[str, PayoutRow | Rejection] = dict(known)
        fresh = [
            _row_of(payout_id, payout, draft.at_ms)
            for payout_id, payout in named.items()
            if payout_id not in known
        ]
        _hold_all(draft, fresh, answers)
        written = (answers[row.id] for row in fresh)
        repository.add_all(row for row in written if isinstance(row, PayoutRow))
        return [answers[payout_id] for payout_id in ids]

    def cancel(self, draft: Draft, payout_id: str) -> PayoutRow:
        """Take a payout back that no rail was ever asked for; its units are the account's again.

        No settler is called: whoever cancels moves its own state.

        Raises:
            UnknownPayoutError: if there is none.
            PayoutStateError: if a rail was asked for it; then only the rail's answer ends it.
        """
        repository = PayoutRepository(draft.sql)
        row = repository.find(payout_id)
        if row is None:
            raise UnknownPayoutError(payout_id)
        if not may_cancel(row):
            raise PayoutStateError(payout_id, row.state, "queued and were never sent")
        release(draft, row)
        cancelled = replace(
            row, state=PayoutState.CANCELLED, reason="", changed_ms=draft.at_ms, ended_ms=draft.at_ms
        )
        repository.put(cancelled)
        return cancelled

    def payout(self, draft: Draft, payout_id: str) -> PayoutRow | None:
        """A payout as this transaction sees it."""
        return PayoutRepository(draft.sql).find(payout_id)

    def block(self, draft: Draft, asset_code: str, reason: str) -> None:
        """Keep every payout of an asset in the queue; blocking again changes nothing but the reason."""
        if not asset_code or not asset_code.isprintable():
            raise InvalidInputError("asset_code", asset_code, "the code of an asset, such as USDT")
        repository = PayoutRepository(draft.sql)
        since = {block.asset_code: block.since_ms for block in repository.blocks()}
        repository.block(Block(asset_code, clean_text(reason), since.get(asset_code, draft.at_ms)))

    def unblock(self, draft: Draft, asset_code: str) -> None:
        """Let payouts of an asset go on."""
        PayoutRepository(draft.sql).unblock(asset_code)

    def blocks(self, sql: Sql) -> list[Block]:
        """What is blocked, and why."""
        return PayoutRepository(sql).blocks()


def may_cancel(row: PayoutRow) -> bool:
    """Whether no rail can have made this payment under the key it has now, or under one before.

    A payment that is queued again because its absence was proved is not among them: only asking again
    under the same key is safe then.
    """
    return row.state is PayoutState.QUEUED and row.sends == 0


def hold(draft: Draft, row: PayoutRow) -> Rejection | None:
    """Set a payout's units aside, unless the books refuse."""
    rail = rail_account(row.rail)
    transfer = Transfer(row.account, rail.id, row.asset, row.units, CAUSES[row.cause], phase=Phase.PENDING)
    key = row.hold.rpartition("#")[0]
    group = Group(key, (transfer,), accounts=(rail,), memo=f"{row.cause} {row.cause_key}")
    refusal = draft.preview(group)
    if refusal is None:
        draft.post(group)
    return refusal


def _hold_all(draft: Draft, rows: Sequence[PayoutRow], answers: dict[str, PayoutRow | Rejection]) -> None:
    """Set the units of several payouts aside; the answers become rows that name their holds, or refusals."""
    if len(rows) <= 1:
        for row in rows:
            answers[row.id] = hold(draft, row) or row
        return
    rails = {row.rail: rail_account(row.rail) for row in rows}
    transfers = tuple(
        Transfer(
            row.account, rails[row.rail].id, row.asset, row.units, CAUSES[row.cause], phase=Phase.PENDING
        )
        for row in rows
    )
    key = f"payouts:{rows[0].id}"
    group = Group(key, transfers, accounts=tuple(rails.values()), memo=batch_memo(row.id for row in rows))
    if draft.preview(group) is None:
        draft.post(group)
        for place, row in enumerate(rows):
            answers[row.id] = replace(row, hold=hold_id(key, place))
        return
    half = len(rows) // 2
    _hold_all(draft, rows[:half], answers)
    _hold_all(draft, rows[half:], answers)


def batch_memo(payout_ids: Iterable[str]) -> str:
    """Which payouts a group holds the units of, in the order of its transfers."""
    return msgspec.json.encode({"payouts": list(payout_ids)}).decode()


def read_batch_memo(memo: str) -> list[str]:
    """The payouts that `batch_memo` names; none for other memos."""
    try:
        return msgspec.json.decode(memo, type=dict[str, list[str]]).get("payouts", [])
    except msgspec.MsgspecError:
        return []


def release(draft: Draft, row: PayoutRow) -> None:
    """Give a payout's units back to its account.

    Raises:
        SettlementRefusedError: if the books hold nothing for it.
    """
    held = draft.hold(row.hold)
    if held is None:
        raise SettlementRefusedError(f"payout {row.id}", "unknown_hold", f"there is no hold {row.hold!r}")
    post(draft, f"payout {row.id}", Group(f"void:{row.id}:{row.round}", (void_hold(held),)))


def post(draft: Draft, subject: str, group: Group) -> None:
    """Post a group that must not be refused.

    Raises:
        SettlementRefusedError: if it is; raised inside a unit of work, it leaves no trace.
    """
    answer = draft.post(group)
    if not isinstance(answer, Posted):
        raise SettlementRefusedError(subject, answer.code, answer.message)


def _row_of(payout_id: str, payout: Payout, at_ms: int) -> PayoutRow:
    return PayoutRow(
        id=payout_id,
        cause=payout.cause,
        cause_key=payout.cause_key,
        rail=payout.rail,
        account=payout.account,
        asset=payout.asset,
        units=payout.units,
        destination=payout.destination,
        memo=payout.memo,
        state=PayoutState.QUEUED,
        round=0,
        key=payout.key,
        hold=hold_id(f"payout:{payout_id}", 0),
        sends=0,
        polls=0,
        absences=0,
        absent_ms=0,
        acknowledged=False,
        refusals=0,
        reference="",
        reason="",
        fee_units=0,
        due_ms=at_ms,
        queued_ms=at_ms,
        changed_ms=at_ms,
        ended_ms=0,
    )


def _is_same(row: PayoutRow, payout: Payout) -> bool:
    return (row.rail, row.account, row.asset, row.units, row.destination, row.memo) == (
        payout.rail,
        payout.account,
        payout.asset,
        payout.units,
        payout.destination,
        payout.memo,
    )
