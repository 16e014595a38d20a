"""What the API says of campaigns, of a reward's way, and of partners. Amounts are exact decimal strings."""

from __future__ import annotations

from typing import Literal

import msgspec

StepName = Literal["transaction", "entry", "transfer", "allocation", "credit", "receipt"]
StepState = Literal["done", "now", "waiting", "failed", "not needed"]
IdKind = Literal["transaction", "payment", "entry", "transfer", "run", "allocation", "group", "payout"]
Wish = Literal["join", "leave", "automatic"]
"""The owner's word on a campaign; `automatic` takes it back and leaves it to the rules."""


class TraceId(msgspec.Struct, kw_only=True):
    """A name by which one part of a step can be looked up."""

    kind: IdKind
    id: str
    amount: str = ""
    asset: str = ""
    state: StepState = "done"
    at_ms: int | None = None
    chain_id: int | None = None
    """Of a transaction that is on a chain; null for every other name."""


class TraceStep(msgspec.Struct, kw_only=True):
    """One of the six steps on a reward's way."""

    name: StepName
    state: StepState
    amount: str = ""
    """Empty where nothing has moved."""
    asset: str = ""
    at_ms: int | None = None
    """When the last of it happened."""
    detail: str = ""
    """One sentence where the state does not say everything."""
    ids: list[TraceId] = []


class RewardTraceView(msgspec.Struct, kw_only=True):
    """A reward's whole way: transaction, entry, vault transfer, allocation, credit, receipt."""

    id: str
    """What was asked for: an allocation, or a reward entry."""
    campaign: str
    cycle: int
    start_ms: int
    end_ms: int
    asset: str
    amount: str
    """The account's part, or everything that came in where it is for all accounts."""
    account: str
    """Whose part the last three steps tell of; empty for all accounts."""
    state: StepState
    steps: list[TraceStep]
    explorers: dict[str, str] = {}
    """Where transactions can be looked up, by chain id: an address that ends where the hash begins."""


class CampaignCard(msgspec.Struct, kw_only=True):
    """One campaign for anybody."""

    id: str
    partner: str
    stage: str
    joined: bool
    exchange: str
    market: str
    measure: str
    start_ms: int
    end_ms: int
    cycles: int
    cycle: int | None
    """That runs now, counted from 0; null before and after."""
    cycle_end_ms: int | None
    token: str
    """Symbol of what it pays in."""
    chain_id: int
    fund: str
    paid: str
    """To us, so far; what a chain has made final."""
    expected: str | None
    """Of the running cycle, to us; null where nobody has estimated it."""
    target: str
    """What a cycle wants of everybody, or of each one, by its measure."""
    goal: str | None
    """Volume that we work towards in the cycle, in the quote asset; null while there is none."""
    volume: str | None
    """Of it, made so far; null where nobody can say."""
    pause: str
    """Why nothing is traded for it now; `none` while it is worked on."""
    parked: int
    """Payouts that somebody has to look at."""


class CampaignColumn(msgspec.Struct, kw_only=True):
    """Campaigns at one stage."""

    stage: str
    cards: list[CampaignCard]


class CampaignBoard(msgspec.Struct, kw_only=True):
    """Every stage in the order of a campaign's life, empty ones too."""

    at_ms: int
    """By the clock that cycles are counted by."""
    columns: list[CampaignColumn]


class CycleView(msgspec.Struct, kw_only=True):
    """One cycle: what was expected, and what it paid."""

    cycle: int
    start_ms: int
    end_ms: int
    goal: str | None
    pause: str
    expected: str | None
    paid: str
    difference: str | None
    """Paid beyond what was expected last; null without an estimate, and until the cycle was paid for."""


class CampaignPayout(msgspec.Struct, kw_only=True):
    """A payout as the chain has it, and how far it has come."""

    id: str
    chain_id: int
    tx: str
    cycle: int
    amount: str
    state: Literal["parked", "entered", "sweeping", "arrived", "retracted"]
    at_ms: int
    entry: str
    """Of the reward ledger; empty where it is in none."""


class CampaignEvent(msgspec.Struct, kw_only=True):
    """Something that happened to a campaign."""

    at_ms: int
    event: str
    stage: str
    reason: str


