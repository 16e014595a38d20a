"""The governor: each breaker restricts the right scope and lets go; a broken one halts its run only."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from fake_exchange import btc_usdt
from mrmarket.core.clock import NS_PER_S, ManualClock
from mrmarket.core.events import OrderRejected
from mrmarket.core.side import Side
from mrmarket.store.errors import DatabaseBusyError, DatabaseDisconnectedError
from mrmarket.trading.execution.differences import Difference, DifferenceKind
from mrmarket.trading.execution.order import Order, OrderStage
from mrmarket.trading.execution.risk.board import Rearming, RiskBoard
from mrmarket.trading.execution.risk.breakers import LossLimit
from mrmarket.trading.execution.risk.governor import Glance, RiskGovernor
from mrmarket.trading.execution.risk.limits import BreakerLimits
from mrmarket.trading.execution.risk.pretrade import MarketTop
from mrmarket.trading.execution.risk.state import INSTANCE, Cause, RiskState, run_scope, venue_scope
from mrmarket.trading.venue.port import AuthenticationRefusedError, FillReport, OrderKind, OutcomeUnknownError

TOP = MarketTop(5_999_900, 6_000_100)
NO_LOSS = LossLimit()
LIMITS = BreakerLimits(
    loss_1m=LossLimit(Decimal(100)),
    loss_1h=LossLimit(Decimal(200)),
    loss_24h=LossLimit(Decimal(400)),
    drawdown=LossLimit(Decimal(500)),
    deviation=LossLimit(Decimal(50)),
    reject_least=4,
    retries_per_minute=3,
    fills_per_minute=5,
    unknown_orders=2,
)
CAPITAL = Decimal(100_000)


class Cabin:
    """A governor with its board and a clock."""

    def __init__(self, limits: BreakerLimits = LIMITS) -> None:
        self.clock = ManualClock()
        self.board = RiskBoard(
            self.clock, rearming=Rearming(cool_down_ns=60 * NS_PER_S, dwell_ns=10 * NS_PER_S)
        )
        self.governor = RiskGovernor("r1", "v1", btc_usdt(), self.board, limits)
        self.board.listen(self.governor.on_change)
        self.orders = 0

    def tick(self, **what: Any) -> dict[str, str]:
        """One look; returns what is in force, by scope and cause."""
        now = self.clock.monotonic_ns()
        self.governor.tick(Glance(now, now, **what))
        self.board.tick()
        return self.held()

    def held(self) -> dict[str, str]:
        """What is in force: state by cause."""
        return {row.cause: row.state for row in self.board.restrictions()}

    def later(self, seconds: float, **what: Any) -> dict[str, str]:
        """Time passes, with a look each second."""
        for _ in range(int(seconds)):
            self.clock.advance(NS_PER_S)
            self.tick(**what)
        return self.held()

    def order(self, slot: str = "b1", **changes: Any) -> Order:
        """A new order of ours, sent."""
        self.orders += 1
        order = Order(
            f"id{self.orders}",
            "BTC/USDT",
            slot,
            changes.pop("side", Side.BUY),
            changes.pop("kind", OrderKind.POST_ONLY),
            5_999_000,
            1_000,
            created_ns=0,
            stage=OrderStage.SENT,
        )
        self.change(None, order)
        return order

    def change(self, old: Order | None, new: Order) -> Order:
        """An order changes."""
        self.governor.on_order(self.clock.monotonic_ns(), old, new, TOP)
        return new

    def refuse(self, order: Order, code: str = "order_refused") -> None:
        """The venue says no."""
        self.governor.on_refusal(
            self.clock.monotonic_ns(),
            OrderRejected(
                venue="v1",
                at_ns=0,
                symbol="BTC/USDT",
                client_order_id=order.client_order_id,
                code=code,
                reason="",
            ),
        )
        self.change(order, order.with_stage(OrderStage.REJECTED, 0))

    def fill(
        self, order: Order, ticks: int, *, lots: int = 1_000, maker: bool = True, fee: str = "0"
    ) -> None:
        """A trade of ours at the mid of 60,000."""
        trade = FillReport(
            symbol="BTC/USDT",
            trade_id="t",
            client_order_id=order.client_order_id,
            venue_order_id="",
            side=order.side,
            price_ticks=ticks,
            size_lots=lots,
            fee=fee,
            fee_asset="USDT",
            maker=maker,
            venue_ns=0,
        )
        self.governor.on_fill(self.clock.monotonic_ns(), trade, 12_000_000, Decimal(fee))


@pytest.fixture
def cabin() -> Cabin:
    """Everything is well."""
    return Cabin()


@pytest.mark.parametrize(
    ("loss", "held"),
    [
        ("99.99", {}),
        ("100", {"loss_1m": "reduce"}),
        ("199.99", {"loss_1m": "reduce"}),
        ("200", {"loss_1m": "reduce", "loss_1h": "cancel_only"}),
        ("400", {"loss_1m": "reduce", "loss_1h": "cancel_only", "loss_24h": "halt"}),
        ("500", {"loss_1m": "reduce", "loss_1h": "cancel_only", "loss_24h": "halt", "drawdown": "halt"}),
    ],
)
def test_losses_restrict_step_by_step(loss: str, held: dict[str, str]) -> None:
    """Each limit from its very amount on."""
    cabin = Cabin(replace(LIMITS, deviation=NO_LOSS))
    assert cabin.tick(equity=Decimal(0), capital=CAPITAL) == {}
    assert cabin.tick(equity=-Decimal(loss), capital=CAPITAL) == held


def test_a_minutes_loss_re_arms_by_itself(cabin: Cabin) -> None:
    """Once the minute is over and the run has settled down; the hour's limit still counts it."""
    cabin.tick(equity=Decimal(0), capital=CAPITAL)
    lost = {"equity": Decimal(-120), "capital": CAPITAL}
    assert "loss_1m" in cabin.tick(**lost)
    assert "loss_1m" in cabin.later(60, **lost)
    assert "loss_1m" not in cabin.later(13, **lost)
    assert "loss_1h" in cabin.tick(equity=Decimal(-200), capital=CAPITAL)


