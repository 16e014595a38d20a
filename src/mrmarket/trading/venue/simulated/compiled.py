"""One set of kernel functions in two forms: as they are on lists, or compiled on int64 arrays."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, fields
from pathlib import Path
from types import CodeType, FunctionType, MappingProxyType, ModuleType
from typing import Any, Final

from mrmarket.core.errors import MrMarketError
from mrmarket.trading.venue.simulated import (
    book_arrays,
    kernel,
    price_levels,
    queue_position,
    session,
)
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

_MODULES: Final = (book_arrays, price_levels, queue_position, kernel, session)
"""Where the kernel's functions are defined."""


class CompilerMissingError(MrMarketError):
    """The compiled kernel was asked for and numba is not installed."""

    code = "compiler_missing"

    def __init__(self, detail: str) -> None:
        super().__init__(f"the compiled kernel needs numba ({detail}); install mrmarket[lab] or leave it out")


@dataclass(frozen=True, slots=True)
class Kernel:
    """The kernel's entry points in one of both forms, and the columns that fit it."""

    column: Columns
    direct: Callable[..., Callable[..., Any]]
    """`direct(name, *samples)`: the function of that name for arguments of the samples' types alone.

    Compiled, a call of it takes a tenth of the time, because nobody looks what it was given.
    """
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
    play_stretch: Callable[[list[Market], Rows, int, int, list[Requests], list[Reports], int], int]


_ENTRIES: Final = tuple(field.name for field in fields(Kernel) if field.name not in {"column", "direct"})
"""The kernel's functions that others call."""


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
    if compiled:
        form = compile_form((), frozenset(_ENTRIES))
        return _collect(form.column, form.direct, form.functions)
    plain = {name: value for module in _MODULES for name, value in vars(module).items()}

    def direct(name: str, *_samples: object) -> Callable[..., Any]:
        function: Callable[..., Any] = plain[name]
        return function

    return _collect(list_column, direct, plain)


def _collect(column: Columns, direct: Callable[..., Callable[..., Any]], functions: dict[str, Any]) -> Kernel:
    return Kernel(column=column, direct=direct, **{name: functions[name] for name in _ENTRIES})


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

    def block(self, parts: Bundle) -> list[Bundle]:
        """An array of one such record: what can be handed to compiled code in no time."""
        block: list[Bundle] = self._numpy.zeros(1, dtype=self._layout(parts))
        self._fill(block[0], parts)
        return block

    def sole(self, bundle: Bundle) -> list[Bundle]:
        """The array that a record lies in: a record alone takes microseconds to be handed over."""
        array: list[Bundle] = bundle.base  # type: ignore[attr-defined]  # a record, made by `bundle`
        return array

    def window(self, column: Ints) -> Ints:
        """The column itself, read and written by plain Python as fast as a list."""
        window: Ints = memoryview(column)  # type: ignore[arg-type, assignment]  # an array, see Ints
        return window

    def _layout(self, parts: Any) -> object:
        columns = [
            (name, self._layout(part)) if _names(part) else (name, self._numpy.int64, (len(part),))
            for name, part in _named(parts)
        ]
        return self._numpy.dtype((self._numpy.record, self._numpy.dtype(columns, align=True)))

    def _fill(self, block: Any, parts: Any) -> None:
        for name, part in _named(parts):
            if _names(part):
                self._fill(block[name], part)
            elif any(part) if isinstance(part, list) else part.any():
                block[name][:] = part


def _names(part: Any) -> tuple[str, ...]:
    """The names in a bundle of one of both kinds; none of a column."""
    if isinstance(part, tuple):
        fields_of_tuple: tuple[str, ...] = part._fields  # type: ignore[attr-defined]  # bundles are named tuples
        return fields_of_tuple
    return getattr(getattr(part, "dtype", None), "names", None) or ()


def _named(parts: Any) -> list[tuple[str, Any]]:
    return [(name, getattr(parts, name)) for name in _names(parts)]


@dataclass(frozen=True, slots=True)
class CompiledForm:
    """Compiled functions by name, and the columns that fit them."""

    column: Columns
    functions: dict[str, Any]

    def direct(self, name: str, *samples: object) -> Callable[..., Any]:
        """An entry for the samples' types alone: 0.1 µs a call instead of the 5 of numba's dispatch.

        With numba's compiler switched off (`NUMBA_DISABLE_JIT`) it is the function itself.
        """
        import numba  # noqa: PLC0415 - imported already, see `compile_form`

        function = self.functions[name]
        entry: Callable[..., Any] = (
            function
            if numba.config.DISABLE_JIT
            else function.compile(tuple(numba.typeof(sample) for sample in samples))
        )
        return entry

    def adopt(self, function: FunctionType) -> Any:
        """A function of any module compiled so that what it calls by our names are the compiled ones."""
        own = self.functions.get(function.__name__)
        if own is not None and own.py_func.__code__ is function.__code__:
            return own
        import numba  # noqa: PLC0415 - imported already, see `compile_form`

        space = {**vars(sys.modules[function.__module__]), **self.functions}
        return numba.njit(FunctionType(function.__code__, space, function.__name__, function.__defaults__))


def compile_form(modules: tuple[ModuleType, ...], entries: AbstractSet[str]) -> CompiledForm:
    """The kernel's and the session's functions, and those of further modules that build on them, compiled.

    Only `entries` can be called from Python. All names share one space.

    Raises:
        ImportError: if two modules mean different things by one name.
        CompilerMissingError: if numba is not installed.
    """
    try:
        import numba  # noqa: PLC0415 - 170 MB that only this form needs
        import numpy as np  # noqa: PLC0415 - the same
    except ImportError as error:
        raise CompilerMissingError(str(error)) from error
    # Each function is made anew over one namespace in which the names of its callees are the
    # compiled ones; the originals stay what they are.
    namespace: dict[str, Any] = {}
    modules = (*_MODULES, *modules)
    functions: dict[str, FunctionType] = {}
    for module in modules:
        for name, value in vars(module).items():
            if not name.startswith("__") and namespace.setdefault(name, value) is not value:
                raise ImportError(f"{name} of {module.__name__} would hide another module's")
        functions.update(_functions(module))
    # numba notices a change of a function's own file, not of its callees' files; a digest in the
    # name keeps its cache from serving what was compiled from older sources.
    sources = [Path(str(module.__file__)) for module in modules] + [Path(__file__)]
    digest = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()
    for name, function in functions.items():
        code = _LOOPS.get(name, function.__code__)
        copy = FunctionType(code, namespace, name, function.__defaults__)
        copy.__module__ = function.__module__
        copy.__qualname__ = f"{name}_{digest[:12]}"
        namespace[name] = copy
    for name in functions:
        # Who is only called by compiled code needs no way in from Python, which takes long to compile.
        inner = name not in entries
        namespace[name] = numba.njit(cache=True, no_cpython_wrapper=inner, no_cfunc_wrapper=True)(
            namespace[name]
        )
    return CompiledForm(_ArrayColumns(np), namespace)


def _functions(module: ModuleType) -> dict[str, FunctionType]:
    """What a module defines itself."""
    return {
        name: function
        for name, function in vars(module).items()
        if isinstance(function, FunctionType) and function.__module__ == module.__name__
    }
