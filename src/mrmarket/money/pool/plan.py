"""What a pool is: its name, its places of custody, the money it counts in, and who founds it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from mrmarket.core.errors import InvalidInputError
from mrmarket.core.money import Asset
from mrmarket.money.ledger.account import Account, AccountKind
from mrmarket.money.pool.terms import Terms

ASSET_DECIMALS: Final = 18
"""Of every asset held at a venue, and of every value.

A fill is worth price times size, and both may carry up to 8 digits after the point on the venues we
know, so 16 are needed to keep every notional exact whatever the pair. 18 leaves room for finer grids,
is what most chains use, and 2^127 units of it are still 170 quintillion whole ones.
"""

SHARE_DECIMALS: Final = 18

FIRST_POOL: Final = "main"
"""Has the venue's plain accounts; further pools' accounts there carry their names."""

OWNER_FEES: Final = Account.of(AccountKind.OWNER, "fees")
"""What the instance's owner has earned: shares of pools, and deposit fees in what was deposited."""


@dataclass(frozen=True, slots=True)
class Founder:
    """A depositor who is there from the start."""

    name: str
    weight: int
    """Of what the venue account holds at first, relative to the other founders' weights."""


DEMO_FOUNDERS: Final = (Founder("alice", 50), Founder("bob", 30), Founder("carol", 20))


@lru_cache(maxsize=4_096)
def _account(kind: AccountKind, name: str) -> Account:
    """Made once: every trade names three of them."""
    return Account.of(kind, name)


@lru_cache(maxsize=4_096)
def _asset(venue: str, code: str) -> Asset:
    return Asset(venue, code, ASSET_DECIMALS)


@lru_cache(maxsize=4_096)
def _share(pool: str) -> Asset:
    return Asset("pool", pool, SHARE_DECIMALS)


@dataclass(frozen=True, slots=True)
class PoolPlan:
    """One pool: at a venue, where it may trade, and on a payment rail, through which people come and go."""

    stream: str | None
    """The event log's stream that is settled into this pool; None for one that does not trade."""
    venue: str
    quote: str
    """Code of the asset that value is counted in."""
    name: str = FIRST_POOL
    founders: tuple[Founder, ...] = field(default=DEMO_FOUNDERS)
    """Who owns what the venue account holds when it is first seen; with none, nobody does."""
    terms: Terms = field(default=Terms())
    """The first version; later ones are kept in the books."""
    rail: str | None = None
    """Namespace of the payment rail's assets; None where nobody can pay in or be paid."""

    def __post_init__(self) -> None:
        if any(founder.weight <= 0 for founder in self.founders):
            raise InvalidInputError(
                "founders", [founder.name for founder in self.founders], "positive weights"
            )
        if self.rail == self.venue:
            raise InvalidInputError("rail", self.rail, "another name than the venue's")
        # Names that make no account or asset are refused here and not in the middle of a settlement.
        _ = (self.own_accounts, self.quote_asset, self.share)

    @property
    def share(self) -> Asset:
        """What depositors hold."""
        return _share(self.name)

    @property
    def pool(self) -> Account:
        """Where everybody's money is."""
        return _account(AccountKind.POOL, self.name)

    @property
    def issuer(self) -> Account:
        """Where shares come from."""
        return _account(AccountKind.ISSUER, self.name)

    @property
    def counterparty(self) -> Account:
        """The other side of every trade."""
        return _account(AccountKind.VENUE, self._at_venue)

    @property
    def fees(self) -> Account:
        """What the venue charged."""
        return _account(AccountKind.FEES, self._at_venue)

    @property
    def outside(self) -> Account:
        """Where deposits come from and withdrawals go to, through the venue account."""
        return _account(AccountKind.EXTERNAL, self.venue)

    @property
    def own_accounts(self) -> tuple[Account, ...]:
        """Every account that the pool works with."""
        return (self.pool, self.issuer, self.counterparty, self.fees, self.outside)

    @property
    def places(self) -> tuple[str, ...]:
        """Namespaces of the assets that the pool may hold."""
        return (self.venue,) if self.rail is None else (self.venue, self.rail)

    def asset(self, code: str) -> Asset:
        """An asset held at the venue."""
        return _asset(self.venue, code)

    @property
    def quote_asset(self) -> Asset:
        """The asset that value is counted in, at the venue."""
        return self.asset(self.quote)

    def takes(self, code: str) -> bool:
        """Whether an asset may be deposited.

        Everybody is paid in the quote, and who does not trade never turns anything else into it: one
        depositor would leave with what another has brought.
        """
        return self.stream is not None or code == self.quote

    @staticmethod
    def depositor(name: str) -> Account:
        """A person's account."""
        return _account(AccountKind.USER, name)

    @property
    def _at_venue(self) -> str:
        return self.venue if self.name == FIRST_POOL else f"{self.venue}/{self.name}"
