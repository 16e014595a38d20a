"""The door of the Angel: reads and cancels pass, nothing else does."""

from __future__ import annotations

from typing import Any

import pytest

from mrmarket.services.angel.cancel_door import NotACancelError, guarded, may_pass
from mrmarket.services.angel.ccxt_watch import CcxtWatch


@pytest.mark.parametrize(
    ("method", "path", "passes"),
    [
        ("GET", "/api/v3/openOrders", True),
        ("DELETE", "/api/v3/order", True),
        ("DELETE", "/api/v3/openOrders", True),
        ("POST", "/api/v5/trade/cancel-order", True),
        ("POST", "/api/v5/trade/cancel-batch-orders", True),
        ("POST", "/v5/order/cancel-all", True),
        ("POST", "/sim/v1/cancelAllOrdersAfter", True),
        ("POST", "/api/v3/order", False),
        ("POST", "/api/v3/order/cancelReplace", False),
        ("PUT", "/api/v3/order/amend/keepPriority", False),
        ("POST", "/api/v5/trade/amend-order", False),
        ("POST", "/v5/order/create", False),
        ("POST", "/sapi/v1/capital/withdraw/apply", False),
        ("GET", "/sapi/v1/capital/withdraw/apply", False),
        ("POST", "/api/v5/asset/transfer", False),
        ("POST", "/api/v5/asset/cancel-withdrawal", False),
    ],
)
def test_only_reads_and_cancels_pass(method: str, path: str, passes: bool) -> None:
    """By the paths that Binance, OKX and Bybit document."""
    assert may_pass(method, path) is passes


async def test_what_does_not_pass_is_never_sent() -> None:
    """It is refused before the HTTP client sees it."""
    sent: list[str] = []

    async def fetch(url: str, method: str, headers: Any, body: Any) -> str:
        sent.append(f"{method} {url}")
        return "answer"

    door = guarded(fetch)
    assert await door("https://x.example/api/v3/openOrders?a=1", "GET") == "answer"
    with pytest.raises(NotACancelError, match="POST /api/v3/order is neither"):
        await door("https://x.example/api/v3/order", "POST", None, "side=BUY")
    assert sent == ["GET https://x.example/api/v3/openOrders?a=1"]


def test_the_adapter_has_no_way_to_place() -> None:
    """No attribute of it speaks of placing, creating, editing, withdrawing or transferring."""
    words = ("place", "create", "edit", "amend", "replace", "withdraw", "transfer", "buy", "sell")
    assert [name for name in dir(CcxtWatch) if any(word in name.lower() for word in words)] == []
