"""The pure core of the watcher, one decision at a time."""

from __future__ import annotations

import pytest

from mrmarket.partners.chains.errors import DeepReorganisationError
from mrmarket.partners.chains.transfer import Block, Transfer, TransferKey
from mrmarket.partners.chains.watch import Status, Watch, begin, concede, cut, take
from partners.chains.chain_samples import CHAIN_ID, ESCROW, TOKEN, WALLET


def block(number: int, branch: str = "a", parent: str | None = None) -> Block:
    """A block of a branch."""
    return Block(number, f"{branch}{number}", parent or f"{branch}{number - 1}", number)


def transfer(on: Block, tx: str = "t") -> Transfer:
    """A transfer in a block."""
    return Transfer(TransferKey(CHAIN_ID, tx, 0), on.number, on.hash, TOKEN, ESCROW, WALLET, 5)


def followed(upto: int, confirmations: int = 2, memory: int = 10) -> Watch:
    """A watch that took blocks up to a height, each with a transfer named after it."""
    watch = begin("c", block(0), confirmations, memory)
    for number in range(1, upto + 1):
        watch, _ = take(watch, block(number), [transfer(block(number), f"t{number}")])
    return watch


def test_a_transfer_is_seen_first_and_final_when_enough_blocks_follow() -> None:
    """With two confirmations the transfer of block 1 is final by block 3, and once only."""
    watch = begin("c", block(0), 2, 10)
    watch, first = take(watch, block(1), [transfer(block(1))])
    watch, second = take(watch, block(2), [])
    watch, third = take(watch, block(3), [])
    _, fourth = take(watch, block(4), [])

    assert [record.status for record in first] == [Status.SEEN]
    assert second == fourth == []
    assert [record.status for record in third] == [Status.FINAL]


def test_without_confirmations_a_block_is_final_at_once() -> None:
    """A chain that never reorganises says seen and final in one breath."""
    watch = begin("c", block(0), 0, 2)
    _, records = take(watch, block(1), [transfer(block(1))])
    assert [record.status for record in records] == [Status.SEEN, Status.FINAL]


def test_a_block_is_taken_only_onto_its_parent() -> None:
    """A gap, another branch or a transfer of another block is a mistake of the caller."""
    watch = followed(2)
    for wrong in (block(4), block(2), block(3, parent="b2")):
        with pytest.raises(ValueError, match="does not follow"):
            take(watch, wrong, [])
    with pytest.raises(ValueError, match="another block"):
        take(watch, block(3), [transfer(block(2))])


def test_what_is_not_final_is_taken_back_newest_first() -> None:
    """A contradiction above the final height retracts what it replaces and nothing else."""
    watch, records = cut(followed(4), 2, contradicted=True)
    assert [(record.transfer.key.tx_hash, record.status) for record in records] == [
        ("t4", Status.RETRACTED),
        ("t3", Status.RETRACTED),
    ]
    assert (watch.tip.number, watch.final, watch.seen) == (2, 2, ())


def test_a_lower_head_is_no_contradiction() -> None:
    """A node that is behind, or was rolled back, loses us nothing that was final."""
    watch, records = cut(followed(4), 0, contradicted=False)
    assert watch.tip.number == watch.final == 2
    assert [record.status for record in records] == [Status.RETRACTED, Status.RETRACTED]


def test_a_replaced_final_block_is_never_mended_silently() -> None:
    """It raises and says how far the chain agrees."""
    with pytest.raises(DeepReorganisationError) as caught:
        cut(followed(4), 1, contradicted=True)
    assert (caught.value.final, caught.value.agreed) == (2, 1)
    assert caught.value.code == "chain_deep_reorganisation"


def test_a_person_may_accept_it_and_learns_what_was_final() -> None:
    """The retraction of what had been final is marked as such; then the chain is followed again."""
    watch, records = concede(followed(4), 1, [transfer(block(2), "t2")])
    assert [(record.transfer.key.tx_hash, record.was_final) for record in records] == [
        ("t4", False),
        ("t3", False),
        ("t2", True),
    ]
    assert (watch.tip.number, watch.final) == (1, 1)
    watch, _ = take(watch, block(2, "b", parent="a1"), [])
    assert watch.tip.hash == "b2"


def test_what_is_not_remembered_cannot_be_accepted() -> None:
    """Beyond the window nobody knows which block was the last in common."""
    watch = followed(9, memory=4)
    assert len(watch.blocks) == 4
    with pytest.raises(DeepReorganisationError):
        concede(watch, 1, [])
