"""A simulated venue on a port: the exchange, its market, its front and its memory, as one thing."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from aiohttp import web

from mrmarket.core.clock import NS_PER_S, Clock, SystemClock
from mrmarket.core.decimals import parse_units
from mrmarket.core.errors import MrMarketError
from mrmarket.trading.venue.front.config import VenueConfig
from mrmarket.trading.venue.front.dead_man import DeadManSwitch
from mrmarket.trading.venue.front.faults import Faults
from mrmarket.trading.venue.front.feed import Feed, TapeClock, open_feed
from mrmarket.trading.venue.front.gateway import Gateway
from mrmarket.trading.venue.front.hub import Hub
from mrmarket.trading.venue.front.latency import Latency
from mrmarket.trading.venue.front.memory import Memory
from mrmarket.trading.venue.front.order_request import new_client_id
from mrmarket.trading.venue.front.rest import Rest
from mrmarket.trading.venue.front.rest_funding import FUNDING
from mrmarket.trading.venue.front.rest_simulation import simulation_routes
from mrmarket.trading.venue.front.signature import ApiKey, KeyRing, new_key
from mrmarket.trading.venue.front.sockets import Sockets
from mrmarket.trading.venue.front.user_stream import UserStreams
from mrmarket.trading.venue.front.weights import Meters
from mrmarket.trading.venue.simulated.exchange import SimulatedExchange
from mrmarket.trading.venue.simulated.records import UNITS_DECIMALS, UNITS_PER_WHOLE

_STEP_EVENTS: Final = 200
"""Events of the market in one go, so that a backlog never starves the clients."""
_LONGEST_NAP_S: Final = 0.25
_SHORTEST_NAP_S: Final = 0.001
_SHUTDOWN_S: Final = 2.0
_DEFAULT_BASE: Final = 10 * UNITS_PER_WHOLE
_DEFAULT_QUOTE: Final = 1_000_000 * UNITS_PER_WHOLE


class PortTakenError(MrMarketError):
    """The venue's address cannot be listened on."""

    code = "port_taken"
    retryable = True

    def __init__(self, host: str, port: int, reason: str) -> None:
        self.host = host
        self.port = port
        super().__init__(
            f"cannot listen on {host}:{port} ({reason}); choose another port, or 0 for any free one"
        )


