"""What is asked of a run's quotes from outside: it narrows them, says so, and widens nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fake_exchange import FakeExchange, MemoryJournal, btc_usdt
from mrmarket.core.clock import SystemClock
from mrmarket.core.errors import InvalidInputError
from mrmarket.core.events import RiskChanged
from mrmarket.core.side import Side
from mrmarket.trading.execution.risk.board import RiskBoard
from mrmarket.trading.execution.risk.mandate import FREE, Mandate, Mandates, Stand, narrowed
from mrmarket.trading.execution.risk.pretrade import MarketTop
from mrmarket.trading.execution.targets import Quote, TargetQuotes
from strategy_stage import BOOK, Stage

TOP = MarketTop(5_999_900, 6_000_100)
"""A mid of 60,000.00; a basis point is 600 ticks, a lot is 0.00001 BTC or 60 cents."""

AT_REST = Stand(0, 0)


def bid(slot: str, bps: int, lots: int = 1_000, **more: Any) -> Quote:
    """A buy so far below the mid."""
    return Quote(slot, Side.BUY, 6_000_000 - bps * 600, lots, **more)


def ask(slot: str, bps: int, lots: int = 1_000, **more: Any) -> Quote:
    """A sell so far above the mid."""
    return Quote(slot, Side.SELL, 6_000_000 + bps * 600, lots, **more)


def within(mandate: Mandate, *quotes: Quote, gap: int = 0, moved: int = 0) -> list[tuple[str, int, int]]:
    """Slot, distance in basis points and lots of what is left."""
    left = narrowed(TargetQuotes(quotes), mandate, btc_usdt(), TOP, Stand(gap, moved))
    return [
        (each.slot, -each.side.sign * (each.price_ticks - 6_000_000) // 600, each.size_lots)
        for each in left.quotes
    ]


def test_the_nearest_quote_of_each_side_comes_within_the_largest_spread() -> None:
    """Deeper layers stay where the strategy wants them, and what is near enough is not touched."""
    mandate = Mandate(max_spread_bps=50)
    assert within(mandate, bid("b1", 80), bid("b2", 120), ask("s1", 20)) == [
        ("b1", 50, 1_000),
        ("b2", 120, 1_000),
        ("s1", 20, 1_000),
    ]


def test_no_quote_comes_nearer_than_the_smallest_spread() -> None:
    """Also one that the largest spread would move nearer: the smallest holds."""
    assert within(Mandate(min_spread_bps=5), bid("b1", 2), ask("s1", 9)) == [
        ("b1", 5, 1_000),
        ("s1", 9, 1_000),
    ]
    assert within(Mandate(min_spread_bps=30, max_spread_bps=10), bid("b1", 80)) == [("b1", 30, 1_000)]


def test_a_price_that_the_strategy_calls_unacceptable_is_never_passed() -> None:
    """The strategy's own least distance of 60 basis points outweighs the 50 that are asked for."""
    near = bid("b1", 80, worst_ticks=6_000_000 - 60 * 600)
    assert within(Mandate(max_spread_bps=50), near) == [("b1", 60, 1_000)]


def test_a_quote_that_keeps_its_place_is_not_moved() -> None:
    """A hanging order stays."""
    assert within(Mandate(max_spread_bps=50), bid("b1", 80, sticky=True)) == [("b1", 80, 1_000)]


def test_a_moved_quote_never_crosses_the_book() -> None:
    """With a tick that is coarser than the spread asked for it stays behind the other side."""
    top = MarketTop(10, 12)
    quotes = TargetQuotes((Quote("b1", Side.BUY, 5, 1_000), Quote("s1", Side.SELL, 20, 1_000)))
    left = narrowed(quotes, Mandate(max_spread_bps=1), btc_usdt(), top, AT_REST).quotes
    assert [each.price_ticks for each in left] == [11, 11]


