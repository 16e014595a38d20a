"""A campaign's manifest: five types, each checked field by field, inline or behind an address.

Window: `[start_date, end_date)`. Unknown keys are allowed. Numbers must be JSON numbers.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from hashlib import sha1
from typing import Any, Final

import msgspec

from mrmarket.partners.hufi.errors import ManifestError
from mrmarket.partners.hufi.exact_json import ExactJsonError, read_exact

PAIR: Final = re.compile(r"[0-9A-Z]{2,10}/[0-9A-Z]{3,10}", re.ASCII)
SYMBOL: Final = re.compile(r"[0-9A-Z]{2,10}", re.ASCII)
MAX_BYTES: Final = 1_000_000
"""A manifest is some hundred bytes; more is not read."""

_EXCHANGE: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}", re.ASCII)
_HASH: Final = re.compile(r"(?:0x)?[0-9a-fA-F]{40}", re.ASCII)
_DATE: Final = re.compile(
    r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:?\d\d)?)?", re.ASCII
)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_HUNDRED: Final = Decimal(100)
_MAX_RANKS: Final = 10_000
_MAX_PARTICIPANTS: Final = 10**9

DEXES: Final = frozenset({"hyperliquid", "pancakeswap"})
"""Exchanges without accounts: a wallet's own address stands for it, and only traded volume counts."""


class CampaignType(StrEnum):
    """The five types."""

    MARKET_MAKING = "MARKET_MAKING"
    COMPETITIVE_MARKET_MAKING = "COMPETITIVE_MARKET_MAKING"
    THRESHOLD_MARKET_MAKING = "THRESHOLD_MARKET_MAKING"
    HOLDING = "HOLDING"
    THRESHOLD = "THRESHOLD"

    @property
    def is_traded(self) -> bool:
        """Whether it counts trades of a pair; the others count a balance of a symbol."""
        return self not in {CampaignType.HOLDING, CampaignType.THRESHOLD}


TARGETS: Final[Mapping[CampaignType, str]] = {
    CampaignType.MARKET_MAKING: "daily_volume_target",
    CampaignType.COMPETITIVE_MARKET_MAKING: "minimum_volume_required",
    CampaignType.THRESHOLD_MARKET_MAKING: "minimum_volume_target",
    CampaignType.HOLDING: "daily_balance_target",
    CampaignType.THRESHOLD: "minimum_balance_target",
}
"""Name of the target on the wire, by type."""


class Manifest(msgspec.Struct, frozen=True):
    """A manifest that was read and checked. Times are UTC ms."""

    type: CampaignType
    exchange: str
    market: str
    """`pair` of the traded types, `symbol` of the others."""
    start_ms: int
    end_ms: int
    target: Decimal
    """In the quote asset of a pair, or in units of the symbol."""
    prizes: tuple[Decimal, ...] = ()
    """Percentages by rank of the competitive type, as they stand."""
    max_participants: int | None = None


def read_manifest(text: str | bytes) -> Manifest:
    """Read and check the JSON of a manifest.

    Raises:
        ManifestError: with the field that is wrong and one sentence.
    """
    if len(text) > MAX_BYTES:
        raise ManifestError("text", f"it has {len(text)} bytes, and {MAX_BYTES} are read at most")
    try:
        fields = read_exact(text)
    except ExactJsonError as error:
        raise ManifestError("text", f"it cannot be read, {error}") from error
    if not isinstance(fields, dict):
        raise ManifestError("text", "it is no JSON object")
    return check_manifest(fields)


def check_manifest(fields: Mapping[str, Any]) -> Manifest:
    """Check the fields of a manifest; numbers as `int` or `Decimal`. Raises `ManifestError`."""
    kind = _type(fields)
    exchange = _text(fields, "exchange", _EXCHANGE, "the name of an exchange in lower case")
    start_ms, end_ms = (
        read_date(fields.get("start_date"), "start_date"),
        read_date(fields.get("end_date"), "end_date"),
    )
    if end_ms <= start_ms:
        raise ManifestError("end_date", "it is not after start_date")
    if exchange in DEXES and not kind.is_traded:
        raise ManifestError("type", f"{kind.value} is not offered on {exchange}, only traded volume is")
    if kind.is_traded:
        market = _text(fields, "pair", PAIR, "a pair such as ETH/USDT")
    else:
        market = _text(fields, "symbol", SYMBOL, "a symbol such as HMT")
    return Manifest(
        type=kind,
        exchange=exchange,
        market=market,
        start_ms=start_ms,
        end_ms=end_ms,
        target=_positive(fields.get(TARGETS[kind]), TARGETS[kind]),
        prizes=_prizes(fields) if kind is CampaignType.COMPETITIVE_MARKET_MAKING else (),
        max_participants=_slots(fields, kind),
    )


