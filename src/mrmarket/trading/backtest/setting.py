"""Everything a backtest depends on, and nothing else: equal settings on equal tapes give equal results."""

from __future__ import annotations

import hashlib
import re
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec

from mrmarket.core.clock import NS_PER_MS
from mrmarket.core.errors import InvalidInputError

_HASH_BLOCK: Final = 2**20
_MOST_EXPONENT: Final = 20.0

Latency = Annotated[int, msgspec.Meta(ge=0, le=60_000_000_000)]
"""Nanoseconds, up to a minute."""


class TapeRef(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A recording, and what must be in it."""

    path: str
    sha256: str = ""
    """Of the file as it lies; empty until the first run fills it in."""


class ConstantLatency(msgspec.Struct, frozen=True, kw_only=True, tag="constant", forbid_unknown_fields=True):
    """Each way takes the same time always."""

    feed_ns: Latency = 5 * NS_PER_MS
    """From the exchange's book to the strategy."""
    order_ns: Latency = 5 * NS_PER_MS
    """From the decision to the matching engine."""
    response_ns: Latency = 5 * NS_PER_MS
    """From the matching engine back to the strategy."""


class RecordedLatency(msgspec.Struct, frozen=True, kw_only=True, tag="recorded", forbid_unknown_fields=True):
    """Interpolated between recorded orders: (sent, reached the exchange, answered) in nanoseconds.

    Before the first and after the last sample the nearest one holds. Times are the tape's.
    """

    samples: tuple[tuple[int, int, int], ...]
    """Ascending by the time of sending; kept here so that the setting needs no second file."""
    feed_ns: Latency = 5 * NS_PER_MS


class SpikyLatency(msgspec.Struct, frozen=True, kw_only=True, tag="spiky", forbid_unknown_fields=True):
    """A floor plus a lognormal rest, drawn anew for each request with the setting's seed."""

    feed_ns: Latency = 5 * NS_PER_MS
    base_ns: Latency = 4 * NS_PER_MS
    """The floor of either way."""
    median_ns: Latency = 1 * NS_PER_MS
    """Median of what comes on top."""
    sigma: Annotated[float, msgspec.Meta(ge=0, le=5)] = 1.2
    """Standard deviation of its logarithm: 1.2 puts one in a hundred at 16 times the median."""


LatencyModel = ConstantLatency | RecordedLatency | SpikyLatency


class QueueChoice(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where cancellations in front of and behind our order stood; see `QueueModel`."""

    model: Literal["risk_averse", "power", "log"] = "risk_averse"
    exponent: Annotated[float, msgspec.Meta(gt=0, le=_MOST_EXPONENT)] = 2.0
    """Of `power` alone."""
    fitted: str | msgspec.UnsetType = msgspec.UNSET
    """What the exponent was fitted to, in words; unset where nobody did."""

    @property
    def label(self) -> str:
        """For people and for reports, such as `power:2`."""
        return f"power:{self.exponent:g}" if self.model == "power" else self.model


RISK_AVERSE: Final = QueueChoice()
CALIBRATED: Final = QueueChoice(model="power", exponent=2.0)
"""Stands for the calibrated model where own fills have not given another exponent; see `calibration`."""
BOTH: Final = (RISK_AVERSE, CALIBRATED)


class Window(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The part of the tape that is traded. What lies before it only warms the estimators up.

    Nanoseconds win over shares where both are given.
    """

    begin: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.0
    """Share of the tape's time."""
    end: Annotated[float, msgspec.Meta(ge=0, le=1)] = 1.0
    begin_ns: int | None = None
    """Exchange time, included."""
    end_ns: int | None = None
    """Exchange time, excluded."""

    def __post_init__(self) -> None:
        nothing = self.begin >= self.end
        if self.begin_ns is not None and self.end_ns is not None:
            nothing = self.begin_ns >= self.end_ns
        if nothing:
            raise InvalidInputError("window", f"{self.begin:g}:{self.end:g}", "a begin before its end")

    def bounds_ns(self, first_ns: int, last_ns: int) -> tuple[int, int]:
        """[begin, end) in exchange time on a tape from `first_ns` up to and including `last_ns`."""
        span = last_ns + 1 - first_ns
        begin = first_ns + round(span * self.begin) if self.begin_ns is None else self.begin_ns
        end = first_ns + round(span * self.end) if self.end_ns is None else self.end_ns
        return begin, end


WHOLE: Final = Window()


class BacktestSetting(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One backtest. What is None is decided by the run and filled in in its result."""

    tapes: tuple[TapeRef, ...]
    """One a venue for strategies on several venues, in their order; else exactly one."""
    strategy: str
    parameters: dict[str, Any] = {}
    """As in a configuration; what is left out keeps the schema's default, `pair` becomes the tape's."""
    snapshot: str = ""
    """Id of the pinned strategy; filled in by the run, and checked by a run that finds one."""
    symbol: str = ""
    """Which pair of tapes that hold several (`BASE/QUOTE`); empty where there is one."""
    latency: LatencyModel = ConstantLatency()
    queue: tuple[QueueChoice, ...] = BOTH
    """One pass each over the same tape; the first is the headline."""
    maker_fee: Decimal | None = None
    """Fraction of the notional; negative is a rebate. None is what the tape's instrument says."""
    taker_fee: Decimal | None = None
    base: Decimal | None = None
    """Held at the start. With both None: 10 base, and quote worth as much."""
    quote: Decimal | None = None
    decide_every_ns: Annotated[int, msgspec.Meta(ge=0, le=86_400_000_000_000)] = 100 * NS_PER_MS
    """A change of the best prices is answered at once, but no two within this time; 0 is every one."""
    tick_ns: Annotated[int, msgspec.Meta(ge=1_000_000, le=86_400_000_000_000)] = 500 * NS_PER_MS
    """A decision comes at least this often."""
    sample_ns: Annotated[int, msgspec.Meta(ge=1_000_000, le=86_400_000_000_000)] = 1_000 * NS_PER_MS
    """Distance of the points of the equity curve. Bars sample at each close."""
    window: Window = WHOLE
    volume_share: Decimal = Decimal("0.1")
    """Bars alone: how much of a bar's volume our orders may have."""
    decision_limit_s: Annotated[float, msgspec.Meta(gt=0, le=3600)] = 10.0
    """A decision that takes longer ends the run as failed."""
    seed: Annotated[int, msgspec.Meta(ge=0)] = 1

    def __post_init__(self) -> None:
        if not self.tapes:
            raise InvalidInputError("tapes", "", "at least one tape")
        if not self.queue or len(set(self.queue)) != len(self.queue):
            raise InvalidInputError("queue", len(self.queue), "one or more different queue models")
        for name in ("maker_fee", "taker_fee"):
            fee: Decimal | None = getattr(self, name)
            if fee is not None and not (fee.is_finite() and abs(fee) <= Decimal("0.1")):
                raise InvalidInputError(
                    name, str(fee), "a fraction from -0.1 to 0.1, such as 0.001 for 10 bp"
                )
        if not (self.volume_share.is_finite() and 0 < self.volume_share <= 1):
            raise InvalidInputError("volume_share", str(self.volume_share), "a share above 0, up to 1")
        for name in ("base", "quote"):
            held: Decimal | None = getattr(self, name)
            if held is not None and not (held.is_finite() and held >= 0):
                raise InvalidInputError(name, str(held), "an amount from 0 up")

    @property
    def digest(self) -> str:
        """SHA-256 of all of it, in hex. Where a tape's file lies does not count once its hash is known."""
        named = tuple(msgspec.structs.replace(tape, path="") if tape.sha256 else tape for tape in self.tapes)
        plain = msgspec.structs.replace(self, tapes=named)
        text = msgspec.json.encode(plain, order="deterministic")
        return hashlib.sha256(text).hexdigest()


def sha256_of(path: Path) -> str:
    """Of a file's bytes, in hex. Raises OSError."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_HASH_BLOCK):
            digest.update(block)
    return digest.hexdigest()


_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)(ns|us|ms|s|m|h)")
_UNITS_NS: Final = {
    "ns": 1,
    "us": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}


def duration_ns(text: str, field: str = "duration") -> int:
    """`5ms`, `1.5s`, `250us`, `1m` as nanoseconds.

    Raises:
        InvalidInputError: it is none.
    """
    found = _DURATION.fullmatch(text.strip())
    if found is None:
        raise InvalidInputError(field, text, "a time with its unit, such as 5ms")
    return round(Decimal(found[1]) * _UNITS_NS[found[2]])
