"""The recording oracle's documents of results: written by cycle, named by their SHA-256, read and checked."""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass
from decimal import Decimal
from hashlib import sha256
from itertools import pairwise
from typing import Final

import msgspec

from mrmarket.core.decimals import format_units, parse_units
from mrmarket.core.errors import InvalidInputError
from mrmarket.money.rewards.campaign import Span
from mrmarket.partners.hufi.errors import ManifestError, ResultsError
from mrmarket.partners.hufi.exact_json import ExactJsonError, read_exact
from mrmarket.partners.hufi.manifest import read_date, write_date

_HASH: Final = re.compile(r"(?:0x)?[0-9a-fA-F]{64}", re.ASCII)
_MOST_BYTES: Final = 64_000_000


class OutcomeRow(msgspec.Struct, frozen=True, omit_defaults=True):
    """One participant's outcome of a cycle, on the wire."""

    address: str
    score: Decimal
    total_volume: Decimal | None = None
    token_balance: Decimal | None = None


class BatchRow(msgspec.Struct, frozen=True):
    """Participants that are paid by one transaction."""

    id: str
    results: list[OutcomeRow]


class CycleRow(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename={"start": "from", "end": "to"}
):
    """One cycle, on the wire."""

    start: str
    end: str
    reserved_funds: str
    participants_outcomes_batches: list[BatchRow]
    total_volume: Decimal | None = None
    total_balance: Decimal | None = None
    total_score: Decimal | None = None


class ResultsDocument(msgspec.Struct, frozen=True):
    """All cycles that were recorded so far, on the wire."""

    chain_id: int
    address: str
    exchange: str
    symbol: str
    results: list[CycleRow]


@dataclass(frozen=True, slots=True)
class RecordedCycle:
    """One cycle as it was recorded. `reserved_units`: base units of the fund's token."""

    span: Span
    reserved_units: int
    batches: tuple[str, ...]
    addresses: frozenset[str]
    """Of everybody with an outcome, lower case."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """A document that was read, checked, and is what its hash says."""

    chain_id: int
    address: str
    cycles: tuple[RecordedCycle, ...]

    def cycle_of_batch(self, batch: str, start_ms: int, cycle_ms: int) -> int | None:
        """Number of the cycle, counted from a campaign's start, that a batch pays for; None for a stranger.

        A batch is named by its own id, or (of competitive campaigns) by the hash of its cycle.
        """
        wanted = batch.lower().removeprefix("0x")
        for cycle in self.cycles:
            if batch in cycle.batches or wanted == competitive_batch(cycle.span):
                return (cycle.span.start_ms - start_ms) // cycle_ms
        return None


def competitive_batch(span: Span) -> str:
    """What the reputation oracle calls the one batch of a competitive cycle."""
    return sha256(f"{write_date(span.start_ms)}/{write_date(span.end_ms)}".encode()).hexdigest()


def read_results(content: bytes, document_hash: str, decimals: int) -> Recorded:
    """Read a document; `document_hash` is what the escrow stores, `decimals` those of the fund's token.

    Raises:
        ResultsError: if it has another hash, another form, or cycles that overlap.
    """
    if len(content) > _MOST_BYTES:
        raise ResultsError(f"a document of {len(content)} bytes")
    if not _HASH.fullmatch(document_hash):
        raise ResultsError("no SHA-256 to hold the document against")
    if not hmac.compare_digest(sha256(content).hexdigest(), document_hash.removeprefix("0x").lower()):
        raise ResultsError("the document does not have the hash that the escrow stores")
    try:
        document = msgspec.convert(read_exact(content), ResultsDocument)
        cycles = tuple(_cycle(row, decimals) for row in document.results)
    except (ExactJsonError, msgspec.ValidationError, ManifestError, InvalidInputError) as error:
        raise ResultsError(f"the document cannot be read ({error})") from error
    for before, after in pairwise(cycles):
        if after.span.start_ms < before.span.end_ms:
            raise ResultsError(f"two cycles overlap at {write_date(after.span.start_ms)}")
    batches = [batch for cycle in cycles for batch in cycle.batches]
    if len(set(batches)) != len(batches):
        raise ResultsError("a batch is recorded twice")
    return Recorded(document.chain_id, document.address.lower(), cycles)


def write_results(document: ResultsDocument) -> tuple[bytes, str]:
    """The bytes of a document and its SHA-256, as the recording oracle stores them."""
    content = msgspec.json.Encoder(decimal_format="number").encode(document)
    return content, sha256(content).hexdigest()


def reserved_text(units: int, decimals: int) -> str:
    """Reserved funds as the document writes them."""
    return format_units(units, decimals)


def _cycle(row: CycleRow, decimals: int) -> RecordedCycle:
    span = Span(read_date(row.start, "from"), read_date(row.end, "to"))
    return RecordedCycle(
        span=span,
        reserved_units=parse_units(row.reserved_funds, decimals, field="reserved_funds"),
        batches=tuple(batch.id for batch in row.participants_outcomes_batches),
        addresses=frozenset(
            outcome.address.lower()
            for batch in row.participants_outcomes_batches
            for outcome in batch.results
        ),
    )