class OwnerNotes(msgspec.Struct, kw_only=True):
    """What only the owner sees of a campaign."""

    wallet: str
    account: str
    joined_ms: int | None
    reason: str
    """Why it stands where it does."""
    wish: Wish
    cost: str | None
    """Of the running cycle's volume by the last estimate, in the quote asset."""
    value: str | None
    """Of the running cycle's reward by the last estimate, in the quote asset."""
    price_source: str
    cost_ceiling: str | None
    goal_reason: str
    events: list[CampaignEvent]


class CampaignPageView(msgspec.Struct, kw_only=True):
    """One campaign with its cycles and payouts."""

    at_ms: int
    card: CampaignCard
    cycles: list[CycleView]
    payouts: list[CampaignPayout]
    explorers: dict[str, str] = {}
    owner: OwnerNotes | None = None
    """Null for everybody but the owner."""


class ChainView(msgspec.Struct, kw_only=True):
    """How far a chain is read."""

    name: str
    chain_id: int
    head: int | None
    """Newest block that the node knows; null while it does not answer."""
    read: int | None
    """Newest block that was read; null before the first."""
    final: int | None
    """Up to here everything is final."""
    lag: int | None
    """Blocks that the node has and we have not read."""
    confirmations: int
    halted: str
    """Why payments on it stand still; empty while they do not."""
    problem: str
    explorer: str


class VaultTokenView(msgspec.Struct, kw_only=True):
    """A token in a vault."""

    code: str
    address: str
    balance: str | None
    waiting: str
    """Entered as rewards and in no transfer yet."""
    limit: str
    """Most that may leave within the window."""
    spent: str
    """Of it, used."""
    minimum_sweep: str


class VaultPaymentView(msgspec.Struct, kw_only=True):
    """A transfer out of a vault."""

    key: str
    state: str
    amount: str
    token: str
    destination: str
    nonce: int
    tx: str
    at_ms: int
    reason: str


class VaultView(msgspec.Struct, kw_only=True):
    """An account that rewards arrive at and leave from."""

    chain: str
    chain_id: int
    account: str
    coins: str | None
    """Of the chain's own coin, for gas; null while the node does not answer."""
    next_nonce: int
    pending: int
    """Transfers that are not over."""
    window_s: int
    """Limits hold within it."""
    tokens: list[VaultTokenView]
    destinations: list[str]
    latest: list[VaultPaymentView]
    problem: str


class PartnerBalance(msgspec.Struct, kw_only=True):
    """What a partner holds for us."""

    asset: str
    amount: str


class MixinView(msgspec.Struct, kw_only=True):
    """The bot at Mixin."""

    app_id: str
    name: str
    """As Mixin knows the bot; empty while it does not answer."""
    balances: list[PartnerBalance]
    pending: int
    """Transfers that are signed and not known to have happened."""
    problem: str


class DriftView(msgspec.Struct, kw_only=True):
    """Where HuFi's answers are not what this program was written for."""

    kind: str
    route: str
    subject: str
    count: int
    first_ms: int
    last_ms: int


class HufiView(msgspec.Struct, kw_only=True):
    """HuFi's launcher and recording oracle."""

    wallet: str
    login: Literal["in", "out"]
    """Whether the oracle knows us at this moment; `out` is renewed with the next question."""
    drifts: list[DriftView]
    beyond: int
    """Further differences that were not kept."""
    problem: str


class SweepPlan(msgspec.Struct, kw_only=True):
    """What a transfer out of a vault would move now."""

    chain_id: int
    token: str
    code: str
    amount: str
    payouts: int


class OpenSweep(msgspec.Struct, kw_only=True):
    """A transfer out of a vault whose end is not known."""

    key: str
    chain_id: int
    code: str
    amount: str
    payouts: int
    state: str
    """Of the vault's payment; empty where the vault was not asked yet."""
    tx: str


class SweepsView(msgspec.Struct, kw_only=True):
    """Transfers out of the vaults: what one would move now, and those that are under way."""

    plans: list[SweepPlan]
    under_way: list[OpenSweep]


class PartnersView(msgspec.Struct, kw_only=True):
    """Everybody we work with, as the owner sees it."""

    at_ms: int
    configured: bool
    """Whether any partner is."""
    chains: list[ChainView]
    vaults: list[VaultView]
    mixin: MixinView | None
    hufi: HufiView | None
    sweeps: SweepsView
    can_sweep: bool
    can_wish: bool
    unclear: list[str] = []
    """What the last round could not do, each in one sentence."""


class SweepRequest(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Move what waits in the vaults on, now."""

    dry_run: bool = True
