"""A root commits to every claim and to their sum."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from mrmarket.money.ledger.merkle import Leaf, MerkleSumTree, NegativeClaimError, Node, Step, climb, join

AMOUNTS = st.lists(st.integers(1, 2**127 - 1), min_size=1, max_size=40)


def leaves_of(amounts: list[int]) -> list[Leaf]:
    """One account an amount."""
    return [
        Leaf(f"user:u{place}", sha256(str(place).encode()).digest(), units)
        for place, units in enumerate(amounts)
    ]


@given(AMOUNTS)
def test_every_leaf_leads_to_the_root_and_its_sum(amounts: list[int]) -> None:
    """Whatever the number of leaves, each proof ends at the root, whose sum is that of all leaves."""
    leaves = leaves_of(amounts)
    tree = MerkleSumTree(leaves)
    assert tree.root.sum == sum(amounts)
    assert len(tree) == len(amounts)
    for leaf in leaves:
        assert climb(leaf, tree.path(leaf.account)) == tree.root


@given(AMOUNTS, st.data())
def test_a_proof_holds_for_its_own_leaf_alone(amounts: list[int], data: st.DataObject) -> None:
    """Another amount, name, nonce, side, sum or hash leads to another root."""
    leaves = leaves_of(amounts)
    tree = MerkleSumTree(leaves)
    leaf = data.draw(st.sampled_from(leaves))
    path = tree.path(leaf.account)
    for other in (
        leaf._replace(units=leaf.units + 1),
        leaf._replace(account="user:eve"),
        leaf._replace(nonce=bytes(32)),
    ):
        assert climb(other, path).hash != tree.root.hash
    for place, step in enumerate(path):
        flipped = "left" if step.side == "right" else "right"
        for wrong in (
            replace(step, side=flipped),
            replace(step, sum=str(int(step.sum) + 1)),
            replace(step, hash=sha256(step.hash.encode()).hexdigest()),
        ):
            assert climb(leaf, [*path[:place], wrong, *path[place + 1 :]]).hash != tree.root.hash


@given(AMOUNTS)
def test_the_order_of_the_accounts_does_not_matter(amounts: list[int]) -> None:
    """Leaves are placed by their hashes, so the same claims give the same root."""
    leaves = leaves_of(amounts)
    assert MerkleSumTree(leaves).root == MerkleSumTree(reversed(leaves)).root


def test_the_bytes_under_a_root_are_as_documented() -> None:
    """Two leaves and their node, put together by hand."""
    nonces = bytes([1]) * 32, bytes([2]) * 32
    leaf = [
        sha256(b"\x00" + (6).to_bytes(32, "big") + name + nonce + units.to_bytes(32, "big")).digest()
        for name, nonce, units in ((b"user:a", nonces[0], 5), (b"user:b", nonces[1], 7))
    ]
    sums = dict(zip(leaf, (5, 7), strict=True))
    left, right = sorted(leaf)
    body = b"\x01" + sums[left].to_bytes(32, "big") + left + sums[right].to_bytes(32, "big") + right
    tree = MerkleSumTree([Leaf("user:a", nonces[0], 5), Leaf("user:b", nonces[1], 7)])
    assert tree.root == Node(12, sha256(body).digest())
    assert tree.leaf("user:b") == Leaf("user:b", nonces[1], 7)
    assert tree.leaf("user:c") is None


@pytest.mark.parametrize("units", [-1, 2**256])
def test_a_claim_below_zero_is_refused_at_every_level(units: int) -> None:
    """A negative sum would hide somebody's claim: no leaf, no node and no proof may carry one."""
    leaf = Leaf("user:a", bytes(32), 5)
    with pytest.raises(NegativeClaimError):
        MerkleSumTree([Leaf("user:b", bytes(32), units)])
    with pytest.raises(NegativeClaimError):
        join(leaf.node, Node(units, bytes(32)))
    with pytest.raises(NegativeClaimError):
        climb(leaf, [Step("left", str(units), bytes(32).hex())])


@pytest.mark.parametrize(
    "step",
    [
        Step("left", "05", bytes(32).hex()),
        Step("left", " 5", bytes(32).hex()),
        Step("left", "5", bytes(31).hex()),
        Step("left", "five", bytes(32).hex()),
        Step("left", "5", "no hash"),
    ],
)
def test_a_step_is_written_in_one_way_alone(step: Step) -> None:
    """Sums are canonical decimal text and hashes 32 bytes; anything else is refused."""
    with pytest.raises(ValueError, match=r"step|invalid literal|fromhex"):
        climb(Leaf("user:a", bytes(32), 5), [step])


def test_a_leaf_has_a_nonce_of_32_bytes_and_a_tree_a_leaf() -> None:
    """A shorter nonce could be searched for, and nothing has no root."""
    with pytest.raises(ValueError, match="32 bytes"):
        MerkleSumTree([Leaf("user:a", b"short", 5)])
    with pytest.raises(ValueError, match="at least one"):
        MerkleSumTree([])