def test_the_position_stays_within_what_is_asked_for() -> None:
    """1,200 quote are 2,000 lots: what would pass them is cut or left out, the nearest first."""
    mandate = Mandate(max_inventory=Decimal(1_200), reason="campaign a asks")
    both = (bid("b1", 10), bid("b2", 20, 1_500), ask("s1", 10))
    assert within(mandate, *both) == [("b1", 10, 1_000), ("b2", 20, 1_000), ("s1", 10, 1_000)]
    assert within(mandate, *both, gap=1_500, moved=1_500) == [("b1", 10, 500), ("s1", 10, 1_000)]
    left = narrowed(TargetQuotes((bid("b1", 10),)), mandate, btc_usdt(), TOP, Stand(0, 5_000))
    assert (left.quotes, left.reason) == ((), "the position is at its bound: campaign a asks")


def test_towards_its_target_the_position_is_free_to_go() -> None:
    """An account that begins far below its target buys as it likes, and sells within the bound."""
    mandate = Mandate(max_inventory=Decimal(1_200))
    both = (bid("b1", 10, 9_000), ask("s1", 10, 9_000))
    assert within(mandate, *both, gap=-8_000) == [("b1", 10, 8_000), ("s1", 10, 2_000)]
    assert within(mandate, *both, gap=-8_000, moved=-2_000) == [("b1", 10, 8_000)]


def test_a_moved_quote_says_who_asked_for_it() -> None:
    """Its reason and its terms tell."""
    mandate = Mandate(max_spread_bps=50, reason="campaign a asks for volume")
    wanted = TargetQuotes((Quote("b1", Side.BUY, 5_900_000, 1_000, (), "one layer"),))
    (moved,) = narrowed(wanted, mandate, btc_usdt(), TOP, AT_REST).quotes
    assert moved.why == "one layer; campaign a asks for volume"
    assert [(term.name, term.value) for term in moved.terms] == [("distance that was asked for", "50")]


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(Side), st.integers(1, 3_000), st.integers(20, 5_000)), max_size=8),
    st.integers(-4_000, 4_000),
    st.integers(-4_000, 4_000),
    st.integers(1, 3_000),
)
def test_what_is_left_could_be_filled_whole_without_passing_the_bound(
    wanted: list[tuple[Side, int, int]], gap: int, moved: int, worth: int
) -> None:
    """Nothing is added, nothing grows, and each side ends inside the bound or not beyond the target."""
    quotes = tuple(
        Quote(f"q{at}", side, 6_000_000 - side.sign * ticks * 10, lots)
        for at, (side, ticks, lots) in enumerate(wanted)
    )
    mandate = Mandate(max_inventory=Decimal(worth))
    left = narrowed(TargetQuotes(quotes), mandate, btc_usdt(), TOP, Stand(gap, moved))
    sizes = {each.slot: each.size_lots for each in quotes}
    assert all(each.size_lots <= sizes[each.slot] for each in left.quotes)
    for side in Side:
        filled = sum(each.size_lots for each in left.quotes if each.side is side)
        inside = (side.sign * moved + filled) * Decimal("0.6") <= worth
        assert not filled or inside or side.sign * gap + filled <= 0


def test_wishes_that_fit_are_given_back_as_they_were() -> None:
    """The very same object: nothing is placed anew because of it."""
    wanted = TargetQuotes((bid("b1", 10), ask("s1", 10)))
    mandate = Mandate(min_spread_bps=5, max_spread_bps=50, max_inventory=Decimal(10_000))
    assert narrowed(wanted, mandate, btc_usdt(), TOP, AT_REST) is wanted


def test_a_run_has_one_mandate_and_hears_when_it_changes() -> None:
    """The same object for the same run, told once a change; one that is new begins as it was said."""
    mandates = Mandates()
    one, told = mandates.of("run-1"), []
    assert mandates.of("run-1") is one
    forget = one.listen(lambda: told.append(one.now.idle))
    assert one.set(Mandate(idle="wait"))
    assert not one.set(Mandate(idle="wait"))
    forget()
    forget()
    assert one.set(FREE)
    assert told == ["wait"]
    mandates.first = Mandate(idle="not read yet")
    assert mandates.of("run-2").now.idle == "not read yet"


