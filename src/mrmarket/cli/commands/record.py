"""`mrmarket record`."""

from __future__ import annotations

import asyncio
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mrmarket.cli.options import Json
from mrmarket.cli.output import notes, print_json
from mrmarket.core.errors import MrMarketError

if TYPE_CHECKING:
    from mrmarket.trading.venue.recorder import RecordingProgress


class TapeNotWrittenError(MrMarketError):
    """The tape's file refuses."""

    code = "tape_not_written"

    def __init__(self, path: Path, reason: str) -> None:
        self.path = path
        super().__init__(f"{path}: cannot be written ({reason}); give another file with --out")


def record(
    exchange: Annotated[str, typer.Argument(help="Exchange id, such as binance, okx or bybit.")],
    symbol: Annotated[str, typer.Argument(help="Pair, such as BTC/USDT.")],
    *,
    out: Annotated[
        Path | None, typer.Option("--out", help="Tape to write; named after exchange, pair and time without.")
    ] = None,
    for_s: Annotated[
        float | None, typer.Option("--for", help="Stop after this many seconds.", metavar="SECONDS", min=0.1)
    ] = None,
    rest_url: Annotated[
        str, typer.Option("--rest-url", help="Another host that speaks the exchange's API.")
    ] = "",
    ws_url: Annotated[str, typer.Option("--ws-url", help="The same for its streams.")] = "",
    json: Json = False,
) -> None:
    """Record a pair's public live data to a tape, until Ctrl-C. No key is needed."""
    now = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    path = out or Path(f"{exchange}_{symbol.replace('/', '').lower()}_{now}.tape.gz")
    if path.exists():
        raise TapeNotWrittenError(path, "it exists already")
    try:
        done = asyncio.run(_record(exchange, symbol, path, for_s, (rest_url, ws_url)))
    except OSError as error:
        raise TapeNotWrittenError(path, error.strerror or str(error)) from error
    if json:
        import msgspec

        print_json({"tape": str(path), **msgspec.to_builtins(done)})
    else:
        sys.stdout.write(f"{path}: {done.events} events, {done.trades} trades in {done.seconds:.0f} s\n")


async def _record(
    exchange: str, symbol: str, path: Path, for_s: float | None, urls: tuple[str, str]
) -> RecordingProgress:
    from mrmarket.core.clock import SystemClock
    from mrmarket.trading.market.tape import TapeWriter
    from mrmarket.trading.venue.ccxt_adapter.config import CcxtVenueConfig, VenueUrls
    from mrmarket.trading.venue.ccxt_adapter.venue import CcxtVenue
    from mrmarket.trading.venue.recorder import record as follow

    clock = SystemClock()
    urls_of_venue = VenueUrls(rest=urls[0], ws=urls[1])
    venue = CcxtVenue(
        CcxtVenueConfig(exchange=exchange, symbols=(symbol,), public_only=True, urls=urls_of_venue), clock
    )
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    if for_s is not None:
        loop.call_later(for_s, stop.set)
    await venue.open()
    try:
        with TapeWriter(path, venue.instrument(symbol)) as writer, notes.status("recording") as line:
            return await follow(
                venue,
                symbol,
                writer,
                stop,
                lambda so_far: line.update(
                    f"recording: {so_far.events} events, {so_far.trades} trades, last {so_far.last_price}"
                ),
                clock,
            )
    finally:
        await venue.close()