def test_after_the_owner_re_arms_losses_count_from_there(cabin: Cabin) -> None:
    """What was lost before has been dealt with; the next loss restricts again."""
    cabin.tick(equity=Decimal(0), capital=CAPITAL)
    assert cabin.tick(equity=Decimal(-600), capital=CAPITAL)["drawdown"] == "halt"
    assert set(cabin.board.rearm(run_scope("r1"))) >= {"drawdown", "loss_24h"}
    assert cabin.later(5, equity=Decimal(-600), capital=CAPITAL) == {}
    assert cabin.tick(equity=Decimal(-1_100), capital=CAPITAL)["drawdown"] == "halt"


def test_an_earlier_lifes_high_water_mark_counts(cabin: Cabin) -> None:
    """What marks and fills of the log add up to is where drawdown and losses are measured from."""
    cabin.governor.recall(-30 * NS_PER_S, Decimal(1_000))
    held = cabin.tick(equity=Decimal(500), capital=CAPITAL)
    assert held["drawdown"] == "halt"
    assert held["loss_1m"] == "reduce"
    assert Cabin().tick(equity=None, capital=CAPITAL) == {}


def test_too_many_refusals(cabin: Cabin) -> None:
    """Half of the orders is allowed; what the venue never judged does not count."""
    orders = [cabin.order(f"b{n}") for n in range(4)]
    for order in orders[:2]:
        cabin.refuse(order)
    cabin.refuse(orders[2], code="rate_limited")
    assert cabin.tick() == {}
    cabin.refuse(orders[3])
    assert cabin.tick() == {"reject_rate": "cancel_only"}
    assert cabin.later(72) == {}


def test_too_many_retries(cabin: Cabin) -> None:
    """An order in a slot whose last one failed is a retry, in another slot it is not."""
    for _ in range(4):
        cabin.refuse(cabin.order("b1"), code="lease_lapsed")
    cabin.order("s1")
    assert cabin.tick() == {}
    cabin.order("b1")
    assert cabin.tick() == {"retries": "cancel_only"}
    assert cabin.board.state("r1", "v1") is RiskState.CANCEL_ONLY


def test_retries_are_counted_by_pair(cabin: Cabin) -> None:
    """Two runs of a pair share one count, and so does the next life of a run; another pair has its own."""
    other = Cabin()
    other.board, other.clock = cabin.board, cabin.clock
    other.governor = RiskGovernor("r2", "v1", btc_usdt(), cabin.board, LIMITS)
    for each in (cabin, other):
        for _ in range(2):
            each.refuse(each.order("b1"), code="insufficient")
    assert cabin.tick() == {}
    other.governor = RiskGovernor("r2", "v1", btc_usdt(), cabin.board, LIMITS)
    for _ in range(3):
        other.refuse(other.order("b1"), code="insufficient")
    assert other.tick() == {"retries": "cancel_only"}
    cabin.tick()
    states = [cabin.board.state(run, "v1") for run in ("r1", "r2")]
    assert states == [RiskState.CANCEL_ONLY, RiskState.CANCEL_ONLY]
    ether = RiskGovernor("r3", "v1", replace(btc_usdt(), symbol="ETH/USDT"), cabin.board, LIMITS)
    now = cabin.clock.monotonic_ns()
    ether.tick(Glance(now, now))
    assert cabin.board.state("r3", "v1") is RiskState.ACTIVE


