"""What custody moves do to the books: held at one end, moved and credited at the other in one posting."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec.structs import asdict, replace

from mrmarket.core.money import Asset
from mrmarket.money.ledger.account import Account, AccountKind
from mrmarket.money.ledger.draft import Draft
from mrmarket.money.ledger.group import (
    Group,
    Hold,
    Phase,
    Transfer,
    TransferKind,
    hold_id,
    post_hold,
    void_hold,
)
from mrmarket.money.ledger.rules import Rejection
from mrmarket.money.payouts.errors import (
    InexactAmountError,
    PayoutConflictError,
    PayoutStateError,
    SettlementRefusedError,
)
from mrmarket.money.payouts.move import (
    MEMO_PREFIX,
    MOVES_PENDING,
    Direction,
    Move,
    MoveRow,
    MoveState,
    convert_units,
)
from mrmarket.money.payouts.outbox import Outbox, post
from mrmarket.money.payouts.payment import Claim, Park, Payment, Verdict, Wait
from mrmarket.money.payouts.payout import Ending, Payout, PayoutRow
from mrmarket.money.payouts.port import SendReport, VenueFunding
from mrmarket.money.payouts.pursuit import Finding, Jitter, Patience, asked, pursuit_of, weigh
from mrmarket.money.payouts.repository import MoveRepository
from mrmarket.store.sql import Sql

CLAIM_KIND: Final = "move"
"""Of payments that complete a move."""


def venue_world(venue: str) -> Account:
    """The world beyond a venue's account."""
    return Account.of(AccountKind.EXTERNAL, venue)


