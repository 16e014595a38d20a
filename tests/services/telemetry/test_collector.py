"""From readings to what Prometheus reads."""

from __future__ import annotations

import asyncio
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from mrmarket.core.clock import ManualClock
from mrmarket.services.telemetry import telemetry as telemetry_module
from mrmarket.services.telemetry.catalogue import CATALOGUE
from mrmarket.services.telemetry.collector import MOST_SERIES, UnknownMetricError, check_reading, families
from mrmarket.services.telemetry.loop_lag import LoopLag
from mrmarket.services.telemetry.reading import Distribution, Reading
from mrmarket.services.telemetry.requests import RequestFigures
from mrmarket.services.telemetry.telemetry import Telemetry
from services.telemetry.scrape import series, value


def telemetry() -> Telemetry:
    """What a process tells, on a clock of the test's."""
    return Telemetry("My pool", ManualClock(), node="n1", role="engine")


def test_names_and_labels_are_of_one_kind() -> None:
    """Ours begin with `mm_`, counters end in `_total`, nothing else does, and nothing is split by user."""
    for metric in CATALOGUE.values():
        assert metric.name.startswith("mm_")
        assert metric.name.endswith("_total") == (metric.kind == "counter")
        assert not {"user", "account", "depositor", "order"} & set(metric.labels)
        assert metric.help.endswith(".")


@pytest.mark.parametrize(
    "reading",
    [
        Reading("mm_unheard_of", 1),
        Reading("mm_ready", 1),
        Reading("mm_ledger_seq", 1, ("extra",)),
        Reading("mm_request_seconds", 1, ("GET", "2xx")),
        Distribution("mm_ledger_seq", (("+Inf", 1),), None),
    ],
)
def test_what_the_catalogue_does_not_have_is_refused(reading: Reading | Distribution) -> None:
    """A name, a split or a kind that nobody has written down is a fault of ours, found at once."""
    with pytest.raises(UnknownMetricError):
        check_reading(reading)


@given(st.lists(st.tuples(st.sampled_from(["a", "b"]), st.integers(0, 10**6)), max_size=20))
def test_counters_of_the_same_labels_add_up(rows: list[tuple[str, int]]) -> None:
    """Two runs on one pair are one counter of that pair, and nothing is lost."""
    readings = [Reading("mm_fills_total", n, ("sim", pair)) for pair, n in rows]
    samples = [sample for family in families(readings) for sample in family.samples]
    totals = {each.labels["pair"]: each.value for each in samples if each.name == "mm_fills_total"}
    wanted = {pair: sum(n for other, n in rows if other == pair) for pair, _ in rows}
    assert totals == wanted


def test_no_figure_has_more_series_than_it_may() -> None:
    """A thousand runs too many are left out and counted; the others are there."""
    rows = [Reading("mm_orders_open", 1, (f"run-{n}",)) for n in range(MOST_SERIES + 1_000)]
    by_name = {family.name: family for family in families(rows)}
    assert len(by_name["mm_orders_open"].samples) == MOST_SERIES
    assert by_name["mm_series_left_out"].samples[0].value == 1_000


async def test_a_scrape_reads_every_source_there_and_then() -> None:
    """Quick sources on the loop, slow ones in a thread; what they say now is what is told."""
    where: dict[str, int] = {}
    count = 0

    def quick() -> list[Reading]:
        nonlocal count
        count += 1
        where["quick"] = threading.get_ident()
        return [Reading("mm_runs_held", count)]

    def slow() -> list[Reading]:
        where["slow"] = threading.get_ident()
        return [Reading("mm_disk_free_bytes", 7)]

    told = telemetry()
    told.watch("quick", quick)
    told.watch("slow", slow, threaded=True)
    first, second = series(await told.exposition()), series(await told.exposition())
    assert (value(first, "mm_runs_held"), value(second, "mm_runs_held")) == (1, 2)
    assert value(first, "mm_disk_free_bytes") == 7
    assert where["quick"] == threading.get_ident() != where["slow"]
    assert value(first, "mm_instance_info", name="My pool", version="0.1.0", node="n1", role="engine") == 1
    told.forget("quick")
    assert ("mm_runs_held", ()) not in series(await told.exposition())


