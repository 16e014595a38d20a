"""The real programme of 2024/25, recomputed from its raw events and prices."""

from __future__ import annotations

import csv
import json
from fractions import Fraction
from pathlib import Path
from typing import Final

import pytest

from mrmarket.core.decimals import parse_units
from mrmarket.money.loyalty.computation import ModelName, Request, compute
from mrmarket.money.loyalty.documents import write
from mrmarket.money.loyalty.event import EventLog
from mrmarket.money.loyalty.outcome import Outcome
from mrmarket.money.loyalty.pool_events import PoolEventFile
from mrmarket.money.loyalty.prices import PriceBook
from mrmarket.money.loyalty.programme import Programme, date_ms, moment_ms
from shared_data import SHARED, needs_shared

pytestmark = [needs_shared, pytest.mark.shared]

DATA: Final = SHARED / "loyalty"
SEPTEMBER: Final = DATA / "20240924_d575b15"
FINAL_PRICES: Final = DATA / "final_98b0ef3" / "token_historical_prices.json"
TOTAL: Final = 50_000 * 10**8
TOLERANCE: Final = 1e-12


def rules(end: str, as_of: str | None = None) -> Programme:
    """The programme from its real start on."""
    stop_ms = None if as_of is None else moment_ms(as_of, "as-of")
    return Programme(date_ms("2024-09-09", "start"), date_ms(end, "end"), TOTAL, as_of_ms=stop_ms)


def run(
    programme: Programme, model: ModelName, prices: Path = SEPTEMBER / "token_historical_prices.json"
) -> Outcome:
    """Compute from the September events."""
    return compute(Request(SEPTEMBER / "pools_events.json", prices, programme, model)).outcome


def rows(path: Path) -> list[dict[str, str]]:
    """A CSV file."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def same(left: float, right: float) -> bool:
    """Equal within 1e-12, relative; zero is zero."""
    return abs(left - right) <= TOLERANCE * abs(right)


def test_the_balances_of_september_are_those_that_were_recorded(tmp_path: Path) -> None:
    """Every provider and token, through the written file, within 1e-12 relative."""
    write(run(rules("2024-09-24"), "last_balance"), tmp_path / "out")
    recorded = {
        (row["provider"], row["token"]): float(row["recorded_final_balance"])
        for row in rows(DATA / "acceptance" / "l1_balances_20240924.csv")
    }
    found = {
        (row["provider"], row["token"]): float(row["balance"])
        for row in rows(tmp_path / "out" / "balances.csv")
    }
    assert found.keys() == recorded.keys()
    assert [key for key, value in recorded.items() if not same(found[key], value)] == []
    assert len(recorded) == 284


def test_the_daily_table_of_september_is_the_one_that_was_recorded(tmp_path: Path) -> None:
    """Every provider and midnight, through the written file, within 1e-12 relative."""
    write(run(rules("2024-09-24"), "last_balance"), tmp_path / "out")
    recorded = {
        (row["provider"], row["balance_date"][:10]): float(row["recorded_total_usd"])
        for row in rows(DATA / "acceptance" / "l1_daily_usd_20240924.csv")
    }
    found = {
        (row["provider"], row["date"]): float(row["usd"]) for row in rows(tmp_path / "out" / "daily_usd.csv")
    }
    assert found.keys() == recorded.keys()
    assert [key for key, value in recorded.items() if not same(found[key], value)] == []
    assert len(recorded) == 2192


def test_the_final_t_table_follows_from_arb() -> None:
    """T = a quarter of the ARB's worth at the end, in T: all 1,252 payouts within 6.3e-8."""
    end_ms = date_ms("2025-04-07", "end")
    book = PriceBook.read(FINAL_PRICES)
    arb_price = Fraction(book.nearest("arbitrum", end_ms).price)
    ratio = arb_price / 4 / Fraction(book.nearest("threshold-network-token", end_ms).price)
    recorded = rows(DATA / "acceptance" / "l2_final_rewards_recorded.csv")
    worst = max(
        abs(
            Fraction(int(row["arb_wei_recorded"]), 10**18) * ratio
            - Fraction(int(row["t_wei_recorded"]), 10**18)
        )
        for row in recorded
    )
    assert len(recorded) == 1252
    assert float(ratio) == pytest.approx(5.2810003545708595, rel=1e-15)
    assert worst < Fraction(63, 10**9)


