"""What is searched: the dimensions, their grid, and points drawn from them."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Final

import msgspec

from mrmarket.trading.backtest.optimiser.errors import SearchRefusedError

Value = int | float | bool | str
Point = dict[str, Value]
"""A value for each dimension, by its name."""

_EXAMPLES: Final = "NAME=LOW:HIGH, NAME=LOW:HIGH:STEP, NAME=LOW:HIGH:log or NAME=A|B|C"
_MOST_STEPS: Final = 1_000_000
_PARTS_WITH_STEP: Final = 3


class Range(msgspec.Struct, frozen=True, kw_only=True, tag="range"):
    """Numbers from `low` to `high`, both included."""

    name: str
    low: float
    high: float
    step: float | None = None
    """None: everything between."""
    whole: bool = False
    """Whether only whole numbers are meant."""
    log: bool = False
    """Whether equal ratios count the same, not equal differences."""

    @property
    def steps(self) -> int | None:
        """How many values there are; None for a continuum."""
        return None if self.step is None else math.floor((self.high - self.low) / self.step + 1e-9) + 1

    def value(self, number: int) -> Value:
        """The value so many steps above the lowest."""
        assert self.step is not None  # noqa: S101 - a continuum has no steps
        # By decimal text: 0.0001 + 2 · 0.0001 is 0.0003 and not 0.00030000000000000003.
        exact = Decimal(repr(self.low)) + number * Decimal(repr(self.step))
        return int(exact) if self.whole else float(exact)

    def drawn(self, rng: random.Random) -> Value:
        """One value, each as likely as another."""
        if (steps := self.steps) is not None:
            return self.value(rng.randrange(steps))
        if self.log:
            return self.near(math.exp(rng.uniform(math.log(self.low), math.log(self.high))))
        return self.near(rng.uniform(self.low, self.high))

    def near(self, value: float) -> Value:
        """The value that is searched nearest to a number: on the steps, or of six significant digits."""
        if self.step is not None:
            return self.value(round((value - self.low) / self.step))
        return min(self.high, max(self.low, float(f"{value:.6g}")))


class Choice(msgspec.Struct, frozen=True, kw_only=True, tag="choice"):
    """One of some words or numbers that have no order."""

    name: str
    options: tuple[Value, ...]

    @property
    def steps(self) -> int:
        """How many options there are."""
        return len(self.options)

    def value(self, number: int) -> Value:
        """An option by its place."""
        return self.options[number]

    def drawn(self, rng: random.Random) -> Value:
        """One option."""
        return rng.choice(self.options)


Dimension = Range | Choice


def parse_dimension(text: str) -> Dimension:
    """Read one `--search`: `k=low:high[:step|:log]` or `k=a|b|c`; `k,l=…` moves two parameters together.

    Raises:
        SearchRefusedError: it is none of these, is empty, or has no end.
    """
    name, equals, rest = text.partition("=")
    name, rest = ",".join(part.strip() for part in name.split(",")), rest.strip()
    if not (all(part.isidentifier() for part in name.split(",")) and equals and rest):
        raise SearchRefusedError("search", text, _EXAMPLES)
    if "|" in rest:
        options = tuple(_plain(word.strip()) for word in rest.split("|"))
        if len(set(map(str, options))) != len(options) or "" in options:
            raise SearchRefusedError("search", text, "options that are all there and all different")
        return Choice(name=name, options=options)
    parts = [part.strip() for part in rest.split(":")]
    if len(parts) not in {2, _PARTS_WITH_STEP}:
        raise SearchRefusedError("search", text, _EXAMPLES)
    return _range(name, parts, text)


def parse_space(texts: Sequence[str]) -> tuple[Dimension, ...]:
    """Read every `--search`, in order.

    Raises:
        SearchRefusedError: one cannot be read, a name comes twice, or there is none.
    """
    space = tuple(parse_dimension(text) for text in texts)
    if not space:
        raise SearchRefusedError("search", "", f"at least one: {_EXAMPLES}")
    names = [name for dimension in space for name in dimension.name.split(",")]
    for name in names:
        if names.count(name) > 1:
            raise SearchRefusedError("search", name, "each parameter once")
    return space


def grid_size(space: Sequence[Dimension]) -> int:
    """How many points the grid has.

    Raises:
        SearchRefusedError: a dimension is a continuum.
    """
    size = 1
    for dimension in space:
        if dimension.steps is None:
            wanted = f"a step for a grid, such as {dimension.name}={dimension.low:g}:{dimension.high:g}:STEP"
            raise SearchRefusedError("search", dimension.name, wanted)
        size *= dimension.steps
    return size


def grid_point(space: Sequence[Dimension], number: int) -> Point:
    """A point of the grid by its number; the last dimension moves quickest."""
    point: Point = {}
    for dimension in reversed(space):
        steps = dimension.steps
        assert steps is not None  # noqa: S101 - `grid_size` has refused a continuum
        number, place = divmod(number, steps)
        point[dimension.name] = dimension.value(place)
    return {dimension.name: point[dimension.name] for dimension in space}


def random_point(space: Sequence[Dimension], seed: int, number: int) -> Point:
    """The point of a trial: a function of seed and number alone, whoever draws it and when."""
    rng = random.Random(f"{seed}/{number}")  # noqa: S311 - a search, not a secret
    return {dimension.name: dimension.drawn(rng) for dimension in space}


def parameters_of(point: Mapping[str, Value]) -> dict[str, Value]:
    """The strategy's parameters at a point: those that move together each have the value."""
    return {name: value for names, value in point.items() for name in names.split(",")}


def written(point: Mapping[str, Value]) -> str:
    """A point in one line."""
    return ", ".join(f"{name}={_word(value)}" for name, value in point.items())


def _word(value: Value) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _range(name: str, parts: Sequence[str], text: str) -> Range:
    log = len(parts) == _PARTS_WITH_STEP and parts[2].lower() == "log"
    try:
        numbers = [Decimal(part) for part in (parts[:2] if log else parts)]
    except InvalidOperation:
        raise SearchRefusedError("search", text, _EXAMPLES) from None
    if not all(number.is_finite() for number in numbers):
        raise SearchRefusedError("search", text, "finite numbers")
    low, high = numbers[:2]
    if low >= high:
        raise SearchRefusedError("search", text, "a low end below the high one")
    whole = all(number == number.to_integral_value() and "." not in f"{number:f}" for number in numbers)
    if log:
        if low <= 0:
            raise SearchRefusedError("search", text, "a low end above 0 for log")
        return Range(name=name, low=float(low), high=float(high), log=True)
    step = numbers[2] if len(numbers) == _PARTS_WITH_STEP else Decimal(1) if whole else None
    if step is not None and not (0 < step <= high - low and (high - low) / step <= _MOST_STEPS):
        raise SearchRefusedError("search", text, f"a step above 0 that fits between, {_MOST_STEPS:,} at most")
    return Range(
        name=name,
        low=float(low),
        high=float(high),
        step=None if step is None else float(step),
        whole=whole,
    )


def _plain(word: str) -> Value:
    """What a word means where TOML would read it."""
    if word in {"true", "false"}:
        return word == "true"
    try:
        return int(word)
    except ValueError:
        pass
    try:
        number = float(word)
    except ValueError:
        return word
    return number if math.isfinite(number) else word
