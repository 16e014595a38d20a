"""A run from files to files: what is written, and that a refusal writes nothing."""

from __future__ import annotations

import csv
import dataclasses
import json
import os
import signal
import subprocess
import sys
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from money.loyalty.loyalty_samples import (
    ALICE,
    BOB,
    CAROL,
    DAVE,
    DAYS,
    ETH,
    START_MS,
    UNISWAP,
    change,
    programme,
    raw_event,
    raw_events,
    raw_prices,
    write_inputs,
)
from mrmarket.core.crash import VARIABLE
from mrmarket.core.errors import MrMarketError
from mrmarket.money.loyalty import CRASH_POINTS, computation, table
from mrmarket.money.loyalty.checkpoint import save
from mrmarket.money.loyalty.computation import ModelName, Request, compute, from_log
from mrmarket.money.loyalty.documents import FILES, write
from mrmarket.money.loyalty.errors import CannotWriteError, FolderRefusedError
from mrmarket.money.loyalty.event import Pool, Token
from mrmarket.money.loyalty.outcome import Outcome
from mrmarket.money.loyalty.pool_events import PoolEventFile
from mrmarket.money.loyalty.prices import PriceBook
from mrmarket.money.loyalty.tiers import DAY_MS

MODELS: tuple[ModelName, ...] = ("twal", "threshold", "hybrid", "last_balance")


def request(folder: Path, model: ModelName = "twal", **options: Any) -> Request:
    """A run of the samples."""
    events, prices = write_inputs(folder)
    return Request(events, prices, programme(), model, **options)


def run(folder: Path, model: ModelName = "twal", **options: Any) -> Outcome:
    """Its result."""
    return compute(request(folder, model, **options)).outcome


