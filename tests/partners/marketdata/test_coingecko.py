"""CoinGecko over the wire: its documented answers, its refusals, and how often it is asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import pytest

from coingecko_desk import Desk, coingecko_desk
from mrmarket.core.clock import NS_PER_MS, ManualClock
from mrmarket.core.errors import InvalidInputError
from mrmarket.partners.marketdata.coingecko import CoinGecko, CoinGeckoSettings
from mrmarket.partners.marketdata.coingecko_line import LineSettings, Plan
from mrmarket.partners.marketdata.errors import (
    PriceError,
    PriceLimitedError,
    PriceMissingError,
    ProviderAnswerError,
    ProviderRefusedError,
    ProviderUnreachableError,
)

NOW_MS = 1_711_356_310_000
KEY = "CG-the-key-itself"
IDS = {
    "BTC": "bitcoin",
    "HMT": "human-protocol",
    "USDT": "tether",
    "OLD": "worn-out",
    "NOW": "timeless",
    "MS": "in-seconds",
    "NIL": "free",
    "GONE": "no-such-coin",
}
CURRENCIES = {"USD": "usd", "EUR": "eur"}


def clock_at(now_ms: int = NOW_MS) -> ManualClock:
    """A clock that stands still."""
    return ManualClock(now_ms * NS_PER_MS)


@asynccontextmanager
async def asking(clock: ManualClock, **line: Any) -> AsyncIterator[tuple[CoinGecko, Desk]]:
    """A client of a desk."""
    async with coingecko_desk() as desk:
        settings = LineSettings(
            **{"plan": Plan.DEMO, "key": KEY, "url": desk.url, "calls_a_minute": 30, **line}
        )
        client = CoinGecko(CoinGeckoSettings(ids=IDS, currencies=CURRENCIES, line=settings), clock)
        try:
            yield client, desk
        finally:
            await client.close()


async def test_a_price_has_its_digits_its_time_and_its_provider() -> None:
    """Not one digit of the answer is lost to floating point, and the time is that of the coin."""
    async with asking(clock_at()) as (client, _):
        price = await client.price("HMT", "USD")
    assert price.value == Decimal("0.05012345678901234567")
    assert (price.provider, price.at_ms, price.confidence_ppm) == ("coingecko", 1_711_356_285_000, 5_000)
    assert str(price) == "1 HMT = 0.05012345678901234567 USD by coingecko at 2024-03-25T08:44:45Z"


async def test_all_coins_are_asked_for_at_once_and_once_a_minute() -> None:
    """Twenty questions at a time are one call, with the parameters and the header that are documented."""
    clock = clock_at()
    async with asking(clock) as (client, desk):
        await asyncio.gather(*(client.price("BTC", quote) for quote in ["USD", "EUR"] * 10))
        clock.advance(59_999 * NS_PER_MS)
        await client.price("BTC", "USD")
        assert len(desk.asked) == 1
        clock.advance(NS_PER_MS)
        await client.price("BTC", "USD")
        assert len(desk.asked) == 2
        (request, _) = desk.asked
    assert request.path == "/api/v3/simple/price"
    assert request.headers["x-cg-demo-api-key"] == KEY
    assert KEY not in str(request.url)
    assert dict(request.query) == {
        "ids": "bitcoin,free,human-protocol,in-seconds,no-such-coin,tether,timeless,worn-out",
        "vs_currencies": "eur,usd",
        "include_last_updated_at": "true",
        "precision": "full",
    }


async def test_a_coin_as_quote_goes_by_way_of_the_currency() -> None:
    """HMT in USDT is HMT in USD over USDT in USD: as old as the older, as unsure as both."""
    async with asking(clock_at()) as (client, desk):
        price = await client.price("HMT", "USDT")
        assert len(desk.asked) == 1
    assert abs(price.value * Decimal("0.9996") - Decimal("0.05012345678901234567")) < Decimal("1e-24")
    assert (price.base, price.quote, price.at_ms, price.confidence_ppm) == (
        "HMT",
        "USDT",
        1_711_356_240_000,
        10_000,
    )


async def test_a_currency_in_a_coin_is_its_inverse() -> None:
    """USD in USDT asks for nothing but USDT."""
    async with asking(clock_at()) as (client, _):
        price = await client.price("USD", "USDT")
        same = await client.price("USD", "USD")
    assert abs(price.value * Decimal("0.9996") - 1) < Decimal("1e-24")
    assert (same.value, same.at_ms) == (Decimal(1), NOW_MS)


@pytest.mark.parametrize(
    ("base", "quote", "kind"),
    [
        ("XYZ", "USD", PriceMissingError),
        ("BTC", "XYZ", PriceMissingError),
        ("GONE", "USD", PriceMissingError),
        ("OLD", "USD", PriceMissingError),
        ("HMT", "EUR", PriceMissingError),
        ("NOW", "USD", ProviderAnswerError),
        ("MS", "USD", ProviderAnswerError),
        ("NIL", "USD", ProviderAnswerError),
        ("NIL", "EUR", ProviderAnswerError),
    ],
)
async def test_what_is_not_there_is_never_guessed(base: str, quote: str, kind: type[PriceError]) -> None:
    """No id, no coin, no price, no time, a time in another unit, a price of nothing or of everything."""
    async with asking(clock_at()) as (client, _):
        with pytest.raises(kind) as refused:
            await client.price(base, quote)
    assert (refused.value.base, refused.value.quote) == (base, quote)


@pytest.mark.parametrize(
    ("status", "file", "kind"),
    [
        (401, "wrong_key", ProviderRefusedError),
        (403, None, ProviderRefusedError),
        (400, "wrong_key", ProviderRefusedError),
        (404, "unknown_coin", PriceMissingError),
        (500, None, ProviderUnreachableError),
        (503, None, ProviderUnreachableError),
        (408, None, ProviderUnreachableError),
        (302, None, ProviderAnswerError),
        (400, "unknown_coin", ProviderAnswerError),
        (200, "too_many", ProviderAnswerError),
        (200, "unknown_coin", ProviderAnswerError),
    ],
)
async def test_refusals_are_told_apart(status: int, file: str | None, kind: type[PriceError]) -> None:
    """Key, coin, outage and change of API are different troubles; none of their words holds the key."""
    async with asking(clock_at()) as (client, desk):
        desk.status, desk.file = status, file
        desk.headers = {"Location": "/elsewhere"}
        with pytest.raises(kind) as refused:
            await client.price("BTC", "USD")
        assert len(desk.asked) == 1
    assert KEY not in str(refused.value)
    assert refused.value.retryable == (kind is ProviderUnreachableError)


@pytest.mark.parametrize(
    "body", [b"", b"{", b"<html>", b"\xff\xfe", b"[" * 100_000, b"[]", b'{"bitcoin": 5}', b" " * 5_000_000]
)
async def test_an_answer_of_another_shape_is_refused(body: bytes) -> None:
    """Cut off, a page, no text, nested without end, another type, or without end."""
    async with asking(clock_at()) as (client, desk):
        desk.body = body
        with pytest.raises(ProviderAnswerError):
            await client.price("BTC", "USD")


@pytest.mark.parametrize(
    ("header", "wait_s"), [("7", 7), ("", 60), ("soon", 60), ("99999999", 3_600), ("²", 60)]
)
async def test_after_too_many_calls_nobody_is_asked_until_the_time(header: str, wait_s: int) -> None:
    """The wait is what they say, a minute if they say nothing, and never longer than an hour."""
    clock = clock_at()
    async with asking(clock) as (client, desk):
        desk.status, desk.file = 429, "too_many"
        desk.headers = {"Retry-After": header.encode().decode("latin1")} if header else {}
        with pytest.raises(PriceLimitedError) as refused:
            await client.price("BTC", "USD")
        assert refused.value.retry_at_ms == NOW_MS + wait_s * 1_000
        desk.status, desk.file = 200, None
        clock.advance((wait_s * 1_000 - 1) * NS_PER_MS)
        with pytest.raises(PriceLimitedError):
            await client.price("BTC", "USD")
        assert len(desk.asked) == 1
        clock.advance(NS_PER_MS)
        assert (await client.price("BTC", "USD")).value == Decimal("67187.3358936566")


async def test_our_own_budget_is_kept_without_waiting() -> None:
    """The third call of a minute is refused with the time at which it may be made; it reaches nobody."""
    clock = clock_at()
    async with asking(clock, calls_a_minute=2) as (client, desk):
        await client.price("BTC", "USD")
        await client.price("BTC", "USD", 1_704_072_000_000)
        with pytest.raises(PriceLimitedError) as refused:
            await client.price("BTC", "USD", 1_704_072_000_001)
        assert (len(desk.asked), refused.value.retry_at_ms) == (2, NOW_MS + 60_000)
        clock.advance(60_000 * NS_PER_MS)
        await client.price("BTC", "USD", 1_704_072_000_001)
        assert len(desk.asked) == 3


async def test_in_an_outage_the_last_answer_is_told_with_its_own_time() -> None:
    """How old it is shows, so that whoever uses it can refuse it; a refused key hides behind nothing."""
    clock = clock_at()
    async with asking(clock) as (client, desk):
        first = await client.price("BTC", "USD")
        desk.status = 503
        clock.advance(120_000 * NS_PER_MS)
        assert await client.price("BTC", "USD") == first
        assert len(desk.asked) == 2
        desk.status, desk.file = 401, "wrong_key"
        with pytest.raises(ProviderRefusedError):
            await client.price("BTC", "USD")


async def test_a_past_price_is_the_last_one_before_its_time() -> None:
    """Nothing observed later is told; the range asked for is two hours; the answer is kept."""
    at_ms = 1_704_074_443_651
    async with asking(clock_at()) as (client, desk):
        price = await client.price("BTC", "USD", at_ms)
        assert await client.price("BTC", "USD", at_ms) == price
        exact = await client.price("BTC", "USD", at_ms + 1)
        (request, _) = desk.asked
    assert (price.value, price.at_ms) == (Decimal("42493.2764087546"), 1_704_070_847_420)
    assert (exact.value, exact.at_ms) == (Decimal("42654.0731066594"), 1_704_074_443_652)
    assert request.path == "/api/v3/coins/bitcoin/market_chart/range"
    assert dict(request.query) == {
        "vs_currency": "usd",
        "from": "1704067243",
        "to": "1704074444",
        "precision": "full",
    }


@pytest.mark.parametrize("at_ms", [1_704_067_241_330, 1_704_074_443_652 + 2 * 3_600_000 + 1])
async def test_a_time_without_a_quote_near_before_it_has_no_price(at_ms: int) -> None:
    """Before the first, and more than two hours after the last."""
    async with asking(clock_at()) as (client, _):
        with pytest.raises(PriceMissingError):
            await client.price("BTC", "USD", at_ms)


async def test_past_prices_are_kept_up_to_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest used is forgotten, so memory has a bound."""
    monkeypatch.setattr("mrmarket.partners.marketdata.coingecko._REMEMBERED", 2)
    times = [1_704_074_000_000, 1_704_074_100_000, 1_704_074_200_000]
    async with asking(clock_at()) as (client, desk):
        for at_ms in [*times, times[2], times[0]]:
            await client.price("BTC", "USD", at_ms)
        assert len(desk.asked) == 4


