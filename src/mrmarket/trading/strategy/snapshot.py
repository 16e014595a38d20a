"""What a run runs, pinned: the same id means the same code with the same parameters."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec

from mrmarket.trading.market import estimators
from mrmarket.trading.strategy.kind import StrategyKind
from mrmarket.trading.strategy.schema import StrategyParameters


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A pinned strategy."""

    id: str
    """SHA-256 of `text`, in hex."""
    text: str
    """Canonical JSON: sorted keys, no blanks, decimals as strings."""

    @property
    def short(self) -> str:
        """For people."""
        return self.id[:12]


def snapshot_of(
    kind: StrategyKind, source: str, parameters: StrategyParameters, *, is_ours: bool
) -> Snapshot:
    """Pin a strategy with its parameters.

    Code is a hash of the sources: of all strategies and estimators for ours, of the modules that define
    schema and factory for a plug-in's. What those import is told by the version of `source` alone.
    """
    plain: dict[str, Any] = msgspec.to_builtins(parameters)
    text = msgspec.json.encode(
        {
            "name": kind.name,
            "version": kind.version,
            "source": source,
            "code": _our_digest() if is_ours else _digest(_modules(kind)),
            "parameters": plain,
        },
        order="deterministic",
    )
    return Snapshot(hashlib.sha256(text).hexdigest(), text.decode())


@lru_cache(maxsize=1)
def _our_digest() -> str:
    # Once a process: what was imported runs on, whatever becomes of the files.
    folders = [Path(__file__).parent, *map(Path, estimators.__path__)]
    return _digest(sorted(file for folder in folders for file in folder.rglob("*.py")))


def _modules(kind: StrategyKind) -> list[Path]:
    files: set[Path] = set()
    for thing in (kind.schema, kind.make):
        module = inspect.getmodule(thing)
        if module is not None and module.__file__:
            files.add(Path(module.__file__))
    return sorted(files)


def _digest(files: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()
