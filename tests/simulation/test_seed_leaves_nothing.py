"""What a seed needed is free again when it ends: thousands of them run in one process."""

from __future__ import annotations

import gc

from mrmarket.simulation.plan import draw_plan
from mrmarket.simulation.seed import run_seed
from mrmarket.simulation.world import World


def test_a_world_is_gone_with_its_seed() -> None:
    """Neither a refusal of the books nor the clean-up of its coroutines holds it."""
    seed = next(each for each in range(4_711, 4_800) if draw_plan(each).topology.depositors)
    run_seed(seed)
    assert [each for each in gc.get_objects() if isinstance(each, World) and each.plan.seed == seed] == []
