"""A strategy's parameters as people read them: default, range and meaning, from the schema itself."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from itertools import pairwise
from typing import Any

import msgspec

from mrmarket.trading.strategy.schema import StrategySchema


@dataclass(frozen=True, slots=True)
class ParameterRow:
    """One parameter."""

    name: str
    default: str
    """As in a configuration; empty where there is none, or it is switched off."""
    takes: str
    """What is accepted, in words."""
    meaning: str
    """The sentence under it in the schema; empty where there is none."""


def described(schema: type[StrategySchema]) -> list[ParameterRow]:
    """Every parameter in the order of the schema.

    Ranges of decimals are checked by the schema in its own way, and are said when a value is refused.
    """
    meanings = _meanings(schema)
    info = msgspec.inspect.type_info(schema)
    assert isinstance(info, msgspec.inspect.StructType)  # noqa: S101 - a schema is a struct
    return [
        ParameterRow(
            each.encode_name,
            _text(each.default),
            _takes(each.type),
            meanings.get(each.name, ""),
        )
        for each in info.fields
    ]


def _meanings(schema: type[StrategySchema]) -> dict[str, str]:
    found: dict[str, str] = {}
    for owner in reversed(schema.__mro__):
        if isinstance(owner, type(StrategySchema)):
            found.update(_sentences(owner))
    return found


def _sentences(owner: type) -> Iterator[tuple[str, str]]:
    """The strings that stand under a class's fields."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(owner)))
    except (OSError, TypeError, SyntaxError):
        return  # made without a source file
    body = tree.body[0].body if isinstance(tree.body[0], ast.ClassDef) else []
    for field, below in pairwise(body):
        if (
            isinstance(field, ast.AnnAssign)
            and isinstance(field.target, ast.Name)
            and isinstance(below, ast.Expr)
            and isinstance(below.value, ast.Constant)
            and isinstance(below.value.value, str)
        ):
            yield field.target.id, " ".join(below.value.value.split())


def _text(value: object) -> str:
    if value is None or value is msgspec.NODEFAULT:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Enum):
        return str(value.value)
    return f"{value:f}" if isinstance(value, Decimal) else str(value)


def _takes(kind: Any) -> str:
    kinds = msgspec.inspect
    match kind:
        case kinds.UnionType():
            inner = [each for each in kind.types if not isinstance(each, kinds.NoneType)]
            return " or ".join(map(_takes, inner))
        case kinds.EnumType():
            words = [str(member.value) for member in kind.cls]
        case kinds.LiteralType():
            words = [str(value) for value in kind.values]
        case kinds.BoolType():
            words = ["true", "false"]
        case kinds.IntType() | kinds.FloatType():
            bounds = ((">", kind.gt), ("≥", kind.ge), ("<", kind.lt), ("≤", kind.le))
            limits = [f"{sign} {_plain(limit)}" for sign, limit in bounds if limit is not None]
            words = [f"whole number {limits[0]}" if limits else "whole number", *limits[1:]]
            if isinstance(kind, kinds.FloatType):
                words[0] = words[0].removeprefix("whole ")
        case kinds.DecimalType():
            words = ["decimal"]
        case _:
            words = ["text" if isinstance(kind, kinds.StrType) else "table"]
    return ", ".join(words)


def _plain(limit: float) -> str:
    return str(int(limit)) if float(limit).is_integer() else str(limit)
