"""What a group's transfers do to balances and holds, one after the other, and whether that may be."""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from mrmarket.core.money import MAX_UNITS, Asset
from mrmarket.money.ledger.account import Account
from mrmarket.money.ledger.books import Books, Holding, Pending, Posting, Rejection
from mrmarket.money.ledger.group import Group, Hold, HoldState, Phase, Transfer, hold_id
from mrmarket.money.ledger.transfer import SETTLED_AS

_PLAIN: Final = Phase.PLAIN
_PENDING: Final = Phase.PENDING


class Movement:
    """The working sheet of one group. Nothing in the books changes."""

    __slots__ = (
        "_accounts",
        "_balances",
        "_books",
        "_giving",
        "_holds",
        "_new_accounts",
        "_new_assets",
        "_pending",
        "_taking",
    )

    def __init__(self, books: Books, new_assets: dict[str, Asset], new_accounts: dict[str, Account]) -> None:
        self._books = books
        self._new_assets = new_assets
        self._new_accounts = new_accounts
        self._accounts: dict[str, Account] = {}
        self._balances: dict[Holding, int] = {}
        self._pending: dict[Holding, Pending] = {}
        self._holds: dict[str, Hold] = {}
        self._giving: set[Holding] = set()
        """Holdings that can spend less afterwards."""
        self._taking: set[Holding] = set()
        """Holdings that have or await more afterwards."""

    def carry_out(self, group: Group) -> Posting | Rejection:
        """Go through the transfers in order, then hold the result against every limit."""
        accounts, balances = self._accounts, self._balances
        giving, taking = self._giving, self._taking
        changed: list[Transfer] | None = None
        for position, transfer in enumerate(group.transfers):
            debit, credit, asset = transfer.debit, transfer.credit, transfer.asset
            # A plain transfer of known accounts is written out, because that is what bulk is made of.
            if debit not in accounts or credit not in accounts or (debit, asset) not in balances:
                refusal = self._check_names(transfer)
                if refusal is not None:
                    return refusal
            giver, taker = (debit, asset), (credit, asset)
            recorded = transfer
            if transfer.clamp:
                clamped = self._clamped(transfer)
                if isinstance(clamped, Rejection):
                    return clamped
                recorded = clamped
            if transfer.phase is _PLAIN:
                balances[giver] = self._balance(giver) - recorded.units
                balances[taker] = self._balance(taker) + recorded.units
            else:
                refusal = self._hold_or_settle(recorded, group.key, position)
                if refusal is not None:
                    return refusal
            if transfer.phase is _PLAIN or transfer.phase is _PENDING:
                giving.add(giver)
                taking.add(taker)
            if recorded is not transfer:
                changed = changed or list(group.transfers)
                changed[position] = recorded
        return self._check_limits() or Posting(
            tuple(self._new_assets.values()),
            tuple(self._new_accounts.values()),
            group.transfers if changed is None else tuple(changed),
            balances,
            self._pending,
            self._holds,
        )

    def _check_names(self, transfer: Transfer) -> Rejection | None:
        if transfer.asset not in self._new_assets and self._books.asset(transfer.asset) is None:
            return Rejection("unknown_asset", f"{transfer.asset} is not registered")
        for account_id in (transfer.debit, transfer.credit):
            account = self._new_accounts.get(account_id) or self._books.account(account_id)
            if account is None:
                return Rejection("unknown_account", f"{account_id} is not open")
            self._accounts[account_id] = account
        return None

    def _hold_or_settle(self, transfer: Transfer, key: str, position: int) -> Rejection | None:
        if transfer.phase is _PENDING:
            return self._set_aside(transfer, hold_id(key, position))
        return self._settle(transfer, transfer.hold or "")

    def _clamped(self, transfer: Transfer) -> Transfer | Rejection:
        """The transfer of what the giver has above its floor by now, if that is less."""
        floor = self._accounts[transfer.debit].floor
        units = transfer.units
        if floor is not None:
            holding = (transfer.debit, transfer.asset)
            units = min(units, self._balance(holding) - self._waiting(holding).outgoing - floor)
        if units <= 0:
            return Rejection("nothing_to_move", f"{transfer.debit} has no {transfer.asset} above its floor")
        return replace(transfer, units=units, asked_units=transfer.units)

    def _set_aside(self, transfer: Transfer, name: str) -> Rejection | None:
        if transfer.expires_ms is not None and transfer.expires_ms <= self._books.at_ms:
            return Rejection("hold_expired", f"{name} would have run out before it began; name a later time")
        self._wait(transfer, transfer.units)
        self._holds[name] = Hold(
            name,
            transfer.debit,
            transfer.credit,
            transfer.asset,
            transfer.units,
            transfer.kind,
            transfer.expires_ms,
            HoldState.PENDING,
        )
        return None

    def _settle(self, transfer: Transfer, name: str) -> Rejection | None:
        hold = self._holds.get(name) or self._books.hold(name)
        if hold is None:
            return Rejection("unknown_hold", f"there is no hold {name!r}; a refused group makes none")
        if hold.state is not HoldState.PENDING:
            return Rejection("hold_settled", f"{name} is {hold.state} already")
        if (hold.debit, hold.credit, hold.asset, hold.kind) != (
            transfer.debit,
            transfer.credit,
            transfer.asset,
            transfer.kind,
        ):
            return Rejection("hold_differs", f"{name} has other accounts, another asset or kind")
        refusal = _check_units(transfer, hold) or _check_time(transfer, hold, self._books.at_ms)
        if refusal is not None:
            return refusal
        self._wait(transfer, -hold.units)
        if transfer.phase is Phase.POST:
            giver, taker = (transfer.debit, transfer.asset), (transfer.credit, transfer.asset)
            self._balances[giver] = self._balance(giver) - transfer.units
            self._balances[taker] = self._balance(taker) + transfer.units
        self._holds[name] = replace(hold, state=SETTLED_AS[transfer.phase])
        return None

    def _wait(self, transfer: Transfer, units: int) -> None:
        """Raise (or lower, if negative) what both sides have waiting."""
        giver, taker = (transfer.debit, transfer.asset), (transfer.credit, transfer.asset)
        outgoing, incoming = self._waiting(giver)
        self._pending[giver] = Pending(outgoing + units, incoming)
        outgoing, incoming = self._waiting(taker)
        self._pending[taker] = Pending(outgoing, incoming + units)

    def _check_limits(self) -> Rejection | None:
        accounts, giving, taking = self._accounts, self._giving, self._taking
        for holding in (self._balances | self._pending) if self._pending else self._balances:
            units = self._balance(holding)
            outgoing, incoming = self._waiting(holding)
            if units - outgoing <= -MAX_UNITS or units + incoming >= MAX_UNITS:
                return Rejection("overflow", f"{holding[0]} would hold 2^127 units of {holding[1]} or more")
            account = accounts[holding[0]]
            # What was too low or too high before may stay so; it may not be made worse.
            if account.floor is not None and holding in giving and units - outgoing < account.floor:
                short = f"{holding[0]} is {account.floor - units + outgoing} units of {holding[1]} short"
                return Rejection("insufficient_funds", short)
            if account.ceiling is not None and holding in taking and units + incoming > account.ceiling:
                excess = units + incoming - account.ceiling
                above = f"{holding[0]} would be {excess} units of {holding[1]} above its ceiling"
                return Rejection("ceiling_exceeded", above)
        return None

    def _balance(self, holding: Holding) -> int:
        units = self._balances.get(holding)
        return self._books.balance(*holding) if units is None else units

    def _waiting(self, holding: Holding) -> Pending:
        return self._pending.get(holding) or self._books.pending(*holding)


def _check_units(transfer: Transfer, hold: Hold) -> Rejection | None:
    if transfer.units > hold.units:
        return Rejection("hold_exceeded", f"{hold.id} holds {hold.units} units, not {transfer.units}")
    if transfer.phase is not Phase.POST and transfer.units != hold.units:
        return Rejection("hold_differs", f"{hold.id} holds {hold.units} units; release all of them")
    return None


def _check_time(transfer: Transfer, hold: Hold, at_ms: int) -> Rejection | None:
    out_of_time = hold.expires_ms is not None and at_ms >= hold.expires_ms
    if transfer.phase is Phase.POST and out_of_time:
        return Rejection("hold_expired", f"the time of {hold.id} has run out; expire it")
    if transfer.phase is Phase.EXPIRE and not out_of_time:
        return Rejection("hold_not_expired", f"the time of {hold.id} has not run out; void it instead")
    return None