@pytest.mark.parametrize("code", ["rate_limited", "withheld"])
def test_what_never_left_is_not_tried_again(cabin: Cabin, code: str) -> None:
    """An order that our own budget or gate kept here bothered nobody: more layers than fit are no retries."""
    for _ in range(9):
        cabin.refuse(cabin.order("b1"), code=code)
    assert cabin.tick() == {}


def test_an_order_that_ends_well_is_no_failure(cabin: Cabin) -> None:
    """A filled or cancelled order leaves nothing to try again."""
    for stage in (OrderStage.CANCELLED, OrderStage.FILLED, OrderStage.EXPIRED) * 3:
        order = cabin.order("b1")
        acked = cabin.change(order, order.with_stage(OrderStage.ACKED, 0))
        cabin.change(acked, acked.with_stage(stage, 0))
    assert cabin.tick() == {}


def test_too_many_orders_in_doubt(cabin: Cabin) -> None:
    """Two are allowed; the third restricts until one of them is proven."""
    orders = [cabin.order(f"b{n}") for n in range(3)]
    doubted = [cabin.change(order, order.doubted(0)) for order in orders]
    cabin.change(doubted[0], doubted[0])
    assert cabin.governor.unknown == 3
    assert cabin.tick() == {"unknown_orders": "cancel_only"}
    cabin.change(doubted[0], doubted[0].with_stage(OrderStage.ACKED, 0))
    assert cabin.governor.unknown == 2
    assert cabin.later(61) == {}


def test_a_runaway_halts(cabin: Cabin) -> None:
    """The sixth fill within a minute, and nothing lifts it but the owner."""
    order = cabin.order()
    for _ in range(5):
        cabin.fill(order, 5_999_000)
    assert cabin.tick() == {}
    cabin.fill(order, 5_999_000)
    assert cabin.tick() == {"fill_rate": "halt"}
    assert cabin.later(200) == {"fill_rate": "halt"}


