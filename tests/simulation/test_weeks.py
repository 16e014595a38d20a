"""A long life: what the outside keeps is dropped once it was compared, and the memory is looked at."""

from __future__ import annotations

import pytest

from mrmarket.simulation import weeks
from mrmarket.simulation.weeks import Day, run_weeks


def test_days_pass_and_nothing_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """Days shortened to an hour: each is reported, trades go on, and the books add up in the end."""
    monkeypatch.setattr(weeks, "_DAY_S", 3_600.0)
    monkeypatch.setattr(weeks, "_PACE", 2.0)
    monkeypatch.setattr(weeks, "_KEPT_NS", 1_200 * 10**9)
    days: list[Day] = []
    report = run_weeks(3, days.append)
    assert report.violations == []
    assert [day.day for day in days] == [1, 2, 3]
    assert days[0].fills < days[1].fills < days[2].fills == report.fills
    assert report.virtual_seconds >= 3 * 3_600
    assert report.rss_end_bytes == days[-1].rss_bytes > 0
    assert report.growth == round(days[-1].rss_bytes / days[1].rss_bytes - 1, 4)
