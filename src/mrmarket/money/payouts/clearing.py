"""What a rail's answer means for a payout, in one transaction with whatever caused it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec.structs import asdict, replace

from mrmarket.core.errors import InvalidInputError
from mrmarket.core.money import MAX_UNITS, Asset
from mrmarket.money.ledger.account import Account, AccountKind
from mrmarket.money.ledger.draft import Draft
from mrmarket.money.ledger.group import Group, Transfer, TransferKind, hold_id, post_hold
from mrmarket.money.ledger.rules import Rejection
from mrmarket.money.payouts.errors import PayoutStateError, SettlementRefusedError, UnknownPayoutError
from mrmarket.money.payouts.outbox import hold, post, release
from mrmarket.money.payouts.payment import RESERVE, Incident
from mrmarket.money.payouts.payout import (
    Ending,
    PayoutRow,
    PayoutState,
    Receipt,
    Settler,
    derived_id,
    rail_account,
)
from mrmarket.money.payouts.port import PaymentRail, SendReport, SendState
from mrmarket.money.payouts.pursuit import Finding, Jitter, Patience, asked, pursuit_of, weigh
from mrmarket.money.payouts.repository import PaymentRepository, PayoutRepository

IN_FLIGHT: Final = (PayoutState.SENDING, PayoutState.SENT, PayoutState.UNKNOWN)
"""The rail was asked and has not said how it ended."""

_NEEDS_SETTLER: Final = frozenset({"refund", "custody"})

MAX_REFUSALS: Final = 3
"""After so many a payout is given up and its hold released."""


def network_account(rail: str) -> Account:
    """What a rail has cost us and nobody has covered yet: minus its balance."""
    return Account.of(AccountKind.NETWORK, rail)


class Clearing:
    """Settles payouts by what rails report. Stateless but for its settings.

    A payout's units reach the destination whole. What the rail charges on top is the instance's cost:
    `network:{rail}` owes it (its balance goes below zero) until the owner covers it.
    """

    def __init__(
        self,
        rails: Mapping[str, PaymentRail],
        settlers: Mapping[str, Settler],
        patience: Patience,
        jitter: Jitter,
        max_refusals: int = MAX_REFUSALS,
    ) -> None:
        """`settlers` by cause; `refund` and `custody` must be among them (`Intake`, `MoveBook`).

        Raises:
            InvalidInputError: if one of these is missing; their payouts would end and nobody would be told.
        """
        if not settlers.keys() >= _NEEDS_SETTLER:
            wanted = "Intake.settle_refund as 'refund' and MoveBook.settle as 'custody'"
            raise InvalidInputError("settlers", sorted(settlers), wanted)
        self._rails = rails
        self._settlers = settlers
        self._patience = patience
        self._jitter = jitter
        self._max_refusals = max_refusals

    def take(self, draft: Draft, payout_ids: list[str], now_ms: int) -> list[PayoutRow]:
        """Note that the rail is about to be asked for these payouts; those that still may be sent."""
        repository = PayoutRepository(draft.sql)
        blocked = {block.asset_code for block in repository.blocks()}
        taken = []
        for payout_id in payout_ids:
            row = repository.find(payout_id)
            if row is None or row.state is not PayoutState.QUEUED or row.asset_code in blocked:
                continue
            going = replace(
                row,
                state=PayoutState.SENDING,
                changed_ms=draft.at_ms,
                **asdict(asked(pursuit_of(row), now_ms)),
            )
            repository.put(going)
            taken.append(going)
        return taken

    def note(
        self, draft: Draft, seen: PayoutRow, report: SendReport, now_ms: int, *, looked_up: bool
    ) -> PayoutRow:
        """Settle a payout by a report on it, as it was `seen` when the question was put.

        Raises:
            SettlementRefusedError: if the books refuse what the report asks for; nothing is changed.
        """
        repository = PayoutRepository(draft.sql)
        row = repository.find(seen.id)
        if row is None:
            raise UnknownPayoutError(seen.id)
        if row.state not in IN_FLIGHT or (row.key, row.sends) != (seen.key, seen.sends):
            return row  # somebody else has settled it, or asked again since
        pursuit, finding = weigh(
            pursuit_of(row),
            report,
            looked_up=looked_up,
            now_ms=now_ms,
            settle_ms=self._rails[row.rail].settle_ms,
            patience=self._patience,
            jitter=self._jitter,
        )
        row = replace(row, changed_ms=draft.at_ms, **asdict(pursuit))
        if finding is Finding.CONFIRMED:
            return self._confirm(draft, row, report)
        if finding is Finding.REFUSED:
            return self._refuse(draft, row, now_ms)
        row = replace(row, state=_state_after(row, finding, report))
        repository.put(row)
        return row

    def stumble(self, draft: Draft, payout_id: str, reason: str, now_ms: int) -> None:
        """Note that an answer could not be settled; it is asked for again later."""
        repository = PayoutRepository(draft.sql)
        row = repository.find(payout_id)
        if row is not None and row.state in IN_FLIGHT:
            due_ms = now_ms + self._patience.pause_ms(row.polls, self._jitter)
            repository.put(replace(row, reason=reason, polls=row.polls + 1, due_ms=due_ms))

    def retry(self, draft: Draft, payout_id: str) -> PayoutRow | Rejection:
        """The owner tries a refused payout again, under a new key and with a new hold.

        Raises:
            UnknownPayoutError: if there is none.
            PayoutStateError: if it is not refused.
            MrMarketError: whatever the cause's settler forbids it with.
        """
        row = _required(draft, payout_id)
        if row.state is not PayoutState.REFUSED:
            raise PayoutStateError(payout_id, row.state, "refused")
        revived = replace(
            _next_round(row),
            state=PayoutState.QUEUED,
            hold=hold_id(f"payout:{row.id}:{row.round + 1}", 0),
            refusals=0,
            due_ms=draft.at_ms,
            changed_ms=draft.at_ms,
            ended_ms=0,
        )
        refusal = hold(draft, revived)
        if refusal is not None:
            return refusal
        PayoutRepository(draft.sql).put(revived)
        self._tell(draft, revived, Ending.REVIVED)
        return revived

    def resend(self, draft: Draft, payout_id: str) -> PayoutRow:
        """The owner has found out that a payment was lost: ask for it again, under the same key.

        Raises:
            UnknownPayoutError: if there is none.
            PayoutStateError: if its fate is not unknown.
        """
        row = _required(draft, payout_id)
        if row.state is not PayoutState.UNKNOWN:
            raise PayoutStateError(payout_id, row.state, "unknown")
        again = replace(row, state=PayoutState.QUEUED, due_ms=draft.at_ms, changed_ms=draft.at_ms)
        PayoutRepository(draft.sql).put(again)
        return again

    def cover_costs(self, draft: Draft, rail: str, asset: str, key: str) -> int:
        """Pay a rail's uncovered costs of one asset out of the owner's reserve; how many units."""
        owed = -draft.balance(network_account(rail).id, asset)
        units = min(owed, draft.available(RESERVE.id, asset)) if draft.account(RESERVE.id) else 0
        if units <= 0:
            return 0
        transfer = Transfer(RESERVE.id, network_account(rail).id, asset, units, TransferKind.NETWORK_FEE)
        post(draft, f"costs of {rail}", Group(f"cover:{rail}:{key}", (transfer,)))
        return units

    def _confirm(self, draft: Draft, row: PayoutRow, report: SendReport) -> PayoutRow:
        held = draft.hold(row.hold)
        if held is None:
            raise SettlementRefusedError(f"payout {row.id}", "unknown_hold", f"there is no hold {row.hold!r}")
        fee = self._fee(draft, row, report)
        transfers = [post_hold(held)]
        assets: tuple[Asset, ...] = ()
        if fee is not None:
            network, world = network_account(row.rail).id, rail_account(row.rail).id
            transfers.append(Transfer(network, world, fee.id, report.fee_units, TransferKind.NETWORK_FEE))
            assets = (fee,)
        group = Group(f"settle:{row.id}", tuple(transfers), assets, (network_account(row.rail),))
        post(draft, f"payout {row.id}", group)
        done = replace(
            row,
            state=PayoutState.CONFIRMED,
            reason="",
            fee_units=report.fee_units if fee is not None else 0,
            changed_ms=draft.at_ms,
            ended_ms=draft.at_ms,
        )
        repository = PayoutRepository(draft.sql)
        repository.put(done)
        repository.add_receipt(
            Receipt(
                payout_id=row.id,
                rail=row.rail,
                key=row.key,
                reference=row.reference,
                asset=row.asset,
                units=row.units,
                destination=row.destination,
                fee_asset=fee.id if fee is not None else row.asset,
                fee_units=done.fee_units,
                rail_ms=report.at_ms,
                at_ms=draft.at_ms,
                posting=group.key,
            )
        )
        self._tell(draft, done, Ending.CONFIRMED)
        return done

    def _refuse(self, draft: Draft, row: PayoutRow, now_ms: int) -> PayoutRow:
        row = replace(row, refusals=row.refusals + 1, reason=row.reason or "the rail gave no reason")
        if row.refusals < self._max_refusals:
            due_ms = now_ms + self._patience.pause_ms(row.refusals, self._jitter)
            again = replace(_next_round(row), state=PayoutState.QUEUED, due_ms=due_ms)
            PayoutRepository(draft.sql).put(again)
            return again
        release(draft, row)
        dead = replace(row, state=PayoutState.REFUSED, ended_ms=draft.at_ms)
        PayoutRepository(draft.sql).put(dead)
        self._tell(draft, dead, Ending.REFUSED)
        return dead

    def _fee(self, draft: Draft, row: PayoutRow, report: SendReport) -> Asset | None:
        """Asset of the rail's fee; None without one. A fee that cannot be booked opens an incident."""
        if not report.fee_units:
            return None
        code = report.fee_code or row.asset_code
        listed = {asset.code: asset for asset in self._rails[row.rail].assets()}
        asset = listed.get(code)
        if asset is not None and report.fee_units < MAX_UNITS and draft.asset(asset.id) in {None, asset}:
            return asset
        incident = Incident(
            id=f"fee:{row.id}",
            kind="fee",
            rail=row.rail,
            payment_id=row.id,
            asset=f"{row.rail}:{code}",
            units=report.fee_units,
            state="open",
            reason="the rail charged a fee in an asset that the books cannot hold; post it by hand",
            opened_ms=draft.at_ms,
            closed_ms=0,
        )
        PaymentRepository(draft.sql).put_incident(incident)
        return None

    def _tell(self, draft: Draft, row: PayoutRow, ending: Ending) -> None:
        settler = self._settlers.get(row.cause)
        if settler is not None:
            settler(draft, row, ending)


def _state_after(row: PayoutRow, finding: Finding, report: SendReport) -> PayoutState:
    if finding is Finding.ABSENT:
        return PayoutState.QUEUED
    if finding is Finding.PENDING:
        return PayoutState.SENT if report.state is SendState.SENT else PayoutState.SENDING
    forgotten = row.absences > 0
    return row.state if row.state is PayoutState.SENT and not forgotten else PayoutState.UNKNOWN


def _next_round(row: PayoutRow) -> PayoutRow:
    number = row.round + 1
    return replace(
        row,
        round=number,
        key=derived_id("round", row.id, str(number)),
        sends=0,
        polls=0,
        absences=0,
        absent_ms=0,
        acknowledged=False,
        reference="",
    )


def _required(draft: Draft, payout_id: str) -> PayoutRow:
    row = PayoutRepository(draft.sql).find(payout_id)
    if row is None:
        raise UnknownPayoutError(payout_id)
    return row
