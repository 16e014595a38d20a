"""Pre-trade checks and what the account may spend."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from fake_exchange import btc_usdt
from mrmarket.core.side import Side
from mrmarket.trading.execution.account import Account
from mrmarket.trading.execution.order import Order, OrderStage
from mrmarket.trading.execution.risk.pretrade import (
    Holdings,
    MarketTop,
    OrderContext,
    PreTradeCheck,
    RiskLimits,
)
from mrmarket.trading.execution.risk.state import RiskState
from mrmarket.trading.execution.targets import Quote
from mrmarket.trading.venue.port import BalanceReport, OrderKind

TOP = MarketTop(5_999_900, 6_000_100)
RICH = Holdings(Decimal(10), Decimal(1_000_000), Decimal(10), Decimal(1_000_000))


def rich() -> Holdings:
    """10 BTC and a million."""
    return replace(RICH)


def check(**limits: object) -> PreTradeCheck:
    """The rules with some limits."""
    return PreTradeCheck(btc_usdt(), RiskLimits(**limits))  # type: ignore[arg-type]  # fields by name


@pytest.mark.parametrize(
    ("side", "price", "size", "limits", "words"),
    [
        (Side.BUY, 5_999_000, 1_000, {}, None),
        (Side.SELL, 6_001_000, 1_000, {}, None),
        (Side.BUY, 0, 1_000, {}, "not positive"),
        (Side.BUY, 5_999_000, 0, {}, "outside what fake takes"),
        (Side.BUY, 5_999_000, 8, {}, "less than 5 USDT"),
        (Side.BUY, 5_999_000, 1_000, {"max_notional": Decimal(599)}, "more than 599 USDT"),
        (Side.BUY, 5_940_000, 1_000, {"price_band": Decimal("0.01")}, None),
        (Side.BUY, 5_939_999, 1_000, {"price_band": Decimal("0.01")}, "further than 0.01"),
        (Side.SELL, 6_060_001, 1_000, {"price_band": Decimal("0.01")}, "further than 0.01"),
        (Side.BUY, 6_000_100, 1_000, {}, "would take"),
        (Side.BUY, 6_000_099, 1_000, {}, None),
        (Side.SELL, 5_999_900, 1_000, {}, "would take"),
        (Side.SELL, 5_999_901, 1_000, {}, None),
        (Side.SELL, 6_001_000, 1_000_001, {}, "not enough BTC"),
        (Side.BUY, 5_999_000, 1_700_000, {}, "not enough USDT"),
        (
            Side.BUY,
            5_999_000,
            600_001,
            {"max_inventory_share": Decimal("0.6")},
            "more than 0.6 of the account",
        ),
        (Side.BUY, 5_999_000, 600_000, {"max_inventory_share": Decimal("0.6")}, None),
    ],
)
def test_the_table_of_refusals(
    side: Side, price: int, size: int, limits: dict[str, object], words: str | None
) -> None:
    """Each limit refuses exactly from its edge on. The account is worth 1.6 M with BTC at 60,000."""
    reason = check(**limits).refusal(Quote("q", side, price, size), OrderKind.POST_ONLY, TOP, rich())
    assert (reason is None) == (words is None)
    assert words is None or words in str(reason)


def test_a_plain_limit_order_may_take() -> None:
    """Only post-only orders are kept off the other side."""
    quote = Quote("b1", Side.BUY, 6_000_200, 1_000)
    assert check().refusal(quote, OrderKind.LIMIT, TOP, rich()) is None


def test_a_passed_order_uses_up_what_it_takes() -> None:
    """Orders of one plan share the account: the second one sees what the first has reserved."""
    holdings = replace(RICH, quote_free=Decimal(900), base_free=Decimal("0.015"))
    rules = check()
    buy = Quote("b1", Side.BUY, 5_999_000, 1_000)
    sell = Quote("s1", Side.SELL, 6_001_000, 1_000)
    assert rules.refusal(buy, OrderKind.POST_ONLY, TOP, holdings) is None
    assert "not enough USDT" in str(rules.refusal(buy, OrderKind.POST_ONLY, TOP, holdings))
    assert rules.refusal(sell, OrderKind.POST_ONLY, TOP, holdings) is None
    assert "not enough BTC" in str(rules.refusal(sell, OrderKind.POST_ONLY, TOP, holdings))
    assert holdings.base_pending == Decimal("0.01")


def balance(asset: str, free: str, locked: str = "0") -> BalanceReport:
    """A report."""
    return BalanceReport(asset=asset, free=free, locked=locked)


def test_the_account_believes_the_smaller_reading() -> None:
    """Right after an order the old free balance is too high, and foreign locks must not be spent."""
    account = Account(btc_usdt())
    known = [account.is_known]
    assert account.observe(balance("BTC", "1"))
    assert not account.observe(balance("BTC", "1"))
    account.observe(balance("USDT", "1000", "200"))
    known.append(account.is_known)
    assert known == [False, True]
    buy = Order("a", "BTC/USDT", "b1", Side.BUY, OrderKind.LIMIT, 6_000_000, 1_000, 1, OrderStage.ACKED)
    sell = Order("c", "BTC/USDT", "s1", Side.SELL, OrderKind.LIMIT, 6_000_000, 30_000, 1, OrderStage.ACKED)
    holdings = account.holdings([buy, sell])
    assert holdings.quote_free == Decimal(600)
    assert holdings.base_free == Decimal("0.7")
    assert holdings.base_pending == Decimal("0.01")
    assert account.holdings([]).quote_free == Decimal(1000)
    assert (account.base_total, account.quote_total) == (Decimal(1), Decimal(1200))


def test_a_complete_answer_makes_the_rest_zero() -> None:
    """An asset that a full balance answer leaves out is gone."""
    account = Account(btc_usdt())
    account.observe(balance("BTC", "1"))
    account.observe_all([balance("USDT", "5"), balance("ETH", "2")])
    assert account.is_known
    assert account.base_total == 0
    assert account.reported() == [
        ("BTC", Decimal(0), Decimal(0)),
        ("ETH", Decimal(2), Decimal(0)),
        ("USDT", Decimal(5), Decimal(0)),
    ]


@pytest.mark.parametrize(
    ("limits", "context", "code"),
    [
        ({"fair_band": Decimal("0.01")}, {"fair_double_ticks": 11_879_207}, "fair_band"),
        ({"fair_band": Decimal("0.01")}, {"fair_double_ticks": 11_879_208}, None),
        ({}, {"fair_double_ticks": None}, None),
        ({"max_depth_multiple": Decimal(2)}, {"depth_lots": 499}, "depth"),
        ({"max_depth_multiple": Decimal(2)}, {"depth_lots": 500}, None),
        ({"cancel_reserve": 0.1}, {"budget_share": 0.0999}, "cancel_reserve"),
        ({"cancel_reserve": 0.1}, {"budget_share": 0.1}, None),
        ({}, {"state": RiskState.CANCEL_ONLY}, "risk_state"),
        ({}, {"state": RiskState.HALT}, "risk_state"),
        ({}, {"state": RiskState.REDUCE}, "risk_state"),
        ({}, {"state": RiskState.REDUCE, "room": (Side.SELL, 5_000)}, "risk_state"),
        ({}, {"state": RiskState.REDUCE, "room": (Side.BUY, 999)}, "risk_state"),
        ({}, {"state": RiskState.REDUCE, "room": (Side.BUY, 1_000)}, None),
    ],
)
def test_the_moment_refuses_too(
    limits: dict[str, object], context: dict[str, object], code: str | None
) -> None:
    """Fair value, depth, the requests left and the risk state: each refuses from its edge on, and counts."""
    made = PreTradeCheck(btc_usdt(), RiskLimits(**limits), OrderContext(**context))  # type: ignore[arg-type]  # by name
    refused = made.refusal(Quote("b1", Side.BUY, 5_999_000, 1_000), OrderKind.POST_ONLY, TOP, rich())
    assert (refused.code if refused else None) == code
    assert made.counts == ({} if code is None else {code: 1})


@pytest.mark.parametrize(
    ("limits", "code"),
    [
        ({"max_open_orders": 4}, "open_orders"),
        ({"max_open_orders": 5}, None),
        ({"max_run_notional": Decimal("1599.89")}, "run_notional"),
        ({"max_run_notional": Decimal("1599.9")}, None),
        ({"max_position_base": Decimal("10.10999")}, "max_position"),
        ({"max_position_base": Decimal("10.11")}, None),
    ],
)
def test_all_orders_of_a_run_together_have_limits(limits: dict[str, object], code: str | None) -> None:
    """Their number, their worth, and the base that all buys together would make: to the last lot."""
    held = replace(rich(), open_orders=4, open_notional=Decimal(1_000), base_pending=Decimal("0.1"))
    quote = Quote("b1", Side.BUY, 5_999_000, 1_000)
    refused = check(**limits).refusal(quote, OrderKind.POST_ONLY, TOP, held)
    assert (refused.code if refused else None) == code
    assert held.open_orders == (4 if code else 5)


def test_sells_do_not_raise_the_position() -> None:
    """The position's limit binds buys only."""
    sell = Quote("s1", Side.SELL, 6_001_000, 1_000)
    assert check(max_position_base=Decimal(1)).refusal(sell, OrderKind.POST_ONLY, TOP, rich()) is None


def test_open_orders_are_counted_with_what_they_are_worth() -> None:
    """Both sides count in number and notional."""
    account = Account(btc_usdt())
    orders = [
        Order(str(n), "BTC/USDT", "b1", side, OrderKind.LIMIT, 6_000_000, 1_000, 0, stage=OrderStage.ACKED)
        for n, side in enumerate(Side)
    ]
    held = account.holdings(orders)
    assert (held.open_orders, held.open_notional) == (2, Decimal(1_200))
