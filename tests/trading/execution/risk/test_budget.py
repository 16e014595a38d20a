"""How much a run may have in play: what is placed, what is taken back, and what is told of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fake_exchange import FakeExchange, MemoryJournal, btc_usdt
from mrmarket.core.clock import SystemClock
from mrmarket.core.errors import InvalidInputError
from mrmarket.core.events import RiskChanged
from mrmarket.core.side import Side
from mrmarket.trading.execution.order import Order, OrderStage
from mrmarket.trading.execution.risk.board import RiskBoard
from mrmarket.trading.execution.risk.budget import Budget, Budgets
from mrmarket.trading.execution.risk.gate import RiskGate
from mrmarket.trading.execution.risk.pretrade import (
    Holdings,
    MarketTop,
    OrderContext,
    PreTradeCheck,
    RiskLimits,
)
from mrmarket.trading.execution.risk.state import RiskState
from mrmarket.trading.execution.targets import Quote, TargetQuotes
from mrmarket.trading.venue.port import OrderKind
from strategy_stage import BOOK, Stage

TOP = MarketTop(5_999_900, 6_000_100)
MID = Decimal(60_000)


def buy(slot: str, lots: int) -> Quote:
    """A bid close to the market; a lot is 0.00001 BTC."""
    return Quote(slot, Side.BUY, 5_999_000, lots)


def resting(quote: Quote) -> Order:
    """The live order of a quote."""
    return Order(
        quote.slot,
        "BTC/USDT",
        quote.slot,
        quote.side,
        OrderKind.POST_ONLY,
        quote.price_ticks,
        quote.size_lots,
        created_ns=0,
        stage=OrderStage.ACKED,
    )


def gate(budget: Budget, base: str) -> RiskGate:
    """A free gate of an account with so much base."""
    made = RiskGate(btc_usdt(), lambda: RiskState.ACTIVE, base_total=lambda: Decimal(base))
    made.context.budget = budget
    return made


def test_an_order_that_would_pass_the_budget_is_held_back_with_the_reason() -> None:
    """Up to 98 % of 6,000, of which a thousand is held and bid for; not one lot above that."""
    budget = Budget()
    budget.set(Decimal(6_000), "its slice")
    check = PreTradeCheck(btc_usdt(), RiskLimits(), OrderContext(budget=budget))
    lots = int((6_000 * Decimal("0.98") - 1_000) / MID / Decimal("0.00001"))

    def held() -> Holdings:
        return Holdings(
            Decimal(1), Decimal(10**6), Decimal("0.01"), Decimal(10**6), base_pending=Decimal("0.0066666666")
        )

    assert check.refusal(buy("b1", lots), OrderKind.POST_ONLY, TOP, held()) is None
    refused = check.refusal(buy("b1", lots + 1), OrderKind.POST_ONLY, TOP, held())
    assert refused is not None
    assert refused.code == "budget"
    assert "6000 (its slice)" in refused.text
    ask = Quote("s1", Side.SELL, 6_001_000, 50_000)
    assert check.refusal(ask, OrderKind.POST_ONLY, TOP, held()) is None


def test_live_buys_that_a_smaller_budget_does_not_cover_are_taken_back_the_newest_first() -> None:
    """The first of two stays, the second goes, selling stays; without a budget everything does."""
    budget = Budget()
    one, two, ask = buy("b1", 1_000), buy("b2", 1_000), Quote("s1", Side.SELL, 6_001_000, 1_000)
    targets, live = TargetQuotes((one, two, ask)), [resting(one), resting(two)]
    made = gate(budget, "0.1")
    assert made.allowed(targets, live, [], TOP) is targets
    budget.set(Decimal(6_900), "the cap of main")
    left = made.allowed(targets, live, [], TOP)
    assert [quote.slot for quote in left.quotes] == ["b1", "s1"]
    assert "the cap of main" in left.reason
    budget.set(Decimal(0), "nothing is left")
    assert [quote.slot for quote in made.allowed(targets, live, [], TOP).quotes] == ["s1"]
    assert made.allowed(targets, live, [], None) is targets


@settings(max_examples=150, deadline=None)
@given(
    st.integers(0, 100_000),
    st.integers(0, 30_000),
    st.lists(st.integers(100, 5_000), max_size=6),
    st.lists(st.integers(100, 5_000), max_size=6),
)
def test_what_stands_after_a_decision_never_passes_the_budget(
    quote: int, base_lots: int, standing: list[int], wanted: list[int]
) -> None:
    """Base and every buy that is kept or placed are within it, or nothing is bid at all."""
    budget, instrument = Budget(), btc_usdt()
    budget.set(Decimal(quote), "test")
    base = instrument.size(base_lots)
    live = [resting(buy(f"b{at}", lots)) for at, lots in enumerate(standing)]
    targets = TargetQuotes(tuple(buy(f"b{at}", lots) for at, lots in enumerate([*standing, *wanted])))
    made = gate(budget, str(base))
    kept = {each.slot for each in made.allowed(targets, live, [], TOP).quotes}
    bid = sum(order.remaining_lots for order in live if order.slot in kept)
    check = PreTradeCheck(instrument, RiskLimits(max_inventory_share=Decimal(1)), made.context)
    rich = Holdings(base, Decimal(10**9), base, Decimal(10**9), base_pending=instrument.size(bid))
    placed = 0
    for each in targets.quotes[len(standing) :]:
        if check.refusal(each, OrderKind.POST_ONLY, TOP, rich) is None:
            placed += each.size_lots
    if bid or placed:
        assert instrument.size(base_lots + bid + placed) * MID <= quote


def test_a_run_has_one_budget_and_hears_when_it_changes() -> None:
    """The same object for the same run; told once a change, and no more after it was let go."""
    budgets, told = Budgets(), []
    budget = budgets.of("run-1")
    assert budgets.of("run-1") is budget
    assert budgets.of("run-2") is not budget
    forget = budget.listen(lambda: told.append(budget.quote))
    assert budget.set(Decimal(5), "a")
    assert not budget.set(Decimal(5), "b")
    assert budget.set(None)
    forget()
    forget()
    assert budget.set(Decimal(7))
    assert told == [Decimal(5), None]


@pytest.mark.parametrize("quote", [Decimal(-1), Decimal("NaN"), Decimal("Infinity")])
def test_nonsense_is_no_budget(quote: Decimal) -> None:
    """It is refused, and the old one stays."""
    budget = Budget()
    budget.set(Decimal(5), "a")
    with pytest.raises(InvalidInputError):
        budget.set(quote)
    assert budget.quote == Decimal(5)


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    """A run over the fake exchange, on a board."""
    made = Stage(FakeExchange(SystemClock()), MemoryJournal(), board=RiskBoard(SystemClock()))
    yield made
    await made.run.abandon()


async def test_a_run_takes_its_bids_back_at_once_and_says_why(stage: Stage) -> None:
    """The bid goes without a book event, a fact tells of it, and with a larger budget the bid comes back."""
    await stage.run.start()
    stage.venue.market.put_nowait(BOOK)
    await stage.until(lambda: len(stage.resting()) == 2)
    budget = stage.run.risk.budget
    budget.set(Decimal(1), "the drawdown")
    await stage.until(lambda: len(stage.resting()) == 1)
    assert [order.side for order in stage.run.live_orders] == [Side.SELL]
    await stage.run.facts.flush()
    (told,) = [fact for fact in stage.journal.facts if isinstance(fact, RiskChanged)]
    assert (told.cause, told.detail) == ("budget", "1 (the drawdown)")
    budget.set(Decimal(10**9), "all is well")
    await stage.until(lambda: len(stage.resting()) == 2)