async def test_a_source_that_fails_blinds_no_other() -> None:
    """It is left out, counted each time, and logged once."""

    def broken() -> list[Reading]:
        raise OSError("the disk is gone")

    told = telemetry()
    told.watch("broken", broken)
    told.watch("wrong", lambda: [Reading("mm_unheard_of", 1)])
    told.watch("good", lambda: [Reading("mm_runs_held", 3)])
    with capture_logs() as logs:
        await told.exposition()
        found = series(await told.exposition())
    assert value(found, "mm_runs_held") == 3
    assert value(found, "mm_scrape_failures_total", source="broken") == 2
    assert value(found, "mm_scrape_failures_total", source="wrong") == 2
    assert [line["source"] for line in logs if "source" in line] == ["broken", "wrong"]


async def test_a_database_that_hangs_costs_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """A scrape gives up on it, later ones wait for the same question and tell its answer."""
    monkeypatch.setattr(telemetry_module, "_PATIENCE_S", 0.02)
    let_go, asked = threading.Event(), 0

    def hangs() -> list[Reading]:
        nonlocal asked
        asked += 1
        let_go.wait(20)
        return [Reading("mm_outbox_depth", 5)]

    told = telemetry()
    told.watch("hangs", hangs, threaded=True)
    for _ in range(3):
        found = series(await told.exposition())
        assert ("mm_outbox_depth", ()) not in found
    assert value(found, "mm_scrape_failures_total", source="slow sources") == 3
    monkeypatch.setattr(telemetry_module, "_PATIENCE_S", 20)
    let_go.set()
    assert value(series(await told.exposition()), "mm_outbox_depth") == 5
    assert asked == 1


async def test_scrapes_at_the_same_time_do_not_mix() -> None:
    """Two Prometheus servers at once get whole answers."""
    told = telemetry()
    told.watch("x", lambda: [Reading("mm_runs_held", 1)])
    answers = await asyncio.gather(*(told.exposition() for _ in range(5)))
    assert all(value(series(answer), "mm_runs_held") == 1 for answer in answers)


@given(st.lists(st.floats(0, 20), max_size=50))
def test_every_request_is_in_the_histogram(seconds: list[float]) -> None:
    """Buckets are cumulative, the last holds all, and the sum is the sum."""
    figures = RequestFigures()
    for each in seconds:
        figures.count("GET", 200, each)
    for found in figures.distributions():
        counts = [count for _, count in found.buckets]
        assert counts == sorted(counts)
        assert counts[-1] == len(seconds)
        assert found.total == pytest.approx(sum(seconds))
        for bound, count in found.buckets[:-1]:
            assert count == sum(each <= float(bound) for each in seconds)


def test_made_up_methods_are_one_series() -> None:
    """Whoever sends a thousand methods makes one series of them."""
    figures = RequestFigures()
    for number in range(1_000):
        figures.count(f"M{number}", 405, 0.1)
    assert [found.labels for found in figures.distributions()] == [("OTHER", "4xx")]


def test_the_lag_is_the_worst_of_two_windows() -> None:
    """A delay is seen for at least fifteen seconds and at most thirty."""
    lag = LoopLag()
    lag.observe(0, 0.5)
    lag.observe(16, 0.1)
    assert lag.worst_s == 0.5
    lag.observe(32, 0.2)
    assert lag.worst_s == 0.2


async def test_a_loop_that_is_held_shows_it() -> None:
    """Whoever keeps the loop for a while is seen."""
    lag = LoopLag()
    task = asyncio.create_task(lag.keep())
    await asyncio.sleep(0)
    loop = asyncio.get_running_loop()
    end = loop.time() + 0.6
    while loop.time() < end:
        pass
    for _ in range(5):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert lag.worst_s >= 0.3
