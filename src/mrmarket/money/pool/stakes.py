"""Deposits, withdrawals and the founding, as ledger groups that mint and burn shares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from mrmarket.money.ledger.group import Group, Transfer, TransferKind
from mrmarket.money.pool.appraisal import Appraisal
from mrmarket.money.pool.plan import Founder, PoolPlan
from mrmarket.money.pool.shares import shares_for
from mrmarket.money.pool.valuation import Basis, net_value


class StakeMemo(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a deposit or withdrawal did to the cost of its shares, and the prices it went by.

    Kept in the group's memo, and so in the hash chain; the table of stakes is derived from it.
    """

    pool: str
    cost: dict[str, str]
    """By account id: quote units added (negative: taken away)."""
    marks: dict[str, tuple[str, str]]
    """By asset code: bid and ask times 10^18, as text."""
    sources: dict[str, str] = {}
    """By asset code: `venue:PAIR@UTC milliseconds`, who told the price and when; the quote has none."""
    priced: str = ""
    """`nav supply` that shares were minted or burned by, where the prices are not all that counts."""


def split(units: int, founders: Sequence[Founder]) -> list[int]:
    """Divide by weight, exactly: everybody's part is rounded down, odd units go to the first."""
    total = sum(founder.weight for founder in founders)
    parts = [units * founder.weight // total for founder in founders]
    parts[0] += units - sum(parts)
    return parts


def founding_key(plan: PoolPlan) -> str:
    """The pool is founded once."""
    return f"found:{plan.name}"


def founding_group(plan: PoolPlan, found: Mapping[str, int], now: Appraisal) -> Group:
    """All founders deposit in kind what the venue account holds, in one group and at one price.

    Nobody is in the pool yet, so one share costs one quote at the mid and no one gains on another.
    """
    parts = {code: split(units, plan.founders) for code, units in sorted(found.items()) if units}
    transfers: list[Transfer] = []
    cost: dict[str, int] = {}
    for place, founder in enumerate(plan.founders):
        brought = {code: amounts[place] for code, amounts in parts.items() if amounts[place]}
        value = net_value(brought, now.marks, Basis.MID)
        transfers += _deposit(plan, founder.name, brought, value)
        cost[plan.depositor(founder.name).id] = value
    return Group(founding_key(plan), tuple(transfers), memo=stake_memo(plan, cost, now))


def founding_shares(plan: PoolPlan, group: Group) -> dict[str, int]:
    """Share units that a founding minted, by account id. At the founding one unit costs one quote unit."""
    return {
        transfer.credit: transfer.units
        for transfer in group.transfers
        if transfer.kind is TransferKind.MINT_SHARES and transfer.asset == plan.share.id
    }


def deposit_group(plan: PoolPlan, key: str, user: str, brought: Mapping[str, int], now: Appraisal) -> Group:
    """One depositor comes in: valued low, at a share price that is valued high."""
    value = net_value(brought, now.marks, Basis.LOW)
    shares = shares_for(value, now.supply, now.nav(Basis.HIGH))
    transfers = _deposit(plan, user, dict(brought), shares)
    return Group(key, tuple(transfers), memo=stake_memo(plan, {plan.depositor(user).id: value}, now))


def minted_value(plan: PoolPlan, group: Group) -> tuple[int, int]:
    """Share units that a deposit mints, and the value that it brings, in quote units."""
    minted = sum(founding_shares(plan, group).values())
    memo = read_memo(group.memo)
    return minted, sum(int(units) for units in memo.cost.values()) if memo else 0


def withdrawal_group(
    plan: PoolPlan, key: str, user: str, shares: int, cost: int, value: int, now: Appraisal
) -> Group:
    """One depositor goes out, in part or whole, and is paid `value` in quote through the venue account.

    `cost` is what the leaving shares have cost.
    """
    account = plan.depositor(user).id
    transfers = [Transfer(account, plan.issuer.id, plan.share.id, shares, TransferKind.BURN_SHARES)]
    if value:
        quote = plan.quote_asset.id
        transfers += [
            Transfer(plan.pool.id, account, quote, value, TransferKind.UNLOCK),
            Transfer(account, plan.outside.id, quote, value, TransferKind.DEBIT_WITHDRAW),
        ]
    return Group(key, tuple(transfers), memo=stake_memo(plan, {account: -cost}, now))


def leaving_cost(paid_in: int, shares: int, held: int) -> int:
    """The part of what `held` shares have cost that `shares` of them take along, rounded up."""
    return -(-paid_in * shares // held) if held else 0


def stake_memo(plan: PoolPlan, cost: Mapping[str, int], now: Appraisal, priced: str = "") -> str:
    """What a group did to the cost of shares, as its memo."""
    memo = StakeMemo(
        pool=plan.name,
        cost={account: str(units) for account, units in cost.items()},
        marks={code: (str(mark.bid), str(mark.ask)) for code, mark in sorted(now.marks.items())},
        sources={code: str(source) for code, source in sorted(now.sources.items())},
        priced=priced,
    )
    return msgspec.json.encode(memo).decode()


def read_memo(memo: str) -> StakeMemo | None:
    """The memo of a deposit or withdrawal; None for other groups."""
    try:
        return msgspec.json.decode(memo, type=StakeMemo)
    except msgspec.MsgspecError:
        return None


def _deposit(plan: PoolPlan, user: str, brought: dict[str, int], shares: int) -> list[Transfer]:
    account = plan.depositor(user).id
    transfers: list[Transfer] = []
    for code, units in brought.items():
        asset = plan.asset(code).id
        transfers += [
            Transfer(plan.outside.id, account, asset, units, TransferKind.DEPOSIT),
            Transfer(account, plan.pool.id, asset, units, TransferKind.LOCK),
        ]
    if shares:
        transfers.append(Transfer(plan.issuer.id, account, plan.share.id, shares, TransferKind.MINT_SHARES))
    return transfers
