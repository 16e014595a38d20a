"""Every unit of reward money, from the chain's word to the users: what must be equal, and whether it is.

received + reserve = credited + fees + network + dust + unallocated + in transit + retracted

holds in every asset of the ledger, and per token of a chain

final + gone = entered + parked + untaken

of which nothing may be gone that the chain never had. The books are read first and the chain's word after
them, so that what the books have, the chain must know.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from typing import Final, Protocol

import msgspec

from mrmarket.campaigns.arrivals import ARRIVAL
from mrmarket.campaigns.pipeline import is_entered, is_parked, payout_id
from mrmarket.campaigns.repository import CampaignRepository
from mrmarket.campaigns.rows import PayoutRow, PayoutStep, PayoutStepRow
from mrmarket.campaigns.shares import credited_by_asset, share_faults
from mrmarket.money.payouts.repository import PaymentRepository
from mrmarket.money.rewards.afar import units_afar
from mrmarket.money.rewards.invariant import RewardBalance, reward_balances
from mrmarket.money.rewards.repository import RewardRepository
from mrmarket.store.sql import Sql

_CHAIN: Final = "chain:"


class ChainStanding(StrEnum):
    """How sure a chain's book is of a transfer."""

    SEEN = "seen"
    FINAL = "final"
    RETRACTED = "retracted"


class ChainTransfer(msgspec.Struct, frozen=True):
    """A transfer to one of our wallets, as the chain's own book has it."""

    chain_id: int
    tx: str
    log: int
    token: str
    """Address of the token's contract, lower case."""
    units: int
    standing: ChainStanding


class ChainWord(Protocol):
    """What chains say, apart from the books."""

    def transfers(self) -> Iterable[ChainTransfer]:
        """Every transfer to our wallets that was ever seen, as it stands."""
        ...


class AssetIdentity(msgspec.Struct, frozen=True, kw_only=True):
    """Where reward money of one asset is, in units, over all pools."""

    asset: str
    received: int
    reserve: int
    """Put in by the owner's reserve, less what it got back."""
    credited: int
    fees: int
    network: int
    dust: int
    unallocated: int
    in_transit: int
    """Received, and neither given to anybody nor lost."""
    retracted: int
    charged: int
    """Lost after it was allocated; the owner's reserve bears it, outside of the equation."""
    afar: int
    """Of what was received: not on the users' rail yet."""
    difference: int
    """0 where every unit is accounted for."""


class ChainIdentity(msgspec.Struct, frozen=True, kw_only=True):
    """What a chain says it has paid us in one token, against the books; base units of the token."""

    chain_id: int
    token: str
    final: int
    """The chain's word; transfers that are as deep as is asked for."""
    gone: int
    """In the books, and taken back by the chain since; the next page of payouts tells the books."""
    entered: int
    """In the reward ledger."""
    parked: int
    """Fits no campaign, cycle or token of ours."""
    untaken: int
    """Final, and not taken yet, or what nobody could assign."""

    @property
    def difference(self) -> int:
        """0 where every unit is accounted for."""
        return self.final + self.gone - self.entered - self.parked - self.untaken


