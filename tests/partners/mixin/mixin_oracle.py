"""The official Node SDK, asked over pipes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

HERE: Final = Path(__file__).parent
SANDBOX: Final = Path(__file__).parents[3] / "tools" / "sandbox"
NODE: Final = Path(sys.executable).parent / "node"
INSTALLED: Final = NODE.exists() and (SANDBOX / "node_modules" / "@mixin.dev" / "mixin-node-sdk").is_dir()

needs_sdk: Final = pytest.mark.skipif(
    not INSTALLED, reason="the Node SDK is not installed; run `make sandbox`"
)


def ask_sdk(questions: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The SDK's answers to questions, in order, by one process."""
    asked = b"\n".join(msgspec.json.encode(question) for question in questions) + b"\n"
    done = subprocess.run(
        [NODE, HERE / "mixin_sdk.mjs", SANDBOX / "package.json"],
        input=asked,
        capture_output=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    return (msgspec.json.decode(line) for line in done.stdout.splitlines())
