"""`mrmarket venue` as a member of a fleet, and what it remembers of our accounts."""

from __future__ import annotations

import json
import socket
import time
import urllib.error
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from http.client import HTTPException
from pathlib import Path
from typing import Any

from chaos.blows import Rule
from chaos.history import AccountRecord, VenueOrder, VenueTrade
from chaos.members import Member
from e2e.loopback_venue import SYMBOL, LoopbackVenue
from e2e.running import command
from mrmarket.trading.execution.order_id import parse_order_id

NAME = "exchange"
_PAGE = 1_000
_LOOKS, _LOOK_S = 20, 0.05
LOST = (OSError, HTTPException, urllib.error.URLError)
"""What a request to a process that is being killed may raise."""


class Exchange:
    """An exchange with a fixed address and accounts, which comes back with everything it has promised."""

    def __init__(self, folder: Path, accounts: list[str], speed: float) -> None:
        """Start it and wait until it says where it is. The first account is `default`."""
        self.folder = folder
        self.accounts = accounts
        self._speed = speed
        plan = {
            "port": _free_port(),
            "speed": speed,
            "accounts": {account: {} for account in accounts},
            "state_dir": str(folder / "exchange"),
        }
        (folder / "plan.json").write_text(json.dumps(plan))
        self.member = Member(NAME, command("venue", "--plan", str(folder / "plan.json"), "--json"), folder)
        self.member.start()

    @property
    def ready(self) -> dict[str, Any] | None:
        """The line with which it announced itself; None before."""
        lines = self.member.out.read_text().splitlines() if self.member.out.exists() else []
        return json.loads(lines[0]) if lines else None

    def desk(self, account: str) -> LoopbackVenue:
        """The exchange as one account sees it."""
        ready = self.ready
        assert ready is not None, self.member.last_words()
        key = self.keys("trade")[account]
        process: Any = None  # ours to end, not the desk's
        mine = {**ready, "api_key": key["key"], "api_secret": key["secret"]}
        return LoopbackVenue(process, mine, self.folder / "exchange", self._speed)

    def keys(self, use: str) -> Mapping[str, dict[str, str]]:
        """Key pairs for one use by account."""
        keys = json.loads((self.folder / "exchange" / "keys.json").read_bytes())
        return {key["account"]: key for key in keys if key.get("use", "trade") == use}

    def break_things(self, rules: list[Rule], seed: int) -> None:
        """Set the faults, if it is there to hear it."""
        try:
            replace(self.desk(self.accounts[0])).break_things(rules, seed)
        except LOST:
            return  # it is down or frozen; its next life begins without faults

    def environment(self) -> dict[str, str]:
        """Where the processes look for keys: of engines and, with fewer rights, of the Angel."""
        named: dict[str, str] = {}
        for use, start in (("trade", "MRMARKET_API"), ("angel", "MRMARKET_ANGEL_API")):
            for account, key in self.keys(use).items():
                suffix = "" if account == self.accounts[0] else f"_{account.upper()}"
                named[f"{start}_KEY{suffix}"] = key["key"]
                named[f"{start}_SECRET{suffix}"] = key["secret"]
        return named

    def section(self) -> str:
        """The part of a configuration that takes it for Binance."""
        ready = self.ready
        assert ready is not None, self.member.last_words()
        return (
            '[venue]\nexchange = "binance"\n'
            f'rest_url = "{ready["rest"]}"\nws_url = "{ready["ws"]}"\nws_api_url = "{ready["ws_api"]}"\n'
        )

    def fences(self, account: str) -> set[int | None]:
        """Fences of the orders that stand, None for one that is not ours; empty if none does for a while.

        Between the cancels and placements of a refresh there may be none.
        """
        desk = self.desk(account)
        for _ in range(_LOOKS):
            parsed = [parse_order_id(order["clientOrderId"]) for order in desk.open_orders()]
            if parsed:
                return {None if each is None else each.fence for each in parsed}
            time.sleep(_LOOK_S)  # polling another process
        return set()

    def record(self, account: str, venue: str) -> AccountRecord:
        """Everything that it remembers of an account."""
        desk = self.desk(account)
        orders: list[dict[str, Any]] = []
        after = 0
        while page := desk.signed(
            "GET", "/api/v3/allOrders", symbol=SYMBOL, orderId=after, limit=_PAGE, recvWindow=60_000
        ):
            orders += page
            after = int(page[-1]["orderId"]) + 1
        return AccountRecord(
            venue=venue,
            orders=[
                VenueOrder(
                    venue_order_id=str(order["orderId"]),
                    client_order_id=order["clientOrderId"],
                    placed_ms=order["time"],
                    ended_ms=order["updateTime"],
                    status=order["status"],
                    executed=Decimal(order["executedQty"]),
                )
                for order in orders
            ],
            trades=[
                VenueTrade(
                    trade_id=str(trade["id"]),
                    venue_order_id=str(trade["orderId"]),
                    price=Decimal(trade["price"]),
                    size=Decimal(trade["qty"]),
                    fee=Decimal(trade["commission"]),
                    fee_asset=trade["commissionAsset"],
                )
                for trade in desk.trades(-1)
            ],
            open_ids=[order["clientOrderId"] for order in desk.open_orders()],
        )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
