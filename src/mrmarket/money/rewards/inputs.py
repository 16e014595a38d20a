"""Everything that an allocation is computed from, and the hash by which it can be checked later."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

import msgspec

from mrmarket.money.ledger.account import Account, AccountKind
from mrmarket.money.payouts.payment import RESERVE
from mrmarket.money.rewards.attribution import (
    Attribution,
    Eligibility,
    Everybody,
    Judgement,
    Multipliers,
    NoMultipliers,
    Weighing,
    chosen,
    judgement_digest,
    weigh,
)
from mrmarket.money.rewards.campaign import Campaign, Span
from mrmarket.money.rewards.errors import ShareHistoryError, UnknownCampaignError
from mrmarket.money.rewards.plan import Money, Plan, Terms, plan_run
from mrmarket.money.rewards.repository import DayKey, RewardRepository, available
from mrmarket.money.rewards.rows import EntryRow, Payer, ReductionRow, RunKind, RunRow
from mrmarket.store.sql import Sql

FEE_ACCOUNT: Final = "owner:fees"

_encode: Final = msgspec.json.Encoder(order="deterministic").encode


@dataclass(frozen=True, slots=True)
class Sources:
    """Where allocations get their inputs; put together by whoever runs the instance."""

    attributions: Sequence[Attribution]
    multipliers: Multipliers = field(default_factory=NoMultipliers)
    eligibility: Eligibility = field(default_factory=Everybody)
    dust_below: Mapping[str, int] = field(default_factory=dict)
    """By asset id: parts of fewer units are not credited."""


@dataclass(frozen=True, slots=True)
class Draught:
    """A run that was computed and not written down."""

    id: str
    campaign: Campaign
    span: Span
    key: DayKey
    ordinal: int
    entries: Sequence[EntryRow]
    reductions: Sequence[ReductionRow]
    money: Money
    weighing: Weighing
    terms: Terms
    plan: Plan
    input_hash: bytes

    @property
    def kind(self) -> RunKind:
        """First or adjusting."""
        return RunKind.ADJUSTING if self.ordinal else RunKind.FIRST


def campaign_of(sql: Sql, campaign: str) -> Campaign:
    """A campaign. Raises `UnknownCampaignError`."""
    known = RewardRepository(sql).campaign(campaign)
    if known is None:
        raise UnknownCampaignError(campaign)
    return known


def draw_up(
    sql: Sql, sources: Sources, key: DayKey, *, reconsider: bool = False, past: RunRow | None = None
) -> Draught | None:
    """Compute the next run of a day in one asset; None where it would change nothing.

    Runs after the first go by the first one's multipliers and exclusions, so that a late reward is divided
    as one in time would have been; `reconsider` asks for them anew. With `past` that run is computed again,
    from what it knew then.

    Raises:
        RewardsError: by what does not fit.
    """
    repository = RewardRepository(sql)
    campaign = campaign_of(sql, key[0])
    span = campaign.window(key[1])
    entries, reductions = repository.entries(*key), repository.reductions(*key)
    runs = repository.runs(*key)
    if past is not None:
        runs = runs[: past.ordinal]
        entries, reductions = entries[: past.entries], reductions[: past.reductions]
    is_news = not runs or (runs[-1].entries, runs[-1].reductions) != (len(entries), len(reductions))
    # What the reserve could not put in is owed until it is given.
    may_change = is_news or reconsider or runs[-1].short_units > 0
    if not entries or (past is None and not may_change):
        return None
    judgement = _judgement(sql, sources, campaign, span, runs, past, reconsider=reconsider)
    measured = chosen(sources.attributions, campaign.attribution).measure(sql, campaign.pool, span)
    _check_accounts(measured.users, span)
    weighing = weigh(measured, judgement)
    run_id = _run_id(key, span, len(runs), entries, reductions)
    terms = Terms(
        salt=runs[0].id if runs else run_id,
        fee_bps=campaign.fee_bps,
        dust_below=sources.dust_below.get(key[2], 0) if past is None else past.dust_below_units,
        fee_account=FEE_ACCOUNT,
        unallocated_account=unallocated_account(campaign.pool),
    )
    unallocated, limit = _limits(sql, key[2], terms.unallocated_account, past)
    money = Money(
        received=sum(entry.units for entry in entries),
        reduced=sum(reduction.units for reduction in reductions),
        returned=sum(reduction.units for reduction in reductions if reduction.payer is Payer.REWARDS),
        given=repository.given(runs),
        reserve=sum(run.reserve_units for run in runs),
        reserve_limit=limit,
        recoverable=unallocated,
    )
    plan = plan_run(money, weighing, terms)
    if past is None and not (is_news or plan.reserve or any(row.units for row in plan.rows)):
        return None
    return Draught(
        id=run_id,
        campaign=campaign,
        span=span,
        key=key,
        ordinal=len(runs),
        entries=entries,
        reductions=reductions,
        money=money,
        weighing=weighing,
        terms=terms,
        plan=plan,
        input_hash=_input_hash(run_id, campaign, entries, reductions, money, weighing, terms),
    )


def unallocated_account(pool: str) -> str:
    """Where a pool's reward money goes that nobody is eligible for."""
    return f"{AccountKind.UNALLOCATED}:{pool}"


