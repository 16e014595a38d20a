"""Mixin transactions with 4 inputs built and signed, ours beside the official Node SDK's, in one run.

    .venv/bin/python benchmarks/bench_mixin.py [--json] [--runs N]

Both get the same inputs, outputs, views and spend key, and both end at the signed bytes in hex; that these
are equal is asserted. Without the SDK (`make sandbox`) ours is measured alone.
"""

from __future__ import annotations

import argparse
import gc
import json
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from nacl.bindings import crypto_core_ed25519_scalar_reduce

from mrmarket.partners.mixin.ghost import public_key
from mrmarket.partners.mixin.signing import sign_transaction
from mrmarket.partners.mixin.transaction import (
    Input,
    Output,
    Transaction,
    decode,
    encode,
    parse_amount,
    script,
)

ROOT: Final = Path(__file__).resolve().parents[1]
ORACLE: Final = ROOT / "tests" / "partners" / "mixin" / "mixin_sdk.mjs"
PACKAGES: Final = ROOT / "tools" / "sandbox"
NODE: Final = Path(sys.executable).parent / "node"
INPUTS: Final = 4
TIMES: Final = 300
NAME: Final = f"{INPUTS} inputs, built and signed"


def scalar(number: int) -> bytes:
    """A scalar that is the same in every run."""
    return crypto_core_ed25519_scalar_reduce(number.to_bytes(64, "little"))


def question() -> dict[str, Any]:
    """A payment with change, as the SDK is asked for it."""
    outputs = [
        {
            "amount": amount,
            "keys": [public_key(scalar(seed)).hex()],
            "mask": public_key(scalar(seed + 1)).hex(),
            "threshold": 1,
            "members": ["00000000-0000-4000-8000-000000000000"],
        }
        for amount, seed in (("12.5", 10**40), ("0.00000001", 10**41))
    ]
    return {
        "asset": "ab" * 32,
        "inputs": [{"hash": f"{index:02x}" * 32, "index": index} for index in range(INPUTS)],
        "outputs": outputs,
        "extra": b"reward 2026-01-01".hex(),
        "references": [],
        "views": [scalar(10**42 + index).hex() for index in range(INPUTS)],
        "spend": "17" * 32,
        "index": 0,
        "times": TIMES,
    }


def build(asked: dict[str, Any]) -> str:
    """The same, by us."""
    transaction = Transaction(
        asked["asset"],
        tuple(Input(spent["hash"], spent["index"]) for spent in asked["inputs"]),
        tuple(
            Output(parse_amount(made["amount"]), tuple(made["keys"]), made["mask"], script(made["threshold"]))
            for made in asked["outputs"]
        ),
        bytes.fromhex(asked["extra"]),
    )
    return encode(sign_transaction(transaction, asked["views"], bytes.fromhex(asked["spend"]))).hex()


def rate(
    name: str,
    unit: str,
    count: int,
    runs: int,
    once: Callable[[], object],
    clock: Callable[[], int] = time.perf_counter_ns,
) -> dict[str, Any]:
    """Run something several times; the median."""
    rates = []
    for _ in range(runs):
        gc.collect()
        start_ns = clock()
        once()
        rates.append(count / (clock() - start_ns) * 1e9)
    return {"name": name, "unit": unit, "per_s": statistics.median(rates)}


def ask_node(asked: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The SDK's answers, by one process."""
    done = subprocess.run(
        [NODE, ORACLE, PACKAGES / "package.json"],
        input="".join(json.dumps(each) + "\n" for each in asked),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    parser.add_argument("--runs", type=int, default=5, help="the median of so many runs (default 5)")
    arguments = parser.parse_args()
    asked = question()
    signed = bytes.fromhex(build(asked))

    def many() -> None:
        for _ in range(TIMES):
            build(asked)

    rows = [
        rate(NAME, "/s", TIMES, arguments.runs, many),
        rate(f"{NAME}, a second of CPU", "/s", TIMES, arguments.runs, many, time.process_time_ns),
        rate(
            "a signed one read", "/s", TIMES, arguments.runs, lambda: [decode(signed) for _ in range(TIMES)]
        ),
    ]
    ratios: dict[str, float] = {}
    if NODE.exists() and (PACKAGES / "node_modules" / "@mixin.dev").is_dir():
        sign, timed = {**asked, "ask": "sign"}, {**asked, "ask": "time"}
        told, _, *measured = ask_node([sign, *[timed] * (arguments.runs + 1)])  # the first warms it up
        assert told["signed"] == signed.hex(), "ours and the SDK's bytes differ"
        sdk = TIMES / statistics.median(each["seconds"] for each in measured)
        rows.append({"name": f"{NAME}, Node SDK", "unit": "/s", "per_s": sdk})
        ratios["built and signed / Node SDK"] = rows[0]["per_s"] / sdk
    else:
        print("the Node SDK is left out; run `make sandbox` for it", file=sys.stderr)
    if arguments.json:
        print(json.dumps({"python": platform.python_version(), "rows": rows, "ratios": ratios}))
        return 0
    for row in rows:
        print(f"{row['name']:<48} {row['per_s']:>12,.0f} {row['unit']}")
    for name, ratio in ratios.items():
        print(f"{name:<48} {ratio:>12.1f} ×")
    return 0


if __name__ == "__main__":
    sys.exit(main())
