"""Ten thousand reward transfers in two hundred blocks, taken from a real node after they are final.

    .venv/bin/python benchmarks/bench_chain.py [--json] [--transfers N] [--blocks B]

A node of our own holds the blocks, fifty transfers in each, made by a contract that sends them. The yardstick
is what nobody can avoid: asking the same node over the same connection for each block and its logs, and
writing as many commits to the same disk, with nothing done about any of it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Final

import msgspec

from mrmarket.core.clock import SystemClock
from mrmarket.partners.chains.book import ChainBook
from mrmarket.partners.chains.local_node import HUMAN_CHAIN_ID, LocalNode
from mrmarket.partners.chains.node import EvmNode
from mrmarket.partners.chains.observations import Observations
from mrmarket.partners.chains.settings import ChainSettings
from mrmarket.partners.chains.transfer import TRANSFER_TOPIC, topic_of
from mrmarket.partners.chains.watch import Status
from mrmarket.partners.chains.watcher import Watcher
from mrmarket.store.sqlite import sync_file

WALLET: Final = "0x" + "11" * 20
TOKEN: Final = "0x" + "aa" * 20
CONFIRMATIONS: Final = 12
LIMIT_S: Final = 10.0


class Result(msgspec.Struct, frozen=True):
    """What was measured."""

    transfers: int
    blocks: int
    taken_s: float
    taken_cpu_s: float
    """Of our process; the rest is the node, the disk, and whatever else the machine does."""
    taken_per_s: float
    yardstick_s: float
    ratio: float
    limit_s: float
    holds: bool


def emitter(count: int) -> str:
    """Code that emits one ERC-20 transfer to the wallet for each number from `count` down to 1."""
    amount = "805f52"  # DUP1, PUSH0, MSTORE: the number is the amount
    topics = f"73{WALLET[2:]}307f{TRANSFER_TOPIC[2:]}"  # PUSH20 to, ADDRESS is from, PUSH32 name
    emit = "60205fa3"  # PUSH1 32, PUSH0, LOG3
    again = "600190038060035700"  # one less; JUMPI to 3 while it is not zero; STOP
    return f"0x61{count:04x}5b{amount}{topics}{emit}{again}"


async def fill(node: EvmNode, transfers: int, blocks: int) -> None:
    """Make the blocks."""
    await node.call("anvil_setCode", TOKEN, emitter(transfers // blocks))
    [sender, *_] = await node.call("eth_accounts")
    await node.call("evm_setAutomine", False)
    for _ in range(blocks):
        await node.call("eth_sendTransaction", {"from": sender, "to": TOKEN, "gas": hex(10_000_000)})
        await node.call("anvil_mine", "0x1")
    await node.call("anvil_mine", hex(CONFIRMATIONS))


async def take(chain: ChainSettings, node: EvmNode, folder: Path) -> tuple[float, float, int]:
    """Seconds for all of it, those of our own processor time, and how many are final."""
    book = ChainBook.open(folder / "chains.db")
    observations = Observations(book)
    watcher = Watcher(chain, node, observations, [WALLET], SystemClock())
    began, began_cpu = time.perf_counter(), time.process_time()
    while not (await watcher.step()).is_caught_up:
        pass
    taken_s, cpu_s = time.perf_counter() - began, time.process_time() - began_cpu
    final = observations.with_status(chain.chain_id, Status.FINAL)
    book.close()
    return taken_s, cpu_s, len(final)


async def measure_floor(chain: ChainSettings, node: EvmNode, folder: Path) -> float:
    """The same questions and the same number of syncs, and nothing else."""
    began = time.perf_counter()
    head = await node.head()
    with (folder / "plain").open("wb") as file:
        for first in range(1, head.number + 1, chain.batch_blocks):
            heights = range(first, min(head.number, first + chain.batch_blocks - 1) + 1)
            blocks = await asyncio.gather(*(node.block_at(height) for height in heights))
            await asyncio.gather(
                *(
                    node.logs(block.hash, [TRANSFER_TOPIC, None, [topic_of(WALLET)]])
                    for block in blocks
                    if block is not None
                )
            )
            file.write(bytes(4096))
            file.flush()
            sync_file(file.fileno())
    return time.perf_counter() - began


async def measure(transfers: int, blocks: int) -> Result:
    """Everything on one node and one disk."""
    async with await LocalNode.start() as local:
        chain = ChainSettings(
            name="local",
            chain_id=HUMAN_CHAIN_ID,
            urls=[local.url],
            confirmations=CONFIRMATIONS,
            start_block=1,
            timeout_ms=60_000,
        )
        node = EvmNode(chain)
        await node.open()
        await fill(node, transfers, blocks)
        with tempfile.TemporaryDirectory() as folder:
            before_s = await measure_floor(chain, node, Path(folder))
            taken_s, cpu_s, final = await take(chain, node, Path(folder))
            after_s = await measure_floor(chain, node, Path(folder))
        await node.close()
    assert final == transfers // blocks * blocks, final
    floor_s = (before_s + after_s) / 2
    return Result(
        transfers=final,
        blocks=blocks,
        taken_s=round(taken_s, 3),
        taken_cpu_s=round(cpu_s, 3),
        taken_per_s=round(final / taken_s),
        yardstick_s=round(floor_s, 3),
        ratio=round(taken_s / floor_s, 2),
        limit_s=LIMIT_S,
        holds=taken_s <= LIMIT_S,
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--transfers", type=int, default=10_000)
    parser.add_argument("--blocks", type=int, default=200)
    arguments = parser.parse_args()
    result = asyncio.run(measure(arguments.transfers, arguments.blocks))
    if arguments.json:
        of = f"{result.transfers:,} transfers in {result.blocks} blocks"
        rows = [
            {"name": f"{of}, taken once final", "unit": "s", "value": result.taken_s},
            {"name": f"{of}, taken, processor", "unit": "s", "value": result.taken_cpu_s},
            {"name": f"{of}, bare questions and disk", "unit": "s", "value": result.yardstick_s},
        ]
        print(json.dumps({"rows": rows, "ratios": {"bare questions and disk / taken": 1 / result.ratio}}))
        return
    print(f"{result.transfers} transfers in {result.blocks} blocks, {os.cpu_count()} cores")
    print(f"taken after final   {result.taken_s:8.3f} s   {result.taken_per_s} a second")
    print(f"  of that our own   {result.taken_cpu_s:8.3f} s")
    print(f"questions and disk  {result.yardstick_s:8.3f} s   ratio {result.ratio}")
    print(f"limit               {result.limit_s:8.3f} s   {'holds' if result.holds else 'MISSED'}")


if __name__ == "__main__":
    main()
