"""Several providers as one: fresh and agreed, or refused; and the board that holds the last prices."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mrmarket.campaigns.ports import Prices
from mrmarket.core.clock import NS_PER_MS, ManualClock
from mrmarket.core.errors import InvalidInputError
from mrmarket.core.instrument import Instrument
from mrmarket.partners.marketdata.board import PriceBoard, Token, TokenPrices
from mrmarket.partners.marketdata.consensus import Consensus, Limits
from mrmarket.partners.marketdata.errors import (
    NoPriceNowError,
    PriceError,
    PriceMissingError,
    PricesDisagreeError,
    PriceStaleError,
    ProviderAnswerError,
    ProviderUnreachableError,
    TooFewPricesError,
)
from mrmarket.partners.marketdata.price import Price, PriceProvider, worth_units
from mrmarket.partners.marketdata.venue_mids import BookTops, Top, VenueMids
from mrmarket.trading.market.book import OrderBook
from mrmarket.trading.market.event import EventKind, MarketEvent

NOW_MS = 1_711_356_310_000
values = st.decimals("0.000001", "1000000", places=6)


class Teller:
    """A provider that says what it is told to."""

    def __init__(
        self, name: str, value: str | Decimal | PriceError, at_ms: int = NOW_MS, sure: int = 10
    ) -> None:
        self.name = name
        self.value = value
        self.at_ms = at_ms
        self.sure = sure

    async def price(self, base: str, quote: str, at_ms: int | None = None) -> Price:
        """It, whatever is asked for."""
        if isinstance(self.value, PriceError):
            raise self.value
        return Price(base, quote, Decimal(self.value), self.name, self.at_ms, self.sure)


def clock_at(now_ms: int = NOW_MS) -> ManualClock:
    """A clock that stands still."""
    return ManualClock(now_ms * NS_PER_MS)


def agree(*tellers: PriceProvider, at_ms: int | None = None, **limits: Any) -> Price:
    """What they say together."""
    return asyncio.run(Consensus(tellers, clock_at(), Limits(**limits)).price("HMT", "USDT", at_ms))


MISSING = PriceMissingError("HMT", "USDT", "c", "has none")
AWAY = ProviderUnreachableError("HMT", "USDT", "c", "status 503")


def test_of_three_the_middle_one_counts() -> None:
    """With everybody's name, the oldest time, and the distance between them as the doubt."""
    price = agree(Teller("c", "1.01"), Teller("a", "1.00", NOW_MS - 7), Teller("b", "1.002"))
    assert (price.value, price.provider, price.at_ms) == (Decimal("1.002"), "a+b+c", NOW_MS - 7)
    assert price.confidence_ppm == 10_000


@settings(max_examples=40)
@given(told=st.lists(values, min_size=1, max_size=7))
def test_the_price_lies_between_the_lowest_and_the_highest_and_needs_no_order(told: list[Decimal]) -> None:
    """Whoever answers first, the same price comes out, and never one beyond what somebody said."""
    tellers = [Teller(f"p{place}", value) for place, value in enumerate(told)]
    price = agree(*tellers, apart_ppm=10**19)
    assert min(told) <= price.value <= max(told)
    assert agree(*reversed(tellers), apart_ppm=10**19) == price


@given(one=values, other=values, limit=st.integers(0, 2_000_000))
def test_disagreement_is_refused_exactly_above_the_limit(one: Decimal, other: Decimal, limit: int) -> None:
    """By the rational distance of the two, not by a rounded one."""
    low, high = min(one, other), max(one, other)
    tellers = (Teller("a", one), Teller("b", other))
    if (high - low) * 1_000_000 > limit * low:
        with pytest.raises(PricesDisagreeError) as refused:
            agree(*tellers, apart_ppm=limit)
        assert {value for _, value in refused.value.told} == {one, other}
        assert refused.value.retryable
    else:
        assert low <= agree(*tellers, apart_ppm=limit).value <= high


