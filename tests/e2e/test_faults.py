"""A bad day at the exchange: whatever it does to our requests and messages, no order and no trade is lost."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from e2e.arena import SPEED, STRATEGY, Arena
from e2e.loopback_venue import LoopbackVenue, Rule, start_venue
from e2e.running import command, wait_until
from e2e.squaring import assert_holdings, facts_of, observed_balances, unsettled_orders
from mrmarket.core.events import Fact, Filled, OrderDoubted, OrderRejected, RunStateChanged

pytestmark = pytest.mark.e2e

PLACE, CANCEL = "POST /api/v3/order", "DELETE /api/v3/order"
REPORT = "user:executionReport"
READS = ("order", "openOrders", "myTrades")


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoopbackVenue]:
    """One exchange for the module: what an earlier test did to it is a part of its history."""
    venue = start_venue(tmp_path_factory.mktemp("venue"), SPEED)
    yield venue
    venue.end()


@pytest.fixture
def arena(market: LoopbackVenue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Arena]:
    """An instance with fast quotes, ready to be started."""
    for name, value in market.environment().items():
        monkeypatch.setenv(name, value)
    arena = Arena(market, tmp_path)
    yield arena
    market.break_things([])
    arena.end()


STRIKES = 5
"""How many requests are told to slow down."""


def rule(kind: str, match: str, rate: float, **more: object) -> Rule:
    """One fault."""
    return {"kind": kind, "match": match, "rate": rate, **more}


def doubts(facts: Sequence[Fact]) -> Counter[str]:
    """How many requests of each kind were in doubt."""
    return Counter(fact.request for fact in facts if isinstance(fact, OrderDoubted))


def pulled(facts: Sequence[Fact]) -> set[str]:
    """Why quotes were pulled while it ran."""
    return {fact.reason for fact in facts if isinstance(fact, RunStateChanged) and fact.state == "pulled"}


@pytest.mark.parametrize(
    "kinds", [("timeout_before", "timeout_after"), ("server_error", "server_error_after")]
)
def test_requests_without_an_answer_are_proven_one_way_or_the_other(
    arena: Arena, kinds: tuple[str, str]
) -> None:
    """Time-outs and 5xx before and after the effect: every doubt ends in proof, every fill is found."""
    arena.start()
    arena.suffer([rule(kind, match, 0.25) for kind in kinds for match in (PLACE, CANCEL)], 2)
    assert doubts(arena.square())["place"] >= 2


def test_being_told_to_slow_down_loses_nothing(arena: Arena) -> None:
    """429 and 418 on placements and cancels: the request had no effect, and it goes on afterwards."""
    arena.start()
    rules = [
        rule("too_many_requests", PLACE, 0.2, times=2),
        rule("too_many_requests", CANCEL, 0.2, times=2),
    ]
    arena.suffer(rules, 2)
    arena.suffer([rule("ban", "* /api/v3/order", 0.5, times=1, retry_after_s=2)], 1, halts=True)
    facts = arena.square()
    # A refusal leaves no doubt; an answer that a busy machine took too long for may.
    assert doubts(facts).total() < STRIKES
    assert "rate_limited" in {fact.code for fact in facts if isinstance(fact, OrderRejected)}
    assert any("banned" in reason for reason in pulled(facts))


@pytest.mark.parametrize("kinds", [("drop",), ("duplicate", "reorder", "delay")])
def test_the_user_stream_may_lose_repeat_and_shuffle(arena: Arena, kinds: tuple[str, ...]) -> None:
    """Order and fill reports that are missing, doubled, late or out of order change no total."""
    arena.start()
    arena.suffer([rule(kind, REPORT, 0.3 if kind == "drop" else 0.2, delay_ms=700) for kind in kinds], 20)
    arena.square()


def test_a_gap_in_the_depth_pulls_the_quotes_until_the_book_is_whole(arena: Arena) -> None:
    """Dropped depth updates: nothing is quoted on a book with a hole, and a snapshot mends it."""
    arena.start()
    arena.suffer([rule("drop", "btcusdt@depth*", 0.05)], 15)
    assert any("sequence_gap" in reason for reason in pulled(arena.square()))


def test_lost_connections_come_back_with_nothing_missing(arena: Arena) -> None:
    """Both streams are cut while orders are live: quotes are pulled, trades in the gap are fetched."""
    arena.start()
    cuts = [(REPORT, 0.05), ("btcusdt@*", 0.01)]
    arena.suffer([rule("disconnect", match, rate, times=2) for match, rate in cuts], 2)
    reasons = pulled(arena.square())
    assert "the user stream is down" in reasons
    assert any("no_book" in reason for reason in reasons)


def test_a_clock_that_jumps_is_measured_again(arena: Arena) -> None:
    """The venue's clock leaps ahead and falls back: orders go on, and no trade escapes the time filter."""
    running = arena.start()
    for skew_ms in (5_000, -5_000):
        placed = running.remote.performance().orders_placed
        arena.venue.break_things([rule("clock_skew", "*", 1.0, delay_ms=skew_ms)])
        wait_until(lambda: running.remote.performance().orders_placed > placed + 20)  # noqa: B023 - used at once
    arena.venue.break_things([])
    arena.square()


