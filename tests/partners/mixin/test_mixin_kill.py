"""SIGKILL to the payer at every labelled point, and to the sandbox in the middle: each payment once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import msgspec

from mrmarket.core.crash import VARIABLE
from mrmarket.money.payouts.port import SendRequest
from mrmarket.partners.mixin.sandbox.config import USDT_POLYGON
from mrmarket.partners.mixin.sandbox.server import MixinSandbox
from mrmarket.partners.mixin.transfers import CRASH_POINTS
from partners.mixin.mixin_bench import new_key

CHILD = Path(__file__).parent / "mixin_child.py"
TESTS = Path(__file__).parents[2]
LIMIT_S = 300


def start(*words: str, crash: str = "") -> subprocess.Popen[str]:
    """The child, to be killed at a label if one is given."""
    surroundings = {**os.environ, "PYTHONPATH": str(TESTS)} | ({VARIABLE: crash} if crash else {})
    command = [sys.executable, str(CHILD), *words]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=surroundings
    )


def serve(file: Path, port: int) -> tuple[subprocess.Popen[str], int]:
    """The sandbox as a process; its port."""
    child = start("serve", str(file), str(port))
    assert child.stdout is not None
    line = child.stdout.readline()
    assert line, child.communicate()[1]
    return child, int(line)


def test_killed_anywhere_every_payment_is_made_once(tmp_path: Path) -> None:
    """The payer dies once at each label, the sandbox once in the middle; the sums are exact at the end."""
    file, orders, keystore = tmp_path / "mixin.sqlite", tmp_path / "orders.json", tmp_path / "keystore.json"
    world = MixinSandbox(file)
    bot = world.enrol("bot").app_id
    keystore.write_text(world.people.keystore_json(bot))
    for _ in range(3):
        world.ledger.credit(bot, USDT_POLYGON, 1_000, f"0x{new_key()}", "")
    requests = [
        SendRequest(new_key(), "USDT", 10 + n, world.enrol("user").app_id, f"pay {n}") for n in range(6)
    ]
    orders.write_bytes(msgspec.json.encode(requests))
    server, port = serve(file, 0)
    words = ("pay", f"http://127.0.0.1:{port}", str(keystore), str(tmp_path / "book.sqlite"), str(orders))
    try:
        for label in CRASH_POINTS:
            payer = start(*words, crash=f"{label}:1")
            _, troubles = payer.communicate(timeout=LIMIT_S)
            assert payer.returncode == -signal.SIGKILL, troubles
        payer = start(*words)
        assert payer.stdout is not None
        paid = [payer.stdout.readline().strip()]
        server.kill()
        server.communicate()
        server, again = serve(file, port)
        assert again == port
        rest, troubles = payer.communicate(timeout=LIMIT_S)
        assert payer.returncode == 0, troubles
        assert paid + rest.split() == [request.key for request in requests]
    finally:
        server.kill()
        server.communicate()
    assert [world.ledger.held(request.destination, USDT_POLYGON) for request in requests] == [
        request.units for request in requests
    ]
    assert world.ledger.held(bot, USDT_POLYGON) == 3_000 - sum(request.units for request in requests)
