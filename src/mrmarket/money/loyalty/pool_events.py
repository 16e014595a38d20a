"""Reads liquidity events of Curve and Uniswap v3 pools from JSON files.

Three formats are told apart event by event. All are a list of objects with `event`, `timestamp` (UTC
seconds), `transactionHash` and `pool_address`:

- *with sender*: `tokens` (`token0`, `token1`, …: address, decimals, symbol, coingecko_id), `amounts` in
  base units, `args` as the contract logged them, `provider`, and `_from`, the account that sent the
  transaction;
- *without sender*: the same without `provider` and `_from`;
- *flat*: `provider` and `token0`, `token1` with symbol, decimals and `amount` as digits.

The provider is the event's own if it sent the transaction, else the sender: positions are often held by
a manager contract. Curve `AddLiquidity` and Uniswap `Mint` add; Curve `RemoveLiquidity`,
`RemoveLiquidityOne` and Uniswap `Burn` remove, at burn time; `Collect` and `Swap` change no position and
are left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from mrmarket.core.money import MAX_UNITS
from mrmarket.money.loyalty.errors import (
    CorruptEventError,
    FileRefusedError,
    TokenConflictError,
    UnknownEventError,
)
from mrmarket.money.loyalty.event import EventLog, LiquidityEvent, Pool, Remark, Token
from mrmarket.money.loyalty.repeats import Sighting, kept

ADDITIONS: Final = frozenset({"AddLiquidity", "Mint"})
REMOVALS: Final = frozenset({"RemoveLiquidity", "RemoveLiquidityOne", "Burn"})
IGNORED: Final = frozenset({"Collect", "Swap"})
PRICE_IDS: Final[Mapping[str, str]] = {
    "tBTC": "tbtc",
    "WBTC": "wrapped-bitcoin",
    "ETH": "ethereum",
    "WETH": "ethereum",
    "ARB": "arbitrum",
    "T": "threshold-network-token",
}
"""How the prices call the tokens of the flat format, which names only symbols."""

_HEX_40: Final = re.compile(r"0x[0-9a-f]{40}", re.ASCII)
_PADDED: Final = re.compile(r"0x0{24}([0-9a-f]{40})", re.ASCII)
_PLACE: Final = re.compile(r" - at `\$\[(\d+)\](.*)`$")
_DIGITS: Final = re.compile(r"[0-9]{1,39}", re.ASCII)
_FIRST_S: Final = 1_438_269_973
_LAST_S: Final = 4_102_444_800
"""Ethereum's first block and the year 2100: a time outside is in another unit."""


class _RawToken(msgspec.Struct):
    symbol: str
    decimals: int
    coingecko_id: str | None = None
    amount: str | None = None


class _Raw(msgspec.Struct):
    event: str
    timestamp: int
    transactionHash: str  # noqa: N815 - the format's own name
    pool_address: str
    action: str | None = None
    provider: str | None = None
    sender: str | None = msgspec.field(name="_from", default=None)
    args: dict[str, Any] = {}
    tokens: dict[str, _RawToken] | None = None
    amounts: list[int] | None = None
    token0: _RawToken | None = None
    token1: _RawToken | None = None
    logIndex: int | None = None  # noqa: N815 - the format's own name


class PoolEventFile:
    """A file of pool events as an event source."""

    def __init__(self, path: Path, *, drop_duplicates: bool = False) -> None:
        self._path = path
        self._drop = drop_duplicates

    def read(self) -> EventLog:
        """Read and check the whole file.

        Raises:
            FileRefusedError: missing, cut, or no list of events.
            CorruptEventError: an event that contradicts itself.
            UnknownEventError: a kind whose effect is not known.
            TokenConflictError: a token or pool described in two ways.
            DuplicateEventError: an event that was delivered twice, unless those are dropped.
        """
        return parse_events(_decode(self._path), drop_duplicates=self._drop)


def _decode(path: Path) -> list[_Raw]:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise FileRefusedError(path, f"cannot be read ({error.strerror or error})") from error
    try:
        return msgspec.json.decode(content, type=list[_Raw])
    except msgspec.ValidationError as error:
        if place := _PLACE.search(str(error)):
            reason = f"{place[2].lstrip('.') or 'the event'}: {str(error)[: place.start()]}"
            raise CorruptEventError(int(place[1]), reason) from error
        raise FileRefusedError(path, f"is no list of events ({error})") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise FileRefusedError(path, f"is not whole JSON ({error})") from error


def parse_events(raws: Sequence[_Raw], *, drop_duplicates: bool) -> EventLog:
    """Check raw events one by one and against each other."""
    reader = _Reader()
    events: list[LiquidityEvent] = []
    sightings: list[Sighting] = []
    origins: list[int] = []
    ignored = unsigned = 0
    for index, raw in enumerate(raws):
        if raw.event in IGNORED:
            ignored += 1
            continue
        event = reader.read(index, raw)
        unsigned += raw.sender is None
        events.append(event)
        origins.append(index)
        ticks = (raw.args.get("tickLower"), raw.args.get("tickUpper"), raw.args.get("token_supply"))
        sightings.append(
            Sighting(
                transaction=event.transaction,
                log_index=raw.logIndex,
                stretch=(event.transaction, event.pool.address, raw.event),
                content=(event, raw.event, *map(str, ticks)),
                moves=any(event.units),
            )
        )
    positions, remarks = kept(sightings, drop=drop_duplicates)
    if ignored:
        remarks.append(Remark("ignored_event", ignored, "collected fees and swaps change no position"))
    if unsigned:
        sentence = (
            "events do not say who sent the transaction; "
            "they count for the account they name, which may be a manager contract"
        )
        remarks.append(Remark("no_sender", unsigned, sentence))
    return EventLog([events[position] for position in positions], tuple(remarks))


