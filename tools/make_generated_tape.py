"""Write `tests/tapes/generated.tape.gz`, the small market that the tests run on.

    .venv/bin/python tools/make_generated_tape.py [FILE]

The same release always writes the same bytes; a test compares them. The market is the default one,
with fewer changes behind the touch so that the file stays small.
"""

from __future__ import annotations

import sys
from itertools import takewhile
from pathlib import Path
from typing import Final

import msgspec

from mrmarket.trading.market.generator import DEFAULT_INSTRUMENT, DEFAULT_PARAMETERS, MarketGenerator
from mrmarket.trading.market.tape import TapeWriter

SEED: Final = 20240808
SECONDS: Final = 120
START_NS: Final = 1_723_161_600_000_000_000
"""2024-08-09 00:00 UTC."""

COMMITTED: Final = Path(__file__).resolve().parents[1] / "tests" / "tapes" / "generated.tape.gz"


def write_tape(path: Path) -> int:
    """Write the tape and say how many events it holds."""
    thin = msgspec.structs.replace(
        DEFAULT_PARAMETERS,
        churn_per_frame=6.0,
        touch_rate_per_s=DEFAULT_PARAMETERS.touch_rate_per_s / 2,
        depth_levels=150,
        depth_range_ticks=5000,
    )
    generator = MarketGenerator(thin, DEFAULT_INSTRUMENT, SEED, START_NS)
    end_ns = START_NS + SECONDS * 1_000_000_000
    count = 0
    with TapeWriter(path, DEFAULT_INSTRUMENT) as tape:
        for event in takewhile(lambda event: event.exchange_ns <= end_ns, generator.events()):
            tape.write(event)
            count += 1
    return count


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else COMMITTED
    print(f"{write_tape(target)} events, {target.stat().st_size} bytes in {target}")
