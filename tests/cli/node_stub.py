"""A chain's node as commands meet it: JSON-RPC on loopback, with figures that a test sets."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any


@dataclass
class NodeStub:
    """Answers what a vault asks; `asked` are the methods, in order."""

    url: str = ""
    chain_id: int = 1338
    coins_wei: int = 10**18
    token_units: int = 100 * 10**18
    base_fee_wei: int = 10**9
    refusal: str = ""
    """Why the token's contract would not take a transfer."""
    asked: list[str] = field(default_factory=list)

    def answer(self, method: str) -> dict[str, Any]:
        """Result or error of a call."""
        self.asked.append(method)
        if method == "eth_estimateGas" and self.refusal:
            return {"error": {"code": 3, "message": self.refusal}}
        block = {
            "number": "0x64",
            "hash": "0x" + "aa" * 32,
            "parentHash": "0x" + "bb" * 32,
            "timestamp": "0x1",
            "baseFeePerGas": hex(self.base_fee_wei),
        }
        known: dict[str, Any] = {
            "eth_chainId": hex(self.chain_id),
            "eth_getBlockByNumber": block,
            "eth_getBalance": hex(self.coins_wei),
            "eth_call": hex(self.token_units),
            "eth_maxPriorityFeePerGas": hex(10**8),
            "eth_estimateGas": hex(50_000),
            "eth_getTransactionCount": hex(4),
        }
        return {"result": known[method]}


@contextmanager
def served_node() -> Iterator[NodeStub]:
    """A node on a free port."""
    stub = NodeStub()

    class Taker(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            call = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            told = json.dumps({"jsonrpc": "2.0", "id": call["id"], **stub.answer(call["method"])}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(told)))
            self.end_headers()
            self.wfile.write(told)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
            """Quiet."""

    server = HTTPServer(("127.0.0.1", 0), Taker)
    stub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield stub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
