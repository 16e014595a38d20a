"""Tiers over time, drawn as inline SVG that stretches with the page; the words around it are HTML."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from html import escape

from mrmarket.money.loyalty.prices import written_day
from mrmarket.money.loyalty.tiers import TIERS, WEEK_MS, Run, tier_at


def tier_strip(runs: Sequence[Run], start_ms: int, stop_ms: int) -> str:
    """One provider's tiers as a bar: a rectangle for each stretch, nothing while below the minimum."""
    span_ms = max(1, stop_ms - start_ms)
    bars = [
        f'<rect class="t{number}" x="{_share(since_ms - start_ms, span_ms)}" '
        f'width="{_share(until_ms - since_ms, span_ms)}" height="10">'
        f"<title>tier {number}, {written_day(since_ms)} to {written_day(until_ms)}</title></rect>"
        for number, since_ms, until_ms in _stretches(runs, stop_ms)
    ]
    return f'<svg viewBox="0 0 1000 10" preserveAspectRatio="none" aria-hidden="true">{"".join(bars)}</svg>'


def tier_counts(all_runs: Sequence[Sequence[Run]], days_ms: Sequence[int]) -> list[list[int]]:
    """For each midnight how many providers are in tier 1, 2, 3 and 4."""
    counts = [[0] * len(TIERS) for _ in days_ms]
    for runs in all_runs:
        for row, day_ms in zip(counts, days_ms, strict=True):
            if number := tier_at(runs, day_ms):
                row[number - 1] += 1
    return counts


def stacked_counts(counts: Sequence[Sequence[int]]) -> str:
    """Providers by tier over the days, the highest tier at the bottom."""
    highest = max((sum(row) for row in counts), default=0) or 1
    layers: list[str] = []
    floor = [0] * len(counts)
    for number in range(len(TIERS), 0, -1):
        top = [below + row[number - 1] for below, row in zip(floor, counts, strict=True)]
        if top != floor:
            path = _band(floor, top, highest)
            layers.append(f'<path class="t{number}" d="{path}"><title>tier {number}</title></path>')
        floor = top
    width = max(1, len(counts))
    return (
        f'<svg viewBox="0 0 {width} 100" preserveAspectRatio="none" role="img" '
        f'aria-label="Providers by tier on each day">{"".join(layers)}</svg>'
    )


def time_axis(start_ms: int, stop_ms: int) -> str:
    """A few dates along the time, as HTML."""
    steps = 4
    marks = (start_ms + (stop_ms - start_ms) * step // steps for step in range(steps + 1))
    words = (f"{datetime.fromtimestamp(mark // 1000, UTC):%d %b %y}" for mark in marks)
    return '<div class="axis">' + "".join(f"<span>{escape(word)}</span>" for word in words) + "</div>"


def _stretches(runs: Sequence[Run], stop_ms: int) -> Iterator[tuple[int, int, int]]:
    """(tier, from, until) of every stretch in one tier."""
    for since_ms, ended_ms in runs:
        end_ms = stop_ms if ended_ms is None else ended_ms
        begins = [since_ms + tier.weeks * WEEK_MS for tier in TIERS]
        for tier, begin_ms, next_ms in zip(TIERS, begins, [*begins[1:], end_ms], strict=True):
            until_ms = min(next_ms, end_ms)
            if begin_ms < until_ms:
                yield tier.number, begin_ms, until_ms


def _band(floor: Sequence[int], top: Sequence[int], highest: int) -> str:
    """A closed path of steps, one unit wide a day, 100 high."""

    def height(count: int) -> str:
        return f"{100 - 100 * count / highest:.2f}".rstrip("0").rstrip(".")

    there = [f"M0 {height(floor[0])}"]
    there += [f"V{height(count)}H{day + 1}" for day, count in enumerate(top)]
    back = [f"V{height(count)}H{day}" for day, count in reversed(list(enumerate(floor)))]
    return "".join([*there, *back, "Z"])


def _share(part_ms: int, whole_ms: int) -> str:
    """A length on a scale of a thousand."""
    return f"{1000 * part_ms / whole_ms:.2f}".rstrip("0").rstrip(".")
