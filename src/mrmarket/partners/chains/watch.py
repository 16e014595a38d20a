"""Which transfers are final, decided from blocks and nothing else. Pure: no clock, no network, no disk.

A window of block hashes is kept. A block is taken only onto its parent; where the chain contradicts the
window, blocks are taken back from the top. A transfer is final when enough blocks stand on its own, and
from there on a contradiction is never mended silently.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from mrmarket.partners.chains.errors import DeepReorganisationError
from mrmarket.partners.chains.transfer import Block, Transfer

NOTHING_AGREED: Final = -1


class Status(StrEnum):
    """How sure a transfer is."""

    SEEN = "seen"
    FINAL = "final"
    RETRACTED = "retracted"


@dataclass(frozen=True, slots=True)
class Record:
    """A transfer came to a status."""

    transfer: Transfer
    status: Status
    was_final: bool = False
    """Only of a retraction that somebody accepted: money that had been called final is gone."""


@dataclass(frozen=True, slots=True)
class Watch:
    """How far a chain is known."""

    chain: str
    confirmations: int
    memory: int
    """How many blocks are kept."""
    blocks: tuple[Block, ...]
    """Without gaps, each the next one's parent, oldest first; never empty."""
    final: int
    """Height up to which everything is final."""
    seen: tuple[Transfer, ...]
    """Not final yet, by height."""

    @property
    def tip(self) -> Block:
        """The newest block that was taken."""
        return self.blocks[-1]

    def block(self, number: int) -> Block | None:
        """A block of the window."""
        index = number - self.blocks[0].number
        return self.blocks[index] if 0 <= index < len(self.blocks) else None

    def takes(self, block: Block) -> bool:
        """Whether a block is the next one."""
        return block.number == self.tip.number + 1 and block.parent == self.tip.hash


def begin(chain: str, base: Block, confirmations: int, memory: int) -> Watch:
    """Start after a block that is taken for granted: what it and all before it hold is not looked at."""
    return Watch(chain, confirmations, memory, (base,), base.number, ())


def take(watch: Watch, block: Block, transfers: Iterable[Transfer]) -> tuple[Watch, list[Record]]:
    """Add the next block with its transfers to us; what is seen by it, and what is final by it.

    Raises:
        ValueError: if the block is not the next one, or a transfer is of another block.
    """
    if not watch.takes(block):
        raise ValueError(f"block {block.number} {block.hash} does not follow {watch.tip.number}")
    new = tuple(transfers)
    if any(transfer.block_hash != block.hash for transfer in new):
        raise ValueError(f"a transfer of another block was given for {block.hash}")
    records = [Record(transfer, Status.SEEN) for transfer in new]
    final = max(watch.final, block.number - watch.confirmations)
    waiting = watch.seen + new
    ripe = [transfer for transfer in waiting if transfer.block_number <= final]
    records.extend(Record(transfer, Status.FINAL) for transfer in ripe)
    after = replace(
        watch,
        blocks=(*watch.blocks[-(watch.memory - 1) :], block),
        final=final,
        seen=waiting[len(ripe) :],
    )
    return after, records


def cut(watch: Watch, agreed: int, *, contradicted: bool) -> tuple[Watch, list[Record]]:
    """Take back what lies above the height up to which the chain agrees.

    Args:
        watch: how far we were.
        agreed: height of the highest block of ours that the chain still has.
        contradicted: whether the chain has another block above it. If not, its head is merely lower than
            ours: what is final stays, because a node that is behind looks the same.

    Raises:
        DeepReorganisationError: if a final block was replaced; nothing is changed.
    """
    if contradicted and agreed < watch.final:
        raise DeepReorganisationError(watch.chain, watch.final, agreed)
    return _drop_above(watch, max(agreed, watch.final), ())


def concede(watch: Watch, agreed: int, gone: Iterable[Transfer]) -> tuple[Watch, list[Record]]:
    """Accept, on a person's word, that final blocks above a height were replaced.

    Args:
        watch: how far we were.
        agreed: height up to which the chain agrees; a block of the window.
        gone: the final transfers above it.

    Raises:
        DeepReorganisationError: if the window does not reach back that far.
    """
    if watch.block(agreed) is None:
        raise DeepReorganisationError(watch.chain, watch.final, NOTHING_AGREED)
    return _drop_above(replace(watch, final=min(watch.final, agreed)), agreed, gone)


def _drop_above(watch: Watch, height: int, gone: Iterable[Transfer]) -> tuple[Watch, list[Record]]:
    records = [
        Record(transfer, Status.RETRACTED)
        for transfer in reversed(watch.seen)
        if transfer.block_number > height
    ]
    records.extend(Record(transfer, Status.RETRACTED, was_final=True) for transfer in gone)
    after = replace(
        watch,
        blocks=tuple(block for block in watch.blocks if block.number <= height),
        seen=tuple(transfer for transfer in watch.seen if transfer.block_number <= height),
    )
    return after, records
