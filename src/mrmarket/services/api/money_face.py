"""What the money routes need of an instance. All of it may wait for the disk; nothing blocks trading."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from mrmarket.services.api import money_schema as money
from mrmarket.services.api.schema import EquityPoint


@runtime_checkable
class MoneyFace(Protocol):
    """The business core as the API sees it.

    `user` is always the signed-in user's own account name, without `user:`. Lists are newest first unless
    said otherwise; `before_ms` keeps what is older than that moment (None: from the newest on). An id that
    does not exist, or is not this user's, raises `NotFoundError` (`services/api/refusals.py`); bad input
    raises `InvalidInputError`; every other refusal is a MrMarketError with its own code.
    """

    # Anybody.

    async def pools(self) -> list[money.PoolCard]:
        """Every pool, as anybody may see it."""
        ...

    async def pool_card(self, pool: str) -> money.PoolCard:
        """One pool, as anybody may see it."""
        ...

    async def pool_equity(self, pool: str, limit: int) -> list[EquityPoint]:
        """The pool's worth over time, oldest first."""
        ...

    async def pool_risk(self, pool: str) -> money.RiskView:
        """How the pool's money is placed and how it has behaved."""
        ...

    async def pool_periods(self, pool: str, period: money.Period, limit: int) -> list[money.PeriodFigures]:
        """Volume, fees and result of the pool by day, week or month."""
        ...

    async def ledger_head(self) -> money.LedgerHead:
        """Where the books stand."""
        ...

    async def seals(self, limit: int, before_number: int | None) -> list[money.SealView]:
        """Signed seals; `before_number` keeps what has a lower number."""
        ...

    # A user, for themselves only.

    async def positions(self, user: str) -> money.PositionsView:
        """Everything the user owns here."""
        ...

    async def positions_json(self, user: str) -> bytes:
        """`positions` as JSON text; kept ready, because pages ask for it all the time."""
        ...

    async def portfolio(self, user: str, start_ms: int, end_ms: int) -> list[money.PortfolioPoint]:
        """The user's worth over `[start_ms, end_ms)`, oldest first."""
        ...

    async def earnings(self, user: str, period: money.Period, limit: int) -> list[money.PeriodFigures]:
        """What the user earned by day, week or month, split by source."""
        ...

    async def preview_deposit(self, user: str, request: money.DepositRequest) -> money.DepositPreview:
        """What a deposit would come to; changes nothing."""
        ...

    async def deposit(self, user: str, request: money.DepositRequest) -> money.DepositView:
        """Announce a deposit; the answer says how to pay. The same key again answers the same."""
        ...

    async def deposits(self, user: str, limit: int, before_ms: int | None) -> list[money.DepositView]:
        """The user's deposits."""
        ...

    async def deposit_by_id(self, user: str, deposit: str) -> money.DepositView:
        """One of the user's deposits."""
        ...

    async def cancel_deposit(self, user: str, deposit: str) -> money.DepositView:
        """Withdraw the announcement of a deposit that is not paid yet."""
        ...

    async def preview_withdrawal(
        self, user: str, request: money.WithdrawalRequest
    ) -> money.WithdrawalPreview:
        """What a withdrawal would come to; changes nothing."""
        ...

    async def withdraw(self, user: str, request: money.WithdrawalRequest) -> money.WithdrawalView:
        """Take shares out of a pool. The same key again answers the same."""
        ...

    async def withdraw_balance(
        self, user: str, request: money.BalanceWithdrawalRequest
    ) -> money.WithdrawalView:
        """Pay out money that is in no pool. The same key again answers the same."""
        ...

    async def withdrawals(self, user: str, limit: int, before_ms: int | None) -> list[money.WithdrawalView]:
        """The user's withdrawals."""
        ...

    async def withdrawal_by_id(self, user: str, withdrawal: str) -> money.WithdrawalView:
        """One of the user's withdrawals."""
        ...

    async def cancel_withdrawal(self, user: str, withdrawal: str) -> money.WithdrawalView:
        """Stop a withdrawal that is not being paid yet."""
        ...

    async def rewards(self, user: str, start_ms: int, end_ms: int) -> money.RewardsView:
        """The user's rewards of the cycles in `[start_ms, end_ms)`, and the totals."""
        ...

    async def reward_trace(self, user: str, allocation: str) -> money.RewardTrace:
        """One of the user's allocations, with the formula's own numbers. Its id has no slash."""
        ...

    async def statement(self, user: str, start_ms: int, end_ms: int) -> list[money.StatementLine]:
        """Movements of the user's accounts in `[start_ms, end_ms)`, oldest first."""
        ...

    async def statement_csv(self, user: str, start_ms: int, end_ms: int) -> str:
        """The same as CSV; text that begins with `=`, `+`, `-` or `@` gets a `'` before it."""
        ...

    async def trades(self, user: str | None, limit: int, before_ms: int | None) -> list[money.TradeView]:
        """Trades of the user's pools while they had shares; of all pools where `user` is None."""
        ...

    async def proof(self, user: str, asset: str | None) -> dict[str, Any]:
        """The user's inclusion proofs in the newest seal, in the documented format."""
        ...

    async def user_groups(self, user: str, before_seq: int | None, limit: int) -> list[money.GroupView]:
        """Groups of the ledger that touch the user; other people's names are masked."""
        ...

    async def user_group(self, user: str, seq: int) -> money.GroupView:
        """One such group."""
        ...

    async def wallet(self, user: str) -> money.WalletView:
        """The user's wallet on the simulated rail. NotFoundError where the rail is a real one."""
        ...

    async def fund_wallet(self, user: str) -> money.WalletView:
        """Give the simulated wallet play money. NotFoundError where the rail is a real one."""
        ...

    async def pay_deposit(self, user: str, deposit: str) -> money.DepositView:
        """Pay a deposit from the simulated wallet. NotFoundError where the rail is a real one."""
        ...

    # The owner.

    async def treasury(self) -> money.TreasuryView:
        """What the instance holds for everybody, and what it owes."""
        ...

    async def incidents(self, limit: int, before_ms: int | None) -> list[money.IncidentView]:
        """What did not add up."""
        ...

    async def release_incident(self, incident: str, request: money.ReleaseRequest) -> money.TreasuryView:
        """Take a difference as it is: the incident is closed and payouts go on."""
        ...

    async def outbox(self, state: str | None, limit: int, before_ms: int | None) -> money.OutboxView:
        """Payments out and in; `state` keeps the rows in that state."""
        ...

    async def retry_payout(self, payout: str) -> money.OutboxView:
        """Try a payment again that was refused or given up."""
        ...

    async def reconsider_payment(self, payment: str) -> money.OutboxView:
        """Let a parked payment be claimed again."""
        ...

    async def send_back_payment(self, payment: str, request: money.SendBackRequest) -> money.OutboxView:
        """Send a parked payment back."""
        ...

    async def fees(self, pool: str) -> money.FeesView:
        """What the owner has earned with a pool."""
        ...

    async def withdraw_fees(self, pool: str, request: money.FeeWithdrawal) -> money.OutboxView:
        """Pay earned fees out. The same key again answers the same."""
        ...

    async def users(self) -> list[money.UserRow]:
        """Every depositor."""
        ...

    async def pause_pool(self, pool: str, request: money.PauseRequest) -> money.PoolCard:
        """Close a pool for deposits, withdrawals or both."""
        ...

    async def resume_pool(self, pool: str, request: money.PauseRequest) -> money.PoolCard:
        """Open it again."""
        ...

    async def reward_runs(self, limit: int, before_ms: int | None) -> list[money.RewardRunView]:
        """Allocation runs; `before_ms` compares with the window's start."""
        ...

    async def preview_rewards(self, pool: str, day_ms: int) -> list[money.RewardRunView]:
        """What allocating a day would do; changes nothing."""
        ...

    async def allocate_rewards(self, pool: str, day_ms: int) -> list[money.RewardRunView]:
        """Allocate a day; doing it again changes nothing."""
        ...

    async def replay_rewards(self, pool: str, day_ms: int) -> list[money.RewardRunView]:
        """Compute a day again from its recorded inputs and compare; changes nothing."""
        ...

    async def jobs(self, limit: int, before_ms: int | None) -> list[money.JobView]:
        """Windows of recurring work; `before_ms` compares with the window's start."""
        ...

    async def seal(self) -> money.SealView:
        """Seal the books now."""
        ...

    async def groups(
        self, before_seq: int | None, limit: int, account: str | None, asset: str | None, kind: str | None
    ) -> list[money.GroupView]:
        """Groups of the ledger, unmasked; each filter keeps groups with at least one such entry."""
        ...

    async def group(self, seq: int) -> money.GroupView:
        """One group of the ledger, unmasked."""
        ...

    async def periods(self, period: money.Period, limit: int) -> list[money.PeriodFigures]:
        """Volume, fees and result of the whole instance by day, week or month."""
        ...

    async def reconcile(self) -> money.TreasuryView:
        """Compare what is held with what is owed, now."""
        ...
