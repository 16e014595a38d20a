"""Triangular arbitrage as a run of an instance on the embedded exchange, killed in the middle."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from pathlib import Path

from e2e.running import start_instance, wait_until
from mrmarket.core.events import BalanceObserved, Filled
from mrmarket.store.trading_store import TradingStore
from mrmarket.trading.market.triangle_tapes import Straying, write_triangle
from mrmarket.trading.strategy.multileg.amounts import summed
from mrmarket.trading.strategy.triangular.round_log import changes_of_fact

CONFIG = """
[simulation]
tapes = [{tapes}]
[angel]
enabled = false
[strategy]
bid_spread = 0.02
ask_spread = 0.02
[[runs]]
id = "triangle"
account = "corner"
[runs.strategy]
kind = "triangular_arbitrage"
pair = "BTC/USDT"
pairs = ["ETH/USDT", "ETH/BTC"]
max_notional = "20000"
max_book_age = 5
failure_cooldown = 0
"""
PATIENCE_S = 240.0
UNIT = Fraction(1, 10**8)


def balances(store: TradingStore) -> dict[str, tuple[Decimal, Decimal]]:
    """What the run's account was first and last seen to hold."""
    found: dict[str, tuple[Decimal, Decimal]] = {}
    for row in store.read_facts("triangle", 0, 100_000):
        if isinstance(row.fact, BalanceObserved):
            total = Decimal(row.fact.free) + Decimal(row.fact.locked)
            found[row.fact.asset] = (found.get(row.fact.asset, (total,))[0], total)
    return found


def fills(store: TradingStore) -> list[Filled]:
    """Every trade of the run."""
    rows = store.read_facts("triangle", 0, 100_000)
    return [row.fact for row in rows if isinstance(row.fact, Filled)]


def test_a_killed_round_comes_home_and_every_unit_is_accounted_for(tmp_path: Path) -> None:
    """`kill -9` while it trades: the next life leaves no order open and no unit uncounted."""
    tapes = write_triangle(tmp_path / "tapes", 60, straying=Straying(bps=80, every_s=4, lasts_s=3))
    config, data = tmp_path / "mrmarket.toml", tmp_path / "data"
    config.write_text(CONFIG.format(tapes=", ".join(f'"{tape}"' for tape in tapes)))
    running = start_instance(data, "--config", str(config))
    store = TradingStore.open(data / "trading.db")
    wait_until(lambda: len(fills(store)) > 4, PATIENCE_S)
    running.kill()
    store.close()
    running = start_instance(data, "--config", str(config))
    try:
        store = TradingStore.open(data / "trading.db")
        before = len(fills(store))
        wait_until(lambda: len(fills(store)) > before, PATIENCE_S)
    finally:
        assert running.interrupt() == 0
    assert not store.open_intents("triangle")
    trades = fills(store)
    changed = summed(changes_of_fact(fill) for fill in trades)
    held = balances(store)
    store.close()
    assert set(held) == {"BTC", "ETH", "USDT"}
    for asset, (opening, closing) in held.items():
        # The exchange drops the part of a unit that a trade is worth, in the buyer's favour.
        assert abs(Fraction(closing - opening) - changed[asset]) < UNIT * len(trades)
    # What no pair takes is worth less than its least notional, for each of a few rounds.
    assert abs(changed["BTC"]) * 60_000 < 200
    assert abs(changed["ETH"]) * 2_600 < 200
    assert changed["USDT"] > -200