@pytest.mark.parametrize(
    ("off_ms", "at_ms", "ok"),
    [
        (300_000, None, True),
        (300_001, None, False),
        (-60_000, None, True),
        (-60_001, None, False),
        (0, NOW_MS, True),
        (300_000, NOW_MS, True),
        (300_001, NOW_MS, False),
        (-1, NOW_MS, False),
    ],
)
def test_a_price_of_another_time_does_not_count(off_ms: int, at_ms: int | None, ok: bool) -> None:
    """Up to both limits it does; for a past time, nothing observed later does."""
    teller = Teller("a", "1", NOW_MS - off_ms)
    if ok:
        assert agree(teller, at_ms=at_ms).value == 1
        return
    with pytest.raises(NoPriceNowError) as refused:
        agree(teller, at_ms=at_ms)
    (reason,) = refused.value.refusals
    assert isinstance(reason, PriceStaleError)
    assert (reason.off_ms, reason.code) == (off_ms, "price_stale")
    assert ("future" in str(reason)) == (off_ms < 0)


def test_one_that_fails_leaves_the_others_as_long_as_there_are_enough() -> None:
    """Two of three are enough for two, and not for three; then everybody's reason is told."""
    tellers = (Teller("a", "1"), Teller("b", "1"), Teller("c", AWAY))
    assert agree(*tellers, at_least=2).provider == "a+b"
    with pytest.raises(NoPriceNowError) as refused:
        agree(*tellers, at_least=3)
    assert refused.value.refusals == (AWAY,)
    assert "status 503" in str(refused.value)


def test_whether_to_ask_again_is_what_the_reasons_say() -> None:
    """A price that nobody will ever have is not worth another try."""
    with pytest.raises(TooFewPricesError) as refused:
        agree(Teller("c", MISSING))
    assert not refused.value.retryable
    with pytest.raises(TooFewPricesError) as nobody:
        agree()
    assert (nobody.value.retryable, nobody.value.code) == (False, "too_few_prices")


def test_a_code_in_itself_is_one() -> None:
    """Nobody is asked for it."""
    par = asyncio.run(Consensus([Teller("c", AWAY)], clock_at()).price("USDT", "USDT"))
    then = asyncio.run(Consensus([], clock_at()).price("USDT", "USDT", 5))
    assert (par.value, par.at_ms, then.at_ms) == (Decimal(1), NOW_MS, 5)


def test_its_name_is_all_of_them() -> None:
    """In the order in which they were given."""
    assert Consensus([Teller("b", "1"), Teller("a", "1")], clock_at()).name == "b+a"


@pytest.mark.parametrize("wrong", [{"at_least": 0}, {"stale_ms": -1}, {"apart_ppm": -1}])
def test_limits_that_limit_nothing_are_refused(wrong: dict[str, int]) -> None:
    """A price that needs no provider would be a guess."""
    with pytest.raises(InvalidInputError):
        Limits(**wrong)


@pytest.mark.parametrize("value", ["0", "-1", "NaN", "Infinity", "1e-37", "1e37"])
def test_a_price_is_a_number_that_can_be_one(value: str) -> None:
    """Nothing else is ever inside a `Price`."""
    with pytest.raises(InvalidInputError):
        Price("HMT", "USDT", Decimal(value), "a", NOW_MS, 0)


@given(
    units=st.integers(0, 10**40),
    value=st.decimals("1e-18", "1e18", places=18),
    decimals=st.integers(0, 24),
    quote_decimals=st.integers(0, 24),
)
def test_worth_is_exact_and_rounded_down(
    units: int, value: Decimal, decimals: int, quote_decimals: int
) -> None:
    """Between the true worth and one unit below it."""
    price = Price("HMT", "USDT", value, "a", NOW_MS, 0)
    worth = worth_units(units, decimals, price, quote_decimals)
    numerator, denominator = value.as_integer_ratio()
    true = units * numerator * 10**quote_decimals
    assert worth * denominator * 10**decimals <= true < (worth + 1) * denominator * 10**decimals


def test_a_negative_amount_has_no_worth() -> None:
    """Rounding down a debt would make it larger; whoever has one says which way."""
    with pytest.raises(InvalidInputError):
        worth_units(-1, 18, Price("HMT", "USDT", Decimal(1), "a", NOW_MS, 0), 18)


class Shown:
    """A watcher that shows one top."""

    def __init__(self, top: Top | None) -> None:
        self._top = top

    def top(self, base: str, quote: str) -> Top | None:
        """It, whatever the pair."""
        return self._top


