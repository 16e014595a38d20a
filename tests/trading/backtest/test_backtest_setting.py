"""Settings: round trips, digests, the words of the command line, and delays."""

from __future__ import annotations

import statistics
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from backtest_stage import PAIR, registry
from mrmarket.core.errors import InvalidInputError
from mrmarket.trading.backtest.assumptions import of_ticks
from mrmarket.trading.backtest.latency import delays, interpolate, parse_latency
from mrmarket.trading.backtest.options import (
    Options,
    parse_assignment,
    parse_balance,
    parse_fees,
    parse_queue,
    parse_window,
    setting_of,
)
from mrmarket.trading.backtest.setting import (
    BOTH,
    BacktestSetting,
    ConstantLatency,
    QueueChoice,
    RecordedLatency,
    SpikyLatency,
    TapeRef,
    Window,
    duration_ns,
)

MS = 1_000_000
PLAIN = BacktestSetting(tapes=(TapeRef(path="a/tape.gz"),), strategy="glft")


@pytest.mark.parametrize(
    "setting",
    [
        PLAIN,
        msgspec.structs.replace(PLAIN, latency=SpikyLatency(), queue=(QueueChoice(model="log"),)),
        msgspec.structs.replace(
            PLAIN,
            latency=RecordedLatency(samples=((1, 2, 3), (5, 7, 9))),
            parameters={"bid_spread": "0.001", "order_override": [{"side": "buy"}]},
            maker_fee=Decimal("-0.0001"),
            window=Window(begin_ns=5, end_ns=9),
        ),
    ],
)
def test_a_setting_survives_json(setting: BacktestSetting) -> None:
    """What is read back is equal, and has the same digest."""
    back = msgspec.json.decode(msgspec.json.encode(setting), type=BacktestSetting)
    assert back == setting
    assert back.digest == setting.digest


def test_the_digest_is_of_everything_but_the_place_of_a_known_tape() -> None:
    """A tape with its hash may lie anywhere; any other change is another digest."""
    pinned = msgspec.structs.replace(PLAIN, tapes=(TapeRef(path="a", sha256="x"),))
    moved = msgspec.structs.replace(PLAIN, tapes=(TapeRef(path="b", sha256="x"),))
    assert pinned.digest == moved.digest
    others = [
        msgspec.structs.replace(pinned, **change)
        for change in (
            {"seed": 2},
            {"strategy": "grid"},
            {"parameters": {"gamma": 1}},
            {"queue": BOTH[:1]},
            {"latency": ConstantLatency(order_ns=1)},
            {"window": Window(end=0.5)},
            {"taker_fee": Decimal(0)},
        )
    ]
    assert len({each.digest for each in others} | {pinned.digest, PLAIN.digest}) == len(others) + 2


@pytest.mark.parametrize(
    "change",
    [
        {"tapes": ()},
        {"queue": ()},
        {"queue": (QueueChoice(), QueueChoice())},
        {"maker_fee": Decimal("0.2")},
        {"taker_fee": Decimal("nan")},
        {"base": Decimal(-1)},
        {"volume_share": Decimal(0)},
    ],
)
def test_impossible_settings_are_refused(change: dict[str, Any]) -> None:
    """At the door, in one line."""
    with pytest.raises(InvalidInputError):
        BacktestSetting(**{"tapes": PLAIN.tapes, "strategy": "glft", **change})


def test_windows() -> None:
    """Shares of the tape's time, whole nanoseconds, and a begin that must come first."""
    assert Window(begin=0.5).bounds_ns(0, 99) == (50, 100)
    assert Window(begin_ns=7, end_ns=9).bounds_ns(0, 99) == (7, 9)
    assert parse_window("0.25:0.75") == Window(begin=0.25, end=0.75)
    assert parse_window(":0.5") == Window(end=0.5)
    assert parse_window("1700000000000000000:1700000001000000000").begin_ns == 1_700_000_000_000_000_000
    for text in ("1:0", "0.5:0.5", "0.5", "a:b", "-1:0.5", "9:5", "0:nan"):
        with pytest.raises(InvalidInputError):
            parse_window(text)


def test_times_need_their_unit() -> None:
    """No guessing between seconds and milliseconds."""
    told = [duration_ns(text) for text in ("5ms", "1.5s", "250us", "7ns", "2m", "1h")]
    assert told == [5 * MS, 1_500 * MS, 250_000, 7, 120_000 * MS, 3_600_000 * MS]
    for text in ("5", "", "ms", "5 parsecs", "-5ms"):
        with pytest.raises(InvalidInputError):
            duration_ns(text)


def test_latencies_as_words(tmp_path: Path) -> None:
    """One time, two, three, spikes, or a file of recorded orders."""
    assert parse_latency("7ms") == ConstantLatency(feed_ns=7 * MS, order_ns=7 * MS, response_ns=7 * MS)
    assert parse_latency("7ms,3ms") == ConstantLatency(order_ns=7 * MS, response_ns=3 * MS)
    assert parse_latency("1ms,2ms,3ms") == ConstantLatency(feed_ns=MS, order_ns=2 * MS, response_ns=3 * MS)
    assert parse_latency("spiky") == SpikyLatency()
    file = tmp_path / "seen.csv"
    file.write_text("sent,reached,answered\n100,110,130\n\n200,230,235\n")
    assert parse_latency(str(file)) == RecordedLatency(samples=((100, 110, 130), (200, 230, 235)))
    for text in ("1ms,2ms,3ms,4ms", "fast", str(tmp_path / "none.csv")):
        with pytest.raises(InvalidInputError):
            parse_latency(text)


