"""From readings to Prometheus' families. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric as Family

from mrmarket.services.telemetry.catalogue import CATALOGUE, Metric
from mrmarket.services.telemetry.reading import Distribution, Reading

MOST_SERIES: Final = 3_000
"""Of one figure: a scrape stays bounded whatever the number of runs."""


class UnknownMetricError(Exception):
    """A source read a figure that the catalogue does not have, or with other labels: a fault of ours."""


def check_reading(reading: Reading | Distribution) -> Metric:
    """The catalogue's entry.

    Raises:
        UnknownMetricError: there is none that fits.
    """
    metric = CATALOGUE.get(reading.metric)
    if metric is None:
        raise UnknownMetricError(f"{reading.metric} is not in the catalogue")
    if len(reading.labels) != len(metric.labels):
        raise UnknownMetricError(f"{reading.metric} is split by {metric.labels}, not by {reading.labels}")
    if isinstance(reading, Distribution) != (metric.kind == "histogram"):
        raise UnknownMetricError(f"{reading.metric} is a {metric.kind}")
    return metric


def families(readings: Iterable[Reading | Distribution]) -> Iterator[Family]:
    """One family for each figure that was read, in the order of the catalogue.

    Counters of the same labels are added; of gauges the last word counts. Series above `MOST_SERIES` are
    left out, and counted.
    """
    by_metric: dict[str, dict[tuple[str, ...], Reading | Distribution]] = {}
    left_out = 0
    for reading in readings:
        metric = check_reading(reading)
        series = by_metric.setdefault(metric.name, {})
        before = series.get(reading.labels)
        if before is None and len(series) >= MOST_SERIES:
            left_out += 1
        elif isinstance(reading, Reading) and isinstance(before, Reading) and metric.kind == "counter":
            series[reading.labels] = Reading(metric.name, before.value + reading.value, reading.labels)
        else:
            series[reading.labels] = reading
    by_metric["mm_series_left_out"] = {(): Reading("mm_series_left_out", left_out)}
    for name in CATALOGUE:
        if name in by_metric:
            yield _family(CATALOGUE[name], by_metric[name])


def _family(metric: Metric, series: dict[tuple[str, ...], Reading | Distribution]) -> Family:
    if metric.kind == "histogram":
        histogram = HistogramMetricFamily(metric.name, metric.help, labels=metric.labels)
        for labels, each in series.items():
            if isinstance(each, Distribution):
                histogram.add_metric(labels, buckets=list(each.buckets), sum_value=each.total)
        return histogram
    make = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
    family = make(metric.name, metric.help, labels=metric.labels)
    for labels, each in series.items():
        if isinstance(each, Reading):
            family.add_metric(labels, each.value)
    return family
