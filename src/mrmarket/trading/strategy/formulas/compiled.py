"""The same functions, compiled. For the laboratory; live decisions are too few to wait for a compiler."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import FunctionType, ModuleType
from typing import Any, Final

from mrmarket.trading.strategy.formulas import (
    as_normalised,
    avellaneda_stoikov,
    glft,
    grid,
    queue_value,
    sizing,
    widening,
)

_MODULES: Final[tuple[ModuleType, ...]] = (
    avellaneda_stoikov,
    as_normalised,
    glft,
    grid,
    queue_value,
    sizing,
    widening,
)


def plain_formulas() -> dict[str, Callable[..., Any]]:
    """Every formula by name, as it stands in its module."""
    return {
        name: function
        for module in _MODULES
        for name, function in vars(module).items()
        if isinstance(function, FunctionType) and function.__module__ == module.__name__
    }


def compiled_formulas() -> Mapping[str, Callable[..., Any]]:
    """Every formula by name, through numba (compiled at its first call).

    Raises:
        ImportError: where numba is not installed (`mrmarket[lab]`).
    """
    import numba  # noqa: PLC0415 - 170 MB that only this form needs

    # Made anew over one namespace, in which the names of callees are the compiled ones.
    namespace: dict[str, Any] = {}
    for module in _MODULES:
        for name, value in vars(module).items():
            if not name.startswith("__"):
                _put(namespace, module, name, value)
    made = {}
    for name, function in plain_formulas().items():
        copy = FunctionType(function.__code__, namespace, name, function.__defaults__)
        copy.__kwdefaults__ = function.__kwdefaults__
        made[name] = numba.njit(copy)
    namespace.update(made)
    return made


def _put(namespace: dict[str, Any], module: ModuleType, name: str, value: object) -> None:
    if name in namespace and namespace[name] != value:
        raise ValueError(
            f"{module.__name__}.{name} differs from another formula's; give it a name of its own"
        )
    namespace[name] = value
