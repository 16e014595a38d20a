"""Signed comparisons of what is owed with what was seen, each chained to the one before.

A report names the seal whose roots commit to every single claim; anybody who holds a proof against that seal
knows that their claim is part of what the report calls owed.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from typing import Final

import msgspec

from mrmarket.money.ledger.draft import Draft
from mrmarket.money.ledger.seal import SealDocument, Signed
from mrmarket.money.ledger.seal import opened as opened_seal
from mrmarket.money.ledger.seal_key import SealKey, is_signed
from mrmarket.money.ledger.seal_rows import SealRows
from mrmarket.money.solvency.comparison import Line, Standing
from mrmarket.money.solvency.errors import ReportError
from mrmarket.money.solvency.repository import SolvencyRepository
from mrmarket.store.sql import Sql

REPORT_FORMAT: Final = "mrmarket solvency v1"
GENESIS: Final = sha256(b"mrmarket solvency v1\0").hexdigest()
"""What the first report is chained to."""

_encode: Final = msgspec.json.Encoder(order="sorted").encode


class ReportLine(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One asset at one place; amounts in base units as decimal text."""

    asset: str
    place: str
    owed: str
    sealed: str
    """What the seal says was owed when it was made."""
    seen: str | None
    seen_at_ms: int | None
    unexplained: str
    on_its_way: list[str]
    standing: Standing


class ReportDocument(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is signed."""

    format: str = REPORT_FORMAT
    number: int
    previous: str
    """SHA-256 of the report before."""
    public_key: str
    at_ms: int
    seq: int
    """Last group of the ledger that is in `owed`."""
    seal: int
    """Number of the newest seal."""
    seal_hash: str
    """SHA-256 of its document."""
    lines: list[ReportLine]
    solvent: bool
    """Whether every line adds up."""


def write_report(draft: Draft, key: SealKey, lines: Iterable[Line]) -> ReportDocument:
    """Sign what a look has shown and append it. To be carried out by the ledger's writer after `look`.

    Raises:
        ReportError: if there is no seal to refer to.
    """
    sql = draft.sql
    signed_seal = SealRows(sql).last_seal()
    if signed_seal is None:
        raise ReportError(None, "there is no seal to refer to; seal the ledger first")
    seal = opened_seal(signed_seal)
    if not isinstance(seal, SealDocument):
        raise ReportError(None, "the newest seal is none")
    sealed = {asset.id: asset.sum for asset in seal.assets}
    repository = SolvencyRepository(sql)
    last = repository.reports(1)
    number = open_report(last[0]).number + 1 if last else 1
    found = sorted(lines, key=lambda line: line.asset)
    document = ReportDocument(
        number=number,
        previous=last[0].hash if last else GENESIS,
        public_key=key.public,
        at_ms=draft.at_ms,
        seq=_head(sql),
        seal=seal.number,
        seal_hash=signed_seal.hash,
        lines=[
            ReportLine(
                asset=line.asset,
                place=line.place,
                owed=str(line.owed),
                sealed=sealed.get(line.asset, "0"),
                seen=None if line.seen is None else str(line.seen),
                seen_at_ms=line.seen_at_ms,
                unexplained=str(line.unexplained),
                on_its_way=[span.why for span in line.spans],
                standing=line.standing,
            )
            for line in found
        ],
        solvent=all(line.is_sound for line in found),
    )
    body = _encode(document)
    repository.add_report(number, document.at_ms, Signed(body.decode(), key.sign(body).hex()))
    return document


def open_report(signed: Signed) -> ReportDocument:
    """Read a signed report, after its signature was found to be that of the key it names.

    Raises:
        ReportError: if it is none, or is not signed by that key.
    """
    body = signed.document.encode()
    try:
        document = msgspec.json.decode(body, type=ReportDocument)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ReportError(None, f"cannot be read ({error})") from error
    if document.format != REPORT_FORMAT or _encode(document) != body:
        raise ReportError(document.number, "is not in the form that is signed")
    if not is_signed(document.public_key, body, bytes.fromhex(signed.signature)):
        raise ReportError(document.number, "is not signed by the key it names")
    return document


def _head(sql: Sql) -> int:
    rows = sql.rows("SELECT seq FROM groups ORDER BY seq DESC LIMIT 1")
    return int(rows[0][0]) if rows else 0
