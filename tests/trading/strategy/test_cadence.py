"""When a run decides although nothing has happened, and when it does not."""

from __future__ import annotations

from decimal import Decimal

import pytest
from msgspec.structs import replace

from fake_exchange import FakeExchange, MemoryJournal, btc_usdt
from mrmarket.core.clock import NS_PER_S, ManualClock, SystemClock
from mrmarket.core.side import Side
from mrmarket.trading.execution.account import Account
from mrmarket.trading.execution.differ import LiveOrder, Plan, RefreshRules, plan
from mrmarket.trading.execution.order import Order, OrderStage
from mrmarket.trading.execution.order_table import OrderTable
from mrmarket.trading.execution.risk.state import RiskState
from mrmarket.trading.execution.targets import Quote, TargetQuotes
from mrmarket.trading.strategy.cadence import Cadence
from mrmarket.trading.strategy.observer import RunState
from mrmarket.trading.strategy.parameters import Parameters
from mrmarket.trading.strategy.port import MarketView
from mrmarket.trading.strategy.pure_market_making import PureMarketMaking
from mrmarket.trading.venue.port import BalanceReport, OrderKind
from strategy_stage import Stage

RULES = RefreshRules(refresh_ns=5 * NS_PER_S, max_age_ns=60 * NS_PER_S)
BID = Quote("b1", Side.BUY, 100, 7)


def an_order(**changes: object) -> Order:
    """It stands where `BID` wants it."""
    made = Order(
        "key", "BTC/USDT", "b1", Side.BUY, OrderKind.POST_ONLY, 100, 7, created_ns=0, stage=OrderStage.ACKED
    )
    return replace(made, **changes)


@pytest.mark.parametrize(
    ("order", "age_s", "sticky", "hold", "rest_s"),
    [
        (an_order(), 1, False, False, 4),
        (an_order(), 20, False, False, 40),
        (an_order(), 1, True, False, 59),
        (an_order(), 1, False, True, 2**62 / NS_PER_S),
        (an_order(stage=OrderStage.SENT), 1, False, False, 0),
        (an_order(cancel_attempts=1), 1, False, False, 0),
        (an_order(cancel_doubted=True), 1, False, False, 0),
    ],
)
def test_a_plan_says_how_long_time_alone_changes_nothing(
    order: Order, age_s: int, sticky: bool, hold: bool, rest_s: float
) -> None:
    """Until the next age at which an order gives way; not at all while anything is under way."""
    wanted = Quote("b1", Side.BUY, 100, 7, sticky=sticky)
    todo = plan(TargetQuotes((wanted,), hold=hold), [LiveOrder(order, age_s * NS_PER_S)], RULES, 0)
    assert not todo
    assert todo.rests_ns == rest_s * NS_PER_S


@pytest.mark.parametrize("wanted", [(), (BID, Quote("s1", Side.SELL, 110, 7))])
def test_a_plan_with_something_to_do_rests_not_at_all(wanted: tuple[Quote, ...]) -> None:
    """A cancel or a placement is looked after at the next tick."""
    todo = plan(TargetQuotes(wanted), [LiveOrder(an_order())], RULES, 0)
    assert todo
    assert todo.rests_ns == 0


def rests(cadence: Cadence) -> bool:
    """Whether the last decision stands."""
    return cadence.rests


def known(account: Account) -> bool:
    """Whether both assets were reported."""
    return account.is_known


def sides(table: OrderTable) -> tuple[bool, bool]:
    """(whether all is calm, whether both sides rest)."""
    return table.is_calm, table.rests_on_both_sides


def made(
    strategy: PureMarketMaking, risk: RiskState = RiskState.ACTIVE
) -> tuple[Cadence, Account, ManualClock]:
    """A cadence at 0 with an account that holds both assets."""
    account, world = Account(btc_usdt()), ManualClock()
    for asset in ("BTC", "USDT"):
        account.observe(BalanceReport(asset=asset, free="10", locked="1"))
    return Cadence(strategy, account, lambda: risk, world), account, world


VIEW = MarketView(btc_usdt(), 0, (5_999_950, 1), (6_000_050, 1), Decimal(10), Decimal(600_000))


def test_a_decision_stands_until_something_happens_or_its_time_is_over() -> None:
    """An event, another balance, and the age of an order each end it."""
    cadence, account, world = made(PureMarketMaking(Parameters()))
    assert not rests(cadence)
    cadence.decided(VIEW, Plan(rests_ns=NS_PER_S))
    assert rests(cadence)
    cadence.happened()
    assert not rests(cadence)
    cadence.decided(VIEW, Plan(rests_ns=NS_PER_S))
    account.observe(BalanceReport(asset="BTC", free="10", locked="1"))
    assert rests(cadence)
    account.observe_all([BalanceReport(asset="BTC", free="9", locked="1")])
    assert not rests(cadence)
    cadence.decided(VIEW, Plan(rests_ns=NS_PER_S))
    assert rests(cadence)
    world.advance(NS_PER_S)
    assert not rests(cadence)


