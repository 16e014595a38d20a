"""What a user can check everything with: rewards, statements, proofs, groups of the ledger, trades."""

from __future__ import annotations

import asyncio
import csv
import io
from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from mrmarket.core.clock import NS_PER_MS
from mrmarket.core.decimals import format_units
from mrmarket.core.events import Filled
from mrmarket.money.ledger import history
from mrmarket.money.ledger.chain import GENESIS
from mrmarket.money.ledger.proof import ProofBook, ProofError
from mrmarket.money.pool.repository import PoolRepository
from mrmarket.money.pool.request_repository import RequestRepository
from mrmarket.money.pool.rows import WithdrawalState
from mrmarket.money.pool.share_repository import ShareRepository
from mrmarket.money.rewards.errors import UnknownRunError
from mrmarket.money.rewards.rows import split_allocation_id
from mrmarket.money.rewards.view import RewardTrace, reward_days, reward_totals, reward_trace
from mrmarket.services.api import money_schema as money
from mrmarket.services.api.partner_schema import TraceStep
from mrmarket.services.api.refusals import NotFoundError
from mrmarket.services.money import mapping
from mrmarket.services.money.depositor_counter import account_of
from mrmarket.services.money.public_counter import Counter
from mrmarket.services.partners.trace import trace_allocation
from mrmarket.store.sql import Sql

_PAGE: Final = 1_000
_MOST_LINES: Final = 100_000
_TRADES_READ: Final = 5_000
_MOST_NAMES: Final = 3

FillReader = Callable[[int], Sequence[Filled]]
"""The newest fills of the run that trades, newest first."""


