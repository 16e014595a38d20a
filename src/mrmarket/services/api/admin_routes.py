"""`/api/v1/admin`: the owner's view of everybody's money."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from litestar import Controller, get, post
from litestar.params import JSONBody, QueryParameter

from mrmarket.services.api import money_schema as money
from mrmarket.services.api.guards import ADMIN
from mrmarket.services.api.parameters import (
    BeforeMs,
    BeforeSeq,
    Filter,
    Id,
    Limit,
    Money,
    PeriodChoice,
    Seq,
    Word,
)

DayMs = Annotated[int, QueryParameter(ge=0, le=2**53)]


class TreasuryRoutes(Controller):
    """What is held, what is owed, and what is on its way."""

    path = "/admin"
    tags: Sequence[str] | None = ("admin",)
    opt = ADMIN

    @get("/treasury", operation_id="treasury")
    async def treasury(self, money_face: Money) -> money.TreasuryView:
        """Assets observed and expected, and what users are owed."""
        return await money_face.treasury()

    @post("/reconcile", operation_id="reconcile", status_code=200)
    async def reconcile(self, money_face: Money) -> money.TreasuryView:
        """Compare what is held with what is owed, now."""
        return await money_face.reconcile()

    @get("/incidents", operation_id="incidents")
    async def incidents(
        self, money_face: Money, limit: Limit = 100, before_ms: BeforeMs = None
    ) -> list[money.IncidentView]:
        """What did not add up, newest first."""
        return await money_face.incidents(limit, before_ms)

    @post("/incidents/{incident:str}/release", operation_id="release_incident", status_code=200)
    async def release_incident(
        self, money_face: Money, incident: Id, data: JSONBody[money.ReleaseRequest]
    ) -> money.TreasuryView:
        """Take a difference as it is, with a reason: the incident is closed and payouts go on."""
        return await money_face.release_incident(incident, data)

    @get("/outbox", operation_id="outbox")
    async def outbox(
        self,
        money_face: Money,
        wanted: Annotated[str | None, QueryParameter(name="state", max_length=40)] = None,
        limit: Limit = 100,
        before_ms: BeforeMs = None,
    ) -> money.OutboxView:
        """Payments out and in, newest first."""
        return await money_face.outbox(wanted, limit, before_ms)

    @post("/outbox/{payout:str}/retry", operation_id="retry_payout", status_code=200)
    async def retry_payout(self, money_face: Money, payout: Id) -> money.OutboxView:
        """Try a payment again."""
        return await money_face.retry_payout(payout)

    @post("/parked/{payment:str}/reconsider", operation_id="reconsider_payment", status_code=200)
    async def reconsider_payment(self, money_face: Money, payment: Id) -> money.OutboxView:
        """Let a parked payment be claimed again."""
        return await money_face.reconsider_payment(payment)

    @post("/parked/{payment:str}/send-back", operation_id="send_back_payment", status_code=200)
    async def send_back_payment(
        self, money_face: Money, payment: Id, data: JSONBody[money.SendBackRequest]
    ) -> money.OutboxView:
        """Send a parked payment back, to its sender or elsewhere."""
        return await money_face.send_back_payment(payment, data)

    @get("/users", operation_id="users")
    async def users(self, money_face: Money) -> list[money.UserRow]:
        """Every depositor."""
        return await money_face.users()

    @get("/jobs", operation_id="jobs")
    async def jobs(
        self, money_face: Money, limit: Limit = 100, before_ms: BeforeMs = None
    ) -> list[money.JobView]:
        """Windows of recurring work, newest first."""
        return await money_face.jobs(limit, before_ms)

    @get("/trades", operation_id="trades")
    async def trades(
        self, money_face: Money, limit: Limit = 100, before_ms: BeforeMs = None
    ) -> list[money.TradeView]:
        """Trades of all pools, newest first."""
        return await money_face.trades(None, limit, before_ms)

    @get("/periods", operation_id="periods")
    async def periods(
        self, money_face: Money, period: PeriodChoice = "day", limit: Limit = 30
    ) -> list[money.PeriodFigures]:
        """Volume, fees and result of the whole instance by day, week or month, oldest first."""
        return await money_face.periods(period, limit)


class PoolAdminRoutes(Controller):
    """A pool's switches, and the owner's earnings."""

    path = "/admin/pools/{pool:str}"
    tags: Sequence[str] | None = ("admin",)
    opt = ADMIN

    @get("/fees", operation_id="fees")
    async def fees(self, money_face: Money, pool: Id) -> money.FeesView:
        """What the owner has earned with it."""
        return await money_face.fees(pool)

    @post("/fees/withdraw", operation_id="withdraw_fees", status_code=200)
    async def withdraw_fees(
        self, money_face: Money, pool: Id, data: JSONBody[money.FeeWithdrawal]
    ) -> money.OutboxView:
        """Pay earned fees out."""
        return await money_face.withdraw_fees(pool, data)

    @post("/pause", operation_id="pause_pool", status_code=200)
    async def pause_pool(
        self, money_face: Money, pool: Id, data: JSONBody[money.PauseRequest]
    ) -> money.PoolCard:
        """Close it for deposits, withdrawals or both."""
        return await money_face.pause_pool(pool, data)

    @post("/resume", operation_id="resume_pool", status_code=200)
    async def resume_pool(
        self, money_face: Money, pool: Id, data: JSONBody[money.PauseRequest]
    ) -> money.PoolCard:
        """Open it again."""
        return await money_face.resume_pool(pool, data)


class RewardAdminRoutes(Controller):
    """Allocation runs."""

    path = "/admin/rewards"
    tags: Sequence[str] | None = ("admin",)
    opt = ADMIN

    @get("/runs", operation_id="reward_runs")
    async def reward_runs(
        self, money_face: Money, limit: Limit = 100, before_ms: BeforeMs = None
    ) -> list[money.RewardRunView]:
        """Runs, newest first."""
        return await money_face.reward_runs(limit, before_ms)

    @get("/preview", operation_id="preview_rewards")
    async def preview_rewards(
        self, money_face: Money, pool: Word, day_ms: DayMs
    ) -> list[money.RewardRunView]:
        """What allocating a day would do; changes nothing."""
        return await money_face.preview_rewards(pool, day_ms)

    @post("/allocate", operation_id="allocate_rewards", status_code=200)
    async def allocate_rewards(
        self, money_face: Money, data: JSONBody[money.RewardDayRequest]
    ) -> list[money.RewardRunView]:
        """Allocate a day; doing it again changes nothing."""
        return await money_face.allocate_rewards(data.pool, data.day_ms)

    @post("/replay", operation_id="replay_rewards", status_code=200)
    async def replay_rewards(
        self, money_face: Money, data: JSONBody[money.RewardDayRequest]
    ) -> list[money.RewardRunView]:
        """Compute a day again from its recorded inputs and compare; changes nothing."""
        return await money_face.replay_rewards(data.pool, data.day_ms)


class LedgerAdminRoutes(Controller):
    """The whole books."""

    path = "/admin"
    tags: Sequence[str] | None = ("admin",)
    opt = ADMIN

    @post("/seal", operation_id="seal", status_code=200)
    async def seal(self, money_face: Money) -> money.SealView:
        """Seal the books now."""
        return await money_face.seal()

    @get("/ledger", operation_id="groups")
    async def groups(
        self,
        money_face: Money,
        limit: Limit = 100,
        before_seq: BeforeSeq = None,
        account: Filter = None,
        asset: Filter = None,
        kind: Filter = None,
    ) -> list[money.GroupView]:
        """Groups of the ledger, newest first."""
        return await money_face.groups(before_seq, limit, account, asset, kind)

    @get("/ledger/{seq:int}", operation_id="group")
    async def group(self, money_face: Money, seq: Seq) -> money.GroupView:
        """One group."""
        return await money_face.group(seq)