def encode_judgement(judgement: Judgement) -> bytes:
    """Multipliers and exclusions as a run keeps them."""
    return _encode([judgement.multipliers, judgement.excluded])


def decode_judgement(given: bytes) -> Judgement:
    """Multipliers and exclusions of a run."""
    multipliers, excluded = msgspec.json.decode(given, type=tuple[dict[str, tuple[int, int]], dict[str, str]])
    return Judgement(multipliers, excluded)


def _check_accounts(accounts: Sequence[str], span: Span) -> None:
    """What names no account must not get as far as a run that then cannot be credited."""
    for account in accounts:
        kind, _, name = account.partition(":")
        if kind != AccountKind.USER:
            raise ShareHistoryError(account, span.start_ms, "it is no user's account")
        Account.of(AccountKind.USER, name)


def _judgement(
    sql: Sql,
    sources: Sources,
    campaign: Campaign,
    span: Span,
    runs: Sequence[RunRow],
    past: RunRow | None,
    *,
    reconsider: bool,
) -> Judgement:
    if past is not None:
        return decode_judgement(past.given)
    if runs and not reconsider:
        return decode_judgement(runs[-1].given)
    return Judgement(
        sources.multipliers.multipliers(sql, campaign, span),
        sources.eligibility.excluded(sql, campaign, span),
    )


def _limits(sql: Sql, asset: str, unallocated: str, past: RunRow | None) -> tuple[int, int]:
    """What can be taken back from the unallocated money, and what the reserve can put in."""
    if past is not None:
        return max(0, -past.unallocated_units), max(0, past.reserve_units)
    return available(sql, unallocated, asset), available(sql, RESERVE.id, asset)


def _run_id(
    key: DayKey, span: Span, ordinal: int, entries: Sequence[EntryRow], reductions: Sequence[ReductionRow]
) -> str:
    body = (
        "reward run",
        *key,
        span.start_ms,
        span.end_ms,
        ordinal,
        [entry.id for entry in entries],
        [reduction.id for reduction in reductions],
    )
    return sha256(_encode(body)).hexdigest()[:32]


def _input_hash(
    run_id: str,
    campaign: Campaign,
    entries: Sequence[EntryRow],
    reductions: Sequence[ReductionRow],
    money: Money,
    weighing: Weighing,
    terms: Terms,
) -> bytes:
    given = "".join(f"{account} {units}\n" for account, units in sorted(money.given.items()))
    body = (
        1,
        run_id,
        terms.salt,
        (campaign.id, campaign.pool, campaign.attribution, campaign.fee_bps),
        [(entry.id, str(entry.units)) for entry in entries],
        [(one.id, str(one.units), one.payer.value) for one in reductions],
        sha256(given.encode()).hexdigest(),
        str(money.reserve),
        weighing.digest.hex(),
        judgement_digest(weighing.judgement).hex(),
        str(terms.dust_below),
    )
    return sha256(_encode(body)).digest()
