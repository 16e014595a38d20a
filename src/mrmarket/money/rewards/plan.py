"""What a run gives to whom: one pure function of money and weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from mrmarket.money.rewards.attribution import ONE, Ratio, Weighing
from mrmarket.money.rewards.division import divide, salted_tie
from mrmarket.money.rewards.rows import AllocationRow, Disposition

_LINES: Final = 8_192
_BPS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Terms:
    """What a run goes by beside money and weights."""

    salt: str
    fee_bps: int
    dust_below: int
    """Parts of fewer units than this are not credited."""
    fee_account: str
    unallocated_account: str


@dataclass(frozen=True, slots=True)
class Money:
    """What a day has had and given so far, in units of one asset."""

    received: int
    reduced: int
    """What entries lost, whoever paid."""
    returned: int
    """Of that, what was paid out of the reward money itself."""
    given: Mapping[str, int]
    """By account, over all earlier runs."""
    reserve: int
    """What the owner's reserve has put in, less what it got back."""
    reserve_limit: int
    """What it can put in now."""
    recoverable: int
    """What of the unallocated money is still there."""

    @property
    def total(self) -> int:
        """What there is to divide."""
        return self.received - self.reduced

    @property
    def at_hand(self) -> int:
        """What of the day's money is in the pool's reward account."""
        return self.received - self.returned - sum(self.given.values()) + self.reserve


@dataclass(frozen=True, slots=True)
class Plan:
    """A run, ready to be written down."""

    rows: Sequence[AllocationRow]
    """By account."""
    credited: int
    fee: int
    dust: int
    unallocated: int
    kept: int
    reserve: int
    short: int
    rows_hash: bytes


def plan_run(money: Money, weighing: Weighing, terms: Terms) -> Plan:
    """Divide a day's total, and give everybody what is still missing.

    The total less the owner's fee (rounded up) is divided by weight with the largest remainder; where
    nobody weighs anything it stays unallocated, on an account that says so. What an account was given
    beyond its due it keeps, and the owner's reserve makes up for it. If the reserve has too little, what
    there is goes to everybody in proportion to what is missing, and the next run gives the rest.
    """
    due = _dues(money, weighing, terms)
    if not money.given:
        units: Sequence[int] = due.units
        recovered = 0
    else:
        units, recovered = _missing(money, due, terms)
    wanted = sum(unit for unit in units if unit > 0)
    at_hand = money.at_hand + recovered
    short = max(0, wanted - at_hand - money.reserve_limit)
    if short:
        units = _in_proportion(units, wanted - short, due.accounts, terms.salt)
    rows = _rows(money, weighing, terms, due, units)
    return Plan(
        rows=rows,
        credited=_sum(rows, Disposition.CREDITED),
        fee=_sum(rows, Disposition.FEE),
        dust=_sum(rows, Disposition.DUST),
        unallocated=_sum(rows, Disposition.UNALLOCATED),
        kept=sum(row.kept_units for row in rows),
        reserve=wanted - short - at_hand,
        short=short,
        rows_hash=hash_of_rows(rows),
    )


def hash_of_rows(rows: Sequence[AllocationRow]) -> bytes:
    """SHA-256 over each row's line: account, due, units, kept, disposition, integral, multiplier."""
    digest = sha256()
    for first in range(0, len(rows), _LINES):
        digest.update("".join([row.line for row in rows[first : first + _LINES]]).encode())
    return digest.digest()


@dataclass(frozen=True, slots=True)
class _Dues:
    accounts: Sequence[str]
    units: Sequence[int]


def _dues(money: Money, weighing: Weighing, terms: Terms) -> _Dues:
    fee = -(-money.total * terms.fee_bps // _BPS)
    pot = money.total - fee
    users = weighing.users
    if any(weighing.weights):
        parts = divide(pot, weighing.weights, salted_tie(terms.salt, users))
        spare = 0
    else:
        parts, spare = [0] * len(users), pot
    accounts = list(users)
    for account, units in ((terms.fee_account, fee), (terms.unallocated_account, spare)):
        if units or account in money.given:
            accounts.append(account)
            parts.append(units)
    if money.given:
        present = set(accounts)
        gone = [account for account in money.given if account not in present]
        accounts += gone
        parts += [0] * len(gone)
    return _Dues(accounts, parts)


def _missing(money: Money, due: _Dues, terms: Terms) -> tuple[list[int], int]:
    """What each account still lacks; what of the unallocated money is taken back counts as negative."""
    recovered = 0
    missing: list[int] = []
    for account, units in zip(due.accounts, due.units, strict=True):
        lacks = units - money.given.get(account, 0)
        if lacks < 0:
            lacks = -min(-lacks, money.recoverable) if account == terms.unallocated_account else 0
            recovered -= lacks
        missing.append(lacks)
    return missing, recovered


def _in_proportion(units: Sequence[int], total: int, accounts: Sequence[str], salt: str) -> list[int]:
    wanted = [max(0, unit) for unit in units]
    parts = divide(total, wanted, salted_tie(salt, accounts))
    return [part if unit > 0 else unit for part, unit in zip(parts, units, strict=True)]


def _rows(
    money: Money, weighing: Weighing, terms: Terms, due: _Dues, units: Sequence[int]
) -> list[AllocationRow]:
    count = len(weighing.users)
    judgement = weighing.judgement
    rows: list[AllocationRow] = []
    for place, account in enumerate(due.accounts):
        is_weighed = place < count
        owed, part = due.units[place], units[place]
        given = money.given.get(account, 0) if money.given else 0
        kept = max(0, given + part - owed) if given else 0
        disposition = Disposition.CREDITED
        if not is_weighed and account == terms.fee_account:
            disposition = Disposition.FEE
        elif not is_weighed and account == terms.unallocated_account:
            disposition = Disposition.UNALLOCATED
        elif account in judgement.excluded:
            disposition = Disposition.EXCLUDED
        elif 0 < owed < terms.dust_below:
            disposition = Disposition.DUST
        elif not (owed or part or kept or (is_weighed and weighing.integrals[place])):
            continue  # had no share in this window
        rows.append(
            AllocationRow(
                account,
                owed,
                part,
                kept,
                disposition,
                str(weighing.integrals[place]) if is_weighed else "0",
                _ratio_text(judgement.multipliers.get(account, ONE)),
            )
        )
    rows.sort(key=lambda row: row.account)
    return rows


def _ratio_text(ratio: Ratio) -> str:
    return "1" if ratio == ONE else f"{ratio[0]}/{ratio[1]}"


def _sum(rows: Sequence[AllocationRow], disposition: Disposition) -> int:
    return sum(row.units for row in rows if row.disposition is disposition)
