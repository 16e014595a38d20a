"""What a signed-in user may ask, for themselves only."""

from __future__ import annotations

import asyncio
from typing import Final

import msgspec

from mrmarket.core.clock import NS_PER_S
from mrmarket.core.decimals import format_units, parse_units
from mrmarket.core.errors import InvalidInputError
from mrmarket.core.money import Asset
from mrmarket.money.payouts.repository import PaymentRepository, PayoutRepository
from mrmarket.money.pool.books_view import SnapshotView
from mrmarket.money.pool.deposit import DepositAsk
from mrmarket.money.pool.desk import own_deposit, own_withdrawal
from mrmarket.money.pool.errors import UnknownPoolError, UnknownRequestError
from mrmarket.money.pool.performance import windows
from mrmarket.money.pool.plan import ASSET_DECIMALS, SHARE_DECIMALS, PoolPlan
from mrmarket.money.pool.rows import DepositRow, DepositState, WithdrawalRow
from mrmarket.money.pool.share_repository import ShareRepository
from mrmarket.money.pool.withdrawal import WithdrawalAsk
from mrmarket.money.rewards.view import RewardState, reward_days, reward_totals
from mrmarket.services.access.demo import DEMO_WALLETS
from mrmarket.services.api import money_schema as money
from mrmarket.services.api.refusals import NotFoundError
from mrmarket.services.money import mapping
from mrmarket.services.money.public_counter import Counter
from mrmarket.store.sql import Sql

_KEEP_NS: Final = NS_PER_S // 2
"""How long encoded positions may be shown: prices move, and pages ask again and again."""
_MOST_KEPT: Final = 10_000
_POINTS: Final = 240
_encode: Final = msgspec.json.Encoder().encode


