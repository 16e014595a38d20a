"""A strategy on two venues under a budget: its pairs are smaller, and it says why there are none."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from mrmarket.core.instrument import Instrument
from mrmarket.trading.execution.legs import LegRules
from mrmarket.trading.execution.risk.budget import Budget
from mrmarket.trading.strategy.arbitrage.cross_exchange import CrossExchangeArbitrage
from mrmarket.trading.strategy.arbitrage.parameters import CrossExchangeParameters
from mrmarket.trading.strategy.cross_port import CrossView, VenueBook
from mrmarket.trading.strategy.selection.funded_cross import FundedCross


def book(name: str, bid: int, ask: int) -> VenueBook:
    """A level a side of 100 lots of 0.001, and plenty of money."""
    instrument = Instrument(
        venue=name,
        symbol="BTC/BRL",
        base="BTC",
        quote="BRL",
        tick_size=Decimal("0.01"),
        lot_size=Decimal("0.001"),
        taker_fee=Decimal("0.001"),
        maker_fee=Decimal("0.001"),
    )
    return VenueBook(name, instrument, [(bid, 100)], [(ask, 100)], 0, Decimal(10), Decimal(1_000_000))


APART = CrossView(1, (book("one", 99_900, 100_000), book("two", 101_000, 101_100)))


def made(budget: Budget) -> FundedCross:
    """Arbitrage that takes all it sees, within a budget."""
    table = {"pair": "BTC/BRL", "depth_share": "1"}
    inner = CrossExchangeArbitrage(msgspec.convert(table, CrossExchangeParameters, strict=False))
    return FundedCross(inner, budget)


def test_without_a_budget_it_is_the_other_strategy() -> None:
    """The same decision, name, pair, levels and rules."""
    bare = made(Budget())
    decision = bare.decide(APART)
    assert decision.opportunity is not None
    assert decision.opportunity.notional == Decimal(100)
    assert (bare.symbol, bare.name) == ("BTC/BRL", "cross_exchange_arbitrage")
    assert bare.depth_levels > 0
    assert isinstance(bare.leg_rules, LegRules)
    assert isinstance(bare.parameters, CrossExchangeParameters)


def test_a_pair_is_no_larger_than_the_budget() -> None:
    """A hundred to be had and 40 to be in play: both legs are of 39 lots or so, for 40 or less."""
    budget = Budget()
    budget.set(Decimal(40), "its slice")
    decision = made(budget).decide(APART)
    assert decision.opportunity is not None
    assert Decimal(35) < decision.opportunity.notional <= Decimal(40)
    sizes = {leg.size_lots for leg in (decision.opportunity.plan.first, decision.opportunity.plan.second)}
    assert max(sizes) * Decimal("0.001") * Decimal(1_010) <= Decimal(40)


def test_with_nothing_to_be_in_play_it_says_so() -> None:
    """No pair, and the reason has the budget in it; one that is ample leaves the books alone."""
    budget = Budget()
    budget.set(Decimal(0), "the drawdown")
    decision = made(budget).decide(APART)
    assert decision.opportunity is None
    assert "its part of the capital is 0 (the drawdown)" in decision.why
    budget.set(Decimal(10**9), "all of it")
    calm = CrossView(1, (book("one", 99_900, 100_000), book("two", 99_900, 100_000)))
    assert "its part of the capital" not in made(budget).decide(calm).why
