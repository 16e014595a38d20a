"""One set of kernel functions in two forms: as they are on lists, or compiled on int64 arrays."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from types import CodeType, FunctionType, MappingProxyType, ModuleType
from typing import Any, Final

from mrmarket.core.errors import MrMarketError
from mrmarket.trading.venue.simulated import book_arrays, kernel, session
from mrmarket.trading.venue.simulated.book_arrays import (
    BookSide,
    Bundle,
    Columns,
    Ints,
    Levels,
    Market,
    list_column,
)
from mrmarket.trading.venue.simulated.session import Reports, Requests, Rows


class CompilerMissingError(MrMarketError):
    """The compiled kernel was asked for and numba is not installed."""

    code = "compiler_missing"

    def __init__(self, detail: str) -> None:
        super().__init__(f"the compiled kernel needs numba ({detail}); install mrmarket[lab] or leave it out")


@dataclass(frozen=True, slots=True)
class Kernel:
    """The kernel's entry points in one of both forms, and the columns that fit it."""

    column: Columns
    set_level: Callable[[BookSide, int, int, Ints], None]
    set_top: Callable[[Levels, int, int], None]
    visible: Callable[[BookSide, int], int]
    clear_levels: Callable[[Market], None]
    end_snapshot: Callable[[Market], None]
    cross: Callable[[Market], None]
    print_trade: Callable[[Market, bool, int, int], None]
    would_take: Callable[[Market, bool, int], bool]
    fillable: Callable[[Market, bool, int, int, int, int], tuple[int, int]]
    submit: Callable[[Market, int, bool, int, int, int, int, int], int]
    rest: Callable[[Market, bool, int, int, int, int], None]
    withdraw: Callable[[Market, bool, int, int], int]
    schedule: Callable[[Requests, int, int, int, bool, int, int, int], bool]
    play: Callable[[Market, Rows, int, int, Requests, Reports, int], int]
    arrive: Callable[[Market, Requests, Reports, int, int], bool]


def open_gap(column: Ints, at: int, count: int) -> None:
    """Move `column[at:count]` one up: compiled, a loop takes a third of an overlapping slice's time."""
    for row in range(count, at, -1):
        column[row] = column[row - 1]


def close_gap(column: Ints, at: int, count: int) -> None:
    """Drop `column[at]` by moving what follows one down, as `open_gap`."""
    for row in range(at, count - 1):
        column[row] = column[row + 1]


def drop_first(column: Ints, by: int, count: int) -> None:
    """Move `column[by:count]` to the beginning, as `open_gap`."""
    for row in range(count - by):
        column[row] = column[row + by]


_LOOPS: Final[Mapping[str, CodeType]] = MappingProxyType(
    {"open_gap": open_gap.__code__, "close_gap": close_gap.__code__, "drop_first": drop_first.__code__}
)
"""What stands for the kernel's functions of the same names in the compiled form."""


def load_kernel(*, compiled: bool = False) -> Kernel:
    """The kernel; with `compiled` numba is imported and compiles on first use (cached on disk).

    Raises:
        CompilerMissingError: if `compiled` and numba is not installed.
    """
    return _compile() if compiled else _collect(list_column, {**vars(kernel), **vars(session)})


def _collect(column: Columns, functions: dict[str, Any]) -> Kernel:
    names = [field.name for field in fields(Kernel) if field.name != "column"]
    return Kernel(column=column, **{name: functions[name] for name in names})


class _ArrayColumns:
    """int64 arrays; a bundle is one block of memory.

    A tuple of arrays costs seven arguments and a reference count for each array at every call, a
    block one pointer. Its lengths are part of its type: another capacity is compiled anew.
    """

    __slots__ = ("_numpy",)

    def __init__(self, numpy: ModuleType) -> None:
        self._numpy = numpy

    def __call__(self, length: int) -> Ints:
        """A column of zeros."""
        column: Ints = self._numpy.zeros(length, dtype=self._numpy.int64)
        return column

    def bundle(self, parts: Bundle) -> Bundle:
        """A record with the same names, filled with what was given."""
        block = self._numpy.zeros(1, dtype=self._layout(parts))[0]
        self._fill(block, parts)
        record: Bundle = block
        return record

    def _layout(self, parts: tuple[Any, ...]) -> object:
        columns = [
            (name, self._layout(part)) if isinstance(part, tuple) else (name, self._numpy.int64, (len(part),))
            for name, part in zip(_names(parts), parts, strict=True)
        ]
        return self._numpy.dtype((self._numpy.record, self._numpy.dtype(columns, align=True)))

    def _fill(self, block: Any, parts: tuple[Any, ...]) -> None:
        for name, part in zip(_names(parts), parts, strict=True):
            if isinstance(part, tuple):
                self._fill(block[name], part)
            else:
                block[name][:] = part


def _names(parts: tuple[Any, ...]) -> tuple[str, ...]:
    names: tuple[str, ...] = type(parts)._fields  # type: ignore[attr-defined]  # bundles are named tuples
    return names


def _compile() -> Kernel:
    try:
        import numba  # noqa: PLC0415 - 170 MB that only this form needs
        import numpy as np  # noqa: PLC0415 - the same
    except ImportError as error:
        raise CompilerMissingError(str(error)) from error
    # Each function is made anew over one namespace in which the names of its callees are the
    # compiled ones; the originals stay what they are.
    namespace: dict[str, Any] = {}
    modules: tuple[ModuleType, ...] = (book_arrays, kernel, session)
    for module in modules:
        namespace.update(vars(module))
    namespace["kernel"] = kernel
    # numba notices a change of a function's own file, not of its callees' files; a digest in the
    # name keeps its cache from serving what was compiled from older sources.
    sources = [Path(str(module.__file__)) for module in modules] + [Path(__file__)]
    digest = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()
    functions = {**_functions(kernel), **_functions(session)}
    for name, function in functions.items():
        code = _LOOPS.get(name, function.__code__)
        copy = FunctionType(code, namespace, name, function.__defaults__)
        copy.__module__ = function.__module__
        copy.__qualname__ = f"{name}_{digest[:12]}"
        namespace[name] = copy
    entries = {field.name for field in fields(Kernel)}
    for name in functions:
        # Who is only called by compiled code needs no way in from Python, which takes long to compile.
        inner = name not in entries
        namespace[name] = numba.njit(cache=True, no_cpython_wrapper=inner, no_cfunc_wrapper=True)(
            namespace[name]
        )
    return _collect(_ArrayColumns(np), namespace)


def _functions(module: ModuleType) -> dict[str, FunctionType]:
    """What a module defines itself."""
    return {
        name: function
        for name, function in vars(module).items()
        if isinstance(function, FunctionType) and function.__module__ == module.__name__
    }