Fetch = Callable[[str], Awaitable[bytes]]
"""Reads what is behind an address; raises what it likes, which passes through."""


async def load_manifest(manifest: str, manifest_hash: str, fetch: Fetch) -> Manifest:
    """The manifest of an escrow, which holds it inline or as an address.

    What is behind an address must have the SHA-1 that the escrow states. (That function is the protocol's
    choice; it only ties two fields of one contract together here.)

    Raises:
        ManifestError: if the hash is not the document's, or the document is no manifest.
    """
    if manifest.lstrip().startswith("{"):
        return read_manifest(manifest)
    if not manifest.startswith(("https://", "http://")):
        raise ManifestError("text", "it is neither a JSON object nor an address")
    if not _HASH.fullmatch(manifest_hash):
        raise ManifestError("manifestHash", "it is not the hexadecimal SHA-1 of a document")
    content = await fetch(manifest)
    digest = sha1(content, usedforsecurity=False).hexdigest()
    if not hmac.compare_digest(digest, manifest_hash.removeprefix("0x").lower()):
        raise ManifestError("manifestHash", f"the document has {digest}, another one was promised")
    return read_manifest(content)


def manifest_hash(content: str | bytes) -> str:
    """The SHA-1 that an escrow states for a document."""
    return sha1(content.encode() if isinstance(content, str) else content, usedforsecurity=False).hexdigest()


def read_date(value: object, field: str) -> int:
    """An ISO 8601 date as UTC ms; one without a zone is UTC. Raises `ManifestError`."""
    if not isinstance(value, str) or not _DATE.fullmatch(value):
        raise ManifestError(field, "it is no ISO date such as 2026-01-31T00:00:00.000Z")
    try:
        moment = datetime.fromisoformat(value)
        since = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - _EPOCH
    except (ValueError, OverflowError) as error:
        raise ManifestError(field, "it is no date of any calendar") from error
    if since < timedelta(0):
        raise ManifestError(field, "it is before 1970")
    return since // timedelta(milliseconds=1)


def write_date(at_ms: int) -> str:
    """UTC ms as an ISO date with milliseconds."""
    moment = _EPOCH + timedelta(milliseconds=at_ms)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at_ms % 1000:03}Z"


def _type(fields: Mapping[str, Any]) -> CampaignType:
    try:
        return CampaignType(str(fields.get("type")))
    except ValueError as error:
        known = ", ".join(kind.value for kind in CampaignType)
        raise ManifestError("type", f"it is not one of {known}") from error


def _text(fields: Mapping[str, Any], name: str, form: re.Pattern[str], wanted: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or not form.fullmatch(value):
        raise ManifestError(name, f"it is not {wanted}")
    return value


def _positive(value: object, name: str) -> Decimal:
    if type(value) not in {int, Decimal}:
        raise ManifestError(name, "it is no JSON number")
    number = Decimal(value)  # type: ignore[arg-type]  # narrowed by its exact type above
    if number <= 0:
        raise ManifestError(name, "it is not above zero")
    return number


def _prizes(fields: Mapping[str, Any]) -> tuple[Decimal, ...]:
    shares = fields.get("rewards_distribution")
    if not isinstance(shares, list) or not 0 < len(shares) <= _MAX_RANKS:
        raise ManifestError("rewards_distribution", "it is no list of percentages with at least one in it")
    prizes = tuple(_positive(share, "rewards_distribution") for share in shares)
    if sum(prizes) > _HUNDRED:
        raise ManifestError("rewards_distribution", f"it comes to {sum(prizes)} per cent")
    return prizes


def _slots(fields: Mapping[str, Any], kind: CampaignType) -> int | None:
    if kind not in {CampaignType.THRESHOLD_MARKET_MAKING, CampaignType.THRESHOLD}:
        return None
    value = fields.get("max_participants")
    if value is None and kind is CampaignType.THRESHOLD:
        return None
    whole = _positive(value, "max_participants")
    if whole != whole.to_integral_value() or whole > _MAX_PARTICIPANTS:
        raise ManifestError("max_participants", "it is no whole number of people")
    return int(whole)
