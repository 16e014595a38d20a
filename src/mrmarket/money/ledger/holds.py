"""What a record does to holds, for the stores that keep them beside the log."""

from __future__ import annotations

from collections.abc import Iterator

from mrmarket.money.ledger.chain import Record
from mrmarket.money.ledger.group import Hold, HoldState, Phase, hold_id
from mrmarket.money.ledger.transfer import SETTLED_AS


def made_holds(record: Record) -> Iterator[tuple[int, Hold]]:
    """The holds that a record makes, each with its place in the group."""
    for position, transfer in enumerate(record.transfers):
        if transfer.phase is Phase.PENDING:
            name = hold_id(record.key, position)
            yield (
                position,
                Hold(
                    name,
                    transfer.debit,
                    transfer.credit,
                    transfer.asset,
                    transfer.units,
                    transfer.kind,
                    transfer.expires_ms,
                    HoldState.PENDING,
                ),
            )


def settled_holds(record: Record) -> Iterator[tuple[str, HoldState]]:
    """The holds that a record settles, and as what."""
    for transfer in record.transfers:
        if transfer.hold is not None:
            yield transfer.hold, SETTLED_AS[transfer.phase]
