"""The campaign service: rounds that find campaigns, join them, set goals, and bring payouts home.

Every round can be stopped anywhere and repeated: what was asked of the world is written down before.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from mrmarket.campaigns.entity import Campaign, Event, Stage, advance, discovered, seen_again
from mrmarket.campaigns.errors import CampaignError, JoinRefusedError, PartnerUnclearError
from mrmarket.campaigns.orchestrator import decide
from mrmarket.campaigns.pipeline import PayoutTerms, Taken, keep_reward_campaign, take_page
from mrmarket.campaigns.ports import (
    ExecutionGoals,
    JoinPolicy,
    JoinState,
    OfferList,
    Offers,
    OfferState,
    Participation,
    PayoutFeed,
    ProgressReport,
    RewardVault,
    Sweep,
    SweepState,
)
from mrmarket.campaigns.repository import CampaignRepository
from mrmarket.campaigns.rows import EstimateRow
from mrmarket.campaigns.sweeps import PlannedSweep, gone_from, open_sweeps, settle_sweep
from mrmarket.campaigns.terms import ExecutionGoal, Limits, Pause, Progress
from mrmarket.core.clock import NS_PER_MS, Clock
from mrmarket.core.crash import reach
from mrmarket.core.decimals import format_decimal
from mrmarket.money.ledger.draft import Draft
from mrmarket.money.ledger.writer import LedgerWriter
from mrmarket.money.payouts.calls import perform, read
from mrmarket.store.sql import SqlReader


@dataclass(frozen=True, slots=True)
class Doors:
    """The world as campaigns see it."""

    offers: Offers
    participation: Participation
    policy: JoinPolicy
    progress: ProgressReport
    goals: ExecutionGoals
    feeds: Sequence[PayoutFeed]
    vault: RewardVault


@dataclass(frozen=True, slots=True)
class Houserules:
    """What the instance's owner has laid down."""

    wallet: str
    """That takes part; lower case."""
    account_of: dict[str, str]
    """Label of our account, by exchange."""
    limits: Limits
    payouts: PayoutTerms
    rail: str
    """Where rewards arrive for users; `arrivals.arrival_claimer` takes them in there."""
    payout_grace_ms: int = 7 * 86_400_000
    """So long after its end a campaign is waited for; payouts that come later are taken all the same."""


@dataclass(slots=True)
class Round:
    """What a round did, and what it could not do."""

    found: int = 0
    joined: int = 0
    goals: int = 0
    taken: list[Taken] = field(default_factory=list)
    settled: int = 0
    unclear: list[CampaignError] = field(default_factory=list)
    """Shown by whoever runs the rounds; each is tried again in the next."""


