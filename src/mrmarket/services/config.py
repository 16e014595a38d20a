"""The configuration of an instance: one TOML file, checked whole before anything starts."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec

from mrmarket.core.errors import MrMarketError
from mrmarket.services.api.schema import ConfigEntry, ConfigSection, ConfigView
from mrmarket.trading.strategy.parameters import Parameters
from mrmarket.trading.venue.front.faults import FaultConfig
from mrmarket.trading.venue.front.latency import LatencyConfig

Source = Literal["default", "file", "command line", "environment"]
_MASK: Final = "********"
_MAX_FEE: Final = Decimal("0.1")


class ConfigError(MrMarketError):
    """The configuration was refused; nothing was started."""

    code = "config_refused"

    def __init__(self, where: str, problem: str) -> None:
        self.where = where
        self.problem = problem
        super().__init__(f"{where}: {problem}")


class _Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    pass


_PUBLIC_URL: Final = re.compile(
    r"https?://[A-Za-z0-9.\-]+(?::[0-9]{1,5})?|https?://\[[0-9A-Fa-f:]+\](?::[0-9]{1,5})?"
)
PerSecond = Annotated[float, msgspec.Meta(ge=0.001, le=1_000_000)]
Burst = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]


class InstanceSection(_Section, frozen=True):
    """`[instance]`: what it is called."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=60)] = "Mr. Market"


class ApiSection(_Section, frozen=True):
    """`[api]`: where the page and the API are served."""

    host: str = "127.0.0.1"
    port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 8080
    allowed_hosts: list[str] = msgspec.field(default_factory=list)
    """Further host names that browsers may use to reach it."""
    public_url: str = ""
    """Where people reach it, if through a proxy; with https the session's cookie never leaves encryption."""
    open_desk: bool | None = None
    """Whether visitors see market, orders, fills and performance. Left out: where the money is simulated."""

    def __post_init__(self) -> None:
        if self.public_url and not _PUBLIC_URL.fullmatch(self.public_url):
            raise ValueError("public_url: give it without a path, such as https://market.example")


class AccessSection(_Section, frozen=True):
    """`[access]`: who may sign in, and how often anybody may ask. Rates count one session, or one address."""

    chain_ids: Annotated[list[Annotated[int, msgspec.Meta(ge=1, le=2**53)]], msgspec.Meta(min_length=1)] = (
        msgspec.field(default_factory=lambda: [1])
    )
    """Chains whose wallets may sign in (1 is Ethereum)."""
    reads_per_s: PerSecond = 100.0
    reads_burst: Burst = 400
    writes_per_s: PerSecond = 5.0
    writes_burst: Burst = 40
    sign_ins_per_s: PerSecond = 0.5
    sign_ins_burst: Burst = 30


class VenueSection(_Section, frozen=True):
    """`[venue]`: where to trade. Keys come from the environment only, never from this file."""

    exchange: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9_]+$")] = "simulated"
    """`simulated` (embedded), or an exchange id of ccxt."""
    paper: bool = False
    """Real public data, fills from the kernel, no order leaves this machine."""
    rest_url: str = ""
    ws_url: str = ""
    ws_api_url: str = ""
    """Another host that speaks the exchange's dialect; empty is the exchange's own."""
    api_key_env: str = "MRMARKET_API_KEY"
    api_secret_env: str = "MRMARKET_API_SECRET"  # noqa: S105 - the name of a variable, not a secret
    api_password_env: str = "MRMARKET_API_PASSWORD"  # noqa: S105 - the same
    recv_window_ms: Annotated[int, msgspec.Meta(ge=100, le=2000)] = 2000

    def __post_init__(self) -> None:
        if self.paper and self.exchange == "simulated":
            raise ValueError("paper: name the exchange whose feed to follow, such as --venue binance")


class SimulationSection(_Section, frozen=True):
    """`[simulation]`: the embedded exchange."""

    tapes: list[str] = msgspec.field(default_factory=list)
    """Recordings to replay; none means the built-in market generator."""
    speed: Annotated[float, msgspec.Meta(gt=0, le=1000)] = 1.0
    seed: Annotated[int, msgspec.Meta(ge=0, le=2**53)] = 1
    loop: bool = True
    maker_fee: Decimal | None = None
    """Fraction; negative is a rebate. Left out: 0.1 % on a tape, a market maker's tier (0.002 % and 0.03 %)
    on the built-in market."""
    taker_fee: Decimal | None = None
    latency: LatencyConfig = LatencyConfig()
    faults: FaultConfig = FaultConfig()

    def __post_init__(self) -> None:
        for name, fee in (("maker_fee", self.maker_fee), ("taker_fee", self.taker_fee)):
            if fee is not None and not abs(fee) < _MAX_FEE:
                raise ValueError(f"{name}: {fee} was refused; give a fraction such as 0.001 for 10 bps")


