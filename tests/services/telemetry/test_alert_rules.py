"""The alert rules: known figures, a runbook for each, and Prometheus' own tool agrees."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mrmarket.services.telemetry.catalogue import CATALOGUE

ROOT = Path(__file__).resolve().parents[3]
OPS = ROOT / "ops" / "prometheus"
RULES = (OPS / "rules.yml").read_text(encoding="utf-8")
ALERTS = re.findall(r"- alert: (\w+)", RULES)
METRIC = re.compile(r"\bmm_[a-z0-9_]+")


def promtool(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Prometheus' own tool in the folder of the rules."""
    beside = Path(sys.executable).with_name("promtool")
    tool = str(beside) if beside.exists() else shutil.which("promtool")
    if tool is None:
        pytest.skip("promtool is not installed (make debian takes it out of Debian's prometheus)")
    return subprocess.run(
        [tool, *arguments], cwd=OPS, capture_output=True, text=True, check=False, timeout=60
    )


def names_of(metric: str) -> set[str]:
    """The series' names that a figure has in a query."""
    kind = CATALOGUE[metric].kind
    return {f"{metric}{end}" for end in ("_bucket", "_sum", "_count")} if kind == "histogram" else {metric}


KNOWN = {name for metric in CATALOGUE for name in names_of(metric)}


@pytest.mark.parametrize("file", ["rules.yml", "rules_test.yml"])
def test_every_figure_in_a_rule_exists(file: str) -> None:
    """A rule about a figure that nobody tells would never fire; labels are checked the same way."""
    text = (OPS / file).read_text(encoding="utf-8")
    assert set(METRIC.findall(text)) <= KNOWN
    for metric, selected in re.findall(r"\b(mm_[a-z0-9_]+)\{([^}]*)\}", text):
        labels = set(re.findall(r"(\w+)(?:=~|!=|!~|=)", re.sub(r'"[^"]*"', '""', selected)))
        assert labels <= {*CATALOGUE[metric].labels, "instance", "job"}, metric


def test_every_alert_is_tested_both_ways() -> None:
    """Each alert has a moment at which it fires, and one at which it does not."""
    tests = (OPS / "rules_test.yml").read_text(encoding="utf-8")
    assert len(ALERTS) == len(set(ALERTS)) > 20
    quiet_once = {"OrdersRefused", "NodeSilent"}
    """Their quiet neighbours are in the same series: a venue that is fine, an Angel that is not a node."""
    for alert in ALERTS:
        moments = re.findall(rf"alertname: {alert}\b", tests)
        assert len(moments) >= (1 if alert in quiet_once else 2), alert


def test_every_alert_has_a_place_in_the_runbook() -> None:
    """Whoever is woken finds what it means and what to do under the address that the alert names."""
    runbook = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")
    headings = set(re.findall(r"^### (\w+)$", runbook, re.MULTILINE))
    assert headings == set(ALERTS)
    for alert in ALERTS:
        assert f'runbook: "docs/runbook.md#{alert.lower()}"' in RULES


def test_the_documentation_names_every_figure() -> None:
    """`docs/observability.md` has a row for each figure, with its labels, and none that is not there."""
    text = (ROOT / "docs" / "observability.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(mm_[a-z0-9_]+)(?:\{[a-z, ]*\})?` \| ([a-z]+) \|", text, re.MULTILINE))
    assert rows == {metric.name: metric.kind for metric in CATALOGUE.values()}
    for metric in CATALOGUE.values():
        shown = f"{metric.name}{{{', '.join(metric.labels)}}}" if metric.labels else metric.name
        assert f"`{shown}`" in text


def test_promtool_accepts_rules_and_configuration() -> None:
    """Prometheus itself reads what we ship."""
    rules = promtool("check", "rules", "rules.yml")
    assert rules.returncode == 0, rules.stdout + rules.stderr
    assert f"SUCCESS: {len(ALERTS)} rules found" in rules.stdout + rules.stderr
    config = promtool("check", "config", "--syntax-only", "prometheus.yml")
    assert config.returncode == 0, config.stdout + config.stderr


def test_the_rules_fire_when_they_should() -> None:
    """Prometheus' own unit tests of the rules pass."""
    tested = promtool("test", "rules", "rules_test.yml")
    assert tested.returncode == 0, tested.stdout + tested.stderr