class CampaignRounds:
    """Carries rounds out, through the ledger's writer. Stateless: drop it and build it again at any time."""

    def __init__(
        self, writer: LedgerWriter, reader: SqlReader, clock: Clock, doors: Doors, rules: Houserules
    ) -> None:
        """`clock` is the world's: cycles are counted by it."""
        self._writer = writer
        self._reader = reader
        self._clock = clock
        self._doors = doors
        self._rules = rules

    async def step(self) -> Round:
        """One round of everything. What a partner leaves unclear does not keep the rest from its turn."""
        done = Round()
        for part in (self.discover, self.settle_joins, self.join, self.keep_time, self.set_goals):
            await self._try(done, part)
        for feed in self._doors.feeds:
            await self._try(done, partial(self.take_payouts, feed=feed))
        await self._try(done, self.sweep)
        return done

    async def discover(self, done: Round) -> None:
        """Write down what the partner offers, and what it says of what we know."""
        listed = await self._doors.offers.list()
        done.found += await perform(self._writer, partial(self._note_offers, listed, done))

    async def settle_joins(self, done: Round) -> None:
        """Ask the partner about joins whose answer was lost; nothing is asked for twice before that."""
        for campaign in await self._in_stage(Stage.JOINING, Stage.UNKNOWN):
            try:
                await self._settle(campaign, done)
            except PartnerUnclearError as unclear:
                done.unclear.append(unclear)
                await self._move(campaign, Event.LOST, unclear.why)

    async def join(self, done: Round) -> None:
        """Judge what is not joined, and join what the rules want."""
        for campaign in await self._in_stage(Stage.DISCOVERED, Stage.JOINABLE):
            others = await read(self._reader, lambda sql: CampaignRepository(sql).campaigns())
            verdict = self._doors.policy.judge(campaign.offer, others, self._now_ms())
            event = Event.WANTED if verdict.join else Event.UNWANTED
            judged = await self._move(campaign, event, verdict.reason)
            if not verdict.join:
                continue
            asked = await self._move(judged, Event.ASKED)
            reach("campaigns.asked")
            try:
                await self._doors.participation.join(asked.offer)
            except JoinRefusedError:
                # A join that arrived twice is refused the second time: only the status tells.
                await self._settle(asked, done)
            except PartnerUnclearError as unclear:
                done.unclear.append(unclear)
                await self._move(asked, Event.LOST, unclear.why)
            else:
                await self._settle(asked, done)

    async def keep_time(self, done: Round) -> None:
        """Begin and end campaigns by the world's clock."""
        del done
        now_ms = self._now_ms()
        for campaign in await self._in_stage(Stage.JOINED, Stage.ACTIVE, Stage.ENDED):
            offer = campaign.offer
            if campaign.stage is Stage.ENDED:
                if now_ms >= offer.end_ms + self._rules.payout_grace_ms:
                    await self._move(campaign, Event.PAID_OUT, "no more payouts are waited for")
            elif now_ms >= offer.end_ms:
                await self._move(campaign, Event.ENDED)
            elif now_ms >= offer.start_ms:
                await self._move(campaign, Event.STARTED)

    async def set_goals(self, done: Round) -> None:
        """Turn terms into goals, and tell the engine what it does not have."""
        for campaign in await self._in_stage(Stage.JOINED, Stage.ACTIVE, Stage.ENDED, Stage.CANCELLED):
            goal = await self._decide(campaign, done)
            if goal is not None:
                await perform(self._writer, partial(self._keep_goal, goal))
        for goal in await read(self._reader, lambda sql: CampaignRepository(sql).untold_goals()):
            await self._doors.goals.put(goal)
            reach("campaigns.goal_told")
            await perform(self._writer, partial(self._mark_told, goal))
            done.goals += 1

    async def take_payouts(self, done: Round, *, feed: PayoutFeed, limit: int = 500) -> None:
        """Take every page of payouts that a chain has."""
        while True:
            before = await read(self._reader, lambda sql: CampaignRepository(sql).cursor(feed.name))
            page = await feed.payouts(before, limit)
            if page.next_cursor == before and not page.final and not page.retracted:
                return
            reach("campaigns.page_read")
            take = partial(take_page, feed=feed.name, before=before, page=page, terms=self._rules.payouts)
            done.taken.append(await perform(self._writer, take))
            if page.next_cursor == before:
                return

    async def sweep(self, done: Round) -> None:
        """Ask for every planned transfer under its key, and write down how it ended."""
        for plan in await read(self._reader, open_sweeps):
            try:
                sweep = await self._ask_vault(plan)
            except PartnerUnclearError as unclear:
                done.unclear.append(unclear)
                continue
            reach("campaigns.sweep_sent")
            done.settled += await perform(
                self._writer, partial(settle_sweep, sweep=sweep, rail=self._rules.rail)
            )

    async def _ask_vault(self, plan: PlannedSweep) -> Sweep:
        """The transfer as it stands; one that the vault never began is given up if its money is gone."""
        vault = self._doors.vault
        if await read(self._reader, partial(gone_from, plan=plan)) and await vault.find(plan.key) is None:
            # Nobody but this round begins transfers: it stays unknown, and what is left goes with the next.
            return Sweep(plan.key, SweepState.FAILED, "", "", 0, self._now_ms())
        return await vault.sweep(plan.key, plan.chain_id, plan.token, plan.units)

    async def _settle(self, campaign: Campaign, done: Round) -> None:
        status = await self._doors.participation.status(campaign.offer)
        if status.state is JoinState.JOINED:
            await self._move(campaign, Event.JOINED, joined_ms=status.joined_ms)
            reach("campaigns.joined")
            done.joined += 1
        elif status.state is JoinState.CAN_JOIN:
            await self._move(campaign, Event.ABSENT, "the partner says that we are not in")
        else:
            await self._move(campaign, Event.REFUSED, status.reason or "the partner has closed it")

    async def _decide(self, campaign: Campaign, done: Round) -> ExecutionGoal | None:
        now_ms = self._now_ms()
        cycle = campaign.offer.cycle_at(now_ms)
        progress = None
        if campaign.stage is Stage.ACTIVE and cycle is not None and campaign.offer.measure.is_traded:
            try:
                progress = await self._doors.progress.progress(campaign, cycle)
            except PartnerUnclearError as unclear:
                done.unclear.append(unclear)
                return None  # what holds goes on to hold; its ceiling bounds what that can cost
            if progress is not None:
                await perform(self._writer, partial(self._keep_estimate, campaign.id, cycle, progress))
        return decide(campaign, progress, self._rules.limits, now_ms)

    async def _try(self, done: Round, part: Callable[[Round], Awaitable[None]]) -> None:
        try:
            await part(done)
        except CampaignError as error:
            done.unclear.append(error)

    async def _in_stage(self, *stages: Stage) -> list[Campaign]:
        return await read(self._reader, lambda sql: CampaignRepository(sql).in_stage(*stages))

    async def _move(self, campaign: Campaign, event: Event, reason: str = "", joined_ms: int = 0) -> Campaign:
        work = partial(self._carry_out, campaign.id, event, reason, joined_ms)
        return await perform(self._writer, work)

    def _carry_out(self, name: str, event: Event, reason: str, joined_ms: int, draft: Draft) -> Campaign:
        repository = CampaignRepository(draft.sql)
        before = repository.campaign(name)
        after = advance(before, event, self._now_ms(), reason, joined_ms=joined_ms)
        if after != before:
            repository.put(after, event, self._now_ms())
            if after.stage is Stage.JOINED:
                keep_reward_campaign(draft, after.offer, self._rules.payouts)
        return after

    def _note_offers(self, listed: OfferList, done: Round, draft: Draft) -> int:
        repository = CampaignRepository(draft.sql)
        now_ms = self._now_ms()
        new = 0
        for seen in listed.seen:
            known = repository.find(seen.offer.id)
            if known is None:
                if seen.state is not OfferState.OPEN:
                    continue  # over before we ever saw it
                account = self._rules.account_of.get(seen.offer.exchange, "")
                known = discovered(seen.offer, self._rules.wallet, account, now_ms)
                repository.put(known, "discovered", now_ms)
                new += 1
            try:
                seen_again(known, seen.offer)
            except CampaignError as changed:
                done.unclear.append(changed)
                continue
            self._note_state(repository, known, seen.state, now_ms)
        return new

    def _note_state(
        self, repository: CampaignRepository, known: Campaign, state: OfferState, now_ms: int
    ) -> None:
        if state is OfferState.OPEN or known.stage.is_final:
            return
        event = Event.CANCELLED
        if known.stage in {Stage.JOINED, Stage.ACTIVE}:
            event = Event.ENDED  # what was earned so far is still paid
        elif known.stage is Stage.ENDED:
            if state is not OfferState.COMPLETED:
                return
            event = Event.PAID_OUT
        elif known.stage in {Stage.JOINING, Stage.UNKNOWN} and state is OfferState.CANCELLING:
            return  # whether we are in is asked first
        after = advance(known, event, now_ms, f"the partner says that it is {state.value}")
        repository.put(after, event, now_ms)

    def _keep_estimate(self, name: str, cycle: int, progress: Progress, draft: Draft) -> None:
        """Note what we expect, where it is another figure than before by more than a hundredth."""
        repository = CampaignRepository(draft.sql)
        known = repository.estimates(name, cycle)
        units = progress.expected_units
        if known and abs(units - known[-1].expected_units) * 100 <= known[-1].expected_units:
            return
        value = progress.expected_reward_value
        repository.add_estimate(
            EstimateRow(
                campaign=name,
                cycle=cycle,
                seq=0,
                expected_units=units,
                reward_value="" if value is None else format_decimal(value),
                cost=format_decimal(progress.cost + progress.expected_cost),
                price_source=progress.price_source,
                at_ms=self._now_ms(),
            )
        )

    def _keep_goal(self, goal: ExecutionGoal, draft: Draft) -> None:
        repository = CampaignRepository(draft.sql)
        known = repository.goal(goal.campaign, goal.cycle)
        if known == goal or (known is None and goal.pause in {Pause.NOT_TRADED, Pause.OVER}):
            return
        repository.put_goal(goal, self._now_ms(), told=False)

    def _mark_told(self, goal: ExecutionGoal, draft: Draft) -> None:
        repository = CampaignRepository(draft.sql)
        if repository.goal(goal.campaign, goal.cycle) == goal:
            repository.put_goal(goal, self._now_ms(), told=True)

    def _now_ms(self) -> int:
        return self._clock.now_ns() // NS_PER_MS
