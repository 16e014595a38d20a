"""A process for the kill tests: `serve FILE PORT` is the sandbox, `pay URL KEYSTORE BOOK ORDERS` pays.

`pay` prints a line for every payment that is confirmed, and ends when all are.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import msgspec

from mrmarket.core.clock import SystemClock
from mrmarket.core.errors import MrMarketError
from mrmarket.money.payouts.port import SendRequest, SendState
from mrmarket.partners.mixin.book import TransferBook
from mrmarket.partners.mixin.client import MixinClient
from mrmarket.partners.mixin.keystore import Keystore
from mrmarket.partners.mixin.rail import MixinRail
from mrmarket.partners.mixin.sandbox.server import MixinSandbox
from partners.mixin.mixin_bench import ASSETS


def say(line: object) -> None:
    """To whoever started us."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def read_orders(path: str) -> list[SendRequest]:
    """What is to be paid."""
    return msgspec.json.decode(Path(path).read_bytes(), type=list[SendRequest])


async def serve(file: str, port: str) -> None:
    """Be the sandbox until killed."""
    sandbox = MixinSandbox(Path(file))
    await sandbox.start(int(port))
    say(sandbox.port)
    await asyncio.Event().wait()


async def pay(url: str, keystore: str, book: str, orders: str) -> None:
    """Pay until all is paid, as a platform that was started again does."""
    client = MixinClient(Keystore.read(Path(keystore)), SystemClock(), url=url, timeout_s=10.0)
    rail = MixinRail(client, TransferBook(Path(book)), SystemClock(), ASSETS)
    try:
        for request in read_orders(orders):
            while True:
                try:
                    if (await rail.send(request)).state is SendState.CONFIRMED:
                        break
                except MrMarketError as silent:
                    sys.stderr.write(f"{silent.code}\n")
                    await asyncio.sleep(0.05)
            say(request.key)
    finally:
        await rail.close()


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        asyncio.run(serve(*sys.argv[2:]))
    else:
        asyncio.run(pay(*sys.argv[2:]))
