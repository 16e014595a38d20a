"""Merkle-sum trees: a root that commits to every leaf and to what all of them add up to.

    leaf = SHA-256(0x00 ‖ length of the account id ‖ account id ‖ nonce ‖ units)
    node = SHA-256(0x01 ‖ left sum ‖ left hash ‖ right sum ‖ right hash)

Lengths, units and sums are 32-byte big-endian unsigned integers; the account id is ASCII; nonce and hashes
are 32 bytes. Leaves stand in the order of their hashes, which the nonces make random, so that a place in the
tree says nothing about its owner. A level is paired from the left; an odd last node moves up as it is.
A proof names both sums at every level: somebody who hides a claim must shrink a sum that a verifier checks.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Final, Literal, NamedTuple

import msgspec

from mrmarket.money.ledger.errors import LedgerError

WIDTH: Final = 32
"""Bytes of every integer, nonce and hash."""

_LEAF: Final = b"\x00"
_NODE: Final = b"\x01"


class NegativeClaimError(LedgerError):
    """A tree of claims cannot hold an amount below zero: it would hide another claim."""

    code = "negative_claim"

    def __init__(self, account: str, units: int) -> None:
        self.account = account
        self.units = units
        super().__init__(f"{account} holds {units} units, which is no claim; bring it to zero or above first")


class Node(NamedTuple):
    """A place in the tree."""

    sum: int
    """Units of all leaves below it."""
    hash: bytes


class Leaf(NamedTuple):
    """What one account is owed."""

    account: str
    nonce: bytes
    units: int

    @property
    def node(self) -> Node:
        """Its place in the tree.

        Raises:
            NegativeClaimError: if the units are below zero or take more than 32 bytes.
            ValueError: if the nonce is no nonce, or the account id is not ASCII.
        """
        if len(self.nonce) != WIDTH:
            raise ValueError(f"a nonce has {WIDTH} bytes, not {len(self.nonce)}")
        if not 0 <= self.units < 1 << 8 * WIDTH:
            raise NegativeClaimError(self.account, self.units)
        name = self.account.encode("ascii")
        body = _LEAF + _integer(len(name)) + name + self.nonce + _integer(self.units)
        return Node(self.units, sha256(body).digest())


class Step(msgspec.Struct, frozen=True):
    """The neighbour on the way from a leaf to the root."""

    side: Literal["left", "right"]
    """On which side of the way the neighbour stands."""
    sum: str
    """Its units, as decimal text."""
    hash: str
    """Hexadecimal."""


class MerkleSumTree:
    """A tree over leaves, kept whole so that the way of each can be read off."""

    def __init__(self, leaves: Iterable[Leaf]) -> None:
        placed = sorted(((leaf.node, leaf) for leaf in leaves), key=lambda pair: pair[0].hash)
        if not placed:
            raise ValueError("a tree has at least one leaf")
        self._leaves = [leaf for _, leaf in placed]
        self._places = {leaf.account: place for place, leaf in enumerate(self._leaves)}
        self._levels = [[node for node, _ in placed]]
        while len(self._levels[-1]) > 1:
            self._levels.append(_level_above(self._levels[-1]))

    def __len__(self) -> int:
        return len(self._leaves)

    @property
    def root(self) -> Node:
        """What is published."""
        return self._levels[-1][0]

    def leaf(self, account: str) -> Leaf | None:
        """An account's leaf; None if it has none."""
        place = self._places.get(account)
        return None if place is None else self._leaves[place]

    def path(self, account: str) -> list[Step]:
        """Neighbours from an account's leaf up to the root.

        Raises:
            KeyError: if the account has no leaf.
        """
        place = self._places[account]
        steps: list[Step] = []
        for level in self._levels[:-1]:
            beside = place ^ 1
            if beside < len(level):
                neighbour = level[beside]
                side: Literal["left", "right"] = "left" if beside < place else "right"
                steps.append(Step(side, str(neighbour.sum), neighbour.hash.hex()))
            place //= 2
        return steps


def join(left: Node, right: Node) -> Node:
    """The node above two.

    Raises:
        NegativeClaimError: if a sum is below zero or takes more than 32 bytes.
    """
    for node in (left, right):
        if not 0 <= node.sum < 1 << 8 * WIDTH:
            raise NegativeClaimError("a subtree", node.sum)
    body = _NODE + _integer(left.sum) + left.hash + _integer(right.sum) + right.hash
    return Node(left.sum + right.sum, sha256(body).digest())


def climb(leaf: Leaf, path: Sequence[Step]) -> Node:
    """The root that a leaf and its way lead to.

    Raises:
        NegativeClaimError: if a sum on the way is below zero.
        ValueError: if the way is not written as it should be.
    """
    node = leaf.node
    for step in path:
        neighbour = Node(int(step.sum), bytes.fromhex(step.hash))
        if step.sum != str(neighbour.sum) or len(neighbour.hash) != WIDTH:
            raise ValueError(f"no step of a proof: {step}")
        node = join(neighbour, node) if step.side == "left" else join(node, neighbour)
    return node


def _level_above(level: list[Node]) -> list[Node]:
    pairs = zip(level[::2], level[1::2], strict=False)
    above = [join(left, right) for left, right in pairs]
    if len(level) % 2:
        above.append(level[-1])
    return above


def _integer(value: int) -> bytes:
    return value.to_bytes(WIDTH, "big")