class PoolSection(_Section, frozen=True):
    """`[pool]`: the pool that this instance runs."""

    demo: bool = True
    """Found the pool with three demo depositors where the money is simulated. A real account's money is
    the owner's when the instance first sees it."""


class Config(_Section, frozen=True):
    """The whole file."""

    instance: InstanceSection = InstanceSection()
    api: ApiSection = ApiSection()
    access: AccessSection = AccessSection()
    venue: VenueSection = VenueSection()
    simulation: SimulationSection = SimulationSection()
    strategy: Parameters = Parameters()
    pool: PoolSection = PoolSection()


@dataclass(frozen=True, slots=True)
class LoadedConfig:
    """A checked configuration, and where each of its values comes from."""

    config: Config
    sources: Mapping[str, Source]

    def view(self) -> ConfigView:
        """For people: every value with its source, secrets masked."""
        sections = []
        for name, table in msgspec.to_builtins(self.config).items():
            entries = [
                ConfigEntry(
                    key=key, value=_shown(key, value), source=self.sources.get(f"{name}.{key}", "default")
                )
                for key, value in _flat(table)
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
        if isinstance(values, dict)
        for key, _ in _flat(values)
    }
    for dotted, value in overrides.items():
        section, key = dotted.split(".")
        table.setdefault(section, {})[key] = value
        sources[dotted] = "command line"
    where = path.name if path is not None else "configuration"
    try:
        config = msgspec.convert(table, Config, strict=True)
    except msgspec.ValidationError as refused:
        problem = _explain(str(refused), table)
        named = _KEY.match(problem)
        if named and sources.get(named["key"]) == "command line":
            where = "command line"
        raise ConfigError(where, problem) from None
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
    except tomllib.TOMLDecodeError as error:
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


def _explain(problem: str, table: Mapping[str, Any]) -> str:
    """Turn the checker's words into a key and what to do; never repeats the refused value."""
    at_match = _AT.search(problem)
    at = at_match["at"] if at_match else ""
    text = _AT.sub("", problem)
    if unknown := _UNKNOWN.search(text):
        key = unknown["key"]
        known = _known_keys(at)
        near = difflib.get_close_matches(key, known, n=1)
        hint = f"did you mean `{near[0]}`?" if near else f"known here: {', '.join(known)}"
        return f"unknown key `{f'{at}.{key}' if at else key}`; {hint}"
    if named := _FIELD.match(text):
        return f"`{f'{at}.' if at else ''}{named['key']}`: {named['rest']}"
    if choices := _choices(at) if text.startswith("Invalid enum value") else ():
        return f"`{at}`: give one of {', '.join(choices)}"
    given = _lookup(table, at)
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


def _known_keys(at: str) -> list[str]:
    struct: Any = Config
    for part in filter(None, at.split(".")):
        struct = {field.name: field.type for field in msgspec.structs.fields(struct)}.get(part, struct)
    return [field.encode_name for field in msgspec.structs.fields(struct)]


def _choices(dotted: str) -> tuple[str, ...]:
    """What a key that takes a word accepts; empty if it takes something else."""
    kind: Any = msgspec.inspect.type_info(Config)
    for part in dotted.split("."):
        if not isinstance(kind, msgspec.inspect.StructType):
            return ()
        name, _, at = part.partition("[")
        kind = next((field.type for field in kind.fields if field.encode_name == name), None)
        if isinstance(kind, msgspec.inspect.UnionType):
            kind = next(
                (inner for inner in kind.types if not isinstance(inner, msgspec.inspect.NoneType)), None
            )
        if at and isinstance(kind, msgspec.inspect.ListType | msgspec.inspect.VarTupleType):
            kind = kind.item_type
    if isinstance(kind, msgspec.inspect.EnumType):
        return tuple(str(member.value) for member in kind.cls)
    return tuple(map(str, kind.values)) if isinstance(kind, msgspec.inspect.LiteralType) else ()


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


def _shown(key: str, value: object) -> str:
    if any(word in key for word in ("secret", "password", "token")) and not key.endswith("_env"):
        return _MASK
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)