class VenueServer:
    """One venue: `await start()`, then clients; `await stop()` ends it.

    Raises on construction:
        MrMarketError: a tape cannot be read, a state directory cannot be used, a setting is wrong.
    """

    def __init__(self, config: VenueConfig, clock: Clock | None = None) -> None:
        self._config = config
        self._clock = clock or SystemClock()
        self._memory = Memory(Path(config.state_dir) if config.state_dir else None, config.fsync)
        try:
            self._build(config)
        except BaseException:
            self._memory.close()
            raise

    def _build(self, config: VenueConfig) -> None:
        now_ns = self._clock.now_ns()
        saved = self._memory.load()
        self._feed: Feed = open_feed(config, now_ns, saved.front.feed if saved else b"")
        self._exchange = SimulatedExchange(compiled=config.compiled)
        for instrument in self._feed.instruments:
            self._exchange.add_market(instrument)
        for name, balances in config.accounts.items():
            self._exchange.add_account(name, self._opening(balances))
        self._dead_man = DeadManSwitch()
        limits = config.limits.scaled(config.speed)
        self._faults = Faults(config.faults, now_ns)
        self._gateway = Gateway(
            self._exchange,
            self._clock,
            Meters(limits, config.accounts),
            self._faults,
            self._memory,
        )
        self._memory.attach(self._exchange, self._feed, self._dead_man, self._gateway.quote_sizes, saved)
        self._keys = self._memory.keys(list(config.accounts), "trade")
        self._angel_keys = self._memory.keys(list(config.accounts), "angel")
        self.funding_token = self._memory.funding_token() or new_key("").secret
        """Whoever has it may credit and debit every account from outside."""
        ring = KeyRing([*self._keys, *self._angel_keys], self.funding_token)
        latency = Latency(config.latency)
        self._hub = Hub(self._gateway, config.speed)
        routes = simulation_routes(self.tape_clock, self._dead_man, self._armed) | FUNDING
        self._rest = Rest(self._gateway, ring, latency, routes)
        self._sockets = Sockets(
            self._gateway, self._hub, UserStreams(self._gateway), ring, latency, self._clock
        )
        self._runner: web.ServerRunner | None = None
        self._market: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self.address = (config.host, config.port)
        """Where it listens, once started."""

    @property
    def rest_url(self) -> str:
        """Base of the REST API; paths start with `/api/v3`."""
        host, port = self.address
        return f"http://{host}:{port}"

    @property
    def ws_url(self) -> str:
        """Base of the market streams: `<base>/btcusdt@trade` is raw, `<base>/stream?streams=` combined."""
        host, port = self.address
        return f"ws://{host}:{port}/ws"

    @property
    def ws_api_url(self) -> str:
        """The WebSocket API with the user data stream."""
        host, port = self.address
        return f"ws://{host}:{port}/ws-api/v3"

    @property
    def api_key(self) -> str:
        """Key of the first account."""
        return self._keys[0].key

    @property
    def api_secret(self) -> str:
        """Secret of the first account."""
        return self._keys[0].secret

    @property
    def keys(self) -> list[ApiKey]:
        """The key pair of every account that may trade."""
        return list(self._keys)

    @property
    def angel_keys(self) -> list[ApiKey]:
        """A second key pair of every account, in the same order, that may query and cancel only."""
        return list(self._angel_keys)

    @property
    def gateway(self) -> Gateway:
        """The door to the exchange, for who lives in the same process."""
        return self._gateway

    @property
    def symbols(self) -> list[str]:
        """Listed pairs by unified name."""
        return [instrument.symbol for instrument in self._feed.instruments]

    def tape_clock(self) -> TapeClock:
        """Where the tape stands."""
        return self._feed.clock(self._clock.now_ns())

    async def start(self) -> None:
        """Listen and let the market run; `stop` also after an error.

        Raises:
            PortTakenError: somebody else listens there.
            TapeError: the tape is damaged at its very beginning.
        """
        host, port = self._config.host, self._config.port
        # Orders are taken from the first answer on: the book must be there.
        self._step()
        # aiohttp's bare server, not its application: routes live in one table of our own, and it
        # answered 30,000 requests/s where uvicorn without httptools answered 9,000 on the same core.
        self._runner = web.ServerRunner(
            web.Server(self._handle, access_log=None, handler_cancellation=True),
            shutdown_timeout=_SHUTDOWN_S,
        )
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port, backlog=512)
        try:
            await site.start()
        except OSError as taken:
            await self._runner.cleanup()
            self._memory.close()
            # The loop's own text names the address a second time.
            reason = (
                os.strerror(taken.errno) if taken.errno and taken.errno > 0 else taken.strerror or str(taken)
            )
            raise PortTakenError(host, port, reason) from taken
        self.address = self._runner.addresses[0][:2]
        self._market = asyncio.create_task(self._run_market(), name="market")

    async def wait(self) -> None:
        """Return when the market has ended (a tape without loop); raises what broke it."""
        if self._market is not None:
            await asyncio.shield(self._market)

    async def stop(self) -> None:
        """Close every connection, write the last state, let go of the port."""
        if self._market is not None:
            self._market.cancel()
            await asyncio.gather(self._market, return_exceptions=True)
        self._sockets.end()
        if self._runner is not None:
            await self._runner.cleanup()
        try:
            self._memory.save()
        finally:
            self._memory.close()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if self._sockets.wanted(request):
            return await self._sockets.handle(request)
        return await self._rest.handle(request)

    async def _run_market(self) -> None:
        while not self._feed.ended:
            nap_s = self._step()
            self._wake.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(nap_s):
                    await self._wake.wait()
        self._memory.save()

    def _step(self) -> float:
        """Everything that is due now; returns how long to sleep, in seconds."""
        gateway, feed = self._gateway, self._feed
        now_ns = self._clock.now_ns()
        for _ in range(_STEP_EVENTS):
            due = feed.take(now_ns)
            if due is None:
                break
            due_ns, symbol, event = due
            gateway.market(symbol, event, due_ns)
        for account, symbol in self._dead_man.take_due(now_ns):
            gateway.cancel_all(account, symbol, new_client_id())
        gateway.settle()
        if gateway.broken:
            raise gateway.broken
        self._hub.tick(now_ns)
        self._memory.tick(now_ns)
        return self._nap_s()

    def _nap_s(self) -> float:
        now_ns = self._clock.now_ns()
        due = [self._feed.next_due_ns(), self._hub.next_due_ns(), self._dead_man.next_due_ns()]
        first_ns = min((at_ns for at_ns in due if at_ns is not None), default=now_ns + NS_PER_S)
        if first_ns <= now_ns:
            return 0.0
        return min(max((first_ns - now_ns) / NS_PER_S, _SHORTEST_NAP_S), _LONGEST_NAP_S)

    def _armed(self) -> None:
        self._memory.note()
        self._wake.set()

    def _opening(self, balances: dict[str, str]) -> dict[str, int]:
        """Opening balances of an account in units of 1e-8."""
        if balances:
            return {
                asset: parse_units(text, UNITS_DECIMALS, field=f"balance of {asset}")
                for asset, text in balances.items()
            }
        opening: dict[str, int] = {}
        for instrument in self._feed.instruments:
            opening.setdefault(instrument.base, _DEFAULT_BASE)
        for instrument in self._feed.instruments:
            opening[instrument.quote] = _DEFAULT_QUOTE
        return opening