@pytest.mark.parametrize(
    "make",
    [
        lambda: Mandate(min_spread_bps=0),
        lambda: Mandate(max_spread_bps=0),
        lambda: Mandate(max_inventory=Decimal(0)),
    ],
)
def test_a_bound_of_nothing_is_refused(make: Callable[[], Mandate]) -> None:
    """Zero is no bound; leaving it out is."""
    with pytest.raises(InvalidInputError):
        make()


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    """A run that quotes 10 basis points from the mid, on a board."""
    made = Stage(FakeExchange(SystemClock()), MemoryJournal(), board=RiskBoard(SystemClock()))
    yield made
    await made.run.abandon()


async def test_a_run_quotes_within_its_mandate_and_as_before_without_it(stage: Stage) -> None:
    """The distance follows at once, without a book event; the log tells who asked."""
    await stage.run.start()
    stage.venue.market.put_nowait(BOOK)
    await stage.until(lambda: len(stage.resting()) == 2)
    free = [quote.price_ticks for quote in stage.run.targets.quotes]
    stage.run.risk.mandate.set(Mandate(min_spread_bps=20, reason="campaign a asks"))
    await stage.until(
        lambda: [each.price_ticks for each in stage.run.targets.quotes] == [5_988_000, 6_012_000]
    )
    stage.run.risk.mandate.set(FREE)
    await stage.until(lambda: [each.price_ticks for each in stage.run.targets.quotes] == free)
    await stage.run.facts.flush()
    told = [(each.cause, each.detail) for each in stage.journal.facts if isinstance(each, RiskChanged)]
    assert told == [("mandate", "campaign a asks"), ("mandate", "nothing is asked for")]


async def test_a_run_that_nobody_asks_anything_of_pulls_its_quotes_and_says_why(stage: Stage) -> None:
    """It stays running, and its quotes come back when somebody asks."""
    await stage.run.start()
    stage.venue.market.put_nowait(BOOK)
    await stage.until(lambda: len(stage.resting()) == 2)
    stage.run.risk.mandate.set(Mandate(idle="no campaign asks for volume here"))
    await stage.until(lambda: not stage.run.live_orders)
    assert (stage.run.state.value, stage.run.pulled) == ("running", "no campaign asks for volume here")
    stage.run.risk.mandate.set(FREE)
    await stage.until(lambda: len(stage.resting()) == 2)


async def test_what_trading_moves_is_counted_from_when_it_was_first_asked(stage: Stage) -> None:
    """An ask is filled whole: the next is cut to what is left; without the bound it is whole again."""
    await stage.run.start()
    stage.venue.market.put_nowait(BOOK)
    await stage.until(lambda: len(stage.resting()) == 2)
    (whole,) = {quote.size_lots for quote in stage.run.targets.quotes if quote.side is Side.SELL}
    most = whole * Decimal("0.6") * Decimal("1.5")
    stage.run.risk.mandate.set(Mandate(max_inventory=most, reason="campaign a asks"))
    await stage.until(lambda: len(stage.resting()) == 2)
    (order,) = [order for order in stage.run.live_orders if order.side is Side.SELL]
    stage.venue.fill(order.client_order_id, order.size_lots)

    def asks() -> list[int]:
        return [quote.size_lots for quote in stage.run.targets.quotes if quote.side is Side.SELL]

    await stage.until(lambda: bool(asks()) and asks()[0] < whole and stage.run.totals.fills == 1)
    assert asks()[0] <= whole / 2 + 1
    stage.run.risk.mandate.set(FREE)
    await stage.until(lambda: asks() == [whole])
