"""Prices: the nearest quote, exact scaling, holes and tokens that are not yet known."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest

from money.loyalty.loyalty_samples import START_MS
from mrmarket.money.loyalty.errors import LoyaltyError
from mrmarket.money.loyalty.prices import PriceBook, Quote, scaled, written_time
from mrmarket.money.loyalty.tiers import DAY_MS

HOUR_MS = 3_600_000


def book(*hours: float) -> PriceBook:
    """Quotes of one token so many hours after the start; the price is the number of the quote."""
    quotes = [Quote(START_MS + round(hour * HOUR_MS), Decimal(place + 1)) for place, hour in enumerate(hours)]
    return PriceBook({"x": quotes})


def days(count: int) -> list[int]:
    """The first midnights."""
    return [START_MS + day * DAY_MS for day in range(count)]


@pytest.mark.parametrize(
    ("hour", "quote"), [(-9, 1), (0, 1), (1.4, 1), (1.5, 2), (1.6, 2), (3, 2), (6.9, 2), (7.5, 3), (99, 3)]
)
def test_the_nearest_quote_is_taken_and_of_two_the_later(hour: float, quote: int) -> None:
    """Ties go to the later quote, as the recorded programme did."""
    assert book(0, 3, 11).nearest("x", START_MS + round(hour * HOUR_MS)).price == quote


def test_a_day_without_a_quote_near_it_is_a_hole() -> None:
    """A missing day in daily quotes stops; the sentence says which, how many, and what to do."""
    with pytest.raises(LoyaltyError) as refused:
        book(0, 48, 96).daily("x", days(5), 0, fill_holes=False)
    assert refused.value.code == "price_hole"
    assert "2024-09-10" in str(refused.value)
    assert "2 such days" in str(refused.value)
    assert "--fill-holes" in str(refused.value)


def test_holes_are_filled_with_the_nearest_when_asked_for() -> None:
    """And remarked."""
    quotes, remarks = book(0, 48, 96).daily("x", days(5), 0, fill_holes=True)
    assert [quote.price for quote in quotes] == [1, 2, 2, 3, 3]
    assert [(remark.code, remark.count) for remark in remarks] == [("price_hole", 2)]


def test_twelve_hours_are_near_enough() -> None:
    """Quotes at noon price both midnights beside them."""
    quotes, remarks = book(12, 36).daily("x", days(3), 0, fill_holes=False)
    assert [quote.price for quote in quotes] == [1, 2, 2]
    assert remarks == []


def test_days_before_a_token_was_held_need_no_price() -> None:
    """But a token that is held before its first quote is refused, also when holes are filled."""
    late = book(72, 96)
    quotes, remarks = late.daily("x", days(5), START_MS + 3 * DAY_MS, fill_holes=False)
    assert [quote.price for quote in quotes] == [1, 1, 1, 1, 2]
    assert remarks == []
    for fill_holes in (False, True):
        with pytest.raises(LoyaltyError) as refused:
            late.daily("x", days(5), START_MS + 2 * DAY_MS + 1, fill_holes=fill_holes)
        assert refused.value.code == "token_not_yet_known"


def test_a_token_without_prices_is_unknown() -> None:
    """The sentence lists what there is."""
    with pytest.raises(LoyaltyError, match="which has x") as refused:
        book(0).daily("y", days(1), 0, fill_holes=True)
    assert refused.value.code == "unknown_token"


def test_later_quotes_do_not_exist_as_of_a_moment() -> None:
    """A run as of then is the run that was possible then."""
    assert book(0, 24, 30).until(START_MS + 25 * HOUR_MS).nearest("x", START_MS + 31 * HOUR_MS).price == 2
    assert book(0, 24).until(None).nearest("x", START_MS + DAY_MS).price == 2


def test_prices_are_scaled_exactly_and_down() -> None:
    """Twelve digits after the point, whatever the number of digits before."""
    assert scaled(Decimal("62815.019607999966")) == 62815019607999966
    assert scaled(Decimal("0.0000000000019")) == 1
    assert scaled(Decimal("123456789.1234567890129999999999999")) == 123456789123456789012


def read(tmp_path: Path, content: object) -> PriceBook:
    """Read prices through a file."""
    file = tmp_path / "prices.json"
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    return PriceBook.read(file)


def test_numbers_are_read_as_they_are_written(tmp_path: Path) -> None:
    """No binary float in between."""
    price = read(tmp_path, '{"x": [[0, 0.1000000000000000055511151231257827]]}').nearest("x", 0).price
    assert str(price) == "0.1000000000000000055511151231257827"


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ('{"x": [[0, 1.5', "corrupt_file"),
        ([1, 2], "corrupt_file"),
        ({"x": 3}, "corrupt_file"),
        ({"x": [[0, "1"]]}, "corrupt_price"),
        ({"x": [[0, 0]]}, "corrupt_price"),
        ({"x": [[0, -1.5]]}, "corrupt_price"),
        ({"x": [[0, True]]}, "corrupt_price"),
        ({"x": [[0, None]]}, "corrupt_price"),
        ('{"x": [[0, NaN]]}', "corrupt_price"),
        ('{"x": [[0, Infinity]]}', "corrupt_price"),
        ({"x": [[0, 10**9]]}, "corrupt_price"),
        ({"x": [[0.5, 1]]}, "corrupt_price"),
        ({"x": [[-1, 1]]}, "corrupt_price"),
        ({"x": [[0, 1, 2]]}, "corrupt_price"),
        ({"x": [[5, 1], [4, 1]]}, "dates_out_of_order"),
        ({"x": [[5, 1], [5, 1]]}, "dates_out_of_order"),
    ],
)
def test_bad_prices_are_refused(tmp_path: Path, content: object, code: str) -> None:
    """Each with its code; order is not repaired by guessing."""
    with pytest.raises(LoyaltyError) as refused:
        read(tmp_path, content)
    assert refused.value.code == code


def test_a_missing_price_file_is_named(tmp_path: Path) -> None:
    """The path stands in the sentence."""
    with pytest.raises(LoyaltyError, match=r"none\.json"):
        PriceBook.read(tmp_path / "none.json")


def test_times_are_written_with_milliseconds_only_where_there_are_any() -> None:
    """ISO 8601 in UTC."""
    assert written_time(START_MS) == "2024-09-09T00:00:00+00:00"
    assert written_time(START_MS + 5) == "2024-09-09T00:00:00.005+00:00"
