"""What an Angel's process is told."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from mrmarket.services.angel.plan import (
    NothingToWatchError,
    plan_beside,
    plan_for,
    plan_path,
    read_plan,
    write_plan,
)
from mrmarket.services.config import load_config
from mrmarket.services.venue_process import AccountKeys, Endpoints

EMBEDDED = Endpoints(
    rest="http://127.0.0.1:1",
    ws="ws://127.0.0.1:1",
    ws_api="ws://127.0.0.1:1",
    api_key="trades",
    api_secret="trades-secret",
    symbols=["BTC/USDT"],
    angel_key="cancels",
    angel_secret="cancels-secret",
)


def test_a_plan_is_read_back_and_nobody_else_may_read_it(tmp_path: Path) -> None:
    """It holds a key of the embedded exchange: that which only cancels."""
    plan = plan_beside(load_config(None, {}).config, "instance", "http://x/heartbeat", EMBEDDED)
    path = write_plan(tmp_path, plan)
    assert path == plan_path(tmp_path)
    assert path.stat().st_mode & 0o077 == 0
    assert read_plan(path) == plan
    assert b"trades" not in path.read_bytes()
    assert (plan.accounts[0].api_key, plan.accounts[0].ends_with_instance) == ("cancels", True)
    assert "secret" not in repr(plan.accounts[0])


def test_a_plan_for_a_real_exchange_holds_no_key(tmp_path: Path) -> None:
    """Only where to look for it."""
    config = load_config(None, {"venue.exchange": "binance", "strategy.pair": "ETH/USDT"}).config
    plan = plan_beside(config, "instance", "http://x/heartbeat", None)
    (account,) = plan.accounts
    assert (account.exchange, account.symbols, account.api_key) == ("binance", ["ETH/USDT"], "")
    assert plan.leaves_with_instance
    assert not account.ends_with_instance


@pytest.mark.parametrize(
    "text", [b"{", b'{"instance": "\xff"}', b"[" * 200_000, b'{"instance":"i","accounts":[[' * 9]
)
def test_a_damaged_plan_is_none(tmp_path: Path, text: bytes) -> None:
    """Cut off, no text, or nested beyond every stack."""
    (tmp_path / "bad.json").write_bytes(text)
    assert read_plan(tmp_path / "bad.json") is None


@pytest.mark.parametrize("venue", [{"venue.exchange": "binance", "venue.paper": True}, {}])
def test_without_orders_outside_there_is_nothing_to_watch(venue: dict[str, object]) -> None:
    """Paper and the embedded exchange need no Angel from elsewhere."""
    with pytest.raises(NothingToWatchError):
        plan_for(load_config(None, venue).config, "instance")


def test_a_plan_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    """There is none."""
    assert read_plan(tmp_path / "none.json") is None


def test_every_account_that_a_run_trades_on_is_watched(tmp_path: Path) -> None:
    """With the pairs of its runs, under the name that its facts carry, and with where its key is."""
    file = tmp_path / "mrmarket.toml"
    file.write_text(
        '[venue]\nexchange = "binance"\n'
        '[[runs]]\nid = "second"\naccount = "b"\n[runs.strategy]\npair = "ETH/USDT"\n'
        '[[accounts]]\nname = "c"\napi_key_env = "KEY_OF_C"\n'
    )
    accounts = plan_for(load_config(file, {}).config, "instance").accounts
    assert [(each.name, each.symbols) for each in accounts] == [
        ("binance", ["BTC/USDT"]),
        ("binance-b", ["ETH/USDT"]),
        ("binance-c", ["BTC/USDT"]),
    ]
    assert [each.venue.api_key_env for each in accounts] == [
        "MRMARKET_API_KEY",
        "MRMARKET_API_KEY_B",
        "KEY_OF_C",
    ]


def test_every_account_of_the_embedded_exchange_is_watched() -> None:
    """Each with the key that the exchange itself lets only query and cancel."""
    keys = [
        AccountKeys(account=name, api_key="t", api_secret="t", angel_key=f"cancels-{name}", angel_secret="s")
        for name in ("default", "b")
    ]
    embedded = msgspec.structs.replace(EMBEDDED, keys=keys)
    plan = plan_beside(load_config(None, {}).config, "instance", "http://x/heartbeat", embedded)
    named = [(each.name, each.api_key) for each in plan.accounts]
    assert named == [("simulated", "cancels-default"), ("simulated-b", "cancels-b")]