class MoveBook:
    """Plans and settles moves inside the ledger writer's transaction.

    While a move is under way its units are held and still belong to the pool's posted balance of the place
    that they leave; the posting that ends the hold credits the other place. Whoever counts posted balances
    over all places therefore counts a pool's money exactly once at every moment.
    """

    def __init__(
        self, outbox: Outbox, venues: Mapping[str, VenueFunding], patience: Patience, jitter: Jitter
    ) -> None:
        self._outbox = outbox
        self._venues = venues
        self._patience = patience
        self._jitter = jitter

    def plan(self, draft: Draft, move: Move, destination: str) -> MoveRow | Rejection:
        """Hold the units and write the move; to a venue, the payout to `destination` as well.

        Where the books refuse the hold their reason comes back and nothing is written.

        Raises:
            PayoutConflictError: if the cause has a move with other content.
            InexactAmountError: if the other place's asset cannot hold the amount exactly.
        """
        repository = MoveRepository(draft.sql)
        row = _row_of(move, draft.at_ms)
        known = repository.find(move.id)
        if known is not None:
            if _content(known) != _content(row):
                raise PayoutConflictError(move.id, "move", move.cause_key)
            return known
        if move.direction is Direction.TO_VENUE:
            payout = _payout_of(move, destination)
            queued = self._outbox.enqueue(draft, payout)
            if isinstance(queued, Rejection):
                return queued
            row = replace(row, payout_id=queued.id)
            self._open(draft, row, move.venue_asset)
        else:
            self._open(draft, row, move.venue_asset)
            refusal = _hold(draft, row)
            if refusal is not None:
                return refusal
            row = replace(row, hold=hold_id(f"move:{row.id}", 0))
        repository.put(row)
        return row

    def take(self, draft: Draft, move_id: str, now_ms: int) -> MoveRow | None:
        """Note that the venue is about to be asked; None if that is no longer wanted."""
        repository = MoveRepository(draft.sql)
        row = repository.find(move_id)
        if row is None or row.state is not MoveState.PLANNED or row.direction is not Direction.TO_RAIL:
            return None
        changes = asdict(asked(pursuit_of(row), now_ms))
        going = replace(row, state=MoveState.MOVING, changed_ms=draft.at_ms, **changes)
        repository.put(going)
        return going

    def note(
        self, draft: Draft, seen: MoveRow, report: SendReport, now_ms: int, *, looked_up: bool
    ) -> MoveRow:
        """Follow a venue's report on a move, as it was `seen` when the question was put."""
        repository = MoveRepository(draft.sql)
        row = repository.find(seen.id)
        if row is None or row.state not in {MoveState.MOVING, MoveState.UNKNOWN} or row.sends != seen.sends:
            return row or seen  # it has arrived since
        pursuit, finding = weigh(
            pursuit_of(row),
            report,
            looked_up=looked_up,
            now_ms=now_ms,
            settle_ms=self._venues[row.venue].settle_ms,
            patience=self._patience,
            jitter=self._jitter,
        )
        row = replace(row, changed_ms=draft.at_ms, **asdict(pursuit))
        if finding is Finding.REFUSED:
            row = _refused(draft, row)
        elif finding is Finding.CONFIRMED:
            # Final at the venue; what ends the move is the payment's arrival on the rail.
            row = replace(
                row,
                state=MoveState.MOVING,
                acknowledged=True,
                fee_units=report.fee_units,
                final_ms=row.final_ms or draft.at_ms,
                due_ms=now_ms + self._patience.longest_pause_ms,
            )
        elif finding is Finding.ABSENT:
            row = replace(row, state=MoveState.PLANNED)
        else:
            row = replace(row, state=MoveState.MOVING if finding is Finding.PENDING else MoveState.UNKNOWN)
        repository.put(row)
        return row

    def stumble(self, draft: Draft, move_id: str, reason: str, now_ms: int) -> None:
        """Note that a report could not be followed; the venue is asked again later."""
        repository = MoveRepository(draft.sql)
        row = repository.find(move_id)
        if row is not None and row.state in MOVES_PENDING:
            due_ms = now_ms + self._patience.pause_ms(row.polls, self._jitter)
            repository.put(replace(row, reason=reason, polls=row.polls + 1, due_ms=due_ms))

    def claim(self, draft: Draft, payment: Payment) -> Verdict:
        """Claimer of payments that complete a move from a venue."""
        if not payment.memo.startswith(MEMO_PREFIX):
            return None
        repository = MoveRepository(draft.sql)
        row = repository.find(payment.memo.removeprefix(MEMO_PREFIX))
        if row is None or row.direction is not Direction.TO_RAIL or row.rail_asset != payment.asset:
            return None
        if row.state not in MOVES_PENDING or not row.sends:
            # It may come from the venue's own wallet, where money that is sent back is lost.
            return Park(f"move {row.id} is {row.state} already")
        fee_units = _fee_of(draft, row, payment.units)
        if fee_units is None:
            reason = f"move {row.id} brings {row.rail_units} units less the venue's fee, not {payment.units}"
            return Park(reason) if row.final_ms else Wait(reason)
        _arrive(draft, row, payment, fee_units)
        repository.put(_done(row, fee_units, draft.at_ms))
        return Claim(CLAIM_KIND, row.id)

    def settle(self, draft: Draft, payout: PayoutRow, ending: Ending) -> None:
        """Settler of the cause `custody`: a payout to a venue has ended."""
        repository = MoveRepository(draft.sql)
        row = repository.find(payout.cause_key)
        if row is None:
            return  # somebody else's move
        if ending is Ending.REVIVED:
            if row.state is not MoveState.REFUSED:
                raise PayoutStateError(payout.id, payout.state, "refused and whose move is refused")
            row = replace(row, state=MoveState.PLANNED, reason="", ended_ms=0)
        elif ending is Ending.REFUSED:
            row = replace(row, state=MoveState.REFUSED, reason=payout.reason, ended_ms=draft.at_ms)
        else:
            transfer = Transfer(
                venue_world(row.venue).id,
                row.account,
                row.venue_asset,
                row.venue_units,
                TransferKind.CUSTODY_MOVE,
            )
            post(draft, f"move {row.id}", Group(f"arrive:{row.id}", (transfer,)))
            row = _done(row, 0, draft.at_ms)
        repository.put(replace(row, changed_ms=draft.at_ms))

    def _open(self, draft: Draft, row: MoveRow, venue_asset: Asset) -> None:
        """Make sure that the books know the venue's end before money is under way to it."""
        group = Group(f"open:move:{venue_asset.id}", (), (venue_asset,), (venue_world(row.venue),))
        post(draft, f"move {row.id}", group)