class IdentityReport(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it."""

    assets: list[AssetIdentity]
    chains: list[ChainIdentity]
    """Empty where no chain was asked."""
    faults: list[str]
    """A sentence for everything that does not hold."""

    @property
    def ok(self) -> bool:
        """Whether every unit is accounted for."""
        return not self.faults


def identity(sql: Sql, word: ChainWord | None = None, *, deep: bool = False) -> IdentityReport:
    """Work the identity out and compare it with itself.

    Args:
        sql: one moment of the books.
        word: what the chains say; asked after the books were read. None compares the books alone.
        deep: look at every single share and credit as well; reads every row of every allocation.
    """
    balances = reward_balances(sql)
    afar = units_afar(sql)
    histories = _histories(CampaignRepository(sql))
    assets = _assets(balances, afar)
    faults = [
        f"rewards of {one.pool} in {one.asset} miss {one.difference} units" for one in balances if not one.ok
    ]
    faults += _credit_faults(sql, assets)
    faults += _entry_faults(sql, histories)
    faults += _afar_faults(sql, afar)
    faults += _arrival_faults(sql, histories)
    if deep:
        faults += share_faults(sql)
    chains: list[ChainIdentity] = []
    if word is not None:
        chains, found = _against_chains(histories, word)
        faults += found
    return IdentityReport(assets=assets, chains=chains, faults=faults)


def withdrawn(sql: Sql) -> dict[str, int]:
    """Units by asset id that have left for users, of assets in which rewards ever came in."""
    found: dict[str, int] = {}
    for asset, units in sql.rows(
        "SELECT asset, units FROM payouts WHERE state = 'confirmed' AND cause IN ('withdrawal', 'reward')"
        " AND asset IN (SELECT DISTINCT asset FROM reward_entries) ORDER BY asset"
    ):
        found[asset] = found.get(asset, 0) + int(units)
    return found


_History = tuple[PayoutRow, list[PayoutStepRow]]


def _histories(repository: CampaignRepository) -> list[_History]:
    return [(payout, repository.payout_steps(payout.id)) for payout in repository.all_payouts()]


def _assets(balances: Sequence[RewardBalance], afar: dict[str, int]) -> list[AssetIdentity]:
    """The equation of each asset; pools share a chain and a rail, so they are added up."""
    found = []
    for asset in sorted({one.asset for one in balances} | afar.keys()):
        mine = [one for one in balances if one.asset == asset]
        found.append(
            AssetIdentity(
                asset=asset,
                received=sum(one.received for one in mine),
                reserve=sum(one.reserve for one in mine),
                credited=sum(one.credited for one in mine),
                fees=sum(one.fees for one in mine),
                network=sum(one.network for one in mine),
                dust=sum(one.dust for one in mine),
                unallocated=sum(one.unallocated for one in mine),
                in_transit=sum(one.in_transit for one in mine),
                retracted=sum(one.retracted for one in mine),
                charged=sum(one.charged for one in mine),
                afar=afar.get(asset, 0),
                difference=sum(one.difference for one in mine),
            )
        )
    return found


def _credit_faults(sql: Sql, assets: Sequence[AssetIdentity]) -> Iterator[str]:
    posted = credited_by_asset(sql)
    wanted = {one.asset: one.credited for one in assets}
    for asset in sorted(posted.keys() | wanted.keys()):
        had, due = posted.get(asset, 0), wanted.get(asset, 0)
        if had != due:
            yield f"the ledger has credited {had} units of {asset} as rewards, and {due} were allocated"


def _entry_faults(sql: Sql, histories: Sequence[_History]) -> Iterator[str]:
    """Each payout stands in the reward ledger once at most, and nothing else from a chain does."""
    named: set[str] = set()
    for payout, steps in histories:
        entered = [step for step in steps if step.step is PayoutStep.ENTERED]
        gone = {step.ref for step in steps if step.step is PayoutStep.RETRACTED}
        named.update(step.ref for step in entered)
        if sum(step.ref not in gone for step in entered) > 1:
            yield f"payout {payout.tx}:{payout.log} on chain {payout.chain_id} was entered twice"
    for entry in RewardRepository(sql).all_entries():
        if entry.source.startswith(_CHAIN) and entry.id not in named:
            yield f"reward entry {entry.id} came from no payout that was taken"


def _afar_faults(sql: Sql, afar: dict[str, int]) -> Iterator[str]:
    """What has not arrived follows from entries, what they lost, and what arrived."""
    repository = RewardRepository(sql)
    wanted: Counter[str] = Counter()
    chained = set()
    for entry in repository.all_entries():
        if entry.source.startswith(_CHAIN):
            chained.add(entry.id)
            wanted[entry.asset] += entry.units
    unpaid = {one.id for one in repository.unpaid_reductions()}
    for reduction in repository.all_reductions():
        if reduction.entry in chained and reduction.id not in unpaid:
            wanted[reduction.asset] -= reduction.units
    for payment in PaymentRepository(sql).every():
        if payment.claim == ARRIVAL and payment.booked:
            wanted[payment.asset] -= payment.units
    for asset in sorted(wanted.keys() | afar.keys()):
        if wanted[asset] != afar.get(asset, 0):
            yield (
                f"{afar.get(asset, 0)} units of {asset} are booked as not arrived,"
                f" and {wanted[asset]} follow from what came in"
            )


def _arrival_faults(sql: Sql, histories: Sequence[_History]) -> Iterator[str]:
    """The rail's word: a sweep arrives once, with what was sent less its cost."""
    sent: Counter[str] = Counter()
    cost: Counter[str] = Counter()
    bent: set[str] = set()
    for _, steps in histories:
        entered = [step.units for step in steps if step.step is PayoutStep.ENTERED]
        for step in steps:
            if step.step is PayoutStep.ARRIVED:
                sent[step.ref] += entered[-1] if entered else 0
            elif step.step is PayoutStep.COST:
                cost[step.ref] += step.units
            elif step.step is PayoutStep.RETRACTED:
                bent.update(one.ref for one in steps if one.step is PayoutStep.ARRIVED)
    seen: Counter[str] = Counter()
    for payment in PaymentRepository(sql).every():
        if payment.claim != ARRIVAL:
            continue
        seen[payment.ref] += 1
        due = sent[payment.ref] - cost[payment.ref]
        # Of a payout that the chain took back on the way, the vault bears the part of the cost.
        fits = payment.units <= due if payment.ref in bent else payment.units == due
        if not fits:
            yield f"{payment.ref} arrived with {payment.units} units, and {due} were sent"
    yield from (f"{key} arrived {count} times" for key, count in sorted(seen.items()) if count > 1)


def _against_chains(histories: Sequence[_History], word: ChainWord) -> tuple[list[ChainIdentity], list[str]]:
    told = {payout_id(one.chain_id, one.tx, one.log): one for one in word.transfers()}
    taken = {payout.id: (payout, steps) for payout, steps in histories}
    sums: dict[tuple[int, str], Counter[str]] = {}
    faults: list[str] = []
    for name, one in told.items():
        if one.standing is ChainStanding.FINAL:
            place = sums.setdefault((one.chain_id, one.token), Counter())
            place["final"] += one.units
            place["untaken"] += 0 if _stands(taken.get(name)) else one.units
    for name, (payout, steps) in taken.items():
        if not _stands((payout, steps)):
            continue
        place = sums.setdefault((payout.chain_id, payout.token), Counter())
        place["entered" if is_entered(steps) else "parked"] += payout.units
        known = told.get(name)
        if known is None or (known.token, known.units) != (payout.token, payout.units):
            faults.append(f"the chain does not know payout {payout.tx}:{payout.log} as it was taken")
        elif known.standing is not ChainStanding.FINAL:
            place["gone"] += payout.units
    found = [
        ChainIdentity(
            chain_id=chain_id,
            token=token,
            final=place["final"],
            gone=place["gone"],
            entered=place["entered"],
            parked=place["parked"],
            untaken=place["untaken"],
        )
        for (chain_id, token), place in sorted(sums.items())
    ]
    faults += [
        f"chain {one.chain_id}: {one.difference} units of {one.token} are unaccounted for"
        for one in found
        if one.difference
    ]
    return found, faults


def _stands(history: _History | None) -> bool:
    return history is not None and (is_entered(history[1]) or is_parked(history[1]))