@pytest.mark.parametrize("side", Side)
def test_slippage_is_measured_from_the_decision(side: Side) -> None:
    """The opposite price when the order was decided; makers and post-only orders do not slip."""
    cabin = Cabin()
    taking = cabin.order("flat", side=side, kind=OrderKind.IOC)
    best = TOP.ask_ticks if side is Side.BUY else TOP.bid_ticks
    cabin.fill(taking, best + side.sign * best * 49 // 10_000, maker=False)
    cabin.fill(cabin.order("b1", side=side), best + side.sign * 900_000, maker=False, lots=1)
    assert cabin.tick() == {}
    cabin.fill(taking, best + side.sign * best * 60 // 10_000, maker=False)
    assert cabin.tick() == {"slippage": "cancel_only"}


def test_profit_behind_its_promise(cabin: Cabin) -> None:
    """Fills promised 10 each; standing still 50 behind that is too far."""
    cabin.tick(equity=Decimal(0), capital=CAPITAL)
    order = cabin.order()
    for _ in range(4):
        cabin.fill(order, 5_900_000)
    assert cabin.tick(equity=Decimal(0), capital=CAPITAL) == {}
    cabin.fill(order, 5_900_000, fee="0.01")
    assert cabin.tick(equity=Decimal(0), capital=CAPITAL) == {}, "the fee was never promised"
    assert cabin.tick(equity=Decimal("-0.01"), capital=CAPITAL) == {"pnl_deviation": "cancel_only"}


@pytest.mark.parametrize(
    ("what", "after_s", "scope", "held"),
    [
        ({"stale": "gap"}, 60, run_scope("r1"), {"book_stale": "cancel_only"}),
        (
            {"fair": Decimal("102.01"), "index": Decimal(100)},
            1,
            run_scope("r1"),
            {"index_gap": "cancel_only"},
        ),
        ({"budget_share": 0.0499}, 5, venue_scope("v1"), {"rate_budget": "cancel_only"}),
        ({"clock_trusted": False}, 2, venue_scope("v1"), {"clock_offset": "cancel_only"}),
    ],
)
def test_a_condition_restricts_once_it_lasts(
    what: dict[str, Any], after_s: int, scope: str, held: dict[str, str]
) -> None:
    """Not before, and it ends by itself after its condition has gone."""
    cabin = Cabin()
    cabin.tick(**what)
    assert cabin.later(after_s - 1, **what) == {}
    assert cabin.later(1, **what) == held
    assert cabin.board.restrictions(scope)
    assert cabin.later(300, **what) == held
    assert cabin.later(10) == held
    assert cabin.later(1) == {}


@pytest.mark.parametrize(
    "what",
    [
        {"fair": Decimal(102), "index": Decimal(100)},
        {"fair": Decimal(98), "index": Decimal(100)},
        {"fair": Decimal(98)},
        {"budget_share": 0.05},
    ],
)
def test_at_the_limit_nothing_happens(what: dict[str, Any]) -> None:
    """A most may be reached."""
    assert Cabin().later(60, **what) == {}


def test_a_ban_halts_the_venue(cabin: Cabin) -> None:
    """418 waits for the owner; the ban's end alone frees nobody."""
    assert cabin.tick(banned=True) == {"venue_banned": "halt"}
    assert cabin.board.state("another", "v1") is RiskState.HALT
    assert cabin.later(200) == {"venue_banned": "halt"}


def test_differences_restrict_and_let_go(cabin: Cabin) -> None:
    """REDUCE while one stands, HALT once it grows, and free again after it has gone."""
    small = Difference(DifferenceKind.BALANCE, "BTC", "1", "1.5")
    cabin.governor.on_difference(0, small, standing=True)
    assert cabin.held() == {"difference": "reduce"}
    cabin.governor.on_difference(0, small, standing=False)
    assert cabin.later(60) == {}
    cabin.governor.on_difference(0, small, standing=True)
    cabin.governor.on_difference(0, replace(small, theirs="2"), standing=True)
    assert cabin.held() == {"difference": "halt"}
    cabin.board.rearm(run_scope("r1"))
    assert cabin.tick() == {"difference": "reduce"}, "what still stands still allows less"


def test_a_failed_run_cools_down(cabin: Cabin) -> None:
    """Nothing is placed for the cool-down, and then it is free by itself."""
    cabin.governor.on_failure(OutcomeUnknownError("v1", "place", "time-out"))
    assert cabin.held() == {"run_failed": "cancel_only"}
    assert cabin.later(59) == {"run_failed": "cancel_only"}
    assert cabin.later(1) == {}


@pytest.mark.parametrize(
    "error", [DatabaseDisconnectedError("server", "it restarts"), DatabaseBusyError("file")]
)
def test_a_database_that_was_away_for_a_moment_is_no_failure_of_the_run(
    cabin: Cabin, error: Exception
) -> None:
    """The engine tries again by itself, with growing rests; there is nothing to cool down from."""
    cabin.governor.on_failure(error)
    assert cabin.held() == {}


def test_a_refused_key_halts_the_venue(cabin: Cabin) -> None:
    """Every run with that key would be refused."""
    cabin.governor.on_failure(AuthenticationRefusedError("v1", "place", "bad key"))
    assert cabin.board.scope_state(venue_scope("v1")) is RiskState.HALT
    assert cabin.board.state("another", "v1") is RiskState.HALT


def test_a_fault_in_a_breaker_halts_that_run_only(cabin: Cabin) -> None:
    """Its other breakers go on, other runs trade on, and the fault is named."""
    cabin.governor.drawdown = None  # type: ignore[assignment]  # a bug
    cabin.tick(equity=Decimal(0), capital=CAPITAL, stale="gap")
    held = cabin.later(60, stale="gap")
    assert held == {"breaker_fault": "halt", "book_stale": "cancel_only"}
    assert "AttributeError" in cabin.board.explain("r1", "v1")
    assert cabin.board.state("r2", "v1") is RiskState.ACTIVE
    assert cabin.governor.faults == 1


def test_an_ended_run_holds_nothing(cabin: Cabin) -> None:
    """Its soft conditions end, since nobody is left to see them go."""
    cabin.later(61, stale="gap")
    cabin.governor.close()
    cabin.clock.advance(60 * NS_PER_S)
    cabin.board.tick()
    assert cabin.held() == {}


def test_the_re_arm_of_others_resets_nothing(cabin: Cabin) -> None:
    """Only a cause of this run or its venue is counted anew."""
    order = cabin.order()
    for _ in range(6):
        cabin.fill(order, 5_999_000)
    cabin.board.hold(INSTANCE, Cause.FILL_RATE, "x")
    cabin.board.rearm(INSTANCE)
    cabin.board.hold(run_scope("r1"), "my own", "x")
    cabin.board.rearm(run_scope("r1"))
    assert cabin.tick() == {"fill_rate": "halt"}
    cabin.board.rearm(run_scope("r1"), Cause.FILL_RATE)
    assert cabin.tick() == {}
