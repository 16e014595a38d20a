"""Which tests need the machine to themselves, and how long they may take."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest
from hypothesis import HealthCheck, settings

# How long an example takes says how busy the machine is.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")

_TESTS: Final = Path(__file__).parent
_PROCESSES: Final = (
    "e2e/",
    "partners/chains/test_anvil",
    "partners/mixin/test_mixin_kill.py",
    "partners/mixin/test_mixin_sdk",
    "services/angel/test_angel_beside.py",
    "services/angel/test_angel_live.py",
    "services/sandbox/test_world_killed.py",
)
"""Folders and files whose tests start several processes or a browser, or live on the wall clock."""
_LIGHT: Final = (
    "e2e/test_admin_page.py",
    "e2e/test_campaign_pages.py",
    "e2e/test_page_money_states.py",
    "e2e/test_page_states.py",
    "e2e/test_strategies_page.py",
    "partners/chains/test_human.py",
    "partners/chains/test_local_node.py",
    "services/rail/test_rail_conformance.py",
    "services/rail/test_rail_process.py",
    "store/test_two_processes.py",
    "trading/strategy/cross_making/test_making_killed.py",
    "trading/venue/front/test_venue_process.py",
)
"""Those that start one light process, or a browser over an instance that is made up, and wait for what it
says: they may run beside others."""
_LIMIT_S: Final = 900
"""Of each of them: it only ends what hangs. What is waited for within them has limits of its own."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give the heavy ones the marker `processes`, by which `make test` runs them one at a time."""
    for item in items:
        if not item.path.is_relative_to(_TESTS):
            continue
        place = item.path.relative_to(_TESTS).as_posix()
        if place.startswith(_PROCESSES) and not place.startswith(_LIGHT):
            item.add_marker(pytest.mark.processes)
        if place.startswith((*_PROCESSES, *_LIGHT)) and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(_LIMIT_S))
