"""Authenticated requests per second and their p99, under `wrk` with 32 connections, one worker.

A real `mrmarket run` trades on its built-in market in a temporary folder meanwhile, in the same process. The
yardstick is uvicorn alone with the smallest application there is, measured in the same run: what is between
the two is ours and the framework's.

    python benchmarks/bench_api.py [--seconds 8] [--connections 32] [--json]
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CONFIG = """
[access]
reads_per_s = 1000000
reads_burst = 1000000
"""
BARE = """
import asyncio, socket, sys, uvicorn

BODY = b"x" * int(sys.argv[1])
HEADERS = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(BODY))]


async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await send({"type": "http.response.body", "body": BODY})


listener = socket.create_server(("127.0.0.1", 0))
listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
print(listener.getsockname()[1], flush=True)
server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, lifespan="off", loop="uvloop"))
asyncio.run(server.serve(sockets=[listener]))
"""
UNITS_MS = {"us": 0.001, "ms": 1.0, "s": 1000.0}


def main() -> int:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--seconds", type=int, default=8)
    options.add_argument("--connections", type=int, default=32)
    options.add_argument("--json", action="store_true")
    chosen = options.parse_args()
    if shutil.which("wrk") is None:
        print("skipped: wrk is not installed (apt-get install wrk)", file=sys.stderr)
        return 0

    def load(url: str, cookie: str) -> dict[str, float]:
        wrk(url, cookie, chosen.connections, 2)
        return wrk(url, cookie, chosen.connections, chosen.seconds)

    results: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder, instance(Path(folder)) as url:
        cookie = sign_in(url)
        size = len(ask(f"{url}/api/v1/auth/session", cookie))
        results["session"] = load(f"{url}/api/v1/auth/session", cookie)
        try:
            size = len(ask(f"{url}/api/v1/me/positions", cookie))
        except urllib.error.HTTPError as refused:
            print(f"no positions: the instance answers {refused.read().decode()}", file=sys.stderr)
        else:
            results["positions"] = load(f"{url}/api/v1/me/positions", cookie)
    with bare(size) as url:
        results["bare uvicorn"] = load(url, "")
    measured = results.get("positions", results["session"])
    yardstick = results["bare uvicorn"]
    ratios = {
        "requests, to bare uvicorn": measured["per_s"] / yardstick["per_s"],
        "p99, to bare uvicorn": measured["p99_ms"] / yardstick["p99_ms"],
    }
    if chosen.json:
        rows = [
            {"name": f"{name}, {figure}", "value": value, "unit": unit}
            for name, one in results.items()
            for figure, value, unit in (
                ("requests", one["per_s"], "a second"),
                ("p50", one["p50_ms"], "ms"),
                ("p99", one["p99_ms"], "ms"),
            )
        ]
        print(json.dumps({"rows": rows, "ratios": ratios}))
    else:
        for name, one in results.items():
            latency = f"p50 {one['p50_ms']:6.2f} ms   p99 {one['p99_ms']:6.2f} ms"
            print(f"{name:14} {one['per_s']:8,.0f}/s   {latency}")
    return 0


def wrk(url: str, cookie: str, connections: int, seconds: int) -> dict[str, float]:
    """Load a URL; requests a second and latencies. Any answer that is not 2xx fails the benchmark."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-H", f"Cookie: {cookie}", url]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert "Non-2xx" not in said, said
    assert "Socket errors" not in said, said

    def latency(percentile: int) -> float:
        found = re.search(rf"^\s*{percentile}%\s+([0-9.]+)(us|ms|s)$", said, re.MULTILINE)
        assert found is not None, said
        return float(found[1]) * UNITS_MS[found[2]]

    rate = re.search(r"Requests/sec:\s+([0-9.]+)", said)
    assert rate is not None, said
    return {"per_s": float(rate[1]), "p50_ms": latency(50), "p99_ms": latency(99)}


def ask(url: str, cookie: str) -> bytes:
    """One read."""
    request = urllib.request.Request(url, headers={"Cookie": cookie})  # noqa: S310 - loopback
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - loopback
        content: bytes = answer.read()
        return content


def sign_in(url: str) -> str:
    """Be alice; the session's cookie."""
    request = urllib.request.Request(  # noqa: S310 - loopback
        f"{url}/api/v1/auth/demo", data=b'{"name": "alice"}', headers={"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - loopback
        return str(answer.headers["set-cookie"]).partition(";")[0]


@contextmanager
def instance(folder: Path) -> Iterator[str]:
    """A real instance on the built-in market; yields its address."""
    (folder / "bench.toml").write_text(CONFIG)
    data = folder / "data"
    arguments = ["run", "--data", str(data), "--port", "0", "--config", str(folder / "bench.toml")]
    with (folder / "said.txt").open("wb") as said:
        process = subprocess.Popen([sys.executable, "-m", "mrmarket", *arguments], stdout=said, stderr=said)
    try:
        deadline = time.monotonic() + 60
        while not (data / "instance.json").exists():
            assert process.poll() is None, (folder / "said.txt").read_text()
            assert time.monotonic() < deadline, "the instance did not start"
            time.sleep(0.1)
        found: dict[str, Any] = json.loads((data / "instance.json").read_bytes())
        yield found["url"]
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)


@contextmanager
def bare(size: int) -> Iterator[str]:
    """Uvicorn with an application that answers `size` bytes; yields its address."""
    process = subprocess.Popen([sys.executable, "-c", BARE, str(size)], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}/"
    finally:
        process.terminate()
        process.wait(30)


if __name__ == "__main__":
    sys.exit(main())
