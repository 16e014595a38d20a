"""`/api/v1/me`: a user's own money. Whose it is comes from the session and from nowhere else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from litestar import Controller, MediaType, Response, get, post
from litestar.params import JSONBody

from mrmarket.services.api import money_schema as money
from mrmarket.services.api.guards import USER
from mrmarket.services.api.parameters import (
    END_OF_TIME_MS,
    BeforeMs,
    BeforeSeq,
    EndMs,
    Filter,
    Id,
    Limit,
    Mine,
    PeriodChoice,
    Seq,
    StartMs,
    require_span,
)


class HoldingsRoutes(Controller):
    """What the user owns, and what became of it."""

    path = "/me"
    tags: Sequence[str] | None = ("me",)
    opt = USER

    @get("/positions", operation_id="positions", media_type=MediaType.JSON)
    async def positions(self, mine: Mine) -> money.PositionsView:
        """Shares, balances, worth, and what was earned."""
        # The text is kept ready; the response type is for the contract.
        return Response(await mine.face.positions_json(mine.user), media_type=MediaType.JSON)  # type: ignore[return-value] # the encoded form of it

    @get("/portfolio", operation_id="portfolio")
    async def portfolio(
        self, mine: Mine, start_ms: StartMs = 0, end_ms: EndMs = END_OF_TIME_MS
    ) -> list[money.PortfolioPoint]:
        """Worth over time, oldest first."""
        require_span(start_ms, end_ms)
        return await mine.face.portfolio(mine.user, start_ms, end_ms)

    @get("/earnings", operation_id="earnings")
    async def earnings(
        self, mine: Mine, period: PeriodChoice = "day", limit: Limit = 30
    ) -> list[money.PeriodFigures]:
        """Earnings by day, week or month, split by source, newest first."""
        return await mine.face.earnings(mine.user, period, limit)

    @get("/rewards", operation_id="rewards")
    async def rewards(
        self, mine: Mine, start_ms: StartMs = 0, end_ms: EndMs = END_OF_TIME_MS
    ) -> money.RewardsView:
        """Rewards by cycle, and their totals."""
        require_span(start_ms, end_ms)
        return await mine.face.rewards(mine.user, start_ms, end_ms)

    @get("/rewards/{allocation:str}", operation_id="reward_trace")
    async def reward_trace(self, mine: Mine, allocation: Id) -> money.RewardTrace:
        """One reward, with the formula's own numbers and every step on its way."""
        return await mine.face.reward_trace(mine.user, allocation)

    @get("/trades", operation_id="my_trades")
    async def trades(
        self, mine: Mine, limit: Limit = 100, before_ms: BeforeMs = None
    ) -> list[money.TradeView]:
        """Trades of the pools while the user had shares, newest first."""
        return await mine.face.trades(mine.user, limit, before_ms)

    @get("/wallet", operation_id="wallet")
    async def wallet(self, mine: Mine) -> money.WalletView:
        """The wallet on the simulated rail; 404 where the rail is a real one."""
        return await mine.face.wallet(mine.user)

    @post("/wallet/fund", operation_id="fund_wallet", status_code=200)
    async def fund_wallet(self, mine: Mine) -> money.WalletView:
        """Play money for the simulated wallet; 404 where the rail is a real one."""
        return await mine.face.fund_wallet(mine.user)


