"""What must be true of the books when everything has come to rest, by the rail's and exchanges' truth."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from mrmarket.core.decimals import format_units
from mrmarket.money.payouts.move import MOVES_PENDING
from mrmarket.money.payouts.payment import Standing
from mrmarket.money.payouts.payout import PENDING, rail_account
from mrmarket.money.pool.plan import PoolPlan
from mrmarket.money.pool.rows import DepositState, WithdrawalState
from mrmarket.money.pool.treasury import Treasury
from mrmarket.simulation.exchange import BASE_DECIMALS, QUOTE_DECIMALS, Exchange
from mrmarket.simulation.people import Person
from mrmarket.simulation.rail import CODE, NAME, TREASURY, Rail
from mrmarket.store.sql import Sql

Report = Callable[[str, str], None]
"""Takes the name of a check, and what it found."""

_UNSETTLED: Final = (Standing.SEEN, Standing.RECEIVED, Standing.REFUNDING)
_DEPOSITS_OPEN: Final = (DepositState.SEEN, DepositState.CREDITED)
_WITHDRAWALS_OPEN: Final = (WithdrawalState.HELD, WithdrawalState.UNWINDING, WithdrawalState.SENDING)


def check_books(
    treasury: Treasury,
    plans: Sequence[PoolPlan],
    exchanges: Sequence[Exchange],
    rail: Rail,
    people: Iterable[Person],
    report: Report,
) -> None:
    """Every check of money at rest."""
    with treasury.reader.snapshot() as sql:
        _check_sums(sql, report)
        for line in open_work(sql):
            report("payouts_end", line)
        _check_rail(sql, rail, report)
        _check_receipts(sql, rail, report)
        _check_people(sql, people, report)
        for plan in plans:
            parked = sql.rows("SELECT key, code, reason FROM parked_fills WHERE stream = ?", plan.stream)
            for key, code, message in parked:
                report("settled_once", f"{key} is parked: {code} {message}")
    for plan, exchange in zip(plans, exchanges, strict=True):
        _check_venue(treasury, plan, exchange, report)


def _check_sums(sql: Sql, report: Report) -> None:
    sums: dict[str, int] = {}
    for asset, units in sql.rows("SELECT asset, units FROM balances"):
        sums[asset] = sums.get(asset, 0) + int(units)
    for asset, total in sorted(sums.items()):
        if total:
            report("ledger_sum", f"{asset} adds up to {total}")


def open_work(sql: Sql) -> list[str]:
    """Everything that has not ended."""
    return [
        f"{what} {name} is {state}: {reason}"
        for what, statement, states in (
            ("payout", "SELECT id, state, reason FROM payouts", PENDING),
            ("move", "SELECT id, state, reason FROM custody_moves", MOVES_PENDING),
            ("payment", "SELECT id, standing, reason FROM payments", _UNSETTLED),
            ("deposit", "SELECT id, state, reason FROM pool_deposits", _DEPOSITS_OPEN),
            ("withdrawal", "SELECT id, state, reason FROM pool_withdrawals", _WITHDRAWALS_OPEN),
        )
        for name, state, reason in sql.rows(statement)
        if state in {each.value for each in states}
    ]


def _check_rail(sql: Sql, rail: Rail, report: Report) -> None:
    rows = sql.rows(
        "SELECT units FROM balances WHERE account = ? AND asset = ?", rail_account(NAME).id, f"{NAME}:{CODE}"
    )
    booked = -int(rows[0][0]) if rows else 0
    if booked != rail.balances[TREASURY]:
        report("rail_balance", f"the books have {booked} on the rail, the rail {rail.balances[TREASURY]}")
    if rail.in_flight:
        report("payouts_end", f"{rail.in_flight} units are still on the network")


def _check_receipts(sql: Sql, rail: Rail, report: Report) -> None:
    """Every final payment to us was received once."""
    receipts = {row[0]: row[1] for row in sql.rows("SELECT id, receipts FROM payments")}
    for transfer in rail.transfers.values():
        if transfer.destination != TREASURY or transfer.state.value != "confirmed":
            continue
        count = receipts.get(transfer.id, 0)
        if count != 1:
            report(
                "credited_once", f"payment {transfer.id[-6:]} of {transfer.units} was received {count} times"
            )


def _check_people(sql: Sql, people: Iterable[Person], report: Report) -> None:
    deposits = {row[0] for row in sql.rows("SELECT id FROM pool_deposits")}
    withdrawals = {row[0] for row in sql.rows("SELECT id FROM pool_withdrawals")}
    for person in people:
        for what, known, acknowledged in (
            ("deposit", deposits, person.deposits),
            ("withdrawal", withdrawals, person.withdrawals),
        ):
            for each in acknowledged:
                if each not in known:
                    report("acknowledged", f"{what} {each} of {person.name} was confirmed and is gone")


def _check_venue(treasury: Treasury, plan: PoolPlan, exchange: Exchange, report: Report) -> None:
    truth = {
        exchange.instrument.base: format_units(exchange.base_lots, BASE_DECIMALS),
        exchange.instrument.quote: format_units(exchange.quote_units, QUOTE_DECIMALS),
    }
    lines = {line.asset: line for line in treasury.reconciliation(plan.name) if line.place == plan.venue}
    for code, held in truth.items():
        line = lines.get(f"{plan.venue}:{code}") or lines.get(code)
        expected = "0" if line is None else line.expected
        if expected != held:
            report("venue_balance", f"{plan.name} has {expected} {code} at {plan.venue}, there is {held}")
