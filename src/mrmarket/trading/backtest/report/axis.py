"""Scales and the figures beside them: round steps that a reader can count along."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

_STEPS: Final = (1.0, 2.0, 2.5, 5.0, 10.0)
_CLOCK_STEPS_S: Final = (
    *(0.001, 0.01, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800),
    *(3_600, 7_200, 10_800, 21_600, 43_200, 86_400, 172_800, 604_800, 2_592_000, 7_776_000, 31_536_000),
)
_DAY_S: Final = 86_400
_HUGE: Final = 1e15
_THOUSAND: Final = 1_000


@dataclass(frozen=True, slots=True)
class Mark:
    """A figure beside an axis."""

    share: float
    """Where it stands: 0 at the axis' low end, 1 at its high end."""
    text: str


@dataclass(frozen=True, slots=True)
class Axis:
    """One direction of a chart: what its ends are worth and which figures stand beside it."""

    low: float
    high: float
    marks: tuple[Mark, ...]

    def share(self, value: float) -> float:
        """Where a value stands, 0 to 1 inside the axis."""
        return (value - self.low) / (self.high - self.low)


def round_step(span: float, most: int) -> float:
    """The smallest round step that needs no more than `most` of it to cross a span."""
    rough = span / max(1, most)
    power = 10.0 ** math.floor(math.log10(rough))
    return next(step * power for step in _STEPS if step * power >= rough * (1 - 1e-9))


def value_axis(values: Sequence[float], *, most: int = 4, with_zero: bool = False) -> Axis:
    """An axis for finite values, widened to round figures; `with_zero` keeps zero on it."""
    seen = [value for value in values if math.isfinite(value)] or [0.0]
    if with_zero:
        seen.append(0.0)
    low, high = min(seen), max(seen)
    if high - low <= 1e-12 * max(1.0, abs(high)):
        room = abs(high) * 0.05 or 1.0
        low, high = low - room, high + room
    step = round_step(high - low, most)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    marks = [number * step for number in range(first, last + 1)]
    ends = marks[0], marks[-1]
    digits = max(0, -math.floor(math.log10(step) + 1e-9) + (1 if _needs_half(step) else 0))
    return Axis(
        *ends, tuple(Mark((mark - ends[0]) / (ends[1] - ends[0]), figure(mark, digits)) for mark in marks)
    )


def clock_axis(first_ns: int, last_ns: int, *, most: int = 5) -> Axis:
    """An axis of UTC times: times of day inside two days, dates beyond."""
    last_ns = max(last_ns, first_ns + 1_000_000)
    span_s = (last_ns - first_ns) / 1e9
    step_s = next((step for step in _CLOCK_STEPS_S if span_s / step <= most), _CLOCK_STEPS_S[-1])
    step_ns = max(1, round(step_s * 1e9))
    number = -(-first_ns // step_ns)
    marks = []
    while number * step_ns <= last_ns:
        at_ns = number * step_ns
        marks.append(Mark((at_ns - first_ns) / (last_ns - first_ns), _clock_text(at_ns, step_s, span_s)))
        number += 1
    return Axis(float(first_ns), float(last_ns), tuple(marks))


def named_axis(names: Sequence[str]) -> Axis:
    """An axis of things that have no distance: each name in the middle of its own part."""
    count = max(1, len(names))
    return Axis(
        0.0, float(count), tuple(Mark((place + 0.5) / count, name) for place, name in enumerate(names))
    )


def figure(value: float, digits: int) -> str:
    """A number for people: thousands apart, a true minus, no minus before zero."""
    if abs(value) >= _HUGE:
        return f"{value:.1e}"
    text = f"{abs(value):,.{digits}f}"
    is_zero = not any(sign in "123456789" for sign in text)
    return text if value >= 0 or is_zero else f"−{text}"


def amount(value: float | None, significant: int = 4) -> str:
    """A number of unknown size for people, by significant digits; a dash where there is none."""
    if value is None or not math.isfinite(value):
        return "–"
    if value == 0:
        return "0"
    digits = significant - 1 - math.floor(math.log10(abs(value)))
    if digits > 9:  # noqa: PLR2004 - more zeros than a reader counts
        return f"{value:.{significant - 1}e}".replace("-", "−")
    text = figure(round(value, digits), max(0, digits))
    return text.rstrip("0").rstrip(".") if "." in text else text


def _needs_half(step: float) -> bool:
    lead = step / 10.0 ** math.floor(math.log10(step) + 1e-9)
    return abs(lead - 2.5) < 1e-6  # noqa: PLR2004 - the one step with a digit more


def _clock_text(at_ns: int, step_s: float, span_s: float) -> str:
    moment = datetime.fromtimestamp(at_ns // 1_000_000_000, UTC)
    if step_s >= _DAY_S:
        return f"{moment:%d %b %y}" if span_s > 300 * _DAY_S else f"{moment:%d %b}"
    if span_s > _DAY_S:
        return f"{moment:%d %b %H:%M}"
    if step_s < 1:
        return f"{moment:%H:%M:%S}.{at_ns // 1_000_000 % _THOUSAND:03d}"
    return f"{moment:%H:%M:%S}" if step_s < 60 else f"{moment:%H:%M}"  # noqa: PLR2004 - seconds of a minute