class MovementRoutes(Controller):
    """Bringing money, and taking it out."""

    path = "/me"
    tags: Sequence[str] | None = ("me",)
    opt = USER

    @post("/deposits/preview", operation_id="preview_deposit", status_code=200)
    async def preview_deposit(self, mine: Mine, data: JSONBody[money.DepositRequest]) -> money.DepositPreview:
        """What a deposit would come to; changes nothing."""
        return await mine.face.preview_deposit(mine.user, data)

    @post("/deposits", operation_id="deposit", status_code=200)
    async def deposit(self, mine: Mine, data: JSONBody[money.DepositRequest]) -> money.DepositView:
        """Announce a deposit; the answer says how to pay."""
        return await mine.face.deposit(mine.user, data)

    @get("/deposits", operation_id="deposits")
    async def deposits(
        self, mine: Mine, limit: Limit = 100, before_ms: BeforeMs = None
    ) -> list[money.DepositView]:
        """Deposits, newest first."""
        return await mine.face.deposits(mine.user, limit, before_ms)

    @get("/deposits/{deposit:str}", operation_id="deposit_by_id")
    async def deposit_by_id(self, mine: Mine, deposit: Id) -> money.DepositView:
        """One deposit, step by step."""
        return await mine.face.deposit_by_id(mine.user, deposit)

    @post("/deposits/{deposit:str}/cancel", operation_id="cancel_deposit", status_code=200)
    async def cancel_deposit(self, mine: Mine, deposit: Id) -> money.DepositView:
        """Withdraw the announcement."""
        return await mine.face.cancel_deposit(mine.user, deposit)

    @post("/deposits/{deposit:str}/pay", operation_id="pay_deposit", status_code=200)
    async def pay_deposit(self, mine: Mine, deposit: Id) -> money.DepositView:
        """Pay it from the simulated wallet; 404 where the rail is a real one."""
        return await mine.face.pay_deposit(mine.user, deposit)

    @post("/withdrawals/preview", operation_id="preview_withdrawal", status_code=200)
    async def preview_withdrawal(
        self, mine: Mine, data: JSONBody[money.WithdrawalRequest]
    ) -> money.WithdrawalPreview:
        """What a withdrawal would come to; changes nothing."""
        return await mine.face.preview_withdrawal(mine.user, data)

    @post("/withdrawals", operation_id="withdraw", status_code=200)
    async def withdraw(self, mine: Mine, data: JSONBody[money.WithdrawalRequest]) -> money.WithdrawalView:
        """Take shares out of a pool."""
        return await mine.face.withdraw(mine.user, data)

    @get("/withdrawals", operation_id="withdrawals")
    async def withdrawals(
        self, mine: Mine, limit: Limit = 100, before_ms: BeforeMs = None
    ) -> list[money.WithdrawalView]:
        """Withdrawals, newest first."""
        return await mine.face.withdrawals(mine.user, limit, before_ms)

    @get("/withdrawals/{withdrawal:str}", operation_id="withdrawal_by_id")
    async def withdrawal_by_id(self, mine: Mine, withdrawal: Id) -> money.WithdrawalView:
        """One withdrawal, step by step."""
        return await mine.face.withdrawal_by_id(mine.user, withdrawal)

    @post("/withdrawals/{withdrawal:str}/cancel", operation_id="cancel_withdrawal", status_code=200)
    async def cancel_withdrawal(self, mine: Mine, withdrawal: Id) -> money.WithdrawalView:
        """Stop it, while nothing is being paid yet."""
        return await mine.face.cancel_withdrawal(mine.user, withdrawal)

    @post("/balances/withdraw", operation_id="withdraw_balance", status_code=200)
    async def withdraw_balance(
        self, mine: Mine, data: JSONBody[money.BalanceWithdrawalRequest]
    ) -> money.WithdrawalView:
        """Pay out money that is in no pool, such as rewards."""
        return await mine.face.withdraw_balance(mine.user, data)


class EvidenceRoutes(Controller):
    """What the user can check everything with."""

    path = "/me"
    tags: Sequence[str] | None = ("me",)
    opt = USER

    @get("/statement", operation_id="statement")
    async def statement(
        self, mine: Mine, start_ms: StartMs = 0, end_ms: EndMs = END_OF_TIME_MS
    ) -> list[money.StatementLine]:
        """Every movement, oldest first."""
        require_span(start_ms, end_ms)
        return await mine.face.statement(mine.user, start_ms, end_ms)

    @get("/statement.csv", operation_id="statement_csv", media_type="text/csv")
    async def statement_csv(
        self, mine: Mine, start_ms: StartMs = 0, end_ms: EndMs = END_OF_TIME_MS
    ) -> Response[str]:
        """The same as a CSV file."""
        require_span(start_ms, end_ms)
        return Response(
            await mine.face.statement_csv(mine.user, start_ms, end_ms),
            media_type="text/csv; charset=utf-8",
            headers={"content-disposition": 'attachment; filename="statement.csv"'},
        )

    @get("/proof", operation_id="proof")
    async def proof(self, mine: Mine, asset: Filter = None) -> dict[str, Any]:
        """Proofs that the newest seal counts the user's balances."""
        return await mine.face.proof(mine.user, asset)

    @get("/ledger", operation_id="my_groups")
    async def groups(
        self, mine: Mine, limit: Limit = 100, before_seq: BeforeSeq = None
    ) -> list[money.GroupView]:
        """Groups of the ledger that touch the user, newest first; other names are masked."""
        return await mine.face.user_groups(mine.user, before_seq, limit)

    @get("/ledger/{seq:int}", operation_id="my_group")
    async def group(self, mine: Mine, seq: Seq) -> money.GroupView:
        """One such group."""
        return await mine.face.user_group(mine.user, seq)
