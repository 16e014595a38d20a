"""Money made up for page states that a young instance does not show."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

import msgspec

from mrmarket.core.errors import MrMarketError
from mrmarket.services.api import money_schema as money
from services.money_fake import FakeMoney

DAY_MS = 86_400_000
_STATES: tuple[Literal["done", "not needed", "waiting"], ...] = (
    *("done", "done", "not needed"),
    *("done", "done", "waiting"),
)


class BooksAwayError(MrMarketError):
    """The made-up books cannot be read."""

    code = "books_away"

    def __init__(self) -> None:
        super().__init__("the books are being restored; try again in a minute")


class MadeUpMoney(FakeMoney):
    """A third of a pool, and a reward on the first two days of this month."""

    def __init__(self) -> None:
        super().__init__()
        self.away = False
        """Nothing of the user's can be read."""
        self.empty = False
        """The user has nothing at all."""

    async def positions(self, user: str) -> money.PositionsView:
        """One position and one balance."""
        if self.away:
            raise BooksAwayError
        position = money.Position(
            pool="main", quote="USDT", shares="1234.5", share=1 / 3, value="1250.123456789012345678",
            paid_in="1234.5", earned="15.623456789012345678", tier="flexible", weight="1",
            locked_until_ms=None, held_shares="0",
        )  # fmt: skip
        return money.PositionsView(
            at_ms=0, ledger_seq=2,
            positions=[] if self.empty else [position],
            balances=[] if self.empty else [money.Balance(asset="rail:USDT", amount="0.00001234", held="0")],
            value="0" if self.empty else position.value,
            earned_trading="0" if self.empty else position.earned,
            earned_rewards="0", fees_paid="0",
        )  # fmt: skip

    async def positions_json(self, user: str) -> bytes:
        """The same as text."""
        return msgspec.json.encode(await self.positions(user))

    async def deposits(self, user: str, limit: int, before_ms: int | None) -> list[money.DepositView]:
        """None."""
        return []

    async def withdrawals(self, user: str, limit: int, before_ms: int | None) -> list[money.WithdrawalView]:
        """None."""
        return []

    async def statement(self, user: str, start_ms: int, end_ms: int) -> list[money.StatementLine]:
        """None."""
        return []

    async def rewards(self, user: str, start_ms: int, end_ms: int) -> money.RewardsView:
        """A small day and a large one."""
        if self.empty:
            return money.RewardsView(totals=[], days=[])
        first = month_start_ms()
        days = [
            money.RewardDay(
                allocation=f"run{day}:user:{user}", campaign="spring", start_ms=first + day * DAY_MS,
                end_ms=first + (day + 1) * DAY_MS, asset="rail:HMT", amount=amount, state="credited",
            )
            for day, amount in enumerate(("3.33333333", "33.33333333"))
            if start_ms <= first + day * DAY_MS < end_ms
        ]  # fmt: skip
        total = money.RewardTotals(asset="rail:HMT", pending="0", credited="36.66666666", paid="0")
        return money.RewardsView(totals=[total], days=days[::-1])

    async def reward_trace(self, user: str, allocation: str) -> money.RewardTrace:
        """A third of a hundred."""
        names = ("deposit observed", "entry", "vault transfer", "allocation", "credit", "receipt")
        return money.RewardTrace(
            allocation=allocation, run="run1", campaign="spring", start_ms=month_start_ms(),
            end_ms=month_start_ms() + DAY_MS, asset="rail:HMT", pool_reward="100", own_weight="123",
            total_weight="369", amount="33.33333333", inputs_hash="ab" * 32,
            steps=[
                money.Step(name=name, state=state, at_ms=month_start_ms() if state == "done" else None)
                for name, state in zip(names, _STATES, strict=True)
            ],
        )  # fmt: skip


def month_start_ms() -> int:
    """First moment of this month, UTC."""
    now = datetime.now(UTC)
    return int(datetime(now.year, now.month, 1, tzinfo=UTC).timestamp() * 1000)
