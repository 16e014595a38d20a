"""Checks that the rows of this room are what was written, and its reports follow each other."""

from __future__ import annotations

from collections.abc import Iterator

from mrmarket.money.ledger.seal import RotationDocument, opened
from mrmarket.money.ledger.seal_rows import SealRows
from mrmarket.money.payouts.repository import PayoutRepository
from mrmarket.money.solvency.errors import ReportError
from mrmarket.money.solvency.report import GENESIS, open_report
from mrmarket.money.solvency.repository import SolvencyRepository
from mrmarket.money.solvency.watch import RECONCILIATION
from mrmarket.store.sql import Sql


def faults(sql: Sql) -> Iterator[str]:
    """Sentences about everything that is not as it must be; none where all is well."""
    repository = SolvencyRepository(sql)
    yield from repository.altered()
    yield from _block_faults(sql)
    seals = {opened(signed).number: signed for signed in SealRows(sql).all()}
    keys = {
        key
        for document in map(opened, seals.values())
        for key in (
            document.public_key,
            document.new_public_key if isinstance(document, RotationDocument) else document.public_key,
        )
    }
    previous, wanted = GENESIS, 1
    for number, at_ms, signed in repository.every_report():
        try:
            document = open_report(signed)
        except ReportError as error:
            yield f"solvency report {number}: {error.problem}"
            return
        if (document.number, number, document.at_ms) != (wanted, wanted, at_ms):
            yield f"solvency report {wanted} is missing, or stands beside another number or time"
            return
        if document.previous != previous:
            yield f"solvency report {number} does not follow the one before it"
        if document.public_key not in keys:
            yield f"solvency report {number} is signed by a key that signed no seal"
        seal = seals.get(document.seal)
        if seal is None or seal.hash != document.seal_hash:
            yield f"solvency report {number} refers to a seal that is not there"
        previous, wanted = signed.hash, wanted + 1


def _block_faults(sql: Sql) -> Iterator[str]:
    """Payouts of what does not add up are blocked, and ours are blocked for nothing else."""
    blocks = {block.asset_code: block.reason for block in PayoutRepository(sql).blocks()}
    short = {row.asset.partition(":")[2] for row in SolvencyRepository(sql).open_incidents()}
    for code in sorted(short - blocks.keys()):
        yield f"payout_blocks: {code} does not add up and its payouts are not blocked"
    for code in sorted(blocks.keys() - short):
        if blocks[code].startswith(RECONCILIATION):
            yield f"solvency_incidents: payouts of {code} are blocked and the incident is missing"
