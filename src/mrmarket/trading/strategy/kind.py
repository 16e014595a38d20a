"""What a strategy says of itself to be found by name. A plug-in's entry point is one of these."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from mrmarket.trading.strategy.cross_port import CrossStrategy
from mrmarket.trading.strategy.port import Strategy
from mrmarket.trading.strategy.schema import StrategySchema


@dataclass(frozen=True, slots=True)
class Template:
    """Parameters to begin with."""

    summary: str
    parameters: Mapping[str, Any]
    """As in a configuration; what is left out keeps the schema's default."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StrategyKind:
    """A strategy that can be named in a configuration."""

    name: str
    """Lower-case letters, digits and `_`; also the tag of its schema."""
    version: str
    """Of its behaviour: a change of what it does with the same parameters is a new one."""
    summary: str
    """One line for people."""
    schema: type[StrategySchema]
    make: Callable[[Any], Strategy | CrossStrategy]
    """Gets an instance of the schema. Called for each run, and once with the defaults beforehand."""
    templates: Mapping[str, Template] = field(default_factory=lambda: MappingProxyType({}))
    venues: int = 1
    """1: it makes a `Strategy` that quotes on one venue; 2: a `CrossStrategy` that trades between two."""
