"""The reward ledger: what came in, once each, and what of it was lost again. Nothing is ever edited."""

from __future__ import annotations

from dataclasses import dataclass

from mrmarket.core.crash import reach
from mrmarket.core.errors import InvalidInputError
from mrmarket.core.money import MAX_UNITS
from mrmarket.money.ledger.account import Account, AccountKind
from mrmarket.money.ledger.draft import Draft
from mrmarket.money.ledger.group import Group, Posted, Transfer, TransferKind
from mrmarket.money.payouts.payment import RESERVE
from mrmarket.money.payouts.payout import derived_id
from mrmarket.money.rewards.campaign import Campaign
from mrmarket.money.rewards.errors import (
    CampaignConflictError,
    EntryConflictError,
    ExcessReductionError,
    RewardPostingError,
    UnknownCampaignError,
    UnknownEntryError,
)
from mrmarket.money.rewards.repository import RewardRepository
from mrmarket.money.rewards.rows import EntryRow, Payer, Reduction, ReductionRow


@dataclass(frozen=True, slots=True)
class Receipt:
    """Reward money that was seen to arrive. `(source, ref)` is its name: telling twice is harmless."""

    source: str
    """Such as `rail:rail`, or later a chain."""
    ref: str
    """The source's own name for it; of a chain transaction and log index."""
    campaign: str
    day: int
    asset: str
    """Id of an asset that the ledger knows."""
    units: int
    observed_ms: int
    """When the source says that it happened; UTC ms."""

    def __post_init__(self) -> None:
        if not self.source or not self.ref:
            raise InvalidInputError(
                "reward", (self.source, self.ref), "a source and its name for the payment"
            )
        if type(self.units) is not int or not 0 < self.units < MAX_UNITS:
            raise InvalidInputError("units", self.units, "a positive whole number below 2^127")

    @property
    def id(self) -> str:
        """UUIDv5 of the name."""
        return derived_id("reward-entry", self.source, self.ref)


def rewards_account(pool: str) -> Account:
    """Reward money of a pool that is received and not yet given to anybody."""
    return Account.of(AccountKind.REWARDS, pool)


def register(draft: Draft, campaign: Campaign) -> Campaign:
    """Keep a campaign; registering it again with the same terms is harmless.

    Raises:
        CampaignConflictError: if the id is taken by other terms.
    """
    repository = RewardRepository(draft.sql)
    known = repository.campaign(campaign.id)
    if known is None:
        repository.add_campaign(campaign)
    elif known != campaign:
        raise CampaignConflictError(campaign.id)
    return campaign


def receive(draft: Draft, receipt: Receipt, origin: Account) -> EntryRow:
    """Post the money from where it came in to the pool's rewards, and write the entry.

    For a day that was allocated before, the money waits for an adjusting run.

    Raises:
        UnknownCampaignError, UnknownDayError: if it is for nothing that we know.
        EntryConflictError: if the same name came with other content.
        RewardPostingError: if the books refuse, such as for an unknown asset.
    """
    repository = RewardRepository(draft.sql)
    campaign = repository.campaign(receipt.campaign)
    if campaign is None:
        raise UnknownCampaignError(receipt.campaign)
    campaign.window(receipt.day)
    known = repository.entry(receipt.source, receipt.ref)
    if known is not None:
        if not _is_same(known, receipt, origin):
            raise EntryConflictError(receipt.source, receipt.ref)
        return known
    rewards = rewards_account(campaign.pool)
    transfer = Transfer(origin.id, rewards.id, receipt.asset, receipt.units, TransferKind.REWARD_RECEIVED)
    memo = f"reward for day {receipt.day} of {campaign.id}, {receipt.source} {receipt.ref}"
    post(
        draft, Group(entry_key(receipt.id), (transfer,), accounts=unopened(draft, origin, rewards), memo=memo)
    )
    entry = EntryRow(
        id=receipt.id,
        source=receipt.source,
        ref=receipt.ref,
        campaign=campaign.id,
        day=receipt.day,
        asset=receipt.asset,
        seq=len(repository.entries(campaign.id, receipt.day, receipt.asset)) + 1,
        units=receipt.units,
        origin=origin.id,
        observed_ms=receipt.observed_ms,
        at_ms=draft.at_ms,
    )
    repository.add_entry(entry)
    reach("rewards.received")
    return entry


def retract(draft: Draft, source: str, ref: str, *, counter: Account | None = None) -> ReductionRow:
    """The source took a reward back. Repeating is harmless.

    What is not allocated goes back to where it came from (or to `counter`). What is allocated stays with
    the users: the owner's reserve pays, at once or as soon as it can, see `cover_shortages`.

    Raises:
        UnknownEntryError: if it never came in.
    """
    entry = _entry(draft, source, ref)
    wanted = entry.units - _lost(draft, entry)
    known = RewardRepository(draft.sql).reduction(reduction_id(entry.id, Reduction.RETRACTED, ref))
    return known or reduce(draft, entry, Reduction.RETRACTED, ref, wanted, counter)


def charge_network(
    draft: Draft, source: str, ref: str, cost_ref: str, units: int, network: str
) -> ReductionRow:
    """What it cost to bring a reward here is taken out of it. Repeating with the same `cost_ref` is harmless.

    `network` names the account that bears it: a rail, or `campaigns/<chain>`.

    Raises:
        UnknownEntryError: if it never came in.
        ExcessReductionError: if it cost more than is left of it.
    """
    entry = _entry(draft, source, ref)
    return reduce(draft, entry, Reduction.NETWORK, cost_ref, units, Account.of(AccountKind.NETWORK, network))


