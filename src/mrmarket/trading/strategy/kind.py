"""What a strategy says of itself to be found by name. A plug-in's entry point is one of these."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Protocol

from mrmarket.trading.strategy.cross_port import CrossMaker, CrossStrategy
from mrmarket.trading.strategy.port import Strategy
from mrmarket.trading.strategy.schema import StrategySchema


class Form(StrEnum):
    """What a strategy on one venue trades."""

    QUOTES = "quotes"
    """One pair: it says which quotes should stand."""
    TRIANGLE = "triangle"
    """Three or more pairs, in rounds that lead back to the asset they began with. Ours alone."""
    CARRY = "carry"
    """A spot pair and its perpetual, whose funding is collected. Ours alone."""


@dataclass(frozen=True, slots=True)
class Template:
    """Parameters to begin with."""

    summary: str
    parameters: Mapping[str, Any]
    """As in a configuration; what is left out keeps the schema's default."""


class Named(Protocol):
    """What a strategy of another form has at least."""

    @property
    def name(self) -> str:
        """For people."""
        ...


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
    make: Callable[[Any], Strategy | CrossStrategy | CrossMaker | Named]
    """Gets an instance of the schema. Called for each run, and once with the defaults beforehand."""
    form: Form = Form.QUOTES
    """With one venue: what it trades there."""
    templates: Mapping[str, Template] = field(default_factory=lambda: MappingProxyType({}))
    venues: int = 1
    """1: it makes a `Strategy` that quotes on one venue; 2: a `CrossStrategy` that trades between two."""
    hedged: bool = False
    """With two venues: it makes a `CrossMaker`, which quotes on the first and is hedged on the second."""
