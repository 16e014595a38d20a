"""What the owner may ask and do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from mrmarket.core.decimals import format_units, parse_units
from mrmarket.core.errors import InvalidInputError
from mrmarket.money.ledger import history
from mrmarket.money.ledger.draft import Draft
from mrmarket.money.ledger.group import TransferKind
from mrmarket.money.ledger.rules import Rejection
from mrmarket.money.payouts import view as payouts
from mrmarket.money.payouts.errors import UnknownPaymentError, UnknownPayoutError
from mrmarket.money.payouts.payment import Payment, Standing
from mrmarket.money.payouts.payout import PayoutRow, PayoutState
from mrmarket.money.pool.performance import windows
from mrmarket.money.pool.plan import OWNER_FEES, SHARE_DECIMALS
from mrmarket.money.rewards.inputs import Draught
from mrmarket.money.rewards.job_repository import JobRepository
from mrmarket.money.rewards.replay import replay_day
from mrmarket.money.rewards.repository import RewardRepository
from mrmarket.money.rewards.rows import RunRow
from mrmarket.money.rewards.view import reward_totals
from mrmarket.services.api import money_schema as money
from mrmarket.services.api.refusals import NotFoundError
from mrmarket.services.money import mapping
from mrmarket.services.money.evidence_counter import previous_hash
from mrmarket.services.money.public_counter import PublicCounter, known_pool
from mrmarket.services.money.reward_views import cycles_at, draught_view, run_view
from mrmarket.store.sql import Sql

_MANY: Final = 10_000


class RewardOfficeCounter(PublicCounter):
    """Allocation runs and recurring work."""

    async def reward_runs(self, limit: int, before_ms: int | None) -> list[money.RewardRunView]:
        """Allocation runs, newest first."""

        def question(sql: Sql) -> list[money.RewardRunView]:
            rows = RewardRepository(sql).newest_runs(_MANY if before_ms is not None else limit)
            older = [row for row in rows if before_ms is None or row.start_ms < before_ms][:limit]
            return [run_view(sql, row) for row in older]

        return await self._read(question)

    async def preview_rewards(self, pool: str, day_ms: int) -> list[money.RewardRunView]:
        """What allocating the cycles that a moment belongs to would do; changes nothing."""
        found = await self._cycles(pool, day_ms)

        def preview() -> list[Draught]:
            allocator = self._offices.allocator
            return [draught for name, day in found for draught in allocator.preview(name, day)]

        draughts = await asyncio.to_thread(preview)

        def question(sql: Sql) -> list[money.RewardRunView]:
            return [draught_view(sql, draught) for draught in draughts]

        return await self._read(question)

    async def allocate_rewards(self, pool: str, day_ms: int) -> list[money.RewardRunView]:
        """Allocate them; doing it again changes nothing."""
        found = await self._cycles(pool, day_ms)

        def allocate() -> list[RunRow]:
            allocator = self._offices.allocator
            return [row for name, day in found for row in allocator.allocate(name, day)]

        rows = await asyncio.to_thread(allocate)

        def question(sql: Sql) -> list[money.RewardRunView]:
            return [run_view(sql, row) for row in rows]

        return await self._read(question)

    async def replay_rewards(self, pool: str, day_ms: int) -> list[money.RewardRunView]:
        """Compute them again from their recorded inputs and compare; changes nothing."""
        found = await self._cycles(pool, day_ms)

        def question(sql: Sql) -> list[money.RewardRunView]:
            views = []
            for name, day in found:
                for replay in replay_day(sql, self._offices.sources, name, day):
                    view = run_view(sql, replay.run)
                    view.state = "holds" if replay.ok else "; ".join(replay.reasons)
                    views.append(view)
            return views

        return await self._read(question)

    async def jobs(self, limit: int, before_ms: int | None) -> list[money.JobView]:
        """Windows of recurring work, newest first."""

        def question(sql: Sql) -> list[money.JobView]:
            rows = JobRepository(sql).listed(_MANY if before_ms is not None else limit)
            older = [row for row in rows if before_ms is None or row.start_ms < before_ms]
            return [mapping.job(row) for row in older[:limit]]

        return await self._read(question)

    async def _cycles(self, pool: str, day_ms: int) -> list[tuple[str, int]]:
        if pool not in {plan.name for plan in self._offices.treasury.plans}:
            raise NotFoundError("pool", pool)
        return await self._read(lambda sql: cycles_at(sql, pool, day_ms))


class OwnerCounter(RewardOfficeCounter):
    """Payments, fees, users, pools, the whole ledger."""

    async def outbox(self, state: str | None, limit: int, before_ms: int | None) -> money.OutboxView:
        """Payments out and in, newest first."""
        try:
            states = tuple(PayoutState) if state is None else (PayoutState(state),)
        except ValueError:
            raise InvalidInputError("state", state, ", ".join(PayoutState)) from None

        def question(sql: Sql) -> money.OutboxView:
            decimals = self._decimals(sql)
            status = payouts.status(sql)
            queued = payouts.outbox(sql, states, limit=_MANY if before_ms is not None else limit)
            older = [each for each in queued if before_ms is None or each.row.queued_ms < before_ms]
            oldest = status.oldest_pending_ms
            return money.OutboxView(
                rows=[mapping.outbox_row(each, decimals(each.row.asset)) for each in older[:limit]],
                counts={tally.state: tally.count for tally in status.payouts},
                oldest_age_s=None if oldest is None else max(0, self._now_ms() - oldest) / 1_000,
                parked=[
                    mapping.parked_row(payment, decimals(payment.asset))
                    for payment in payouts.payments(sql, (Standing.PARKED,))
                ],
            )

        return await self._read(question)

    async def retry_payout(self, payout: str) -> money.OutboxView:
        """Try a payment again that was refused, or that a rail took on and then knew nothing of."""

        def work(draft: Draft) -> PayoutRow | Rejection:
            row = self._offices.outbox.payout(draft, payout)
            if row is not None and row.state is PayoutState.UNKNOWN:
                return self._offices.clearing.resend(draft, payout)
            return self._offices.clearing.retry(draft, payout)

        def retry() -> PayoutRow | Rejection:
            return self._offices.treasury.writer.perform(work).result()

        try:
            answer = await asyncio.to_thread(retry)
        except UnknownPayoutError:
            raise NotFoundError("payout", payout) from None
        if isinstance(answer, Rejection):
            raise InvalidInputError("payout", payout, f"money to pay it with: {answer.message}")
        return await self.outbox(None, 100, None)

    async def reconsider_payment(self, payment: str) -> money.OutboxView:
        """Let a parked payment be claimed again."""
        return await self._parked(payment, self._offices.intake.reconsider)

    async def send_back_payment(self, payment: str, request: money.SendBackRequest) -> money.OutboxView:
        """Send a parked payment back, to its sender or elsewhere."""
        to = self._payable(request.destination) if request.destination else None

        def send_back(draft: Draft, rail: str, payment_id: str) -> Payment:
            return self._offices.intake.send_back(draft, rail, payment_id, to)

        return await self._parked(payment, send_back)

    async def _parked(self, payment: str, decide: Callable[[Draft, str, str], Payment]) -> money.OutboxView:
        rail, _, name = payment.partition(":")
        payment_id = name.partition("~")[0]

        def work(draft: Draft) -> Payment:
            return decide(draft, rail, payment_id)

        def carry_out() -> Payment:
            return self._offices.treasury.writer.perform(work).result()

        try:
            await asyncio.to_thread(carry_out)
        except UnknownPaymentError:
            raise NotFoundError("payment", payment) from None
        return await self.outbox(None, 100, None)

    def _payable(self, destination: str) -> str:
        """An address that a rail pays to; the venue's are for custody moves alone."""
        for rail in self._offices.world.rails.values():
            known = rail.valid_destination(destination)
            if known is not None and not known.startswith("venue:"):
                return known
        raise InvalidInputError("destination", destination, "an address of the payment rail")

    async def fees(self, pool: str) -> money.FeesView:
        """What the owner has earned with a pool."""
        figures = self._offices.treasury.figures
        fees = await asyncio.to_thread(known_pool(pool, figures.owner_fees))
        periods = await asyncio.to_thread(figures.periods, pool, "day", 30)
        held = [money.Balance(asset=f"pool:{pool}", amount=fees.shares, held="0")]
        held += [
            money.Balance(asset=asset, amount=amount, held="0") for asset, amount in fees.balances.items()
        ]
        kinds = {"management": fees.management, "performance": fees.performance, "value": fees.value}
        kinds |= {f"deposit {asset}": amount for asset, amount in fees.deposit.items()}
        return money.FeesView(
            pool=pool, balances=held, by_kind=kinds, periods=[mapping.period(row) for row in periods]
        )

    async def withdraw_fees(self, pool: str, request: money.FeeWithdrawal) -> money.OutboxView:
        """Pay earned fees out: fee shares are redeemed like anybody's, other assets are paid as they are."""
        destination = self._payable(request.destination)
        desk = self._offices.treasury.desk
        if request.asset == f"pool:{pool}":
            units = parse_units(request.amount, SHARE_DECIMALS)
            await asyncio.to_thread(
                known_pool(pool, lambda name: desk.withdraw_fees(name, destination, units, request.key))
            )
        else:
            decimals = await self._read(lambda sql: self._decimals(sql)(request.asset))
            units = parse_units(request.amount, decimals)
            await asyncio.to_thread(
                desk.withdraw_balance, OWNER_FEES.id, request.asset, units, destination, request.key
            )
        return await self.outbox(None, 100, None)

    async def users(self) -> list[money.UserRow]:
        """Every depositor, the largest first."""
        figures, plans = self._offices.treasury.figures, self._offices.treasury.plans

        def rows() -> list[money.UserRow]:
            accounts = sorted({account for plan in plans for account in figures.accounts(plan.name)})
            quotes = {plan.quote for plan in plans}
            with self._offices.treasury.reader.snapshot() as sql:
                decimals = self._decimals(sql)
                rewards = {
                    account: mapping.decimal_sum(
                        format_units(total.credited, decimals(total.asset))
                        for total in reward_totals(sql, account)
                        if total.asset.partition(":")[2] in quotes
                    )
                    for account in accounts
                }
            found = []
            for account in accounts:
                held = figures.positions(account)
                found.append(
                    money.UserRow(
                        name=account.removeprefix("user:"),
                        value=mapping.decimal_sum(each.value for each in held),
                        share=sum(each.share for each in held),
                        earned=mapping.decimal_sum(each.result for each in held),
                        rewards=rewards[account],
                        since_ms=min((lot.opened_ms for each in held for lot in each.lots), default=None),
                    )
                )
            return sorted(found, key=lambda row: -float(row.value))

        return await asyncio.to_thread(rows)

    async def pause_pool(self, pool: str, request: money.PauseRequest) -> money.PoolCard:
        """Close a pool for deposits, withdrawals or both."""
        desk = self._offices.treasury.desk
        await asyncio.to_thread(known_pool(pool, lambda name: desk.pause(name, request.what, request.reason)))
        return await self.pool_card(pool)

    async def resume_pool(self, pool: str, request: money.PauseRequest) -> money.PoolCard:
        """Open it again."""
        desk = self._offices.treasury.desk
        await asyncio.to_thread(known_pool(pool, lambda name: desk.resume(name, request.what)))
        return await self.pool_card(pool)

    async def groups(
        self, before_seq: int | None, limit: int, account: str | None, asset: str | None, kind: str | None
    ) -> list[money.GroupView]:
        """Groups of the ledger, unmasked, newest first."""
        try:
            wanted = None if kind is None else TransferKind(kind)
        except ValueError:
            raise InvalidInputError("kind", kind, ", ".join(TransferKind)) from None

        def question(sql: Sql) -> list[money.GroupView]:
            records = history.groups(
                sql, before_seq=before_seq, account=account, asset=asset, kind=wanted, limit=limit
            )
            decimals = self._decimals(sql)
            return [
                mapping.group(record, previous_hash(sql, record.seq), decimals, None) for record in records
            ]

        return await self._read(question)

    async def group(self, seq: int) -> money.GroupView:
        """One group of the ledger, unmasked."""

        def question(sql: Sql) -> money.GroupView:
            record = history.group(sql, seq)
            if record is None:
                raise NotFoundError("group", str(seq))
            return mapping.group(record, previous_hash(sql, seq), self._decimals(sql), None)

        return await self._read(question)

    async def periods(self, period: money.Period, limit: int) -> list[money.PeriodFigures]:
        """Volume, fees and result of the whole instance by day, week or month, oldest first."""
        figures = self._offices.treasury.figures
        spans = windows(period, self._now_ms(), limit)

        def rows() -> list[money.PeriodFigures]:
            plans = self._offices.treasury.plans
            pools = [figures.periods(plan.name, period, limit) for plan in plans]
            quotes = {plan.quote for plan in plans}
            with self._offices.treasury.reader.snapshot() as sql:
                decimals = self._decimals(sql)
                paid = [
                    (run.start_ms, mapping.signed(run.credited_units, decimals(run.asset)))
                    for run in RewardRepository(sql).all_runs()
                    if run.asset.partition(":")[2] in quotes
                ]
            found = []
            for place, span in enumerate(spans):
                own = [each[place] for each in pools if place < len(each)]
                found.append(
                    money.PeriodFigures(
                        start_ms=span.start_ms,
                        end_ms=span.end_ms,
                        volume=mapping.decimal_sum(each.volume for each in own),
                        fills=sum(each.fills for each in own),
                        venue_fees=mapping.decimal_sum(each.venue_fees for each in own),
                        pool_fees=mapping.decimal_sum(each.pool_fees for each in own),
                        rewards=mapping.decimal_sum(
                            text for at_ms, text in paid if span.start_ms <= at_ms < span.end_ms
                        ),
                        result=mapping.decimal_sum(each.result for each in own),
                        return_fraction=own[0].return_fraction if len(own) == 1 else None,
                    )
                )
            return found

        return await asyncio.to_thread(rows)
