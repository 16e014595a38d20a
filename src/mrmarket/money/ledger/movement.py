"""What a group's transfers do to balances and holds, one after the other, and whether that may be."""

from __future__ import annotations

from msgspec.structs import replace

from mrmarket.core.money import MAX_UNITS, Asset
from mrmarket.money.ledger.account import Account
from mrmarket.money.ledger.books import Books, Holding, Pending, Posting, Rejection
from mrmarket.money.ledger.group import Group, Hold, HoldState, Phase, Transfer, hold_id
from mrmarket.money.ledger.transfer import SETTLED_AS


class Movement:
    """The working sheet of one group. Nothing in the books changes."""

    def __init__(self, books: Books, new_assets: dict[str, Asset], new_accounts: dict[str, Account]) -> None:
        self._books = books
        self._new_assets = new_assets
        self._new_accounts = new_accounts
        self._balances: dict[Holding, int] = {}
        self._pending: dict[Holding, Pending] = {}
        self._holds: dict[str, Hold] = {}
        # Keys in the order of the transfers, so that the first broken rule is the same on every machine.
        self._giving: dict[Holding, None] = {}
        self._taking: dict[Holding, None] = {}

    def carry_out(self, group: Group) -> Posting | Rejection:
        """Go through the transfers in order, then hold the result against every limit."""
        done: list[Transfer] = []
        for position, transfer in enumerate(group.transfers):
            refusal = self._check_names(transfer)
            if refusal is not None:
                return refusal
            recorded = self._clamped(transfer) if transfer.clamp else transfer
            if isinstance(recorded, Rejection):
                return recorded
            if recorded.phase is Phase.PLAIN:
                self._give(recorded)
            elif recorded.phase is Phase.PENDING:
                refusal = self._set_aside(recorded, hold_id(group.key, position))
            else:
                refusal = self._settle(recorded, recorded.hold or "")
            if refusal is not None:
                return refusal
            done.append(recorded)
        return self._check_limits() or Posting(
            tuple(self._new_assets.values()),
            tuple(self._new_accounts.values()),
            tuple(done),
            self._balances,
            self._pending,
            self._holds,
        )

    def _check_names(self, transfer: Transfer) -> Rejection | None:
        if transfer.asset not in self._new_assets and self._books.asset(transfer.asset) is None:
            return Rejection("unknown_asset", f"{transfer.asset} is not registered")
        for account_id in (transfer.debit, transfer.credit):
            if account_id not in self._new_accounts and self._books.account(account_id) is None:
                return Rejection("unknown_account", f"{account_id} is not open")
        return None

    def _clamped(self, transfer: Transfer) -> Transfer | Rejection:
        """The transfer of what the giver has above its floor by now, if that is less."""
        floor = self._account(transfer.debit).floor
        units = transfer.units
        if floor is not None:
            holding = (transfer.debit, transfer.asset)
            units = min(units, self._balance(holding) - self._waiting(holding).outgoing - floor)
        if units <= 0:
            return Rejection("nothing_to_move", f"{transfer.debit} has no {transfer.asset} above its floor")
        return replace(transfer, units=units, asked_units=transfer.units)

    def _give(self, transfer: Transfer) -> None:
        giver = (transfer.debit, transfer.asset)
        taker = (transfer.credit, transfer.asset)
        self._balances[giver] = self._balance(giver) - transfer.units
        self._balances[taker] = self._balance(taker) + transfer.units
        self._giving[giver] = None
        self._taking[taker] = None

    def _set_aside(self, transfer: Transfer, name: str) -> Rejection | None:
        if transfer.expires_ms is not None and transfer.expires_ms <= self._books.at_ms:
            return Rejection("hold_expired", f"{name} would have run out before it began; name a later time")
        self._wait(transfer, transfer.units)
        self._giving[transfer.debit, transfer.asset] = None
        self._taking[transfer.credit, transfer.asset] = None
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
        for holding in self._balances.keys() | self._pending.keys() if self._pending else self._balances:
            units = self._balance(holding)
            outgoing, incoming = self._waiting(holding)
            if units - outgoing <= -MAX_UNITS or units + incoming >= MAX_UNITS:
                return Rejection("overflow", f"{holding[0]} would hold 2^127 units of {holding[1]} or more")
        for holding in self._giving:
            floor = self._account(holding[0]).floor
            if floor is None:
                continue
            available = self._balance(holding) - self._waiting(holding).outgoing
            if available < floor:
                short = f"{holding[0]} is {floor - available} units of {holding[1]} short"
                return Rejection("insufficient_funds", short)
        for holding in self._taking:
            ceiling = self._account(holding[0]).ceiling
            if ceiling is None:
                continue
            filled = self._balance(holding) + self._waiting(holding).incoming
            if filled > ceiling:
                excess = f"{holding[0]} would be {filled - ceiling} units of {holding[1]} above its ceiling"
                return Rejection("ceiling_exceeded", excess)
        return None

    def _balance(self, holding: Holding) -> int:
        units = self._balances.get(holding)
        return self._books.balance(*holding) if units is None else units

    def _waiting(self, holding: Holding) -> Pending:
        return self._pending.get(holding) or self._books.pending(*holding)

    def _account(self, account_id: str) -> Account:
        account = self._new_accounts.get(account_id) or self._books.account(account_id)
        if account is None:  # _check_names has seen it
            raise LookupError(account_id)
        return account


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
