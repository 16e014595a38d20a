"""Follows a chain: asks a node, lets the pure core decide, and stores cursor and findings together.

Nothing a node pushes is believed; it only wakes the watcher. Every step starts from what is stored, so that
it may end anywhere and start again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import structlog

from mrmarket.core.clock import NS_PER_MS, Clock
from mrmarket.partners.chains.errors import ChainError, ChainStartError, DeepReorganisationError
from mrmarket.partners.chains.observations import Cursor, Observations
from mrmarket.partners.chains.port import ChainReader
from mrmarket.partners.chains.settings import ChainSettings
from mrmarket.partners.chains.transfer import Block
from mrmarket.partners.chains.watch import NOTHING_AGREED, Record, Status, Watch, begin, concede, cut, take

_log: Final[Any] = structlog.get_logger("mrmarket.chains")
_LONGEST_WAIT_MS: Final = 60_000


@dataclass(frozen=True, slots=True)
class StepReport:
    """What one look at the chain brought."""

    tip: int
    """Height up to which we have read."""
    head: int
    """The node's own; lower than ours where it is behind."""
    records: tuple[Record, ...]

    @property
    def is_caught_up(self) -> bool:
        """Whether there is nothing more to read now."""
        return self.tip >= self.head


class Watcher:
    """Of one chain and the wallets that are ours."""

    def __init__(
        self,
        chain: ChainSettings,
        node: ChainReader,
        observations: Observations,
        wallets: Sequence[str],
        clock: Clock,
    ) -> None:
        """Nothing is asked yet. A wallet that is added later is watched from where the cursor is then."""
        self._chain = chain
        self._node = node
        self._observations = observations
        self._wallets = tuple(wallet.lower() for wallet in wallets)
        self._clock = clock
        self._cursor: Cursor | None = None
        self._nudge = asyncio.Event()

    def nudge(self) -> None:
        """Somebody says that there is a new block; look at once."""
        self._nudge.set()

    async def step(self) -> StepReport:
        """Look once: take back what is gone, read at most a batch of new blocks.

        Raises:
            DeepReorganisationError: final blocks are gone; stays until `accept` is called.
            ChainError: a node did not answer; nothing is lost, step again.
            StoreError: the disk refuses; the same.
        """
        try:
            return await self._step()
        except BaseException:
            self._cursor = None  # what is stored decides, not what was hoped for
            raise

    async def run(self, stop: asyncio.Event, told: Callable[[StepReport], None] | None = None) -> None:
        """Step until told to stop; trouble that may pass is logged and waited out.

        Raises:
            DeepReorganisationError: final blocks are gone.
            MrMarketError: whatever else does not pass by itself.
        """
        wait_ms = self._chain.poll_ms
        while not stop.is_set():
            try:
                report = await self.step()
            except ChainError as error:
                if not error.retryable:
                    raise
                _log.warning("chain.trouble", chain=self._chain.name, code=error.code, message=str(error))
                wait_ms = min(wait_ms * 2, max(_LONGEST_WAIT_MS, self._chain.poll_ms))
            else:
                wait_ms = self._chain.poll_ms
                if told is not None:
                    told(report)
                if not report.is_caught_up:
                    continue
            await self._rest(stop, wait_ms)

    async def accept(self, by_whom: str) -> list[Record]:
        """Go on after a deep reorganisation, on a person's word; gives the transfers that are gone.

        In the same transaction what the vault paid in the blocks that are gone is opened again.

        Raises:
            DeepReorganisationError: if the chain agrees with nothing that is remembered.
        """
        cursor = await self._load()
        head = await self._node.head()
        agreed, contradicted = await self._agreed(cursor.watch, head)
        if contradicted and agreed < cursor.watch.final:
            gone = await asyncio.to_thread(
                self._observations.with_status, self._chain.chain_id, Status.FINAL, agreed
            )
            watch, records = concede(cursor.watch, agreed, [one.transfer for one in gone])
        else:
            watch, records = cut(cursor.watch, agreed, contradicted=contradicted)
        _log.warning(
            "chain.reorganisation_accepted",
            chain=self._chain.name,
            by=by_whom,
            agreed=agreed,
            gone=len(records),
        )
        await self._store(cursor, watch, records, conceded=watch.tip.number)
        return records

    async def _step(self) -> StepReport:
        head = await self._node.head()
        cursor = await self._load(head)
        if cursor.halted:
            agreed, _ = await self._agreed(cursor.watch, head)
            raise DeepReorganisationError(self._chain.name, cursor.watch.final, agreed)
        agreed, contradicted = await self._agreed(cursor.watch, head)
        try:
            watch, records = cut(cursor.watch, agreed, contradicted=contradicted)
        except DeepReorganisationError as error:
            await self._store(cursor, cursor.watch, [], halted=str(error))
            _log.error(
                "chain.deep_reorganisation", chain=self._chain.name, code=error.code, message=str(error)
            )
            raise
        watch, found = await self._read(watch, head)
        records.extend(found)
        if watch != cursor.watch:
            await self._store(cursor, watch, records)
        return StepReport(watch.tip.number, head.number, tuple(records))

    async def _load(self, head: Block | None = None) -> Cursor:
        if self._cursor is None:
            self._cursor = await asyncio.to_thread(self._observations.cursor, self._chain)
        if self._cursor is None:
            base = await self._base(head or await self._node.head())
            watch = begin(self._chain.name, base, self._chain.confirmations, self._chain.remembered_blocks)
            await self._store(None, watch, [])
        assert self._cursor is not None  # noqa: S101 - stored just now
        return self._cursor

    async def _base(self, head: Block) -> Block:
        """The block before the first to be read, deep enough not to be replaced."""
        deep = head.number - self._chain.confirmations
        start = self._chain.start_block
        number = max(0, deep if start is None else min(start - 1, deep))
        base = await self._node.block_at(number)
        if base is None:
            raise ChainStartError(self._chain.name, number)
        return base

    async def _agreed(self, watch: Watch, head: Block) -> tuple[int, bool]:
        """Up to where the chain has our blocks, and whether it has another one above."""
        height = min(watch.tip.number, head.number)
        contradicted = False
        while (ours := watch.block(height)) is not None:
            theirs = await self._node.block_at(height)
            if theirs is not None and theirs.hash == ours.hash:
                return height, contradicted
            contradicted = contradicted or theirs is not None
            height -= 1
        # A node whose head lies below all we remember is only behind; it has contradicted nothing.
        return (NOTHING_AGREED, True) if contradicted else (head.number, False)

    async def _read(self, watch: Watch, head: Block) -> tuple[Watch, list[Record]]:
        """Take the next blocks, as many as belong to one chain before and after their logs were read."""
        first = watch.tip.number + 1
        heights = range(first, min(head.number, first + self._chain.batch_blocks - 1) + 1)
        blocks = await asyncio.gather(*(self._node.block_at(height) for height in heights))
        chained: list[Block] = []
        parent = watch.tip.hash
        for block in blocks:
            if block is None or block.parent != parent:
                break
            chained.append(block)
            parent = block.hash
        found = await asyncio.gather(*(self._node.transfers(block, self._wallets) for block in chained))
        # A node may answer with no logs at all for a block it has just dropped: believe them only if the
        # last of these blocks, and with it all before, is still there.
        if chained and (still := await self._node.block_at(chained[-1].number)) != chained[-1]:
            _log.info("chain.changed_while_read", chain=self._chain.name, height=still and still.number)
            return watch, []
        records: list[Record] = []
        for block, transfers in zip(chained, found, strict=True):
            watch, new = take(watch, block, transfers)
            records.extend(new)
        return watch, records

    async def _store(
        self,
        before: Cursor | None,
        after: Watch,
        records: Sequence[Record],
        halted: str = "",
        conceded: int | None = None,
    ) -> None:
        at_ms = self._clock.now_ns() // NS_PER_MS
        self._cursor = await asyncio.to_thread(
            self._observations.store, self._chain, before, after, records, at_ms, halted, conceded
        )

    async def _rest(self, stop: asyncio.Event, wait_ms: int) -> None:
        waits = [asyncio.create_task(stop.wait()), asyncio.create_task(self._nudge.wait())]
        try:
            await asyncio.wait(waits, timeout=wait_ms / 1_000, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waits:
                task.cancel()
            await asyncio.gather(*waits, return_exceptions=True)
        self._nudge.clear()
