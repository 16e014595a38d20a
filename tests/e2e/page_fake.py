"""An instance made up from a seed, for page states that a healthy instance does not show.

`python tests/e2e/page_fake.py 8090` serves it for work on the pages (`MRMARKET_URL=http://127.0.0.1:8090
npm run dev` in `web/`).
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Literal

import uvicorn

from e2e.running import OWNER_PASSWORD
from mrmarket.core.errors import MrMarketError
from mrmarket.services.access.access import Access
from mrmarket.services.access.password import Passwords
from mrmarket.services.access.repository import ControlStore
from mrmarket.services.access.settings import AccessSettings
from mrmarket.services.api import schema
from mrmarket.services.api.app import create_app
from mrmarket.services.api.face import Update
from mrmarket.services.api.money_face import MoneyFace
from mrmarket.services.api.partners_face import PartnersFace
from services.operations_fake import FakeOperations
from services.partners_fake import FakePartners

Scenario = Literal["trading", "empty", "broken", "stale"]

_CENT = Decimal("0.01")
_LOT = Decimal("0.00001")
_HISTORY = 300
_PERIOD_S = 0.2


class LedgerAwayError(MrMarketError):
    """The made-up ledger cannot be read."""

    code = "ledger_away"

    def __init__(self) -> None:
        super().__init__("the ledger is being restored; try again in a minute")


class MadeUpInstance:
    """Implements `InstanceFace` with a random walk; equal seeds make equal histories."""

    def __init__(self, scenario: Scenario = "trading", seed: int = 7) -> None:
        self.scenario = scenario
        self._rng = random.Random(seed)  # noqa: S311 - a made-up market
        self.rows_to_lose = 0
        """So many fills are not streamed; then the stream ends, as if the connection had been cut."""
        self._started = _now() - _HISTORY * 5000
        self._state: Literal["running", "paused"] = "running"
        self._mid = Decimal("61842.405")
        self._base, self._cash = Decimal("6.18402"), Decimal("381204.11")
        self._first_nav = self._cash + self._base * self._mid
        self._volume = self._fees = self._net = Decimal(0)
        self._candles: list[schema.Candle] = []
        self._fills: list[schema.FillView] = []
        self._events: list[schema.EventView] = []
        self._equity: list[schema.EquityPoint] = []
        if scenario in {"trading", "stale"}:
            for step in range(_HISTORY):
                self._step(self._started + step * 5000)

    @property
    def fills_made(self) -> int:
        """How many fills there have been."""
        return len(self._fills)

    # -- what the API asks ------------------------------------------------------------------

    def heartbeat(self) -> schema.Heartbeat:
        """Alive."""
        return schema.Heartbeat(
            node="made-up", role="all", seq=_now() // 1000, started_ms=self._started, at_ms=_now()
        )

    def status(self) -> schema.InstanceStatus:
        """How the instance is doing."""
        starting = self.scenario == "empty"
        return schema.InstanceStatus(
            name="harbour",
            version="0.1.0",
            state="starting" if starting else self._state,
            state_reason="",
            venue="simulated",
            symbol="BTC/USDT",
            market="generator",
            simulated=True,
            paper=False,
            speed=1.0,
            started_at_ms=self._started,
            now_ms=_now(),
            book_age_ms=None if starting else 14_000 if self.scenario == "stale" else 40,
            user_stream_connected=not starting,
            open_orders=len(self._orders()),
            ledger_verified=None if starting else True,
        )

    async def start(self) -> schema.InstanceStatus:
        """Resume quoting."""
        self._state = "running"
        self._log("run_state_changed", "Trading resumed by the operator.", _now())
        return self.status()

    async def stop(self) -> schema.InstanceStatus:
        """Cancel every quote and stay paused."""
        self._state = "paused"
        self._log("run_state_changed", "Trading paused by the operator; all quotes cancelled.", _now())
        return self.status()

    def config(self) -> schema.ConfigView:
        """A short configuration with a masked secret."""
        entry = schema.ConfigEntry
        return schema.ConfigView(
            sections=[
                schema.ConfigSection(
                    name="strategy",
                    entries=[
                        entry(key="bid_spread", value="0.0004", source="file"),
                        entry(key="order_amount", value="0.05", source="default"),
                    ],
                ),
                schema.ConfigSection(
                    name="venue",
                    entries=[
                        entry(key="name", value="simulated", source="command line"),
                        entry(key="api_secret", value="••••••", source="environment"),
                    ],
                ),
            ]
        )

    def market(self, levels: int) -> schema.MarketView:
        """A book around the mid, seven cents a level."""
        empty = self.scenario == "empty"
        own = {Decimal(order.price): Decimal(order.size) for order in self._orders()}
        rng = random.Random(int(self._mid * 100))  # noqa: S311 - a made-up market
        sides: dict[int, list[schema.BookLevel]] = {-1: [], 1: []}
        for sign, side in sides.items():
            price = self._mid + sign * _CENT / 2
            for _ in range(0 if empty else levels):
                size = _LOT * rng.randrange(400, 240_000) + own.get(price, Decimal(0))
                side.append(
                    schema.BookLevel(
                        price=_text(price), size=_text(size), own=_text(own.get(price, Decimal(0)))
                    )
                )
                price += sign * _CENT * rng.choice((1, 1, 2, 7, 40, 90))
        return schema.MarketView(
            instrument=schema.InstrumentView(
                symbol="BTC/USDT",
                base="BTC",
                quote="USDT",
                tick_size="0.01",
                lot_size="0.00001",
                min_notional="5",
                maker_fee="0.0002",
                taker_fee="0.0005",
            ),
            book=schema.BookView(
                bids=sides[-1],
                asks=sides[1],
                at_ms=self._started if self.scenario == "stale" else _now(),
                stale=self.scenario == "stale",
            ),
            last_price=None if empty else self._candles[-1].close if self._candles else None,
            mid=None if empty else _text(self._mid),
            spread_bps=None if empty else float(_CENT / self._mid * 10_000),
        )

    def candles(self, interval_s: int, limit: int) -> list[schema.Candle]:
        """Five-second bars, whatever is asked for."""
        return self._candles[-limit:]

    def quotes(self) -> schema.QuotesView:
        """Two layers a side."""
        reason = {"empty": "waiting for the first book"}.get(self.scenario, "")
        if self._state == "paused":
            reason = "paused by the operator"
        return schema.QuotesView(
            strategy="pure_market_making",
            reason=reason,
            quotes=[self._quote(order) for order in self._orders()],
            at_ms=_now(),
        )

    async def orders(self, state: Literal["open", "all"], limit: int) -> list[schema.OrderView]:
        """The quotes' orders."""
        return self._orders()[:limit]

    async def fills(self, limit: int) -> list[schema.FillView]:
        """Newest first."""
        return self._fills[::-1][:limit]

    async def events(self, after_seq: int | None, limit: int) -> list[schema.EventView]:
        """Oldest first."""
        return [event for event in self._events if event.seq > (after_seq or 0)][-limit:]

    async def pool(self) -> schema.PoolView:
        """Three depositors; broken where the scenario says so."""
        if self.scenario == "broken":
            raise LedgerAwayError
        nav = self._nav()
        holders = (("amelie", "0.55"), ("bashir", "0.3"), ("chen", "0.15"))
        return schema.PoolView(
            id="main",
            quote="USDT",
            nav=_text(nav),
            shares=_text(self._first_nav),
            nav_per_share=_text((nav / self._first_nav).quantize(Decimal("1.00000000"))),
            holdings=[
                schema.AssetHolding(
                    asset="BTC",
                    amount=_text(self._base),
                    value=_text((self._base * self._mid).quantize(_CENT)),
                ),
                schema.AssetHolding(asset="USDT", amount=_text(self._cash), value=_text(self._cash)),
            ],
            depositors=[
                schema.DepositorView(
                    name=name,
                    shares=_text((self._first_nav * Decimal(part)).quantize(_CENT)),
                    share=float(part),
                    value=_text((nav * Decimal(part)).quantize(_CENT)),
                    earned=_text(((nav - self._first_nav) * Decimal(part)).quantize(_CENT)),
                )
                for name, part in holders
            ],
            ledger_seq=len(self._fills) + 4,
            ledger_head=hashlib.sha256(str(len(self._fills)).encode()).hexdigest(),
            settled_through_seq=len(self._events),
            log_head_seq=len(self._events),
        )

    async def equity(self, limit: int) -> list[schema.EquityPoint]:
        """One point a step."""
        return self._equity[-limit:]

    def performance(self) -> schema.PerformanceView:
        """Figures over the made-up fills."""
        captured = [fill.spread_captured_bps or 0.0 for fill in self._fills]
        bins = [0] * 12
        for value in captured:
            bins[min(11, max(0, int(value // 1) + 6))] += 1
        return schema.PerformanceView(
            orders_placed=4 * len(self._candles),
            orders_cancelled=4 * len(self._candles) - len(self._fills),
            fills=len(self._fills),
            maker_fills=sum(fill.maker for fill in self._fills),
            volume_quote=_text(self._volume),
            fees_quote=_text(self._fees),
            inventory_base=_text(self._net),
            inventory_share=None if self.scenario == "empty" else float(self._base * self._mid / self._nav()),
            inventory_target=0.5,
            pnl_quote=_text((self._nav() - self._first_nav).quantize(_CENT)),
            spread_captured_bps=sum(captured) / len(captured) if captured else None,
            spread_captured_histogram=bins,
            quote_uptime=None if self.scenario == "empty" else 0.9934,
            quote_latency_us_p50=None if self.scenario == "empty" else 212.0,
            quote_latency_us_p99=None if self.scenario == "empty" else 1430.0,
        )

    async def updates(self, topics: frozenset[schema.Topic]) -> AsyncIterator[Update]:
        """A step of the walk, then everything it changed; where nothing moves only the status comes."""
        while True:
            await asyncio.sleep(_PERIOD_S)
            if self.scenario == "trading":
                fills, rows = len(self._fills), len(self._events)
                self._step(_now())
                if self.rows_to_lose and len(self._fills) > fills:
                    self.rows_to_lose -= len(self._fills) - fills
                    if self.rows_to_lose <= 0:
                        self.rows_to_lose = 0
                        return
                    continue
                for fill in self._fills[fills:]:
                    yield Update("fill", fill)
                for event in self._events[rows:]:
                    yield Update("event", event)
                yield Update("candle", self._candles[-1])
                yield Update("equity", self._equity[-1])
                yield Update("market", self.market(15))
                yield Update("quotes", self.quotes())
                yield Update("orders", self._orders())
                yield Update("pool", await self.pool())
                yield Update("performance", self.performance())
            yield Update("status", self.status())

    # -- how it is made up ------------------------------------------------------------------

    def _step(self, at_ms: int) -> None:
        self._mid += _CENT * round(self._rng.gauss(0, 320 if len(self._candles) < _HISTORY else 90))
        trade = self._mid + _CENT * self._rng.choice((-1, 1)) / 2
        self._trade(trade.quantize(_CENT), at_ms)
        if self._state == "running" and self._rng.random() < 0.22:
            self._fill(at_ms)
        nav = self._nav()
        self._equity.append(
            schema.EquityPoint(
                at_ms=at_ms,
                nav=_text(nav),
                nav_per_share=_text((nav / self._first_nav).quantize(Decimal("1.00000000"))),
                pnl=_text((nav - self._first_nav).quantize(_CENT)),
            )
        )

    def _trade(self, price: Decimal, at_ms: int) -> None:
        start = at_ms - at_ms % 5000
        low, high = (price + _CENT * self._rng.randrange(0, 900) * sign for sign in (-1, 1))
        last = self._candles[-1] if self._candles else None
        if last is not None and last.start_ms == start:
            last.close = _text(price)
            last.high, last.low = (
                _text(f(Decimal(v), price)) for f, v in ((max, last.high), (min, last.low))
            )
            return
        self._candles.append(
            schema.Candle(
                start_ms=start,
                open=last.close if last else _text(price),
                high=_text(max(high, Decimal(last.close) if last else high)),
                low=_text(min(low, Decimal(last.close) if last else low)),
                close=_text(price),
                volume=_text(_LOT * self._rng.randrange(1000, 900_000)),
            )
        )

    def _fill(self, at_ms: int) -> None:
        order = self._rng.choice(self._orders())
        price, size = Decimal(order.price), _LOT * self._rng.randrange(300, 5000)
        sign = 1 if order.side == "buy" else -1
        value = price * size
        fee = (value * Decimal("0.0002")).quantize(Decimal("0.00000001"))
        self._base += sign * size
        self._net += sign * size
        self._cash -= sign * value + fee
        self._volume += value
        self._fees += fee
        fill = schema.FillView(
            trade_id=str(90_000 + len(self._fills)),
            client_order_id=order.client_order_id,
            symbol="BTC/USDT",
            side=order.side,
            price=order.price,
            size=_text(size),
            quote_size=_text(value),
            fee=_text(fee),
            fee_asset="USDT",
            maker=True,
            spread_captured_bps=round(self._rng.gauss(1.6, 2.1), 4),
            at_ms=at_ms,
        )
        self._fills.append(fill)
        verb = "Bought" if sign > 0 else "Sold"
        self._log("filled", f"{verb} {fill.size} BTC at {fill.price} USDT as maker.", at_ms)

    def _log(self, kind: str, summary: str, at_ms: int) -> None:
        seq = len(self._events) + 1
        digest = hashlib.sha256(f"{seq}{summary}".encode()).hexdigest()
        self._events.append(schema.EventView(seq=seq, at_ms=at_ms, kind=kind, summary=summary, hash=digest))

    def _orders(self) -> list[schema.OrderView]:
        if self._state == "paused" or self.scenario == "empty":
            return []
        best = {"buy": self._mid - _CENT / 2, "sell": self._mid + _CENT / 2}
        sides: tuple[Literal["buy", "sell"], ...] = ("buy", "sell")
        return [
            schema.OrderView(
                client_order_id=f"mm-harbour-{side}-{layer}",
                venue_order_id=str(7000 + layer),
                symbol="BTC/USDT",
                slot=f"{side}-{layer}",
                side=side,
                price=_text(
                    (best[side] + (1 if side == "sell" else -1) * (layer - 1) * Decimal(35)).quantize(_CENT)
                ),
                size=_text(Decimal("0.05") * layer),
                filled="0",
                state="acked",
                created_ms=self._started,
                updated_ms=self._started,
            )
            for side in sides
            for layer in (1, 2)
        ]

    def _quote(self, order: schema.OrderView) -> schema.QuoteView:
        side = order.side
        term = schema.QuoteTerm
        return schema.QuoteView(
            slot=order.slot,
            side=side,
            price=order.price,
            size=order.size,
            live=True,
            why=f"Mid price less the {side} spread of layer {order.slot[-1]}, rounded to the tick.",
            terms=[
                term(name="reference_price", value=_text(self._mid), unit="quote"),
                term(name="half_spread", value="4", unit="bps"),
                term(name="inventory_skew", value="-0.35", unit="bps"),
                term(name="price", value=order.price, unit="quote"),
            ],
        )

    def _nav(self) -> Decimal:
        return (self._cash + self._base * self._mid).quantize(Decimal("0.00000001"))


def _now() -> int:
    return time.time_ns() // 1_000_000


def _text(value: Decimal) -> str:
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _door() -> Access:
    """A door whose owner has the tests' password."""
    store = ControlStore.in_memory()
    cheap = Passwords(memory_kib=64, rounds=1)
    store.set_password(cheap.hash(OWNER_PASSWORD), 0)
    return Access(store, AccessSettings(demo=True, open_desk=True), passwords=cheap)


@contextmanager
def serving(
    instance: MadeUpInstance,
    port: int = 0,
    money: MoneyFace | None = None,
    access: Access | None = None,
    partners: PartnersFace | None = None,
) -> Iterator[str]:
    """Serve the pages and the API over a made-up instance; yields the address."""
    config = uvicorn.Config(
        create_app(
            instance,
            money,
            access or _door(),
            operations=FakeOperations(),
            partners=partners or FakePartners(),
        ),
        host="127.0.0.1",
        port=port,
        log_level="error",
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    sockets = [config.bind_socket()]
    thread = threading.Thread(target=server.run, args=(sockets,), daemon=True)
    thread.start()
    while thread.is_alive() and not server.started:
        thread.join(0.01)
    try:
        yield f"http://127.0.0.1:{sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)


if __name__ == "__main__":
    uvicorn.run(
        create_app(MadeUpInstance(), access=_door(), operations=FakeOperations(), partners=FakePartners()),
        host="127.0.0.1",
        port=int(sys.argv[1]),
        log_level="warning",
    )
