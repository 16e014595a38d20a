"""The whole life of a venue process: start, tell where it is, end when told to."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import msgspec

from mrmarket.core.parent import when_parent_ends
from mrmarket.trading.market.tape import open_tape
from mrmarket.trading.venue.front.config import VenueConfig
from mrmarket.trading.venue.front.server import VenueServer

Announce = Callable[[dict[str, Any]], None]


def print_json_line(fields: dict[str, Any]) -> None:
    """One JSON object on a line of standard output, at once."""
    sys.stdout.write(msgspec.json.encode(fields).decode() + "\n")
    sys.stdout.flush()


def run_venue(config: VenueConfig, announce: Announce = print_json_line) -> None:
    """Run a venue until it is told to end; blocks.

    It ends on SIGINT or SIGTERM, when standard input ends if `config.exit_with_parent`, else also
    after the last event of a tape that does not loop.

    Args:
        config: what to serve.
        announce: told once when clients may come: `rest`, `ws`, `ws_api`, `api_key`, `api_secret`,
            `angel_key`, `angel_secret`, `accounts`, `keys` (both pairs of each account), `funding_token`,
            `symbols`, `instruments`; and once with `ended` when a tape is over.

    Raises:
        MrMarketError: a tape, state directory, port or setting cannot be used, or writing failed.
    """
    with asyncio.Runner(loop_factory=_fast_loop()) as runner:
        runner.run(serve(config, announce))


async def serve(config: VenueConfig, announce: Announce, stdin: IO[bytes] | None = None) -> None:
    """As `run_venue`, inside a running loop; `stdin` is watched instead of the process's own."""
    for tape in config.tapes:
        _read_through(Path(tape))
    server = VenueServer(config)
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    try:
        await server.start()
        announce(announcement(server))
        if config.exit_with_parent:
            when_parent_ends(stdin.fileno() if stdin else sys.stdin.fileno(), stopping.set)
        market = asyncio.create_task(server.wait())
        stopped = asyncio.create_task(stopping.wait())
        await asyncio.wait({market, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if market.done():
            # Raises what broke the market, if something did.
            await market
            announce({"ended": True, "clock": msgspec.to_builtins(server.tape_clock())})
            if config.exit_with_parent:
                # The parent still has orders to cancel and fills to fetch; it says when.
                await stopped
        stopped.cancel()
        market.cancel()
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
        await server.stop()


def _read_through(tape: Path) -> None:
    """Find a cut, a gap or damage now, before a client has an order in the market."""
    deque(open_tape(tape).events(), maxlen=0)


def announcement(server: VenueServer) -> dict[str, Any]:
    """Where a venue is and how to get in."""
    return {
        "rest": server.rest_url,
        "ws": server.ws_url,
        "ws_api": server.ws_api_url,
        "api_key": server.api_key,
        "api_secret": server.api_secret,
        "angel_key": server.angel_keys[0].key,
        "angel_secret": server.angel_keys[0].secret,
        "accounts": [key.account for key in server.keys],
        "keys": [
            {
                "account": key.account,
                "api_key": key.key,
                "api_secret": key.secret,
                "angel_key": angel.key,
                "angel_secret": angel.secret,
            }
            for key, angel in zip(server.keys, server.angel_keys, strict=True)
        ],
        "funding_token": server.funding_token,
        "symbols": server.symbols,
        "instruments": [
            {
                "symbol": grid.instrument.symbol,
                "venue_symbol": grid.name,
                "tick_size": f"{grid.instrument.tick_size:f}",
                "lot_size": f"{grid.instrument.lot_size:f}",
                "maker_fee": f"{grid.instrument.maker_fee:f}",
                "taker_fee": f"{grid.instrument.taker_fee:f}",
            }
            for grid in server.gateway.grids.values()
        ],
    }


def _fast_loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    if sys.platform == "win32":
        return None
    import uvloop  # noqa: PLC0415 - not on every platform

    return uvloop.new_event_loop