def mid(top: Top | None, at_ms: int | None = None) -> Price:
    """The price a venue tells."""
    return asyncio.run(VenueMids("sim", Shown(top)).price("HMT", "USDT", at_ms))


def test_a_venue_tells_its_middle_and_half_its_spread() -> None:
    """Exactly in the middle, with the time at which the book was seen."""
    price = mid(Top(Decimal("0.0999"), Decimal("0.1001"), NOW_MS - 5))
    assert (price.value, price.provider, price.at_ms) == (Decimal("0.1"), "venue:sim", NOW_MS - 5)
    assert price.confidence_ppm == 1_000


def test_a_venue_without_a_good_book_tells_nothing() -> None:
    """No book, a crossed one, or a question about the past."""
    with pytest.raises(PriceMissingError):
        mid(None)
    with pytest.raises(PriceMissingError):
        mid(Top(Decimal(1), Decimal(2), NOW_MS), at_ms=NOW_MS)
    with pytest.raises(ProviderAnswerError):
        mid(Top(Decimal(2), Decimal(1), NOW_MS))


def test_the_top_of_a_book_is_forgotten_with_the_book() -> None:
    """Shown a synced book it is the best bid and ask in whole prices; shown an empty one it is none."""
    instrument = Instrument("sim", "HMT/USDT", "HMT", "USDT", Decimal("0.0001"), Decimal(1))
    book, tops = OrderBook(instrument), BookTops()
    tops.note(book, NOW_MS)
    assert tops.top("HMT", "USDT") is None

    def show(bids: list[tuple[int, int]], asks: list[tuple[int, int]]) -> None:
        event = MarketEvent(
            kind=EventKind.SNAPSHOT, exchange_ns=0, local_ns=0, bids=bids, asks=asks, last_id=7
        )
        book.apply(event)
        tops.note(book, NOW_MS)

    show([(999, 5), (998, 1)], [(1_001, 5)])
    assert tops.top("HMT", "USDT") == Top(Decimal("0.0999"), Decimal("0.1001"), NOW_MS)
    assert tops.top("HMT", "EUR") is None
    show([(1_001, 5)], [(1_000, 5)])
    assert tops.top("HMT", "USDT") is None


async def test_the_board_holds_what_is_fresh_and_says_why_it_does_not() -> None:
    """An outage keeps the last price until it is stale; then it is refused, and renewed afterwards."""
    clock, teller = clock_at(), Teller("a", "0.5")
    board = PriceBoard(teller, [("HMT", "USDT"), ("HMT", "USDT")], clock, stale_ms=1_000)
    with pytest.raises(PriceMissingError):
        board.last("HMT", "USDT")
    teller.value = AWAY
    assert await board.refresh() == {("HMT", "USDT"): AWAY}
    with pytest.raises(ProviderUnreachableError):
        board.last("HMT", "USDT")
    teller.value = "0.5"
    assert await board.refresh() == {}
    teller.value = AWAY
    clock.advance(1_000 * NS_PER_MS)
    await board.refresh()
    assert board.last("HMT", "USDT").value == Decimal("0.5")
    clock.advance(NS_PER_MS)
    with pytest.raises(PriceStaleError):
        board.last("HMT", "USDT")


async def test_a_token_is_worth_its_units_or_nothing_is_said() -> None:
    """By contract and chain, in any letters; unknown tokens and stale prices are None, never 0."""
    clock = clock_at()
    board = PriceBoard(Teller("a", "0.05"), [("HMT", "USDT")], clock, stale_ms=1_000)
    prices = TokenPrices(board, {(137, "0xAbC"): Token("HMT", 18)})
    port: Prices = prices
    assert port.value("0xabc", 137, 10**18, "USDT") is None
    await board.refresh()
    assert port.value("0xABC", 137, 3 * 10**18 + 1, "USDT") == Decimal("0.15000000000000000005")
    assert prices.priced("0xabc", 137, "USDT") == (Token("HMT", 18), board.last("HMT", "USDT"))
    assert port.value("0xabc", 1, 1, "USDT") is None
    assert port.value("0xabc", 137, 1, "EUR") is None
