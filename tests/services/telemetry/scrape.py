"""Reads Prometheus' text format back, with the client library's own parser."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

Series = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def series(text: bytes) -> Series:
    """(name, sorted labels) to value."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def value(found: Series, name: str, /, **labels: str) -> float:
    """One series' value; KeyError if it is not there."""
    return found[name, tuple(sorted(labels.items()))]
