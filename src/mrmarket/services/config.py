"""The configuration of an instance: one TOML file, checked whole before anything starts."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from mrmarket.core.errors import MrMarketError
from mrmarket.services.api.schema import ConfigEntry, ConfigSection, ConfigView
from mrmarket.services.config_sections import Config
from mrmarket.services.store_address import masked
from mrmarket.trading.strategy.registry import Registry, UnknownTemplateError
from mrmarket.trading.strategy.schema import StrategySchema, kind_of

Source = Literal["default", "file", "command line", "environment"]
_MASK: Final = "********"
_FIRST_KIND: Final = "pure_market_making"
"""The kind of a strategy whose table names none."""


class ConfigError(MrMarketError):
    """The configuration was refused; nothing was started."""

    code = "config_refused"

    def __init__(self, where: str, problem: str) -> None:
        self.where = where
        self.problem = problem
        super().__init__(f"{where}: {problem}")


@dataclass(frozen=True, slots=True)
class LoadedConfig:
    """A checked configuration, and where each of its values comes from."""

    config: Config
    sources: Mapping[str, Source]

    def view(self) -> ConfigView:
        """For people: every value with its source, secrets masked."""
        sections = []
        for name, table in msgspec.to_builtins(self.config).items():
            rows = _flat(table) if isinstance(table, Mapping) else _numbered(table)
            entries = [
                ConfigEntry(
                    key=key, value=_shown(key, value), source=self.sources.get(f"{name}.{key}", "default")
                )
                for key, value in rows
            ]
            sections.append(ConfigSection(name=name, entries=entries))
        return ConfigView(sections=sections)


def load_config(path: Path | None, overrides: Mapping[str, Any]) -> LoadedConfig:
    """Read the file, lay the command line's values over it, and check all of it.

    Args:
        path: a TOML file, or None for the defaults alone.
        overrides: dotted key to value, e.g. `{"simulation.speed": 20.0}`; they win over the file.

    Raises:
        ConfigError: with the key at fault and what would be accepted.
    """
    table = _read(path) if path is not None else {}
    sources: dict[str, Source] = {
        f"{section}.{key}": "file"
        for section, values in table.items()
        if isinstance(values, dict | list)
        for key, _ in (_flat(values) if isinstance(values, dict) else _numbered(values))
    }
    for dotted, value in overrides.items():
        section, key = dotted.split(".")
        table.setdefault(section, {})[key] = value
        sources[dotted] = "command line"
    where = path.name if path is not None else "configuration"
    try:
        sources.update(_check_strategies(table))
        config = msgspec.convert(table, Config, strict=True)
    except (msgspec.ValidationError, _StrategyProblemError) as refused:
        if isinstance(refused, _StrategyProblemError):
            problem = refused.problem
        else:
            problem = _explain(str(refused), table)
        named = _KEY.match(problem)
        if named and sources.get(named["key"]) == "command line":
            where = "command line"
        raise ConfigError(where, problem) from None
    except ArithmeticError:
        raise ConfigError(where, "a number is far out of every range; give one such as 0.001") from None
    except MrMarketError as refused:
        raise ConfigError(where, str(refused)) from None
    except ModuleNotFoundError as missing:
        raise ConfigError(
            where, f"{missing.name} is not installed; run: pip install 'mrmarket[chains]'"
        ) from None
    return LoadedConfig(config, sources)


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)
    except FileNotFoundError:
        raise ConfigError(
            str(path), "there is no such file; leave --config out to run with the defaults"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(str(path), f"it cannot be read: {error}") from error
    except (ValueError, RecursionError) as error:  # also of numbers with thousands of digits
        raise ConfigError(path.name, f"not valid TOML: {error}") from error


_AT = re.compile(r" - at `\$\.?(?P<at>[^`]*)`$")
_FIELD = re.compile(r"^(?P<key>[a-z_]+): (?P<rest>.*)$", re.DOTALL)
_KEY = re.compile(r"^`(?P<key>[^`]*)`")
_WANTED = re.compile(r"^Expected `(?P<kinds>[^`]*)`(?P<limit>.*)$", re.DOTALL)
_KINDS: Final = {
    "array": "a list",
    "bool": "true or false",
    "decimal": "a number",
    "float": "a number",
    "int": "a whole number",
    "object": "a table",
    "str": "text",
}
_LIMITS: Final = (
    (re.compile(r" of length >= 1$"), " that is not empty"),
    (re.compile(r" of length <= (\d+)$"), r" of at most \1 characters"),
    (re.compile(r" matching regex .*$"), " of lower-case letters, digits and _"),
    (re.compile(r" >= (\S+?)(?:\.0)?$"), r" of at least \1"),
    (re.compile(r" <= (\S+?)(?:\.0)?$"), r" of at most \1"),
    (re.compile(r" > (\S+?)(?:\.0)?$"), r" above \1"),
)
_UNKNOWN = re.compile(r"unknown field `(?P<key>[^`]*)`")


class _StrategyProblemError(Exception):
    def __init__(self, problem: str) -> None:
        self.problem = problem
        super().__init__(problem)


def _check_strategies(table: dict[str, Any]) -> dict[str, Source]:
    """Put checked parameters in the place of each strategy's table; says which keys a template has filled."""
    places: list[tuple[str, dict[str, Any]]] = [("strategy", table)] if "strategy" in table else []
    runs = table.get("runs")
    if isinstance(runs, list):
        places += [
            (f"runs[{number}].strategy", run)
            for number, run in enumerate(runs)
            if isinstance(run, dict) and "strategy" in run
        ]
    selection = table.get("selection")
    if isinstance(selection, dict) and isinstance(candidates := selection.get("candidates"), list):
        places += [
            (f"selection.candidates[{number}].strategy", candidate)
            for number, candidate in enumerate(candidates)
            if isinstance(candidate, dict) and "strategy" in candidate
        ]
    registry = Registry()
    filled: dict[str, Source] = {}
    for at, holder in places:
        given = holder["strategy"]
        if not isinstance(given, Mapping):
            raise _StrategyProblemError(f"`{at}`: give a table")
        own = {**given}
        template = str(own.pop("template", ""))
        checked = holder["strategy"] = _parameters(registry, at, own, template)
        if template:
            row = at.replace("[", ".").replace("]", "")
            keys = registry.find(kind_of(checked)).kind.templates[template].parameters
            filled |= dict.fromkeys((f"{row}.{key}" for key in keys), "file")
    return filled