def rows(path: Path) -> list[dict[str, str]]:
    """A CSV file."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("model", MODELS)
def test_the_rewards_add_up_to_the_total(tmp_path: Path, model: ModelName) -> None:
    """In the file, to the last digit; the columns are those that were promised."""
    write(run(tmp_path, model), tmp_path / "out")
    found = rows(tmp_path / "out" / "rewards.csv")
    assert list(found[0]) == ["provider", "weight", "tier", "multiplier", "reward"]
    assert [row["provider"] for row in found] == sorted([ALICE, BOB, CAROL, DAVE])
    assert sum(Decimal(row["reward"]) for row in found) == 100
    assert {path.name for path in (tmp_path / "out").iterdir()} == set(FILES)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_late_whale_is_paid_for_its_hours_and_not_for_the_whole_window(tmp_path: Path) -> None:
    """Carol came half a day before the end with more than everybody: last balance gives it all to her."""
    honest = {reward.provider: reward for reward in run(tmp_path, "twal").rewards}
    recorded = {reward.provider: reward for reward in run(tmp_path, "last_balance").rewards}
    assert honest[CAROL].units < 10 * 10**8 < 60 * 10**8 < recorded[CAROL].units
    assert honest[ALICE].rating.tenths == 12
    assert honest[BOB].rating.tenths == 12
    assert honest[CAROL].rating.tenths == 10


def test_the_balances_and_the_daily_table_are_exact(tmp_path: Path) -> None:
    """Every token and every midnight of the window with start and end, as exact decimals."""
    write(run(tmp_path), tmp_path / "out")
    balances = {
        (row["provider"], row["token"]): row["balance"] for row in rows(tmp_path / "out" / "balances.csv")
    }
    assert balances[BOB, "WBTC"] == "0.3"
    assert balances[BOB, "tBTC"] == "0.01"
    assert balances[DAVE, "ETH"] == "3"
    daily = {(row["provider"], row["date"]): row["usd"] for row in rows(tmp_path / "out" / "daily_usd.csv")}
    assert len(daily) == 4 * (DAYS + 1)
    assert daily[ALICE, "2024-09-09"] == "11990.05"
    assert daily[BOB, "2024-09-10"] == "0"
    assert daily[BOB, "2024-09-11"] == "12040"
    assert daily[ALICE, "2024-12-02"] == "13670.05"


def test_the_two_documents_have_the_seeds_shapes(tmp_path: Path) -> None:
    """Numbers where the seed has numbers, and the sums agree."""
    write(run(tmp_path), tmp_path / "out")
    providers = json.loads((tmp_path / "out" / "providers.json").read_text())
    state = json.loads((tmp_path / "out" / "program_state.json").read_text())
    assert list(providers[ALICE]) == [
        "daily_balances",
        "current_tier",
        "tier_history",
        "weighted_liquidity",
        "reward",
    ]
    assert providers[ALICE]["daily_balances"]["2024-09-09"] == 11990.05
    assert providers[ALICE]["tier_history"] == [
        {"date": "2024-09-09", "tier": 1},
        {"date": "2024-10-14", "tier": 2},
    ]
    assert providers[BOB]["tier_history"] == [
        {"date": "2024-09-11", "tier": 1},
        {"date": "2024-11-14", "tier": 2},
    ]
    assert state == {
        "total_weighted_liquidity": pytest.approx(
            sum(provider["weighted_liquidity"] for provider in providers.values())
        ),
        "total_rewards": 100,
        "distributed_rewards": 100,
        "remaining_rewards": 0,
        "active_providers": 4,
        "current_date": "2024-12-02",
        "program_start_date": "2024-09-09",
        "program_end_date": "2024-12-02",
    }


def test_as_of_is_the_run_that_was_possible_then(tmp_path: Path) -> None:
    """Later events and prices change nothing, not even the last unit; the total is paid in full."""
    then_ms = START_MS + 25 * DAY_MS + 3_600_000
    early = [event for event in raw_events() if event["timestamp"] * 1000 <= then_ms]
    known = {name: series[:26] for name, series in raw_prices().items()}
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    outcomes = []
    for folder, events, prices in ((tmp_path / "a", None, None), (tmp_path / "b", early, known)):
        files = write_inputs(folder, events, prices)
        outcomes.append(compute(Request(*files, programme(as_of_ms=then_ms))).outcome)
        write(outcomes[-1], folder / "out")
    assert sum(reward.units for reward in outcomes[0].rewards) == programme().total_units
    for name in FILES[:5]:
        assert (tmp_path / "a" / "out" / name).read_bytes() == (tmp_path / "b" / "out" / name).read_bytes()
    assert [remark.code for remark in outcomes[0].remarks] == ["after_as_of"]


def test_as_of_a_moment_a_later_quote_is_unknown_though_it_is_nearer(tmp_path: Path) -> None:
    """Half past midnight: the quote of one o'clock was not there yet, that of the evening before was."""
    hour_ms = 3_600_000
    quotes = [[START_MS - 10 * hour_ms, 100], [START_MS + hour_ms, 300]]
    prices = dict.fromkeys(raw_prices(), quotes)
    files = write_inputs(tmp_path, raw_events()[:1], prices)
    rules = programme(as_of_ms=START_MS + hour_ms // 2)
    then = compute(Request(*files, rules)).outcome.standings[0]
    later = dataclasses.replace(rules, as_of_ms=START_MS + 2 * hour_ms)
    assert then.daily[0] == 20 * 10**6
    assert compute(Request(*files, later)).outcome.standings[0].daily[0] == 60 * 10**6


def test_the_last_balance_is_recomputed_as_it_was_recorded(tmp_path: Path) -> None:
    """A negative token counts as zero, and only the tokens of the last event are valued."""
    events = [
        raw_event("AddLiquidity", ALICE, 1, [10**8, 0]),
        raw_event("Mint", ALICE, 2, [0, 2 * 10**18], pool=UNISWAP),
        raw_event("Burn", ALICE, 80, [10**18, 0], pool=UNISWAP),
    ]
    files = write_inputs(tmp_path, events)
    (last,) = compute(Request(*files, programme(), "last_balance")).outcome.last or ()
    assert last.balances == {"WBTC": 1.0, "tBTC": -1.0, "ETH": 2.0}
    assert set(last.daily) == {2 * 2500.25}
    assert last.mean_usd == pytest.approx(2 * 2500.25, rel=1e-12)


def test_nobody_qualifies_and_it_is_said(tmp_path: Path) -> None:
    """A window of five days is too short for any threshold: nothing is paid, everything remains."""
    files = write_inputs(tmp_path)
    outcome = compute(Request(*files, programme(days=5), "threshold")).outcome
    write(outcome, tmp_path / "out")
    state = json.loads((tmp_path / "out" / "program_state.json").read_text())
    assert (state["distributed_rewards"], state["remaining_rewards"]) == (0, 100)
    assert "nothing_shared" in [remark.code for remark in outcome.remarks]
    assert {reward.rating.tier for reward in outcome.rewards} == {0}


def test_no_events_are_an_empty_run(tmp_path: Path) -> None:
    """Nobody is there: the files have their headings, the total remains, and it is said."""
    files = write_inputs(tmp_path, [])
    outcome = compute(Request(*files, programme())).outcome
    write(outcome, tmp_path / "out")
    assert (tmp_path / "out" / "rewards.csv").read_text() == "provider,weight,tier,multiplier,reward\n"
    assert json.loads((tmp_path / "out" / "providers.json").read_text()) == {}
    assert [remark.code for remark in outcome.remarks] == ["nothing_shared"]


def spoilt_events() -> list[dict[str, Any]]:
    """A copy of the first event at the end."""
    return [*raw_events(), raw_events()[0]]


def hole() -> dict[str, list[list[float]]]:
    """A day of ether is missing."""
    prices = raw_prices()
    del prices["ethereum"][40]
    return prices


def young_token() -> dict[str, list[list[float]]]:
    """Ether is priced only from day 30 on; Dave holds it from day 10."""
    prices = raw_prices()
    prices["ethereum"] = prices["ethereum"][30:]
    return prices


def no_token() -> dict[str, list[list[float]]]:
    """Ether has no prices."""
    prices = raw_prices()
    del prices["ethereum"]
    return prices


@pytest.mark.parametrize(
    ("events", "prices", "code"),
    [
        (spoilt_events(), None, "duplicate_event"),
        ([{"event": "Mint"}], None, "corrupt_event"),
        (None, hole(), "price_hole"),
        (None, young_token(), "token_not_yet_known"),
        (None, no_token(), "unknown_token"),
        (None, {"ethereum": [[5, 1], [4, 1]]}, "dates_out_of_order"),
    ],
)
@pytest.mark.parametrize("model", ["twal", "last_balance"])
def test_bad_inputs_are_refused_by_every_model(
    tmp_path: Path, events: object, prices: object, code: str, model: ModelName
) -> None:
    """The code says what it was."""
    files = write_inputs(tmp_path, events, prices)
    with pytest.raises(MrMarketError) as refused:
        compute(Request(*files, programme(), model))
    assert refused.value.code == code


def test_a_hole_is_filled_on_request_and_remarked(tmp_path: Path) -> None:
    """Ether's price stands, so the result is the one without a hole."""
    files = write_inputs(tmp_path, None, hole())
    filled = compute(Request(*files, programme(), fill_holes=True)).outcome
    assert [remark.code for remark in filled.remarks] == ["price_hole"]
    assert filled.rewards == run(tmp_path).rewards


def test_many_events_go_by_columns_and_few_do_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both give the same result; what 128 bits cannot value goes the plain way."""
    told: list[tuple[str, int, int]] = []
    plain = run(tmp_path, "hybrid")
    monkeypatch.setattr(computation, "COLUMNS_FROM", 1)
    by_columns = compute(request(tmp_path, "hybrid"), lambda *step: told.append(step)).outcome
    assert by_columns == plain
    assert told[-1] == ("providers", 4, 4)
    tiny = Pool("0x" + "9" * 40, (Token("TINY", 38, "tiny"), ETH))
    deposit = raw_event("AddLiquidity", ALICE, 1, [10**38, 0], pool=tiny)
    prices = raw_prices()
    files = write_inputs(tmp_path, [*raw_events(), deposit], prices | {"tiny": prices["ethereum"]})
    outcome = compute(Request(*files, programme())).outcome
    assert outcome.standings[0].integrals[tiny.address] == 2_500_250_000 * 83 * DAY_MS


def test_a_table_gives_what_its_events_give(tmp_path: Path) -> None:
    """From Parquet, without the last balance to compare with; that model is refused for it."""
    asked = request(tmp_path)
    log = PoolEventFile(asked.events).read()
    table.write_parquet(table.table_of(log.events), tmp_path / "events.parquet")
    from_table = compute(dataclasses.replace(asked, events=tmp_path / "events.parquet")).outcome
    from_json = compute(asked).outcome
    assert from_table.rewards == from_json.rewards
    assert from_table.standings == from_json.standings
    assert from_table.recorded == {}
    write(from_table, tmp_path / "out")
    assert "no last balance to compare with" in (tmp_path / "out" / "report.html").read_text()
    with pytest.raises(MrMarketError, match="JSON"):
        compute(dataclasses.replace(asked, events=tmp_path / "events.parquet", model="last_balance"))


def test_a_run_is_continued_from_its_state(tmp_path: Path) -> None:
    """Day 30, day 31 and the end, each from the state before: the result is that of one run."""
    asked = request(tmp_path, "hybrid", state=tmp_path / "state.json")
    for as_of_ms in (START_MS + 30 * DAY_MS + 7, START_MS + 31 * DAY_MS, None):
        step = compute(dataclasses.replace(asked, programme=programme(as_of_ms=as_of_ms)))
        assert step.state is not None
        save(step.state, tmp_path / "state.json")
    assert step.outcome == compute(dataclasses.replace(asked, state=None)).outcome
    events = [*raw_events(), raw_event("AddLiquidity", CAROL, 2, [1, 1])]
    asked.events.write_text(json.dumps(events))
    with pytest.raises(MrMarketError) as refused:
        compute(asked)
    assert refused.value.code == "late_event"


def test_events_after_the_end_are_remarked_and_only_the_last_balance_counts_them(tmp_path: Path) -> None:
    """Carol comes after a window of ten days."""
    files = write_inputs(tmp_path)
    twal = compute(Request(*files, programme(days=10))).outcome
    last = compute(Request(*files, programme(days=10), "last_balance")).outcome
    assert [remark.code for remark in twal.remarks] == ["after_end"]
    assert [reward.provider for reward in twal.rewards] == [ALICE, BOB]
    assert CAROL in [reward.provider for reward in last.rewards]
    write(last, tmp_path / "out")
    providers = json.loads((tmp_path / "out" / "providers.json").read_text())
    assert providers[CAROL]["tier_history"] == []


def test_a_source_is_whatever_gives_a_log(tmp_path: Path) -> None:
    """Events that come from no file, through the same port."""

    class Invented:
        """A source of one event."""

        def read(self) -> Any:
            """One deposit."""
            from mrmarket.money.loyalty.event import EventLog

            return EventLog([change(ALICE, START_MS, [10**8, 0])], ())

    asked = request(tmp_path)
    outcome = from_log(asked, Invented().read(), PriceBook.read(asked.prices)).outcome
    assert [(reward.provider, reward.units) for reward in outcome.rewards] == [(ALICE, 100 * 10**8)]


def test_a_folder_of_an_earlier_run_is_replaced_and_any_other_refused(tmp_path: Path) -> None:
    """A file of somebody else is left alone, and so is everything beside it."""
    outcome, out = run(tmp_path), tmp_path / "out"
    write(outcome, out)
    first = (out / "rewards.csv").read_text()
    write(run(tmp_path, "hybrid"), out)
    assert (out / "rewards.csv").read_text() != first
    (out / "notes.txt").write_text("mine")
    with pytest.raises(FolderRefusedError, match=r"notes\.txt"):
        write(outcome, out)
    with pytest.raises(FolderRefusedError):
        write(outcome, tmp_path / "events.json")
    assert (out / "notes.txt").read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["events.json", "out", "prices.json"]


def test_a_failure_while_writing_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk at the last file: the earlier run stands, nothing else is left."""
    outcome, out = run(tmp_path), tmp_path / "out"
    write(outcome, out)
    before = {path.name: path.read_bytes() for path in out.iterdir()}

    def full(label: str) -> None:
        raise OSError(28, "No space left on device")

    for label in CRASH_POINTS[:2]:
        monkeypatch.setattr(
            "mrmarket.money.loyalty.documents.reach",
            lambda at, label=label: full(at) if at == label else None,
        )
        with pytest.raises(CannotWriteError, match="No space"):
            write(run(tmp_path, "hybrid"), out)
        assert {path.name: path.read_bytes() for path in out.iterdir()} == before
        assert sorted(path.name for path in tmp_path.iterdir()) == ["events.json", "out", "prices.json"]


@pytest.mark.parametrize("label", CRASH_POINTS)
def test_a_crash_leaves_a_whole_run_or_none_and_the_next_run_is_right(tmp_path: Path, label: str) -> None:
    """SIGKILL between any two effects of a second run, then the same run again."""
    events, prices = write_inputs(tmp_path)
    out, state = tmp_path / "out", tmp_path / "state.json"
    command = [sys.executable, "-m", "mrmarket", "loyalty", "compute", "--json"]
    command += ["--events", str(events), "--prices", str(prices), "--total", "100", "--out", str(out)]
    command += ["--start", "2024-09-09", "--end", "2024-12-02", "--state", str(state)]
    first = subprocess.run([*command, "--as-of", "2024-10-01"], capture_output=True, check=True)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    old_state = state.read_bytes()
    killed = subprocess.run(command, env=os.environ | {VARIABLE: label}, capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert json.loads(first.stdout)["paid"] == "100"
    assert state.read_bytes() == old_state
    left = {path.name: path.read_bytes() for path in out.iterdir()} if out.exists() else {}
    assert set(left) in ({*FILES}, set())
    if label == "loyalty.written":
        assert left == before
    subprocess.run(command, capture_output=True, check=True)
    assert json.loads((out / "program_state.json").read_text())["current_date"] == "2024-12-02"
    assert state.read_bytes() != old_state


class Page(HTMLParser):
    """Collects what a page would fetch, and its words."""

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.words: list[str] = []
        self.rects = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note addresses and the pieces of the plot."""
        self.fetched += [value or "" for name, value in attrs if name in {"src", "href", "srcset", "action"}]
        self.rects += tag in {"rect", "path"}

    def handle_data(self, data: str) -> None:
        """Note the words."""
        self.words.append(data)


def test_the_report_needs_nothing_but_itself(tmp_path: Path) -> None:
    """No address in it is fetched; it has the plot, both columns, the assumptions and the remarks."""
    events = [*raw_events(), raw_event("Swap", ALICE, 1, [1, 1])]
    files = write_inputs(tmp_path, events)
    write(compute(Request(*files, programme(), "threshold")).outcome, tmp_path / "out")
    text = (tmp_path / "out" / "report.html").read_text()
    page = Page()
    page.feed(text)
    assert page.fetched == []
    assert "url(" not in text
    assert "@import" not in text
    assert "<script" not in text
    assert "prefers-color-scheme" in text
    assert page.rects > 10
    words = " ".join(page.words)
    for wanted in ("time-weighted", "last balance", "threshold", "half open", "ignored_event", "tier 2"):
        assert wanted in words


def test_names_in_the_report_are_escaped(tmp_path: Path) -> None:
    """A provider from a source without addresses cannot write into the page."""
    asked = request(tmp_path)
    log = PoolEventFile(asked.events).read()
    wicked = [dataclasses.replace(event, provider="<b>\"'&") for event in log.events]
    outcome = from_log(asked, dataclasses.replace(log, events=wicked), PriceBook.read(asked.prices)).outcome
    write(outcome, tmp_path / "out")
    assert "<b>" not in (tmp_path / "out" / "report.html").read_text()
