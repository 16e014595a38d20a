"""The second half of a reward's way: who was given how much of it, and how that was paid out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from mrmarket.money.payouts.payout import PayoutRow, PayoutState
from mrmarket.money.payouts.repository import PayoutRepository
from mrmarket.money.pool.request_repository import RequestRepository
from mrmarket.money.pool.rows import WithdrawalState
from mrmarket.money.rewards.allocator import chunk_key
from mrmarket.money.rewards.delivery_repository import DeliveryRepository
from mrmarket.money.rewards.inputs import decode_judgement
from mrmarket.money.rewards.repository import RewardRepository
from mrmarket.money.rewards.rows import AllocationRow, Disposition, RunRow, allocation_id
from mrmarket.services.api import partner_schema as schema
from mrmarket.services.money.mapping import signed
from mrmarket.store.sql import Sql

MOST_ACCOUNTS: Final = 200
"""Of a run that is followed for everybody; of a larger one only what was credited is told."""
_MOST_IDS: Final = 20
_MANY: Final = 100_000
_OUT: Final = frozenset({WithdrawalState.SENDING, WithdrawalState.CONFIRMED})
_DEAD: Final = frozenset({PayoutState.REFUSED, PayoutState.CANCELLED})
_NO_PART: Final = "the account had no part in it"


@dataclass(frozen=True, slots=True)
class Share:
    """What the last three steps tell of."""

    asset: str
    decimals: int
    runs: Sequence[RunRow]
    """One, or none while nothing was allocated."""
    account: str | None
    """None for all accounts."""
    is_gone: bool
    """Whether the money was taken back before anybody was given any of it."""

    def text(self, units: int) -> str:
        """Units of the asset."""
        return signed(units, self.decimals)


@dataclass(frozen=True, slots=True)
class _Paid:
    """How far a credit is paid out."""

    state: schema.StepState
    units: int
    at_ms: int | None
    detail: str
    ids: list[schema.TraceId]


def share_steps(sql: Sql, share: Share) -> list[schema.TraceStep]:
    """Allocation, credit, receipt."""
    if not share.runs:
        state: schema.StepState = "not needed" if share.is_gone else "waiting"
        why = "" if share.is_gone else "it is divided when its cycle is over and it has arrived"
        return [
            schema.TraceStep(name="allocation", state=state, detail=why),
            schema.TraceStep(name="credit", state=state),
            schema.TraceStep(name="receipt", state=state),
        ]
    run = share.runs[0]
    if share.account is None:
        return _of_everybody(sql, share, run)
    row = RewardRepository(sql).row(run.id, share.account)
    if row is None:
        return [
            schema.TraceStep(name="allocation", state="not needed", detail=_NO_PART),
            schema.TraceStep(name="credit", state="not needed"),
            schema.TraceStep(name="receipt", state="not needed"),
        ]
    return _of_account(sql, share, run, row)


def _of_account(sql: Sql, share: Share, run: RunRow, row: AllocationRow) -> list[schema.TraceStep]:
    name = allocation_id(run.id, row.account)
    allocation = schema.TraceStep(
        name="allocation",
        state="done",
        amount=share.text(row.units),
        asset=share.asset,
        at_ms=run.at_ms,
        detail=_why(run, row),
        ids=[schema.TraceId(kind="allocation", id=name, at_ms=run.at_ms)],
    )
    if row.disposition is not Disposition.CREDITED or not row.units:
        return [
            allocation,
            schema.TraceStep(name="credit", state="not needed"),
            schema.TraceStep(name="receipt", state="not needed"),
        ]
    credit = _group(sql, run, RewardRepository(sql).chunk_of(run.id, row.account))
    if credit is None:
        return [
            allocation,
            schema.TraceStep(name="credit", state="now"),
            schema.TraceStep(name="receipt", state="waiting"),
        ]
    paid = _paid(sql, share, run, row)
    return [
        allocation,
        schema.TraceStep(
            name="credit",
            state="done",
            amount=share.text(row.units),
            asset=share.asset,
            at_ms=credit.at_ms,
            ids=[credit],
        ),
        _receipt(share, paid),
    ]


def _of_everybody(sql: Sql, share: Share, run: RunRow) -> list[schema.TraceStep]:
    parts = [
        f"{label} {share.text(units)}"
        for label, units in (
            ("fee", run.fee_units),
            ("dust", run.dust_units),
            ("unallocated", run.unallocated_units),
        )
        if units
    ]
    allocation = schema.TraceStep(
        name="allocation",
        state="done",
        amount=share.text(run.credited_units),
        asset=share.asset,
        at_ms=run.at_ms,
        detail=", ".join([f"{_people(sql, run)} accounts", *parts]),
        ids=[schema.TraceId(kind="run", id=run.id, at_ms=run.at_ms)],
    )
    groups = [_group(sql, run, chunk) for chunk in range(run.chunks)]
    posted = [group for group in groups if group is not None]
    credit = schema.TraceStep(
        name="credit",
        state="not needed" if not run.chunks else "done" if len(posted) == run.chunks else "now",
        amount=share.text(run.credited_units) if posted and len(posted) == run.chunks else "",
        asset=share.asset if posted else "",
        at_ms=max((group.at_ms or 0 for group in posted), default=None),
        detail="" if len(posted) == run.chunks else f"{len(posted)} of {run.chunks} groups are posted",
        ids=posted[:_MOST_IDS],
    )
    return [allocation, credit, _receipts_of_all(sql, share, run, is_credited=credit.state == "done")]


def _receipts_of_all(sql: Sql, share: Share, run: RunRow, *, is_credited: bool) -> schema.TraceStep:
    if not run.chunks:
        return schema.TraceStep(name="receipt", state="not needed")
    if not is_credited:
        return schema.TraceStep(name="receipt", state="waiting")
    people = _people(sql, run)
    if people > MOST_ACCOUNTS:
        detail = f"{people} accounts are too many to be followed at once; ask for one allocation"
        return schema.TraceStep(name="receipt", state="waiting", detail=detail)
    rows = [
        row
        for row in RewardRepository(sql).rows(run.id)
        if row.disposition is Disposition.CREDITED and row.units
    ]
    paid = [_paid(sql, share, run, row) for row in rows]
    done = sum(1 for one in paid if one.state == "done")
    return _receipt(
        share,
        _Paid(
            least([one.state for one in paid]),
            sum(one.units for one in paid),
            max((one.at_ms for one in paid if one.at_ms is not None), default=None),
            "" if done == len(paid) else f"{done} of {len(paid)} accounts were paid out",
            [known for one in paid for known in one.ids][:_MOST_IDS],
        ),
    )


def _people(sql: Sql, run: RunRow) -> int:
    """How many accounts a run credits."""
    rows = sql.rows("SELECT count(*) FROM reward_rows WHERE run = ? AND disposition = 'credited'", run.id)
    return int(rows[0][0])


def _receipt(share: Share, paid: _Paid) -> schema.TraceStep:
    return schema.TraceStep(
        name="receipt",
        state=paid.state,
        amount=share.text(paid.units) if paid.units else "",
        asset=share.asset if paid.units else "",
        at_ms=paid.at_ms,
        detail=paid.detail,
        ids=paid.ids,
    )


def _paid(sql: Sql, share: Share, run: RunRow, row: AllocationRow) -> _Paid:
    """How far an account's credit left: by a payout of its own, or with the account's withdrawals."""
    delivery = DeliveryRepository(sql).delivery_of(run.id, row.account)
    payout = PayoutRepository(sql).find(delivery.id) if delivery is not None else None
    if payout is not None and payout.state not in _DEAD:
        state: schema.StepState = "done" if payout.state is PayoutState.CONFIRMED else "now"
        name = _payout_id(sql, payout, share.text(row.units), share.asset)
        return _Paid(state, row.units, name.at_ms, _waits_for(payout), [name])
    return _withdrawn(sql, share, run, row)


def _withdrawn(sql: Sql, share: Share, run: RunRow, row: AllocationRow) -> _Paid:
    """A balance has no marks on its units: what was credited first is said to leave first."""
    before = _credited_before(sql, share.asset, run, row.account)
    first, end = before, before + row.units
    found: list[schema.TraceId] = []
    covered, taken, settled, last_ms = 0, 0, True, 0
    withdrawals = RequestRepository(sql).withdrawals_of(row.account, _MANY)
    for withdrawal in reversed(withdrawals):
        if withdrawal.pool or withdrawal.asset != share.asset or withdrawal.state not in _OUT:
            continue
        start, taken = taken, taken + withdrawal.units
        part = min(taken, end) - max(start, first)
        payout = PayoutRepository(sql).find(withdrawal.payout) if part > 0 else None
        if payout is None:
            continue
        covered += part
        name = _payout_id(sql, payout, share.text(part), share.asset)
        settled = settled and name.state == "done"
        last_ms = max(last_ms, name.at_ms or 0)
        found.append(name)
    if not covered:
        return _Paid("waiting", 0, None, "it is on the balance and was not withdrawn yet", [])
    if covered < row.units:
        detail = f"{share.text(row.units - covered)} of it are still on the balance"
        return _Paid("now", covered, last_ms or None, detail, found[:_MOST_IDS])
    state: schema.StepState = "done" if settled else "now"
    return _Paid(state, covered, last_ms or None, "", found[:_MOST_IDS])


def _credited_before(sql: Sql, asset: str, run: RunRow, account: str) -> int:
    """Units that were credited to an account before a run, less what left by payouts of rewards."""
    rows = sql.rows(
        "SELECT q.id, r.units FROM reward_rows r JOIN reward_runs q ON q.id = r.run"
        " WHERE r.account = ? AND q.asset = ? AND r.chunk >= 0"
        " AND NOT EXISTS (SELECT 1 FROM reward_delivery_rows d WHERE d.run = r.run AND d.account = r.account)"
        " ORDER BY q.at_ms, q.id",
        account,
        asset,
    )
    before = 0
    for known, units in rows:
        if known == run.id:
            break
        before += int(units)
    return before


def _payout_id(sql: Sql, payout: PayoutRow, amount: str, asset: str) -> schema.TraceId:
    receipt = PayoutRepository(sql).receipt(payout.id)
    return schema.TraceId(
        kind="payout",
        id=payout.id if receipt is None else receipt.reference or payout.id,
        amount=amount,
        asset=asset,
        state="now" if receipt is None else "done",
        at_ms=payout.changed_ms if receipt is None else receipt.at_ms,
    )


def _waits_for(payout: PayoutRow) -> str:
    return "" if payout.state is PayoutState.CONFIRMED else payout.reason


def _group(sql: Sql, run: RunRow, chunk: int) -> schema.TraceId | None:
    posted = RewardRepository(sql).group_at(chunk_key(run.id, chunk))
    return None if posted is None else schema.TraceId(kind="group", id=str(posted[0]), at_ms=posted[1])


def _why(run: RunRow, row: AllocationRow) -> str:
    if row.disposition is Disposition.DUST:
        return f"too little to be credited: the least is {run.dust_below_units} units"
    if row.disposition is Disposition.EXCLUDED:
        return decode_judgement(run.given).excluded.get(row.account, "")
    return "" if row.units else "it came to no whole unit"


_ORDER: Final = ("failed", "waiting", "now", "done", "not needed")


def least(states: Sequence[schema.StepState]) -> schema.StepState:
    """How far several are together: done and waiting at once is under way."""
    if not states:
        return "not needed"
    if "done" in states and "waiting" in states and "failed" not in states:
        return "now"
    return min(states, key=_ORDER.index)
