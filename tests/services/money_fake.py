"""A business core that answers from memory; it implements the API's port, nothing of ours is replaced."""

from __future__ import annotations

from typing import Any

import msgspec

from mrmarket.services.api import money_schema as money
from mrmarket.services.api.refusals import NotFoundError
from mrmarket.services.api.schema import EquityPoint

OWNED = {"alice": "of-alice", "bob": "of-bob"}
"""The one deposit, withdrawal and allocation that each has; the ledger's groups 1 and 2 are theirs."""


class FakeMoney:
    """Holds next to nothing; `calls` remembers who was asked for, `said` what was sent."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str | None]] = []
        self.said: list[object] = []

    async def pools(self) -> list[money.PoolCard]:
        """The one pool."""
        return [await self.pool_card("main")]

    async def pool_card(self, pool: str) -> money.PoolCard:
        """It."""
        self._pool(pool)
        terms = money.TermsView(
            version=1, minimum_deposit="10", capacity=None, capacity_left=None, deposit_fee="0",
            management_fee_year="0.01", performance_fee="0.1", hurdle_rate_year="0", redeem_period_s=0,
            tiers=[_TIER], permissioned=False, deposits_paused=None, withdrawals_paused=None,
        )  # fmt: skip
        return money.PoolCard(
            id=pool, quote="USDT", pair="BTC/USDT", nav="1", shares="1", nav_per_share="1", depositors=2,
            return_day=None, return_week=None, return_month=None, terms=terms, deposit_assets=["USDT"],
        )  # fmt: skip

    async def pool_equity(self, pool: str, limit: int) -> list[EquityPoint]:
        """None."""
        self._pool(pool)
        return []

    async def pool_risk(self, pool: str) -> money.RiskView:
        """Nothing known."""
        self._pool(pool)
        return money.RiskView(
            allocation=[], volatility_year=None, max_drawdown=None, service_level=None,
            inventory_share=None, inventory_target=None,
        )  # fmt: skip

    async def pool_periods(self, pool: str, period: money.Period, limit: int) -> list[money.PeriodFigures]:
        """None."""
        self._pool(pool)
        return []

    async def ledger_head(self) -> money.LedgerHead:
        """Two groups."""
        return money.LedgerHead(seq=2, hash="00", verified=True, seal=None)

    async def seals(self, limit: int, before_number: int | None) -> list[money.SealView]:
        """None."""
        return []

    async def positions(self, user: str) -> money.PositionsView:
        """One balance."""
        self.calls.append(("positions", user))
        balance = money.Balance(asset="USDT", amount=f"{len(user)}", held="0")
        return money.PositionsView(
            at_ms=0, ledger_seq=2, positions=[], balances=[balance], value="0", earned_trading="0",
            earned_rewards="0", fees_paid="0",
        )  # fmt: skip

    async def positions_json(self, user: str) -> bytes:
        """The same as text."""
        return msgspec.json.encode(await self.positions(user))

    async def portfolio(self, user: str, start_ms: int, end_ms: int) -> list[money.PortfolioPoint]:
        """None."""
        self.calls.append(("portfolio", user))
        return []

    async def earnings(self, user: str, period: money.Period, limit: int) -> list[money.PeriodFigures]:
        """None."""
        self.calls.append(("earnings", user))
        return []

    async def preview_deposit(self, user: str, request: money.DepositRequest) -> money.DepositPreview:
        """Fine."""
        self._heard("preview_deposit", user, request)
        return money.DepositPreview(
            shares="1", share_price="1", value="1", fee="0", tier=_TIER, locked_until_ms=None,
            terms_version=1, refusal=None,
        )  # fmt: skip

    async def deposit(self, user: str, request: money.DepositRequest) -> money.DepositView:
        """Announced."""
        self._heard("deposit", user, request)
        return _deposit(OWNED[user])

    async def deposits(self, user: str, limit: int, before_ms: int | None) -> list[money.DepositView]:
        """Their one."""
        self.calls.append(("deposits", user))
        return [_deposit(OWNED[user])]

    async def deposit_by_id(self, user: str, deposit: str) -> money.DepositView:
        """Theirs, or none."""
        return _deposit(self._own("deposit", user, deposit))

    async def cancel_deposit(self, user: str, deposit: str) -> money.DepositView:
        """Theirs, or none."""
        return _deposit(self._own("deposit", user, deposit))

    async def pay_deposit(self, user: str, deposit: str) -> money.DepositView:
        """Theirs, or none."""
        return _deposit(self._own("deposit", user, deposit))

    async def preview_withdrawal(
        self, user: str, request: money.WithdrawalRequest
    ) -> money.WithdrawalPreview:
        """Fine."""
        self._heard("preview_withdrawal", user, request)
        return money.WithdrawalPreview(
            shares="1", value="1", fee="0", available_at_ms=0, queued=False, refusal=None
        )

    async def withdraw(self, user: str, request: money.WithdrawalRequest) -> money.WithdrawalView:
        """Requested."""
        self._heard("withdraw", user, request)
        return _withdrawal(OWNED[user])

    async def withdraw_balance(
        self, user: str, request: money.BalanceWithdrawalRequest
    ) -> money.WithdrawalView:
        """Requested."""
        self._heard("withdraw_balance", user, request)
        return _withdrawal(OWNED[user])

    async def withdrawals(self, user: str, limit: int, before_ms: int | None) -> list[money.WithdrawalView]:
        """Their one."""
        self.calls.append(("withdrawals", user))
        return [_withdrawal(OWNED[user])]

    async def withdrawal_by_id(self, user: str, withdrawal: str) -> money.WithdrawalView:
        """Theirs, or none."""
        return _withdrawal(self._own("withdrawal", user, withdrawal))

    async def cancel_withdrawal(self, user: str, withdrawal: str) -> money.WithdrawalView:
        """Theirs, or none."""
        return _withdrawal(self._own("withdrawal", user, withdrawal))

    async def rewards(self, user: str, start_ms: int, end_ms: int) -> money.RewardsView:
        """None."""
        self.calls.append(("rewards", user))
        return money.RewardsView(totals=[], days=[])

    async def reward_trace(self, user: str, allocation: str) -> money.RewardTrace:
        """Theirs, or none."""
        return money.RewardTrace(
            allocation=self._own("reward", user, allocation), run="r", campaign="c", start_ms=0, end_ms=1,
            asset="HMT", pool_reward="1", own_weight="1", total_weight="2", amount="0.5", inputs_hash="00",
            steps=[],
        )  # fmt: skip

    async def statement(self, user: str, start_ms: int, end_ms: int) -> list[money.StatementLine]:
        """One line that echoes the span."""
        self.calls.append(("statement", user))
        return [
            money.StatementLine(
                seq=1, at_ms=start_ms, kind="DEPOSIT", asset="USDT", amount="1", balance="1", key="k",
                memo=str(end_ms), hash="00",
            )
        ]  # fmt: skip

    async def statement_csv(self, user: str, start_ms: int, end_ms: int) -> str:
        """A heading."""
        self.calls.append(("statement_csv", user))
        return "seq,at_ms\n"

    async def trades(self, user: str | None, limit: int, before_ms: int | None) -> list[money.TradeView]:
        """None."""
        self.calls.append(("trades", user))
        return []

    async def proof(self, user: str, asset: str | None) -> dict[str, Any]:
        """Theirs."""
        self.calls.append(("proof", user))
        return {"user": user}

    async def user_groups(self, user: str, before_seq: int | None, limit: int) -> list[money.GroupView]:
        """Their one."""
        self.calls.append(("user_groups", user))
        return [_group(1)]

    async def user_group(self, user: str, seq: int) -> money.GroupView:
        """Theirs, or none."""
        self._own("group", user, OWNED["alice"] if seq == 1 else OWNED["bob"])
        return _group(seq)

    async def wallet(self, user: str) -> money.WalletView:
        """Empty."""
        self.calls.append(("wallet", user))
        return money.WalletView(address="0x", balances=[])

    async def fund_wallet(self, user: str) -> money.WalletView:
        """Still empty."""
        return await self.wallet(user)

    async def treasury(self) -> money.TreasuryView:
        """Nothing held, nothing owed."""
        return money.TreasuryView(lines=[], liabilities=[], blocked={}, solvent=True, checked_at_ms=None)

    async def incidents(self, limit: int, before_ms: int | None) -> list[money.IncidentView]:
        """None."""
        return []

    async def release_incident(self, incident: str, request: money.ReleaseRequest) -> money.TreasuryView:
        """There is none."""
        raise NotFoundError("open incident", incident)

    async def outbox(self, state: str | None, limit: int, before_ms: int | None) -> money.OutboxView:
        """Empty."""
        return money.OutboxView(rows=[], counts={}, oldest_age_s=None, parked=[])

    async def retry_payout(self, payout: str) -> money.OutboxView:
        """There is none."""
        raise NotFoundError("payout", payout)

    async def reconsider_payment(self, payment: str) -> money.OutboxView:
        """There is none."""
        raise NotFoundError("payment", payment)

    async def send_back_payment(self, payment: str, request: money.SendBackRequest) -> money.OutboxView:
        """There is none."""
        raise NotFoundError("payment", payment)

    async def fees(self, pool: str) -> money.FeesView:
        """None."""
        return money.FeesView(pool=self._pool(pool), balances=[], by_kind={}, periods=[])

    async def withdraw_fees(self, pool: str, request: money.FeeWithdrawal) -> money.OutboxView:
        """Taken."""
        self._pool(pool)
        self.said.append(request)
        return await self.outbox(None, 1, None)

    async def users(self) -> list[money.UserRow]:
        """The two."""
        return [
            money.UserRow(name=name, value="0", share=0.5, earned="0", rewards="0", since_ms=None)
            for name in OWNED
        ]

    async def pause_pool(self, pool: str, request: money.PauseRequest) -> money.PoolCard:
        """Said."""
        self.said.append(request)
        return await self.pool_card(pool)

    async def resume_pool(self, pool: str, request: money.PauseRequest) -> money.PoolCard:
        """Said."""
        self.said.append(request)
        return await self.pool_card(pool)

    async def reward_runs(self, limit: int, before_ms: int | None) -> list[money.RewardRunView]:
        """None."""
        return []

    async def preview_rewards(self, pool: str, day_ms: int) -> list[money.RewardRunView]:
        """None."""
        return []

    async def allocate_rewards(self, pool: str, day_ms: int) -> list[money.RewardRunView]:
        """None."""
        return []

    async def replay_rewards(self, pool: str, day_ms: int) -> list[money.RewardRunView]:
        """None."""
        return []

    async def jobs(self, limit: int, before_ms: int | None) -> list[money.JobView]:
        """None."""
        return []

    async def seal(self) -> money.SealView:
        """The first."""
        return money.SealView(
            number=1, at_ms=0, seq=2, head="00", public_key="00", signature="00", document="{}"
        )

    async def groups(
        self, before_seq: int | None, limit: int, account: str | None, asset: str | None, kind: str | None
    ) -> list[money.GroupView]:
        """Both."""
        return [_group(2), _group(1)]

    async def group(self, seq: int) -> money.GroupView:
        """Either."""
        return _group(seq)

    async def periods(self, period: money.Period, limit: int) -> list[money.PeriodFigures]:
        """None."""
        return []

    async def reconcile(self) -> money.TreasuryView:
        """As before."""
        return await self.treasury()

    def _heard(self, call: str, user: str, request: object) -> None:
        self.calls.append((call, user))
        self.said.append(request)

    def _own(self, kind: str, user: str, wanted: str) -> str:
        self.calls.append((kind, user))
        if OWNED.get(user) != wanted:
            raise NotFoundError(kind, wanted)
        return wanted

    def _pool(self, pool: str) -> str:
        if pool != "main":
            raise NotFoundError("pool", pool)
        return pool


_TIER = money.LockTierView(name="flexible", days=0, weight="1", early_exit="0")


def _deposit(key: str) -> money.DepositView:
    return money.DepositView(
        id=key, pool="main", asset="USDT", amount="1", tier="flexible", state="waiting", reason="",
        created_at_ms=0, expires_at_ms=1, shares=None, pay=None, steps=[],
    )  # fmt: skip


def _withdrawal(key: str) -> money.WithdrawalView:
    return money.WithdrawalView(
        id=key, pool="main", asset="USDT", shares="1", amount=None, destination="0x", state="requested",
        reason="", created_at_ms=0, cancellable=True, steps=[],
    )  # fmt: skip


def _group(seq: int) -> money.GroupView:
    return money.GroupView(
        seq=seq, key="k", at_ms=0, outcome="posted", memo="", hash="00", previous_hash="00", entries=[],
        canonical=None,
    )  # fmt: skip