class _Reader:
    """Checks events and remembers tokens and pools, so that none changes its description."""

    def __init__(self) -> None:
        self._tokens: dict[str, Token] = {}
        self._pools: dict[str, Pool] = {}

    def read(self, index: int, raw: _Raw) -> LiquidityEvent:
        """One event, checked."""
        added = raw.event in ADDITIONS
        if not added and raw.event not in REMOVALS:
            raise UnknownEventError(index, raw.event, ", ".join(sorted(ADDITIONS | REMOVALS | IGNORED)))
        if raw.action not in {None, "add" if added else "remove"}:
            raise CorruptEventError(index, f"a {raw.event} with the action {raw.action!r}")
        if not _FIRST_S <= raw.timestamp < _LAST_S:
            raise CorruptEventError(index, f"timestamp {raw.timestamp} is no time in UTC seconds")
        amounts = _amounts(index, raw)
        return LiquidityEvent(
            provider=_provider(index, raw),
            time_ms=raw.timestamp * 1000,
            pool=self._pool(index, raw, len(amounts)),
            units=tuple(amount if added else -amount for amount in amounts),
            added=added,
            transaction=raw.transactionHash.lower(),
        )

    def _pool(self, index: int, raw: _Raw, width: int) -> Pool:
        tokens = tuple(self._token(token) for token in _tokens(raw))
        if len(tokens) != width or not tokens:
            raise CorruptEventError(index, f"{len(tokens)} tokens and {width} amounts")
        pool = Pool(_address(index, "pool_address", raw.pool_address), tokens)
        known = self._pools.setdefault(pool.address, pool)
        if known != pool:
            first, second = ("/".join(token.symbol for token in each.tokens) for each in (known, pool))
            raise CorruptEventError(index, f"pool {pool.address} held {first} before and holds {second} here")
        return known

    def _token(self, raw: _RawToken) -> Token:
        price_id = raw.coingecko_id or PRICE_IDS.get(raw.symbol, raw.symbol)
        token = Token(raw.symbol, raw.decimals, price_id)
        known = self._tokens.setdefault(token.symbol, token)
        if known != token or not 0 <= token.decimals <= 38:  # noqa: PLR2004 - as every asset, see core.money
            raise TokenConflictError(token.symbol, known, token)
        return known


def _tokens(raw: _Raw) -> list[_RawToken]:
    if raw.tokens is not None:
        return [raw.tokens[name] for name in sorted(raw.tokens, key=lambda name: (len(name), name))]
    return [token for token in (raw.token0, raw.token1) if token is not None]


def _amounts(index: int, raw: _Raw) -> list[int]:
    amounts = raw.amounts
    if amounts is None:
        texts = [token.amount for token in _tokens(raw)]
        if any(text is None or not _DIGITS.fullmatch(text) for text in texts):
            raise CorruptEventError(index, f"amounts {texts} are not all plain digits")
        amounts = [int(text) for text in texts if text is not None]
    for amount in amounts:
        if not 0 <= amount < MAX_UNITS:
            raise CorruptEventError(index, f"amount {amount} is not from 0 to 2^127")
    logged = _logged(raw, len(amounts))
    if logged is not None and logged != amounts:
        raise CorruptEventError(index, f"the amounts {amounts} are not those of the log, {logged}")
    return amounts


def _logged(raw: _Raw, width: int) -> list[Any] | None:
    """The amounts as the contract logged them, where the event has its arguments."""
    args = raw.args
    if "amount0" in args:
        return [args["amount0"], args.get("amount1")]
    if "coin_amount" in args:
        place = args.get("token_id")
        return [args["coin_amount"] if number == place else 0 for number in range(width)]
    amounts = args.get("token_amounts")
    return amounts if isinstance(amounts, list) else None


def _provider(index: int, raw: _Raw) -> str:
    if raw.sender is not None:
        sender = _address(index, "_from", raw.sender)
        _owner(index, raw)
        return sender
    owner = raw.provider or _owner(index, raw)
    if owner is None:
        raise CorruptEventError(index, "names no provider")
    return _address(index, "provider", owner)


def _owner(index: int, raw: _Raw) -> str | None:
    """The account the contract logged; None where the event has no arguments."""
    owner = raw.args.get("owner", raw.args.get("provider"))
    return None if owner is None else _address(index, "owner", owner)


def _address(index: int, field: str, value: object) -> str:
    """A lower-case address, out of 20 bytes or out of a 32-byte log topic."""
    text = value.lower() if isinstance(value, str) else ""
    if padded := _PADDED.fullmatch(text):
        return "0x" + padded[1]
    if not _HEX_40.fullmatch(text):
        raise CorruptEventError(index, f"{field} {value!r} is no address")
    return text
