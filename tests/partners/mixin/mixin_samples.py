"""Random transactions and keys from a seed."""

from __future__ import annotations

import random
import uuid
from typing import Any

from nacl.bindings import crypto_core_ed25519_scalar_reduce

from mrmarket.partners.mixin.ghost import public_key
from mrmarket.partners.mixin.transaction import (
    WITHDRAWAL,
    Input,
    Output,
    Transaction,
    format_amount,
    script,
)


def seeded(seed: int) -> random.Random:
    """Numbers that a seed reproduces."""
    return random.Random(seed)  # noqa: S311 - test data, not secrets


def new_uuid(rng: random.Random) -> str:
    """A UUID of version 4."""
    return str(uuid.UUID(int=rng.getrandbits(128), version=4))


def scalar(rng: random.Random) -> bytes:
    """A scalar."""
    return crypto_core_ed25519_scalar_reduce(rng.randbytes(64))


def random_transaction(rng: random.Random, *, inputs: int | None = None) -> Transaction:
    """A transaction with every kind of part."""
    outputs = []
    if rng.random() < 0.3:
        tag = rng.choice(("", "memo 7", "ü"))
        outputs.append(
            Output(rng.randint(1, 10**12), kind=WITHDRAWAL, address="0x" + rng.randbytes(20).hex(), tag=tag)
        )
    for _ in range(rng.randint(1, 4)):
        keys = tuple(public_key(scalar(rng)).hex() for _ in range(rng.randint(1, 3)))
        units = rng.choice((1, rng.randint(1, 255), rng.randint(1, 10**8), rng.randint(1, 10**15)))
        mask = public_key(scalar(rng)).hex()
        outputs.append(Output(units, keys, mask, script(rng.randint(1, len(keys)))))
    return Transaction(
        asset=rng.randbytes(32).hex(),
        inputs=tuple(
            Input(rng.randbytes(32).hex(), rng.randint(0, 300)) for _ in range(inputs or rng.randint(1, 6))
        ),
        outputs=tuple(outputs),
        extra=rng.randbytes(rng.choice((0, 1, 7, 100, 256))),
        references=tuple(rng.randbytes(32).hex() for _ in range(rng.randint(0, 2))),
    )


def as_question(transaction: Transaction, views: list[str], spend: bytes, index: int) -> dict[str, Any]:
    """The same transaction for the SDK."""
    outputs: list[dict[str, Any]] = []
    for output in transaction.outputs:
        amount = format_amount(output.units)
        if output.kind == WITHDRAWAL:
            outputs.append({"amount": amount, "destination": output.address, "tag": output.tag})
        else:
            members = [str(uuid.UUID(int=at)) for at in range(len(output.keys))]
            threshold = int(output.script[4:], 16)
            outputs.append(
                {
                    "amount": amount,
                    "keys": output.keys,
                    "mask": output.mask,
                    "threshold": threshold,
                    "members": members,
                }
            )
    return {
        "ask": "sign",
        "asset": transaction.asset,
        "inputs": [{"hash": spent.hash, "index": spent.index} for spent in transaction.inputs],
        "outputs": outputs,
        "extra": transaction.extra.hex(),
        "references": list(transaction.references),
        "views": views,
        "spend": spend.hex(),
        "index": index,
    }
