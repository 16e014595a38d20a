"""What the peers did in this run: `run.py` measures them first, each bench compares itself.

`run.py` writes the peers' lines (one JSON object each) to a file and names it in
`MRMARKET_PEERS_RESULTS`; without it every comparison with a peer is left out.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Final

RESULTS: Final = "MRMARKET_PEERS_RESULTS"
"""The environment variable with the file of the peers' results."""


def peer_seconds() -> dict[str, float]:
    """Median seconds of each of the peers' benchmarks by name; the newest of two of a name."""
    return {row["name"]: row["median_s"] for row in _rows()}


def peer_rates() -> dict[str, float]:
    """What each did a second."""
    return {row["name"]: row["rate"] for row in _rows()}


def _rows() -> list[dict[str, Any]]:
    path = os.environ.get(RESULTS, "")
    if not path or not Path(path).is_file():
        return []
    return [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines() if line]