def reduce(
    draft: Draft,
    entry: EntryRow,
    kind: Reduction,
    ref: str,
    units: int,
    counter: Account | None,
    *,
    paid_elsewhere: bool = False,
) -> ReductionRow:
    """Take units off an entry. A run that has seen the entry makes the reserve pay, not the money.

    With `paid_elsewhere` another room posts what the reserve has to pay.

    Raises:
        ExcessReductionError: if there is less left of the entry.
        EntryConflictError: if the same reduction came with other content.
    """
    repository = RewardRepository(draft.sql)
    name = reduction_id(entry.id, kind, ref)
    known = repository.reduction(name)
    if known is not None:
        if known.units != units:
            raise EntryConflictError(entry.source, ref)
        return known
    left = entry.units - _lost(draft, entry)
    if not 0 < units <= left:
        raise ExcessReductionError(entry.id, left, units)
    target = counter or account_named(draft, entry.origin)
    payer = Payer.REWARDS
    if is_allocated(draft, entry):
        payer = Payer.ELSEWHERE if paid_elsewhere or target.id == RESERVE.id else Payer.RESERVE
    reduction = ReductionRow(
        id=name,
        entry=entry.id,
        kind=kind,
        campaign=entry.campaign,
        day=entry.day,
        asset=entry.asset,
        seq=len(repository.reductions(entry.campaign, entry.day, entry.asset)) + 1,
        units=units,
        counter=target.id,
        payer=payer,
        at_ms=draft.at_ms,
    )
    if payer is Payer.REWARDS:
        pool = _campaign(draft, entry.campaign).pool
        post(draft, _reduction_group(draft, reduction, rewards_account(pool), target))
    elif payer is Payer.RESERVE:
        _charge(draft, reduction, target)
    repository.add_reduction(reduction)
    reach("rewards.reduced")
    return reduction


def cover_shortages(draft: Draft) -> list[ReductionRow]:
    """Let the reserve pay what it owes, oldest first, as far as it can; what is still unpaid comes back."""
    return [
        reduction
        for reduction in RewardRepository(draft.sql).unpaid_reductions()
        if draft.record(charge_key(reduction.id)) is None
        and not _charge(draft, reduction, account_named(draft, reduction.counter))
    ]


def is_allocated(draft: Draft, entry: EntryRow) -> bool:
    """Whether a run has divided an entry's money."""
    runs = RewardRepository(draft.sql).runs(entry.campaign, entry.day, entry.asset)
    return bool(runs) and runs[-1].entries >= entry.seq


def entry_key(entry: str) -> str:
    """Key of the group that posts an entry."""
    return f"reward-entry:{entry}"


def charge_key(reduction: str) -> str:
    """Key of the group by which the reserve pays for a reduction."""
    return f"reward-charge:{reduction}"


def reduction_id(entry: str, kind: Reduction, ref: str) -> str:
    """UUIDv5 of what was lost."""
    return derived_id("reward-reduction", entry, kind.value, ref)


def unopened(draft: Draft, *accounts: Account) -> tuple[Account, ...]:
    """Those that the ledger does not know yet."""
    return tuple(account for account in accounts if draft.account(account.id) is None)


def account_named(draft: Draft, account: str) -> Account:
    """An account as the ledger knows it, or as it is to be opened.

    Raises:
        InvalidInputError: if the id names no kind of account.
    """
    known = draft.account(account)
    if known is not None:
        return known
    kind, _, name = account.partition(":")
    if kind not in {member.value for member in AccountKind}:
        raise InvalidInputError("account", account, "an id such as user:alice")
    return Account.of(AccountKind(kind), name)


def post(draft: Draft, group: Group) -> Posted:
    """Post a group that must not be refused.

    Raises:
        RewardPostingError: if it is; raised inside a unit of work, it leaves no trace.
    """
    answer = draft.post(group)
    if not isinstance(answer, Posted):
        raise RewardPostingError(group.key, answer.code, answer.message)
    return answer


def _charge(draft: Draft, reduction: ReductionRow, target: Account) -> bool:
    group = _reduction_group(draft, reduction, RESERVE, target)
    if draft.preview(group) is not None:
        return False
    post(draft, group)
    return True


def _reduction_group(draft: Draft, reduction: ReductionRow, giver: Account, target: Account) -> Group:
    is_cost = reduction.kind is Reduction.NETWORK
    kind = TransferKind.NETWORK_FEE if is_cost else TransferKind.ADJUSTMENT
    transfer = Transfer(giver.id, target.id, reduction.asset, reduction.units, kind)
    key = f"reward-return:{reduction.id}" if reduction.payer is Payer.REWARDS else charge_key(reduction.id)
    memo = f"{reduction.kind.value} of entry {reduction.entry}"
    return Group(key, (transfer,), accounts=unopened(draft, giver, target), memo=memo)


def _lost(draft: Draft, entry: EntryRow) -> int:
    return sum(reduction.units for reduction in RewardRepository(draft.sql).reductions_of(entry.id))


def _entry(draft: Draft, source: str, ref: str) -> EntryRow:
    entry = RewardRepository(draft.sql).entry(source, ref)
    if entry is None:
        raise UnknownEntryError(source, ref)
    return entry


def _campaign(draft: Draft, name: str) -> Campaign:
    campaign = RewardRepository(draft.sql).campaign(name)
    if campaign is None:
        raise UnknownCampaignError(name)
    return campaign


def _is_same(entry: EntryRow, receipt: Receipt, origin: Account) -> bool:
    return (entry.campaign, entry.day, entry.asset, entry.units, entry.origin) == (
        receipt.campaign,
        receipt.day,
        receipt.asset,
        receipt.units,
        origin.id,
    )