class HoldingsCounter(Counter):
    """Positions, worth and earnings."""

    def __init__(self, *parameters: object, **named: object) -> None:
        super().__init__(*parameters, **named)  # type: ignore[arg-type] # passed on as they are
        self._ready: dict[str, tuple[int, bytes]] = {}
        self._preparing: dict[str, asyncio.Task[bytes]] = {}

    async def positions(self, user: str) -> money.PositionsView:
        """Everything the user owns here."""
        account = account_of(user)
        figures = await asyncio.to_thread(self._offices.treasury.figures.positions, account)

        def question(sql: Sql) -> money.PositionsView:
            view = SnapshotView(sql, self._now_ms())
            decimals = self._decimals(sql)
            free = [
                money.Balance(
                    asset=asset,
                    amount=format_units(units, decimals(asset)),
                    held=format_units(units - view.available(account, asset), decimals(asset)),
                )
                for asset, units in sorted(view.holdings(account).items())
                if units and not asset.startswith("pool:")
            ]
            head = sql.rows("SELECT seq FROM groups ORDER BY seq DESC LIMIT 1")
            quotes = {plan.quote for plan in self._offices.treasury.plans}
            credited = [
                format_units(total.credited, decimals(total.asset))
                for total in reward_totals(sql, account)
                if total.asset.partition(":")[2] in quotes
            ]
            return money.PositionsView(
                at_ms=self._now_ms(),
                ledger_seq=head[0][0] if head else 0,
                positions=[mapping.position(each) for each in figures],
                balances=free,
                value=mapping.decimal_sum(each.value for each in figures),
                earned_trading=mapping.decimal_sum(each.result for each in figures),
                earned_rewards=mapping.decimal_sum(credited),
                fees_paid=mapping.decimal_sum(each.fees_paid for each in figures),
            )

        return await self._read(question)

    async def positions_json(self, user: str) -> bytes:
        """`positions` as JSON text, at most half a second old."""
        now_ns = self._offices.clock.now_ns()
        kept = self._ready.get(user)
        if kept is not None and now_ns - kept[0] < _KEEP_NS:
            return kept[1]
        under_way = self._preparing.get(user)
        if under_way is None:
            under_way = self._preparing[user] = asyncio.create_task(self._prepare(user, now_ns))
        # Whoever asks meanwhile waits for the same answer; one who hangs up takes it from nobody else.
        return await asyncio.shield(under_way)

    async def _prepare(self, user: str, now_ns: int) -> bytes:
        try:
            text = _encode(await self.positions(user))
        finally:
            del self._preparing[user]
        if len(self._ready) >= _MOST_KEPT:
            self._ready.clear()
        self._ready[user] = (now_ns, text)
        return text

    async def portfolio(self, user: str, start_ms: int, end_ms: int) -> list[money.PortfolioPoint]:
        """The user's worth over `[start_ms, end_ms)`, oldest first."""
        if not 0 <= start_ms < end_ms:
            raise InvalidInputError("window", (start_ms, end_ms), "a start before its end")
        last = min(end_ms - 1, self._now_ms())
        step = max(1_000, (last - start_ms) // _POINTS)
        times = [*range(start_ms, last, step), last] if last > start_ms else []
        points = await asyncio.to_thread(self._offices.treasury.figures.portfolio, account_of(user), times)
        return [
            money.PortfolioPoint(at_ms=point.at_ms, value=point.value, paid_in=point.paid_in)
            for point in points
        ]

    async def earnings(self, user: str, period: money.Period, limit: int) -> list[money.PeriodFigures]:
        """What the user earned by day, week or month, split by source, oldest first."""
        account = account_of(user)
        spans = windows(period, self._now_ms(), limit)
        times = [spans[0].start_ms, *(min(span.end_ms, self._now_ms()) for span in spans)] if spans else []
        points = await asyncio.to_thread(self._offices.treasury.figures.portfolio, account, times)

        def question(sql: Sql) -> list[money.PeriodFigures]:
            decimals = self._decimals(sql)
            quotes = {plan.quote for plan in self._offices.treasury.plans}
            days = reward_days(sql, account, times[0], times[-1] + 1) if times else []
            entries = ShareRepository(sql).entries_of(account)
            rows = []
            for span, before, after in zip(spans, points, points[1:], strict=False):
                rewards = [
                    format_units(day.units, decimals(day.asset))
                    for day in days
                    if span.start_ms <= day.start_ms < span.end_ms
                    and day.state in {RewardState.CREDITED, RewardState.PAYING, RewardState.PAID}
                    and day.asset.partition(":")[2] in quotes
                ]
                result = mapping.decimal_sum(
                    (after.value, negative(before.value), negative(after.paid_in), before.paid_in)
                )
                base = float(before.value)
                rows.append(
                    money.PeriodFigures(
                        start_ms=span.start_ms,
                        end_ms=span.end_ms,
                        volume="0",
                        fills=0,
                        venue_fees="0",
                        pool_fees=mapping.decimal_sum(
                            format_units(entry.fee_units, ASSET_DECIMALS)
                            for entry in entries
                            if span.start_ms <= entry.at_ms < span.end_ms
                        ),
                        rewards=mapping.decimal_sum(rewards),
                        result=result,
                        return_fraction=float(result) / base if base > 0 else None,
                    )
                )
            return rows

        return await self._read(question)

    def _changed(self, user: str) -> None:
        """The user has done something: what was kept for them is old."""
        self._ready.pop(user, None)


class MovementCounter(HoldingsCounter):
    """Deposits and withdrawals."""

    async def preview_deposit(self, user: str, request: money.DepositRequest) -> money.DepositPreview:
        """What a deposit would come to; changes nothing."""
        ask = await self._deposit_ask(user, request)
        quote = await asyncio.to_thread(self._offices.treasury.figures.preview_deposit, ask)
        return mapping.deposit_preview(quote)

    async def deposit(self, user: str, request: money.DepositRequest) -> money.DepositView:
        """Announce a deposit; the answer says how to pay."""
        ask = await self._deposit_ask(user, request)
        row = await asyncio.to_thread(self._offices.treasury.desk.open_deposit, ask, request.key)
        self._changed(user)
        return await self._deposit_view(row)

    async def deposits(self, user: str, limit: int, before_ms: int | None) -> list[money.DepositView]:
        """The user's deposits, newest first."""
        rows = await asyncio.to_thread(
            self._offices.treasury.figures.deposits, account_of(user), limit, before_ms
        )
        return [await self._deposit_view(row) for row in rows]

    async def deposit_by_id(self, user: str, deposit: str) -> money.DepositView:
        """One of the user's deposits."""
        return await self._deposit_view(await self._own_deposit(user, deposit))

    async def cancel_deposit(self, user: str, deposit: str) -> money.DepositView:
        """Withdraw the announcement of a deposit that is not minted yet."""
        await self._own_deposit(user, deposit)
        row = await asyncio.to_thread(self._offices.treasury.desk.cancel_deposit, deposit, account_of(user))
        self._changed(user)
        return await self._deposit_view(row)

    async def preview_withdrawal(
        self, user: str, request: money.WithdrawalRequest
    ) -> money.WithdrawalPreview:
        """What a withdrawal would come to; changes nothing."""
        ask = self._withdrawal_ask(user, request)
        quote = await asyncio.to_thread(self._offices.treasury.figures.preview_withdrawal, ask)
        return money.WithdrawalPreview(
            shares=quote.shares,
            value=quote.value,
            fee=quote.fee,
            available_at_ms=quote.available_at_ms,
            queued=quote.queued,
            refusal=quote.refusal,
        )

    async def withdraw(self, user: str, request: money.WithdrawalRequest) -> money.WithdrawalView:
        """Take shares out of a pool."""
        ask = self._withdrawal_ask(user, request)
        row = await asyncio.to_thread(self._offices.treasury.desk.request_withdrawal, ask, request.key)
        self._changed(user)
        return await self._withdrawal_view(row)

    async def withdraw_balance(
        self, user: str, request: money.BalanceWithdrawalRequest
    ) -> money.WithdrawalView:
        """Pay out money that is in no pool."""
        asset = await self._asset(request.asset)
        units = parse_units(request.amount, asset.decimals)
        destination = self._destination(user, request.destination, asset.namespace)
        row = await asyncio.to_thread(
            self._offices.treasury.desk.withdraw_balance,
            account_of(user),
            asset.id,
            units,
            destination,
            request.key,
        )
        self._changed(user)
        return await self._withdrawal_view(row)

    async def withdrawals(self, user: str, limit: int, before_ms: int | None) -> list[money.WithdrawalView]:
        """The user's withdrawals, newest first."""
        rows = await asyncio.to_thread(
            self._offices.treasury.figures.withdrawals, account_of(user), limit, before_ms
        )
        return [await self._withdrawal_view(row) for row in rows]

    async def withdrawal_by_id(self, user: str, withdrawal: str) -> money.WithdrawalView:
        """One of the user's withdrawals."""
        return await self._withdrawal_view(await self._own_withdrawal(user, withdrawal))

    async def cancel_withdrawal(self, user: str, withdrawal: str) -> money.WithdrawalView:
        """Stop a withdrawal whose shares are not burned yet."""
        await self._own_withdrawal(user, withdrawal)
        row = await asyncio.to_thread(
            self._offices.treasury.desk.cancel_withdrawal, withdrawal, account_of(user)
        )
        self._changed(user)
        return await self._withdrawal_view(row)

    # The simulated wallet.

    async def wallet(self, user: str) -> money.WalletView:
        """The user's wallet on the simulated rail."""
        wallets = self._offices.world.wallets
        address = wallet_of(user)
        if wallets is None or address is None:
            raise NotFoundError("wallet", user)
        answer = await wallets.wallet(address)
        return money.WalletView(
            address=address,
            balances=[
                money.Balance(asset=code, amount=amount, held="0")
                for code, amount in sorted(answer.balances.items())
            ],
        )

    async def fund_wallet(self, user: str) -> money.WalletView:
        """Give the simulated wallet play money: once an hour some of the quote."""
        wallets = self._offices.world.wallets
        address = wallet_of(user)
        if wallets is None or address is None:
            raise NotFoundError("wallet", user)
        hour = self._now_ms() // 3_600_000
        quote = self._offices.treasury.plans[0].quote
        await wallets.fund(address, f"faucet-{hour}", quote, FAUCET)
        return await self.wallet(user)

    async def pay_deposit(self, user: str, deposit: str) -> money.DepositView:
        """Pay a deposit from the simulated wallet."""
        wallets = self._offices.world.wallets
        address = wallet_of(user)
        if wallets is None or address is None:
            raise NotFoundError("wallet", user)
        row = await self._own_deposit(user, deposit)
        if row.state is not DepositState.WAITING:
            return await self._deposit_view(row)
        pay_to = await self._offices.world.rails[row.rail].instructions(user, row.memo)
        asset = await self._asset(row.asset)
        await wallets.pay(
            address,
            f"deposit-{row.id}",
            pay_to.address,
            asset.code,
            format_units(row.units, asset.decimals),
            row.memo,
        )
        return await self.deposit_by_id(user, deposit)

    # How requests are read.

    def _plan(self, pool: str) -> PoolPlan:
        plans = self._offices.treasury.plans
        plan = next((plan for plan in plans if plan.name == pool), None)
        if plan is None:
            raise UnknownPoolError(pool, [plan.name for plan in plans])
        return plan

    async def _asset(self, name: str, rail: str | None = None) -> Asset:
        """An asset that the books know, by its id, or by its code on a rail."""
        rails = self._offices.world.rails
        wanted = name if ":" in name else f"{rail or next(iter(rails), '')}:{name}"
        for each in rails.values():
            for asset in each.assets():
                if asset.id == wanted:
                    return asset
        raise InvalidInputError("asset", name, "an asset that the payment rail carries")

    async def _deposit_ask(self, user: str, request: money.DepositRequest) -> DepositAsk:
        plan = self._plan(request.pool)
        asset = await self._asset(request.asset, plan.rail)
        return DepositAsk(
            account=account_of(user),
            pool=request.pool,
            asset=asset.id,
            units=parse_units(request.amount, asset.decimals),
            tier=request.tier,
            terms_version=request.terms_version,
        )

    def _withdrawal_ask(self, user: str, request: money.WithdrawalRequest) -> WithdrawalAsk:
        self._plan(request.pool)
        everything = request.shares == "all"
        units = None if everything else parse_units(request.shares, SHARE_DECIMALS, field="shares")
        return WithdrawalAsk(
            account=account_of(user),
            pool=request.pool,
            destination=self._destination(user, request.destination),
            share_units=units,
        )

    def _destination(self, user: str, wanted: str, by: str | None = None) -> str:
        """An address as its rail writes it; of the rail `by` where that alone can carry the asset."""
        text = wanted or wallet_of(user) or ""
        for name, rail in self._offices.world.rails.items():
            if by not in {None, name}:
                continue
            known = rail.valid_destination(text)
            # Only custody moves pay to the venue: there the money would be nobody's.
            if known is not None and not known.startswith("venue:"):
                return known
        raise InvalidInputError("destination", wanted, "an address of the payment rail")

    async def _own_deposit(self, user: str, deposit: str) -> DepositRow:
        row = await asyncio.to_thread(self._offices.treasury.figures.deposit, deposit)
        try:
            return own_deposit(row, deposit, account_of(user))
        except UnknownRequestError:
            raise NotFoundError("deposit", deposit) from None

    async def _own_withdrawal(self, user: str, withdrawal: str) -> WithdrawalRow:
        row = await asyncio.to_thread(self._offices.treasury.figures.withdrawal, withdrawal)
        try:
            return own_withdrawal(row, withdrawal, account_of(user))
        except UnknownRequestError:
            raise NotFoundError("withdrawal", withdrawal) from None

    async def _deposit_view(self, row: DepositRow) -> money.DepositView:
        pay = None
        rail = self._offices.world.rails.get(row.rail)
        if row.state is DepositState.WAITING and rail is not None:
            pay_to = await rail.instructions(row.account, row.memo)
            decimals = await self._read(lambda sql: self._decimals(sql)(row.asset))
            pay = money.PaymentRequest(
                rail=row.rail,
                address=pay_to.address,
                memo=pay_to.memo,
                uri=pay_to.uri,
                asset=row.asset.partition(":")[2],
                amount=format_units(row.units, decimals),
                expires_at_ms=row.expires_ms,
            )

        def question(sql: Sql) -> money.DepositView:
            payment_id = row.payment.partition(":")[2].partition("~")[0]
            payment = PaymentRepository(sql).find(row.rail, payment_id) if payment_id else None
            return mapping.deposit(row, self._decimals(sql)(row.asset), payment, pay)

        return await self._read(question)

    async def _withdrawal_view(self, row: WithdrawalRow) -> money.WithdrawalView:
        def question(sql: Sql) -> money.WithdrawalView:
            payouts = PayoutRepository(sql)
            payout = payouts.find(row.payout) if row.payout else None
            receipt = payouts.receipt(row.payout) if row.payout else None
            return mapping.withdrawal(row, self._decimals(sql)(row.asset), payout, receipt)

        return await self._read(question)


FAUCET: Final = "10000"
"""What the demo's wallet is given at once."""


def account_of(user: str) -> str:
    """The user's account id in the ledger."""
    return PoolPlan.depositor(user).id


def wallet_of(user: str) -> str | None:
    """The wallet that a user signs in with; None for a name without one."""
    if user.startswith("0x"):
        return user
    address = DEMO_WALLETS.get(user)
    return None if address is None else address.lower()


def negative(text: str) -> str:
    """A decimal string with the other sign."""
    return text[1:] if text.startswith("-") else f"-{text}"
