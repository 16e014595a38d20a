"""The examples in the format's document are what the program computes."""

from __future__ import annotations

import os
import re
from hashlib import sha256
from pathlib import Path

import msgspec

from money.ledger_samples import ALICE, USD, WORLD, ask
from mrmarket.core.clock import ManualClock
from mrmarket.money.ledger.chain import GENESIS
from mrmarket.money.ledger.group import Group
from mrmarket.money.ledger.ledger import Ledger
from mrmarket.money.ledger.memory_store import MemoryStore
from mrmarket.money.ledger.merkle import Leaf, MerkleSumTree

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "ledger-format.md"
NEXT_SECTION = "\n## "


def group_example() -> str:
    """Canonical bytes and hash of a first group, put together by hand and held against the ledger's."""
    store = MemoryStore()
    ledger = Ledger(store, ManualClock())
    ask(ledger, Group("open", assets=(USD,), accounts=(WORLD, ALICE)))
    (record,) = store.records(0, 1)
    members = '[["sim:USD",2]],[["external:world","external",null],["user:alice","user","0"]]'
    content = sha256(f'["open",[],{members},null]'.encode()).hexdigest()
    body = f'[1,1,"open","{content}",{record.at_ms},1,"posted","","",null,{members},[]]'
    assert record.content_hash.hex() == content
    assert sha256(GENESIS + body.encode()).digest() == record.hash
    wrapped = "\n    ".join(re.findall(r".{1,100}", body))
    return f"    {wrapped}\n\n    previous {GENESIS.hex()}\n    hash     {record.hash.hex()}\n"


def tree_example() -> str:
    """Leaves and root of two claims."""
    leaves = [Leaf("user:alice", b"\x01" * 32, 7_500), Leaf("user:bob", b"\x02" * 32, 2_500)]
    tree = MerkleSumTree(leaves)
    lines = [f"    {leaf.account:<11} {leaf.node.hash.hex()}" for leaf in leaves]
    lines.append(f"    {'root':<11} {tree.root.hash.hex()}")
    lines.append(f"    {'sum':<11} {tree.root.sum}")
    path = msgspec.json.encode(tree.path("user:alice")).decode()
    return "\n".join([*lines, "", "Alice's path:", "", f"    {path}"]) + "\n"


def with_examples(text: str) -> str:
    """The document with today's examples after their marks."""
    for name, example in (("group", group_example()), ("tree", tree_example())):
        mark = f"<!-- example: {name} -->\n"
        assert mark in text
        before, _, rest = text.partition(mark)
        text = f"{before}{mark}\n{example}{rest[rest.index(NEXT_SECTION) :]}"
    return text


def test_the_examples_are_todays() -> None:
    """`MRMARKET_WRITE_EXAMPLES=1` writes them anew."""
    text = DOCUMENT.read_text(encoding="utf-8")
    if os.environ.get("MRMARKET_WRITE_EXAMPLES"):
        DOCUMENT.write_text(with_examples(text), encoding="utf-8")
    for example in (group_example(), tree_example()):
        assert example in DOCUMENT.read_text(encoding="utf-8")
