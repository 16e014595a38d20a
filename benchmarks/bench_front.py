"""Order actions per second through the venue's REST front, from a client process of its own.

One action is one signed request: a POST that places a post-only order or a DELETE that cancels it. The
venue runs as `mrmarket venue` does, with its market playing; the client keeps a few connections busy.

    python benchmarks/bench_front.py [--seconds 5] [--connections 8] [--json]
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import hmac
import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

_HIGH = {"request_weight_1m": 10**9, "orders_10s": 10**9, "orders_1d": 10**9}


class Connection:
    """One keep-alive connection that sends prepared requests and reads whole answers."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def send(self, head: bytes) -> tuple[int, bytes]:
        """(status, body)."""
        self._writer.write(head)
        answer = await self._reader.readuntil(b"\r\n\r\n")
        lower = answer.lower()
        at = lower.index(b"content-length:") + 15
        length = int(lower[at : lower.index(b"\r\n", at)])
        return int(answer[9:12]), await self._reader.readexactly(length)


def signer(secret: str, key: str, host: str) -> Callable[[str, str, str], bytes]:
    """A function that builds a signed request's bytes."""

    def build(method: str, path: str, query: str) -> bytes:
        query += f"&recvWindow=60000&timestamp={time.time_ns() // 1_000_000}"
        proof = hmac.new(secret.encode(), query.encode(), hashlib.sha256).hexdigest()
        lines = (
            f"{method} {path}?{query}&signature={proof} HTTP/1.1",
            f"Host: {host}",
            f"X-MBX-APIKEY: {key}",
        )
        return ("\r\n".join(lines) + "\r\n\r\n").encode()

    return build


async def client(venue: dict[str, Any], seconds: float, connections: int) -> dict[str, Any]:
    """Place and cancel until the time is over; returns the counts and latencies."""
    address = urlsplit(venue["rest"])
    host, port = address.hostname or "", address.port or 0
    build = signer(venue["api_secret"], venue["api_key"], address.netloc)
    end = time.perf_counter() + seconds
    waits: list[float] = []
    refused = 0

    async def worker(number: int) -> None:
        nonlocal refused
        line = Connection(*await asyncio.open_connection(host, port))
        side = "BUY" if number % 2 else "SELL"
        price = "50000.00" if number % 2 else "75000.00"
        sequence = 0
        while (now := time.perf_counter()) < end:
            sequence += 1
            name = f"b{number}-{sequence}"
            order = f"symbol=BTCUSDT&side={side}&type=LIMIT_MAKER&quantity=0.001&price={price}"
            order += f"&newClientOrderId={name}"
            status, body = await line.send(build("POST", "/api/v3/order", order))
            middle = time.perf_counter()
            waits.append(middle - now)
            refused += status != 200
            status, body = await line.send(
                build("DELETE", "/api/v3/order", f"symbol=BTCUSDT&origClientOrderId={name}")
            )
            waits.append(time.perf_counter() - middle)
            refused += status != 200
            if refused > 10:
                raise RuntimeError(body)

    start = time.perf_counter()
    await asyncio.gather(*(worker(number) for number in range(connections)))
    elapsed = time.perf_counter() - start
    waits.sort()
    return {
        "connections": connections,
        "actions": len(waits),
        "actions_per_s": round(len(waits) / elapsed),
        "refused": refused,
        "p50_ms": round(waits[len(waits) // 2] * 1e3, 2),
        "p99_ms": round(waits[int(len(waits) * 0.99)] * 1e3, 2),
    }


def serve(state: str | None) -> None:
    """Run a venue in this process until standard input ends."""
    from mrmarket.trading.venue.front.config import VenueConfig
    from mrmarket.trading.venue.front.process import run_venue
    from mrmarket.trading.venue.front.weights import Limits

    run_venue(VenueConfig(state_dir=state, limits=Limits(**_HIGH), exit_with_parent=True))


def measure(seconds: float, connections: int, state: str | None) -> dict[str, Any]:
    """Start a venue, let the client at it, end it."""
    command = [sys.executable, __file__, "--serve", *([state] if state else [])]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as venue:
        assert venue.stdout is not None
        try:
            where = json.loads(venue.stdout.readline())
            return asyncio.run(client(where, seconds, connections))
        finally:
            venue.send_signal(signal.SIGTERM)


def main() -> None:
    """Measure with and without a state directory; print a table and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    parser.add_argument("--serve", nargs="*", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.serve is not None:
        serve(chosen.serve[0] if chosen.serve else None)
        return
    rows = {}
    with tempfile.TemporaryDirectory() as directory:
        cases = {
            "one connection": (1, None),
            "in memory": (chosen.connections, None),
            "with journal": (chosen.connections, directory),
        }
        for name, (connections, state) in cases.items():
            rows[name] = measure(chosen.seconds, connections, state)
    if chosen.json:
        print(json.dumps({"rest_front": rows}))
        return
    print(f"{'case':<16}{'connections':>12}{'actions/s':>11}{'p50 ms':>9}{'p99 ms':>9}{'refused':>9}")
    for name, row in rows.items():
        print(
            f"{name:<16}{row['connections']:>12}{row['actions_per_s']:>11}{row['p50_ms']:>9}{row['p99_ms']:>9}"
            f"{row['refused']:>9}"
        )


if __name__ == "__main__":
    main()