def test_five_providers_whose_every_event_is_known_get_their_recorded_arb() -> None:
    """One rate of ARB a mean USD pays all five as recorded, within 1e-8 (the recorded figures are cut there).

    The other providers' events are not recorded, so the rate cannot be derived from the total; that a single
    rate lies within all five intervals, each 1e-8 wide, is what proves the weights.
    """
    outcome = run(rules("2025-04-07"), "last_balance", FINAL_PRICES)
    last = {each.provider: each for each in outcome.last or ()}
    recorded = rows(DATA / "acceptance" / "l3_final_from_events.csv")
    cut = Fraction(1, 10**8)
    lowest, highest = Fraction(0), Fraction(1)
    for row in recorded:
        mine = last[row["provider"]]
        assert same(mine.mean_usd, float(row["wavg_usd"]))
        assert mine.balances == {
            token: pytest.approx(amount, rel=TOLERANCE)
            for token, amount in json.loads(row["final_token_balance"]).items()
        }
        arb = Fraction(int(row["arb_wei_recorded"]), 10**18)
        lowest = max(lowest, arb / Fraction(mine.mean_usd))
        highest = min(highest, (arb + cut) / Fraction(mine.mean_usd))
    assert len(recorded) == 5
    assert lowest < highest
    rate = (lowest + highest) / 2
    for row in recorded:
        arb = Fraction(int(row["arb_wei_recorded"]), 10**18)
        assert 0 <= Fraction(last[row["provider"]].mean_usd) * rate - arb < cut


def test_honest_time_weighting_stands_beside_it_in_the_report(tmp_path: Path) -> None:
    """A provider that came in the last days of September is paid for those days only."""
    outcome = run(rules("2024-09-24"), "last_balance")
    write(outcome, tmp_path / "out")
    late = "0x014bd0e6a9353fe5b7904e39c82c0cd46dff9f74"
    assert sum(outcome.honest.values()) == sum(outcome.recorded.values()) == TOTAL
    assert outcome.recorded[late] > 5 * outcome.honest[late] > 0
    page = (tmp_path / "out" / "report.html").read_text()
    for title in ("time-weighted", "last balance", "difference"):
        assert f">{title}<" in page


@pytest.mark.parametrize("model", ["twal", "threshold", "hybrid"])
def test_as_of_september_the_total_is_paid_in_full(model: ModelName) -> None:
    """The programme runs until April, its prices end in September: the run is as of then."""
    outcome = run(rules("2025-04-07", "2024-09-24T08:07:51Z"), model)
    paid = sum(reward.units for reward in outcome.rewards)
    assert paid == (0 if model == "threshold" else TOTAL)
    assert {remark.code for remark in outcome.remarks} >= {"repeated_in_transaction", "negative_balance"}


def test_the_older_file_holds_a_fetch_that_overlaps_and_is_refused() -> None:
    """464 events were delivered twice; dropped, exactly the first fetch remains."""
    file = DATA / "20240911_0d5901b" / "pools_events.json"
    log = PoolEventFile(file, drop_duplicates=True).read()
    with pytest.raises(Exception, match="464 such copies"):
        PoolEventFile(file).read()
    assert len(log.events) == 768
    assert remarks(log) == {"duplicate_event": 464, "repeated_in_transaction": 15, "no_sender": 1232}


def test_the_flat_sample_is_read_whole() -> None:
    """539 events of one vault, which names itself as the provider."""
    log = PoolEventFile(DATA / "sample_events.json").read()
    assert len(log.events) == 539
    assert remarks(log) == {"repeated_in_transaction": 19, "no_sender": 539}


@pytest.mark.parametrize(
    "file",
    sorted((DATA / "prices_history").glob("*.json")) if DATA.is_dir() else [],
    ids=lambda path: path.name,
)
def test_every_recorded_price_file_is_read(file: Path) -> None:
    """Daily and hourly quotes, of five tokens."""
    book = PriceBook.read(file)
    assert book.nearest("tbtc", 0).price > 0
    assert parse_units("1", 8) == 10**8


def remarks(log: EventLog) -> dict[str, int]:
    """Codes and counts."""
    return {remark.code: remark.count for remark in log.remarks}