def everything(rate: float) -> list[Rule]:
    """A little of all that can go wrong."""
    requests = ("timeout_before", "timeout_after", "server_error", "server_error_after")
    return [
        *(rule(kind, match, rate) for kind in requests for match in (PLACE, CANCEL)),
        *(rule("server_error", f"GET /api/v3/{name}", 3 * rate) for name in READS),
        rule("too_many_requests", "* /api/v3/order", rate, times=3),
        *(rule(kind, REPORT, 2 * rate, delay_ms=300) for kind in ("drop", "duplicate", "reorder", "delay")),
        rule("drop", "btcusdt@depth*", rate / 4),
        rule("disconnect", "*", rate / 20, times=3),
    ]


def test_everything_at_once_with_kills(arena: Arena) -> None:
    """All faults together, `kill -9` in their midst, a start into them: the books still agree."""
    for seed in (11, 12):
        running = arena.start()
        fills = running.remote.performance().fills
        arena.venue.break_things(everything(0.05), seed)
        wait_until(lambda: sum(arena.venue.struck()) >= 20)
        wait_until(lambda: running.remote.performance().fills > fills)  # noqa: B023 - used at once
        running.kill()
    arena.start()
    arena.venue.break_things([])
    assert doubts(arena.square()).total() > 0


def test_faults_from_the_config_strike_the_embedded_exchange(tmp_path: Path) -> None:
    """`[simulation.faults]`: an instance suffers for a while, recovers, and ends with square books."""
    lines = [f"[simulation.faults]\nseed = 5\n[strategy]\n{STRATEGY}"]
    for each in [*everything(0.06), rule("server_error", "GET /sim/v1/clock", 0.5)]:
        lines.append("[[simulation.faults.rules]]\nuntil_s = 5")
        lines += [f"{key} = {json.dumps(value)}" for key, value in each.items()]
    config, data = tmp_path / "mrmarket.toml", tmp_path / "data"
    config.write_text("\n".join(lines))
    limits = ("--speed", str(SPEED), "--for", str(6 * SPEED))
    ended = subprocess.run(
        command("run", "--config", str(config), "--data", str(data), "--port", "0", "--json", *limits),
        capture_output=True,
        timeout=270,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr.decode()
    summary = json.loads(ended.stdout)
    assert (summary["orders_remaining"], summary["ledger_verified"]) == (0, True)
    facts = facts_of(data)
    assert doubts(facts).total() > 0
    assert summary["fills"] == len({fact.trade_id for fact in facts if isinstance(fact, Filled)}) > 0
    assert unsettled_orders(data) == []
    assert_holdings(data, observed_balances(facts))
