"""`mrmarket venue` as an exchange that is not the instance's child, seen with the account's own key."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from e2e.running import END_S, command, read_json
from mrmarket.trading.venue.front.signature import sign

Rule = dict[str, Any]
SYMBOL = "BTCUSDT"
_PAGE = 1000


@dataclass(frozen=True)
class LoopbackVenue:
    """A venue process and the line that it announced itself with."""

    process: subprocess.Popen[bytes]
    ready: dict[str, Any]
    state: Path
    speed: float

    def break_things(self, rules: Sequence[Rule], seed: int = 1) -> None:
        """Replace the fault rules; none takes all faults away."""
        url = f"{self.ready['rest']}/sim/v1/faults"
        body = json.dumps({"rules": list(rules), "seed": seed}).encode()
        request = urllib.request.Request(  # noqa: S310 - a loopback address of ours
            url, body, {"Content-Type": "application/json"}, method="POST"
        )
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - as above
            assert answer.status == 200

    def struck(self) -> list[int]:
        """How often each rule has struck."""
        counts: list[int] = read_json(f"{self.ready['rest']}/sim/v1/faults", {})["struck"]
        return counts

    def signed(self, method: str, path: str, **parameters: object) -> Any:
        """A request in the account's name, by the venue's own clock."""
        now_ms = read_json(f"{self.ready['rest']}/api/v3/time", {})["serverTime"]
        query = urlencode({**parameters, "timestamp": now_ms})
        url = f"{self.ready['rest']}{path}?{query}&signature={sign(self.ready['api_secret'], query)}"
        return read_json(url, {"X-MBX-APIKEY": self.ready["api_key"]}, method)

    def open_orders(self) -> list[dict[str, Any]]:
        """What stands in the book in the account's name."""
        orders: list[dict[str, Any]] = self.signed("GET", "/api/v3/openOrders", symbol=SYMBOL)
        return orders

    def clear(self) -> int:
        """Cancel whatever an earlier user of the account left; returns the last trade's id."""
        if self.open_orders():
            self.signed("DELETE", "/api/v3/openOrders", symbol=SYMBOL)
        trades = self.trades(0)
        return int(trades[-1]["id"]) if trades else -1

    def trades(self, after_id: int) -> list[dict[str, Any]]:
        """The account's trades after an id, oldest first."""
        found: list[dict[str, Any]] = []
        while True:
            page = self.signed(
                "GET", "/api/v3/myTrades", symbol=SYMBOL, fromId=max(after_id + 1, 0), limit=_PAGE
            )
            found += page
            if len(page) < _PAGE:
                return found
            after_id = page[-1]["id"]

    def balances(self) -> dict[str, tuple[str, str]]:
        """(free, locked) by asset."""
        account = self.signed("GET", "/api/v3/account")
        return {row["asset"]: (row["free"], row["locked"]) for row in account["balances"]}

    def config(self, strategy: str) -> str:
        """A configuration that takes it for Binance."""
        return (
            "[venue]\n"
            'exchange = "binance"\n'
            f'rest_url = "{self.ready["rest"]}"\n'
            f'ws_url = "{self.ready["ws"]}"\n'
            f'ws_api_url = "{self.ready["ws_api"]}"\n'
            f"[strategy]\n{strategy}"
        )

    def environment(self) -> dict[str, str]:
        """Where live trading looks for the key."""
        return {"MRMARKET_API_KEY": self.ready["api_key"], "MRMARKET_API_SECRET": self.ready["api_secret"]}

    def again(self) -> LoopbackVenue:
        """The same exchange at the same address, after its process has ended."""
        self.end()
        return start_venue(self.state, self.speed, port=urlsplit(self.ready["rest"]).port or 0)

    def end(self) -> None:
        """Terminate it and wait."""
        self.process.terminate()
        self.process.wait(END_S)
        if self.process.stdout is not None:
            self.process.stdout.close()


def start_venue(state: Path, speed: float, *, port: int = 0) -> LoopbackVenue:
    """Start one on the built-in market and wait until it is ready."""
    process = subprocess.Popen(
        command("venue", "--port", str(port), "--speed", str(speed), "--json", "--state", str(state)),
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    started = time.monotonic()
    line = process.stdout.readline()
    assert line, f"the venue ended after {time.monotonic() - started:.1f} s"
    return LoopbackVenue(process, json.loads(line), state, speed)
