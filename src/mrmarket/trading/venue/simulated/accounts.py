"""Who owns what on the exchange: accounts, the fees it kept, and everybody outside.

Nothing is created or lost: for every asset the accounts, the fees and the outside market sum to
what was deposited, and no account goes below zero.
"""

from __future__ import annotations

from collections.abc import Mapping

from mrmarket.core.errors import InvalidInputError
from mrmarket.trading.venue.simulated.records import ExternalTransfer


class Holding:
    """One asset of one account, in units of 1e-8."""

    __slots__ = ("free", "locked")

    def __init__(self, free: int = 0, locked: int = 0) -> None:
        self.free = free
        self.locked = locked


class Account:
    """The assets of one owner."""

    __slots__ = ("holdings", "moved", "name", "number")

    def __init__(self, name: str, number: int, balances: Mapping[str, int]) -> None:
        self.name = name
        self.number = number
        """What the kernel knows it by."""
        self.holdings: dict[str, Holding] = {}
        self.moved: dict[str, None] = {}
        """Assets that changed since the last publication, in order."""
        for asset, units in balances.items():
            if units < 0:
                raise InvalidInputError(f"balance of {name} in {asset}", units, "0 or more units of 1e-8")
            self.holdings[asset] = Holding(units)

    def free(self, asset: str) -> int:
        """Units that can be spent."""
        holding = self.holdings.get(asset)
        return holding.free if holding else 0

    def lock(self, asset: str, units: int) -> None:
        """Set free units aside for an order; the caller has checked that they are there."""
        holding = self._holding(asset)
        holding.free -= units
        holding.locked += units

    def unlock(self, asset: str, units: int) -> None:
        """Give back what an order no longer needs."""
        if units:
            self.lock(asset, -units)

    def pay(self, asset: str, units: int) -> None:
        """Locked units leave the account."""
        self._holding(asset).locked -= units

    def receive(self, asset: str, units: int) -> None:
        """Units arrive free."""
        self._holding(asset).free += units

    def balances(self) -> dict[str, tuple[int, int]]:
        """`{asset: (free, locked)}`."""
        return {asset: (holding.free, holding.locked) for asset, holding in self.holdings.items()}

    def _holding(self, asset: str) -> Holding:
        self.moved[asset] = None
        holding = self.holdings.get(asset)
        if holding is None:
            holding = self.holdings[asset] = Holding()
        return holding


class Accounts:
    """All accounts, and the two ends of every flow that is not between them."""

    def __init__(self) -> None:
        self.by_name: dict[str, Account] = {}
        self.fees: dict[str, int] = {}
        """Commission kept, rebates paid subtracted."""
        self.outside: dict[str, int] = {}
        """What the historical market gained from the accounts; negative is what it gave."""
        self.transfers: dict[str, ExternalTransfer] = {}
        """What came from outside the exchange or left it, by id; none is ever forgotten."""
        self._new_transfers: list[ExternalTransfer] = []

    def open(self, name: str, balances: Mapping[str, int]) -> Account:
        """Open an account; a name can be used once."""
        if name in self.by_name:
            raise InvalidInputError("account", name, "a name that is not taken yet")
        account = self.by_name[name] = Account(name, len(self.by_name) + 1, balances)
        return account

    def charge(self, asset: str, units: int) -> None:
        """Keep a commission."""
        self.fees[asset] = self.fees.get(asset, 0) + units

    def outsider(self, asset: str, units: int) -> None:
        """The historical market receives, or gives when negative."""
        self.outside[asset] = self.outside.get(asset, 0) + units

    def transfer(self, transfer: ExternalTransfer) -> None:
        """Let something in or out; the caller has checked that what leaves is free and the id new."""
        self.by_name[transfer.account].receive(transfer.asset, transfer.units)
        self.transfers[transfer.transfer_id] = transfer
        self._new_transfers.append(transfer)

    def take_new_transfers(self) -> list[ExternalTransfer]:
        """Those since the last taking, for a journal."""
        taken, self._new_transfers = self._new_transfers, []
        return taken

    def total(self, asset: str) -> int:
        """Everything there is of an asset; only transfers from and to the outside change it."""
        held = sum(
            holding.free + holding.locked
            for account in self.by_name.values()
            for code, holding in account.holdings.items()
            if code == asset
        )
        return held + self.fees.get(asset, 0) + self.outside.get(asset, 0)