class EvidenceCounter(Counter):
    """Rewards, statements, proofs, own groups, trades."""

    def __init__(self, *parameters: Any, fills: FillReader = lambda _: (), **named: Any) -> None:
        """`fills` reads the trading log."""
        super().__init__(*parameters, **named)
        self._fills = fills
        self._book: ProofBook | None = None

    async def rewards(self, user: str, start_ms: int, end_ms: int) -> money.RewardsView:
        """The user's rewards of the cycles in `[start_ms, end_ms)`, and the totals."""
        account = account_of(user)

        def question(sql: Sql) -> money.RewardsView:
            decimals = self._decimals(sql)

            def text(asset: str, units: int) -> str:
                return format_units(units, decimals(asset))

            # What was withdrawn from a balance is said to be what was credited to it first.
            taken = _withdrawn(sql, account)
            return money.RewardsView(
                totals=[
                    money.RewardTotals(
                        asset=each.asset,
                        pending=text(each.asset, each.pending),
                        credited=text(each.asset, each.credited),
                        paid=text(each.asset, min(each.credited, each.paid + taken.get(each.asset, 0))),
                    )
                    for each in reward_totals(sql, account)
                ],
                days=[
                    money.RewardDay(
                        allocation=day.allocation,
                        campaign=day.campaign,
                        start_ms=day.start_ms,
                        end_ms=day.end_ms,
                        asset=day.asset,
                        amount=text(day.asset, day.units),
                        state=day.state.value,
                    )
                    for day in reversed(reward_days(sql, account, start_ms, end_ms))
                ],
            )

        return await self._read(question)

    async def reward_trace(self, user: str, allocation: str) -> money.RewardTrace:
        """One of the user's allocations, with the formula's own numbers."""
        account = account_of(user)

        def question(sql: Sql) -> money.RewardTrace:
            try:
                owner = split_allocation_id(allocation)[1]
                trace = reward_trace(sql, allocation) if owner == account else None
            except (UnknownRunError, ValueError):
                trace = None
            if trace is None:
                raise NotFoundError("allocation", allocation)
            way = trace_allocation(sql, allocation)
            return _trace(trace, way.steps, self._decimals(sql)(trace.run.asset))

        return await self._read(question)

    async def statement(self, user: str, start_ms: int, end_ms: int) -> list[money.StatementLine]:
        """Movements of the user's accounts in `[start_ms, end_ms)`, oldest first."""
        account = account_of(user)

        def question(sql: Sql) -> list[money.StatementLine]:
            after = history.seq_at(sql, start_ms - 1) if start_ms > 0 else 0
            before = history.seq_at(sql, end_ms - 1) + 1
            decimals = self._decimals(sql)
            lines: list[money.StatementLine] = []
            while len(lines) < _MOST_LINES:
                page = history.entries(sql, account, after_seq=after, limit=_PAGE, before_seq=before)
                lines += [mapping.statement_line(entry, decimals(entry.asset)) for entry in page]
                if len(page) < _PAGE:
                    break
                after = page[-1].seq
            return lines

        return await self._read(question)

    async def statement_csv(self, user: str, start_ms: int, end_ms: int) -> str:
        """The same as CSV."""
        lines = await self.statement(user, start_ms, end_ms)
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        names = [field.name for field in msgspec.structs.fields(money.StatementLine)]
        writer.writerow(names)
        for line in lines:
            writer.writerow([_cell(name, getattr(line, name)) for name in names])
        return out.getvalue()

    async def trades(self, user: str | None, limit: int, before_ms: int | None) -> list[money.TradeView]:
        """Trades of the pool that trades: with the user's part in it then, or of everybody's."""
        fills = await asyncio.to_thread(self._fills, limit if before_ms is None else _TRADES_READ)
        wanted = [fill for fill in fills if before_ms is None or fill.at_ns // NS_PER_MS < before_ms][:limit]
        pool = self._offices.treasury.plans[0].name
        if user is None:
            return [_trade(fill, pool, None) for fill in wanted]
        account = account_of(user)

        def question(sql: Sql) -> list[money.TradeView]:
            part = _Part(sql, pool, account)
            views = [_trade(fill, pool, part.at(fill.at_ns // NS_PER_MS)) for fill in wanted]
            return [view for view in views if view.own_share]

        return await self._read(question)

    async def proof(self, user: str, asset: str | None) -> dict[str, Any]:
        """The user's inclusion proofs in the newest seal."""

        def question(sql: Sql) -> dict[str, Any]:
            key = self._offices.keys.key(sql)
            newest = ProofBook.of(sql, key) if self._is_old(sql) else self._book
            if newest is None:
                raise ProofError("there is no seal yet; the first is made within a day")
            self._book = newest
            return msgspec.to_builtins(newest.proof(account_of(user), asset))  # type: ignore[no-any-return] # a mapping

        return await self._read(question)

    async def user_groups(self, user: str, before_seq: int | None, limit: int) -> list[money.GroupView]:
        """Groups of the ledger that touch the user; other people's names are masked."""
        account = account_of(user)

        def question(sql: Sql) -> list[money.GroupView]:
            records = history.groups(sql, before_seq=before_seq, account=account, limit=limit)
            decimals = self._decimals(sql)
            return [
                mapping.group(record, previous_hash(sql, record.seq), decimals, account) for record in records
            ]

        return await self._read(question)

    async def user_group(self, user: str, seq: int) -> money.GroupView:
        """One such group."""
        account = account_of(user)

        def question(sql: Sql) -> money.GroupView:
            record = history.group(sql, seq)
            if record is None or not any(
                account in (transfer.debit, transfer.credit) for transfer in record.transfers
            ):
                raise NotFoundError("group", str(seq))
            return mapping.group(record, previous_hash(sql, seq), self._decimals(sql), account)

        return await self._read(question)

    def _is_old(self, sql: Sql) -> bool:
        """Whether there is a newer seal than the proofs at hand are from."""
        rows = sql.rows("SELECT max(number) FROM seals")
        number = rows[0][0] if rows else None
        return self._book is None or (number is not None and number > self._book.document.number)


class _Part:
    """A user's part of a pool over time, by the shares that the equity curve remembers."""

    def __init__(self, sql: Sql, pool: str, account: str) -> None:
        entries = [each for each in ShareRepository(sql).entries_of(account) if each.pool == pool]
        self._times = [entry.at_ms for entry in entries]
        self._held: list[int] = []
        for entry in entries:
            self._held.append((self._held[-1] if self._held else 0) + entry.share_units)
        points = PoolRepository(sql).equity(pool, 10_000)
        self._seconds = [point.at_s for point in points]
        self._supply = [point.shares for point in points]

    def at(self, at_ms: int) -> float | None:
        """Fraction of all shares; None where there was nothing."""
        place = bisect_right(self._times, at_ms) - 1
        second = bisect_right(self._seconds, at_ms // 1_000) - 1
        if place < 0 or not self._supply:
            return None
        supply = self._supply[max(second, 0)]
        return self._held[place] / supply if supply and self._held[place] else None


def _withdrawn(sql: Sql, account: str) -> dict[str, int]:
    """Units by asset that were paid out of an account's balances."""
    found: dict[str, int] = {}
    for row in RequestRepository(sql).withdrawals_of(account, _MOST_LINES):
        if not row.pool and row.state is WithdrawalState.CONFIRMED:
            found[row.asset] = found.get(row.asset, 0) + row.units
    return found


def previous_hash(sql: Sql, seq: int) -> bytes:
    """Hash of the group before another one."""
    rows = sql.rows("SELECT hash FROM groups WHERE seq = ?", seq - 1)
    return bytes(rows[0][0]) if rows else GENESIS


def _trade(fill: Filled, pool: str, part: float | None) -> money.TradeView:
    return money.TradeView(
        at_ms=fill.at_ns // NS_PER_MS,
        pool=pool,
        symbol=fill.symbol,
        side=fill.side.value,
        price=fill.price,
        size=fill.size,
        quote_size=fill.quote_size,
        fee=fill.fee,
        fee_asset=fill.fee_asset,
        own_share=part,
        trade_id=fill.trade_id,
    )


_STEP_NAMES: Final = {"transaction": "deposit observed", "transfer": "vault transfer"}


def _trace(trace: RewardTrace, way: Sequence[TraceStep], decimals: int) -> money.RewardTrace:
    run = trace.run
    return money.RewardTrace(
        allocation=trace.allocation,
        run=run.id,
        campaign=run.campaign,
        start_ms=run.start_ms,
        end_ms=run.end_ms,
        asset=run.asset,
        pool_reward=format_units(trace.pot, decimals),
        own_weight=str(trace.weight),
        total_weight=str(trace.total_weight),
        amount=format_units(trace.row.units, decimals),
        inputs_hash=run.input_hash.hex(),
        steps=[_step(step) for step in way],
    )


def _step(step: TraceStep) -> money.Step:
    return money.Step(
        name=_STEP_NAMES.get(step.name, step.name),
        state=step.state,
        at_ms=step.at_ms,
        detail=step.detail,
        reference=" ".join(known.id for known in step.ids[:_MOST_NAMES]) or None,
    )


def _cell(name: str, value: object) -> str:
    text = str(value)
    # A spreadsheet takes text that begins so for a formula; signed amounts stay what they are.
    return f"'{text}" if name not in {"amount", "balance"} and text[:1] in {"=", "+", "-", "@"} else text