def _parameters(registry: Registry, at: str, given: Mapping[str, Any], template: str) -> StrategySchema:
    name = given.get("kind", _FIRST_KIND)
    if not isinstance(name, str):
        raise _StrategyProblemError(f"`{at}.kind`: give text")
    schema: type[StrategySchema] = StrategySchema
    try:
        schema = registry.find(name).kind.schema
        return registry.parameters(name, given, template=template, strict=True)
    except msgspec.ValidationError as refused:
        raise _StrategyProblemError(_explain(str(refused), given, schema, at)) from None
    except UnknownTemplateError as refused:
        raise _StrategyProblemError(f"`{at}.template`: {refused}") from None
    except MrMarketError as refused:
        raise _StrategyProblemError(f"`{at}.kind`: {refused}") from None


def _explain(problem: str, table: Mapping[str, Any], root: type = Config, place: str = "") -> str:
    """Turn the checker's words into a key and what to do; never repeats the refused value.

    `root` is the schema that refused, `place` where its table stands in the configuration.
    """
    at_match = _AT.search(problem)
    inner = at_match["at"] if at_match else ""
    at = f"{place}.{inner}" if place and inner else place or inner
    text = _AT.sub("", problem)
    if unknown := _UNKNOWN.search(text):
        key = unknown["key"]
        known = _known_keys(inner, root)
        near = difflib.get_close_matches(key, known, n=1)
        hint = f"did you mean `{near[0]}`?" if near else f"known here: {', '.join(known)}"
        return f"unknown key `{f'{at}.{key}' if at else key}`; {hint}"
    if named := _FIELD.match(text):
        return f"`{f'{at}.' if at else ''}{named['key']}`: {named['rest']}"
    if choices := _choices(inner, root) if text.startswith("Invalid enum value") else ():
        return f"`{at}`: give one of {', '.join(choices)}"
    given = _lookup(table, inner)
    shown = f" (given: {given})" if isinstance(given, int | float | Decimal) else ""
    text = _wanted(text)
    return f"`{at}`: {text[:1].lower()}{text[1:]}{shown}" if at else text


def _wanted(text: str) -> str:
    """The checker's `Expected …` as an advice."""
    match = _WANTED.match(text)
    if match is None:
        return "give a number, such as 0.001" if text == "Invalid decimal string" else text
    kinds = dict.fromkeys(_KINDS.get(kind, kind) for kind in match["kinds"].split(" | ") if kind != "null")
    limit, _, got = match["limit"].partition(", got ")
    for pattern, words in _LIMITS:
        limit = pattern.sub(words, limit)
    instead = f", not {_KINDS.get(got.strip('`'), got)}" if got else ""
    return f"give {' or '.join(kinds)}{limit}{instead}"


def _known_keys(at: str, root: type) -> list[str]:
    kind = _kind_of(at, root)
    return (
        [field.encode_name for field in kind.fields] if isinstance(kind, msgspec.inspect.StructType) else []
    )


def _choices(dotted: str, root: type) -> tuple[str, ...]:
    """What a key that takes a word accepts; empty if it takes something else."""
    kind = _kind_of(dotted, root)
    if isinstance(kind, msgspec.inspect.EnumType):
        return tuple(str(member.value) for member in kind.cls)
    return tuple(map(str, kind.values)) if isinstance(kind, msgspec.inspect.LiteralType) else ()


def _kind_of(dotted: str, root: type) -> Any:
    """What stands at a place of the configuration, `pools[0].terms`; None if nothing does."""
    kind: Any = msgspec.inspect.type_info(root)
    for part in filter(None, dotted.split(".")):
        if not isinstance(kind, msgspec.inspect.StructType):
            return None
        name, _, at = part.partition("[")
        kind = next((field.type for field in kind.fields if field.encode_name == name), None)
        if isinstance(kind, msgspec.inspect.UnionType):
            kind = next(
                (inner for inner in kind.types if not isinstance(inner, msgspec.inspect.NoneType)), None
            )
        if at and isinstance(kind, msgspec.inspect.ListType | msgspec.inspect.VarTupleType):
            kind = kind.item_type
    return kind


def _lookup(table: Mapping[str, Any], dotted: str) -> object:
    value: Any = table
    for part in dotted.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _flat(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, object]]:
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _numbered(tables: Sequence[object]) -> Iterator[tuple[str, object]]:
    for number, table in enumerate(tables):
        if isinstance(table, Mapping):  # anything else is refused with its place, once it is checked
            yield from _flat(table, f"{number}.")


def _shown(key: str, value: object) -> str:
    if any(word in key for word in ("secret", "password", "token")) and not key.endswith(("_env", "tokens")):
        return _MASK
    if key.endswith((".urls", ".websocket_url")):
        return _MASK if value else ""  # addresses of nodes often hold a key
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else masked(str(value))