def test_what_might_change_with_time_is_decided_at_every_tick() -> None:
    """A plan that is not done, a risk state that takes orders back, a strategy that ends its pause."""
    cadence, _, _ = made(PureMarketMaking(Parameters()))
    cadence.decided(VIEW, Plan())
    assert not rests(cadence)
    reduced, _, _ = made(PureMarketMaking(Parameters()), RiskState.REDUCE)
    reduced.decided(VIEW, Plan(rests_ns=NS_PER_S))
    assert not rests(reduced)
    reduced.decided(None, Plan(rests_ns=NS_PER_S))
    assert rests(reduced)
    pausing = PureMarketMaking(Parameters(filled_order_delay=1.0))
    pausing.state = replace(pausing.state, quiet_until_ns=3)
    paused, _, world = made(pausing)
    paused.decided(VIEW, Plan(rests_ns=NS_PER_S))
    assert rests(paused)
    world.advance(3)
    assert not rests(paused)


def test_an_accounts_sums_follow_every_report() -> None:
    """Totals, and whether both assets are known, are those of the last word of the venue."""
    account = Account(btc_usdt())
    assert not known(account)
    account.observe(BalanceReport(asset="BTC", free="1", locked="0.5"))
    assert (account.base_total, known(account)) == (Decimal("1.5"), False)
    before = account.revision
    account.observe_all([BalanceReport(asset="USDT", free="7", locked="0")])
    assert (account.base_total, account.quote_total, known(account)) == (Decimal(0), Decimal(7), True)
    assert account.revision == before + 1
    account.observe_all([BalanceReport(asset="USDT", free="7.0", locked="0")])
    assert account.revision == before + 1


def test_a_table_lists_its_orders_anew_only_after_a_change() -> None:
    """The same list until then; it says whether all is calm, and whether both sides rest."""
    table = OrderTable(SystemClock())
    assert sides(table) == (True, False)
    table.put(an_order())
    listed = table.open()
    assert table.open() is listed
    assert sides(table) == (True, False)
    table.put(an_order(client_order_id="other", slot="s1", side=Side.SELL, stage=OrderStage.SENT))
    assert len(listed) == 1
    assert len(table.open()) == 2
    assert sides(table) == (False, False)
    table.put(an_order(client_order_id="other", slot="s1", side=Side.SELL))
    assert sides(table) == (True, True)
    table.put(an_order(stage=OrderStage.CANCELLED, reported_lots=3))
    assert sides(table) == (False, False)


async def test_a_quiet_run_asks_its_strategy_nothing_until_something_happens() -> None:
    """Ticks pass and the answer stands; a fill leads to the next decision at once."""

    class Counting(PureMarketMaking):
        """How often it was asked."""

        asked = 0

        def quotes(self, view: MarketView) -> TargetQuotes:
            """Count, and answer."""
            self.asked += 1
            return super().quotes(view)

    strategy = Counting(
        Parameters(
            bid_spread=Decimal("0.001"),
            ask_spread=Decimal("0.001"),
            number_of_layers=1,
            order_refresh_time=600.0,
        )
    )
    stage = Stage(FakeExchange(SystemClock()), MemoryJournal(), with_strategy=strategy)
    await stage.quoting()
    ran_ns = 0

    def ticked() -> bool:
        nonlocal ran_ns
        ran_ns += 1
        return ran_ns > 10

    await stage.until(ticked)
    asked = strategy.asked
    ran_ns = 0
    await stage.until(ticked)
    assert strategy.asked == asked
    bid = next(order for order in stage.run.live_orders if order.slot == "b1")
    stage.venue.fill(bid.client_order_id, bid.size_lots)
    await stage.until(lambda: strategy.asked > asked)
    await stage.run.stop()


async def test_a_tick_that_fails_stops_its_run() -> None:
    """Whatever it is, it is the run's failure, and no further tick comes."""

    def broken() -> Decimal:
        raise RuntimeError("the index is broken")

    stage = Stage(FakeExchange(SystemClock()), MemoryJournal(), index=broken)
    await stage.run.start()
    await stage.run.wait()
    assert stage.run.state is RunState.FAILED
    assert stage.run.state_reason == "the index is broken"
    await stage.run.stop()