async def test_silence_and_a_closed_door_are_an_outage() -> None:
    """No answer in time, and nobody there."""
    async with asking(clock_at(), timeout_s=0.05) as (client, desk):
        desk.hold = asyncio.Event()
        with pytest.raises(ProviderUnreachableError):
            await client.price("BTC", "USD")
        desk.hold.set()
    client = CoinGecko(
        CoinGeckoSettings(ids=IDS, line=LineSettings(url="http://127.0.0.1:1/api/v3")), clock_at()
    )
    with pytest.raises(ProviderUnreachableError):
        await client.price("BTC", "USD")
    await client.close()
    await client.close()


def test_the_key_is_in_no_writing_of_the_settings() -> None:
    """Neither alone nor inside those of the client."""
    line = LineSettings(plan=Plan.PRO, key=KEY)
    assert KEY not in repr(line)
    assert KEY not in repr(CoinGeckoSettings(ids=IDS, line=line))


@pytest.mark.parametrize(
    "wrong",
    [
        {"plan": Plan.DEMO},
        {"plan": Plan.KEYLESS, "key": KEY},
        {"calls_a_minute": 0},
    ],
)
def test_settings_that_cannot_work_are_refused(wrong: dict[str, Any]) -> None:
    """A plan without its key, a key without its plan, no calls."""
    with pytest.raises(InvalidInputError) as refused:
        LineSettings(**wrong)
    assert KEY not in str(refused.value)


@pytest.mark.parametrize("count", [0, 516])
def test_too_many_coins_for_a_call_are_refused(count: int) -> None:
    """The API takes 515 ids."""
    with pytest.raises(InvalidInputError):
        CoinGeckoSettings(ids={str(number): str(number) for number in range(count)})