@pytest.mark.parametrize(
    "text", ["", "100,110\n", "1,2,x\n3,4,5\n", "5,4,6\n", "1,2,3\n1,3,4\n", "1,9,9\n2,8,9\n"]
)
def test_a_damaged_file_of_delays_is_refused(tmp_path: Path, text: str) -> None:
    """Nothing in it, too few numbers, words, or times that run back."""
    file = tmp_path / "seen.csv"
    file.write_text(text)
    with pytest.raises(InvalidInputError):
        parse_latency(str(file))


def test_recorded_delays_are_interpolated() -> None:
    """Half way between 10 and 30 lie 20; before the first and after the last the nearest one holds."""
    found = delays(RecordedLatency(samples=((100, 110, 130), (200, 230, 235))), seed=1)
    assert [found.order_ns(at) for at in (0, 100, 150, 200, 999)] == [10, 10, 20, 30, 30]
    assert [found.response_ns(at) for at in (0, 110, 170, 230, 999)] == [20, 20, 12, 5, 5]
    assert interpolate([5], [7], 5) == 7


def test_spikes_are_lognormal_above_their_floor_and_repeat_with_the_seed() -> None:
    """Median and spread as the model says; no sample below the base."""
    model = SpikyLatency(base_ns=4 * MS, median_ns=MS, sigma=1.0)
    one, two, other = (delays(model, seed) for seed in (7, 7, 8))
    drawn = [one.order_ns(0) for _ in range(4_000)]
    assert drawn == [two.order_ns(0) for _ in range(4_000)]
    assert drawn[:10] != [other.response_ns(0) for _ in range(10)]
    assert min(drawn) > 4 * MS
    assert statistics.median(drawn) == pytest.approx(5 * MS, rel=0.02)
    assert delays(SpikyLatency(median_ns=0), 1).response_ns(0) == 4 * MS


def test_queues_as_words() -> None:
    """Both, one, or several."""
    assert parse_queue("both") == BOTH
    assert [each.label for each in parse_queue("log,power:3,risk_averse")] == [
        "log",
        "power:3",
        "risk_averse",
    ]
    for text in ("fifo", "power:x", "power:0", "log:2", ""):
        with pytest.raises(InvalidInputError):
            parse_queue(text)


def test_fees_and_balances_as_words() -> None:
    """One fee stands for both; balances in any order."""
    assert parse_fees("0.001") == (Decimal("0.001"), Decimal("0.001"))
    assert parse_fees("-0.0001,0.0004") == (Decimal("-0.0001"), Decimal("0.0004"))
    assert parse_fees(None) == (None, None)
    assert parse_balance("quote=500,base=1.5") == (Decimal("1.5"), Decimal(500))
    assert parse_balance("base=2") == (Decimal(2), None)
    assert parse_balance(None) == (None, None)
    for text in ("1,2,3", "x", "inf"):
        with pytest.raises(InvalidInputError):
            parse_fees(text)
    for text in ("5", "gold=5", "base=x", "base=1,base=2"):
        with pytest.raises(InvalidInputError):
            parse_balance(text)


def test_assignments() -> None:
    """Words stay words, which the schema reads; lists, objects and null are JSON."""
    assert parse_assignment("bid_spread = 0.001") == ("bid_spread", "0.001")
    assert parse_assignment("order_override=[1, 2]") == ("order_override", [1, 2])
    assert parse_assignment("floor_price=null") == ("floor_price", None)
    for text in ("bid_spread", "=5", "x=[1,"):
        with pytest.raises(InvalidInputError):
            parse_assignment(text)


def test_a_template_lies_under_what_is_set() -> None:
    """The template's spread goes, its layers stay."""
    found = setting_of(
        Options(
            tapes=("t",),
            strategy="pure_market_making",
            template="tight_liquid",
            assignments=("bid_spread=0.5",),
        ),
        registry=registry(),
    )
    assert found.parameters["bid_spread"] == "0.5"
    assert found.parameters["ask_spread"] == "0.0001"
    with pytest.raises(InvalidInputError, match="--tape"):
        setting_of(Options(strategy="glft"))
    with pytest.raises(InvalidInputError, match="--strategy"):
        setting_of(Options(tapes=("t",)))


def test_a_repeat_takes_the_tape_from_elsewhere_and_nothing_else() -> None:
    """Its hash stays; every other option beside --from is refused."""
    before = msgspec.structs.replace(PLAIN, tapes=(TapeRef(path="a", sha256="x"),))
    assert setting_of(Options(), before) is before
    moved = setting_of(Options(tapes=("b",), strategy="glft"), before)
    assert moved.tapes == (TapeRef(path="b", sha256="x"),)
    assert moved.digest == before.digest
    for options in (
        Options(seed=4),
        Options(strategy="grid"),
        Options(tapes=("a", "b")),
        Options(window="0:0.5"),
    ):
        with pytest.raises(InvalidInputError):
            setting_of(options, before)


def test_every_model_is_put_into_words() -> None:
    """Each latency and queue model, and a window in nanoseconds, has an assumption of its own."""
    for latency in (ConstantLatency(), SpikyLatency(), RecordedLatency(samples=((1, 2, 3),))):
        setting = msgspec.structs.replace(
            PLAIN,
            latency=latency,
            queue=parse_queue("risk_averse,power:2.5,log"),
            window=Window(begin_ns=1, end_ns=2),
        )
        told = {each.name: each for each in of_ticks(setting, PAIR)}
        assert {"queue model risk_averse", "queue model power:2.5", "queue model log"} <= told.keys()
        assert told["window"].value == "1 to 2 ns"
        assert all(each.value and each.meaning.endswith(".") for each in told.values())
