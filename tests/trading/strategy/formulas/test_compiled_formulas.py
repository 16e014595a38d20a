"""Every formula gives the same compiled and as it is."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from mrmarket.trading.strategy.formulas.compiled import compiled_formulas, plain_formulas

SHAPES: dict[str, Callable[[random.Random], tuple[Any, ...]]] = {
    "as_reservation": lambda r: (r.uniform(1, 9), r.uniform(-9, 9), r.random(), r.random(), r.random()),
    "as_spread": lambda r: (r.random(), r.random(), r.random(), r.uniform(0.01, 2)),
    "as_quotes": lambda r: (9.0, r.uniform(-9, 9), r.random(), r.random(), r.random(), r.uniform(0.01, 2)),
    "as_normalised_reservation": lambda r: (9.0, r.uniform(-1, 1), r.random(), r.random(), r.random()),
    "as_normalised_spread": lambda r: (r.random(), r.random(), r.random(), r.uniform(0.01, 2)),
    "glft_c1": lambda r: (r.random(), r.uniform(0.01, 2), 1.0),
    "glft_c2": lambda r: (
        r.random(),
        r.choice([0.0, r.random()]),
        r.uniform(0.1, 2),
        r.uniform(0.01, 2),
        1.0,
    ),
    "glft_terms": lambda r: (r.random(), r.random(), r.random(), r.uniform(0.1, 2), r.uniform(0.01, 2), 1.0),
    "glft_arrivals_after_fee": lambda r: (r.random(), r.random(), r.uniform(-5, 5)),
    "glft_distances": lambda r: (r.uniform(-9, 9), r.random(), r.random(), r.uniform(-1, 1)),
    "glft_sides": lambda r: (r.uniform(-9, 9), r.uniform(0.5, 9)),
    "grid_price": lambda r: (r.uniform(1, 9e6), r.uniform(1e-4, 0.1), r.randint(-99, 99)),
    "grid_level": lambda r: (r.uniform(50, 150), 100.0, r.uniform(1e-4, 0.1)),
    "fill_chance": lambda r: (r.uniform(0, 99), r.choice([0.0, r.uniform(0, 9)]), r.uniform(0, 9)),
    "queue_value": lambda r: (r.random(), r.random(), r.uniform(-9, 9)),
    "is_worth_moving": lambda r: (r.uniform(0, 9), r.uniform(0, 9), r.random(), r.random()),
    "linear_sizes": lambda r: (r.uniform(-9, 9), r.uniform(0.5, 9)),
    "range_sizes": lambda r: (r.uniform(-9, 9), r.uniform(0.5, 9)),
    "fading_sizes": lambda r: (r.uniform(-9, 9), r.random()),
    "widening": lambda r: (r.uniform(-1, 9), r.random(), r.uniform(-9, 9), r.random()),
    "floor_of_half": lambda r: (r.uniform(-9, 9), r.uniform(-1, 1)),
    "clamped": lambda r: (r.uniform(-9, 9), r.uniform(-9, 9), r.uniform(-9, 9)),
}


def test_every_formula_is_known_here() -> None:
    """A new formula needs a line in this table, or it would never be compiled."""
    assert set(plain_formulas()) == {*SHAPES, "glft_gamma"}


@pytest.mark.compiled
def test_compiled_and_plain_agree() -> None:
    """The last digits may differ by the compiler's order of operations, nothing else."""
    pytest.importorskip("numba")
    compiled, plain = compiled_formulas(), plain_formulas()
    rng = random.Random(5)  # noqa: S311 - arguments, not secrets
    for name, shape in SHAPES.items():
        for _ in range(20):
            arguments = shape(rng)
            assert compiled[name](*arguments) == pytest.approx(plain[name](*arguments), rel=1e-12), name
    for model_a in (False, True):
        found = compiled["glft_gamma"](10.0, 2.0, 0.5, 0.01, 1.0, model_a=model_a)
        assert found == pytest.approx(plain["glft_gamma"](10.0, 2.0, 0.5, 0.01, 1.0, model_a=model_a))