def in_transit(sql: Sql, account: str) -> dict[str, int]:
    """What a pool has on its way, by id of the asset that it leaves as.

    These units are held and still part of the pool's posted balance of that asset: they explain why it
    cannot spend them, and are not to be added to it.
    """
    units: dict[str, int] = {}
    for row in MoveRepository(sql).pending(account):
        to_venue = row.direction is Direction.TO_VENUE
        asset, moved = (row.rail_asset, row.rail_units) if to_venue else (row.venue_asset, row.venue_units)
        units[asset] = units.get(asset, 0) + moved
    return units


def _payout_of(move: Move, destination: str) -> Payout:
    return Payout(
        cause="custody",
        cause_key=move.id,
        rail=move.rail_asset.namespace,
        account=move.account,
        asset=move.rail_asset.id,
        units=move.rail_units,
        destination=destination,
        memo=MEMO_PREFIX + move.id,
    )


def _hold(draft: Draft, row: MoveRow) -> Rejection | None:
    transfer = Transfer(
        row.account,
        venue_world(row.venue).id,
        row.venue_asset,
        row.venue_units,
        TransferKind.CUSTODY_MOVE,
        phase=Phase.PENDING,
    )
    group = Group(f"move:{row.id}", (transfer,), memo=f"to {row.rail}")
    refusal = draft.preview(group)
    if refusal is None:
        draft.post(group)
    return refusal


def _held(draft: Draft, row: MoveRow) -> Hold:
    held = draft.hold(row.hold)
    if held is None:
        raise SettlementRefusedError(f"move {row.id}", "unknown_hold", f"there is no hold {row.hold!r}")
    return held


def _fee_of(draft: Draft, row: MoveRow, arrived_units: int) -> int | None:
    """The venue's fee that explains what arrived, in its units; None where nothing explains it."""
    if arrived_units == row.rail_units:
        return 0
    rail, venue = draft.asset(row.rail_asset), draft.asset(row.venue_asset)
    if rail is None or venue is None or not row.final_ms or not 0 < row.fee_units < row.venue_units:
        return None
    try:
        expected = convert_units(row.venue_units - row.fee_units, venue.decimals, rail.decimals)
    except InexactAmountError:
        return None
    return row.fee_units if expected == arrived_units else None


def _arrive(draft: Draft, row: MoveRow, payment: Payment, fee_units: int) -> None:
    held = _held(draft, row)
    transfers = [
        post_hold(held, held.units - fee_units),
        Transfer(payment.suspense, row.account, payment.asset, payment.units, TransferKind.CUSTODY_MOVE),
    ]
    if fee_units:
        world = venue_world(row.venue).id
        transfers.append(Transfer(row.account, world, row.venue_asset, fee_units, TransferKind.NETWORK_FEE))
    post(draft, f"move {row.id}", Group(f"arrive:{row.id}", tuple(transfers)))


def _refused(draft: Draft, row: MoveRow) -> MoveRow:
    post(draft, f"move {row.id}", Group(f"void:{row.id}:move", (void_hold(_held(draft, row)),)))
    reason = row.reason or "the venue gave no reason"
    return replace(row, state=MoveState.REFUSED, reason=reason, ended_ms=draft.at_ms)


def _done(row: MoveRow, fee_units: int, at_ms: int) -> MoveRow:
    return replace(
        row, state=MoveState.DONE, reason="", fee_units=fee_units, changed_ms=at_ms, ended_ms=at_ms
    )


def _row_of(move: Move, at_ms: int) -> MoveRow:
    return MoveRow(
        id=move.id,
        cause_key=move.cause_key,
        account=move.account,
        direction=move.direction,
        rail=move.rail_asset.namespace,
        venue=move.venue_asset.namespace,
        asset_code=move.rail_asset.code,
        rail_units=move.rail_units,
        venue_units=move.venue_units,
        state=MoveState.PLANNED,
        hold="",
        payout_id="",
        sends=0,
        polls=0,
        absences=0,
        absent_ms=0,
        acknowledged=False,
        reference="",
        reason="",
        fee_units=0,
        final_ms=0,
        due_ms=at_ms,
        planned_ms=at_ms,
        changed_ms=at_ms,
        ended_ms=0,
    )


def _content(row: MoveRow) -> tuple[object, ...]:
    return (row.account, row.direction, row.rail, row.venue, row.asset_code, row.rail_units, row.venue_units)
