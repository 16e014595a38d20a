"""What is on its way between the books and the places, from the rows of payments, payouts and moves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from mrmarket.money.payouts.move import Direction, MoveState
from mrmarket.money.payouts.payment import Standing
from mrmarket.money.payouts.payout import PayoutState
from mrmarket.money.payouts.repository import MoveRepository, PaymentRepository, PayoutRepository
from mrmarket.money.rewards.afar import units_afar
from mrmarket.money.solvency.comparison import Span
from mrmarket.store.sql import Sql

_MOST: Final = 1_000_000
_LEFT: Final = (PayoutState.SENDING, PayoutState.SENT, PayoutState.UNKNOWN)
"""States in which a payout may have left while the books still hold its units."""


def spans_of(sql: Sql) -> Iterator[Span]:
    """Everything that may be at one end already, and that the books have at the other.

    A payment that nobody announced and no feed has told of is not among them: ask a rail what it holds first,
    then read its feed, then look.
    """
    for payout in PayoutRepository(sql).listed(_LEFT, None, None, _MOST):
        most = payout.units + payout.fee_units
        yield Span(payout.asset, -most, 0, f"payout {payout.id} is {payout.state}")
    for payment in PaymentRepository(sql).listed((Standing.SEEN,), _MOST):
        yield Span(payment.asset, 0, payment.units, f"payment {payment.id} is seen and not final")
    for move in MoveRepository(sql).pending():
        what = f"move {move.id} is {move.state}"
        if move.direction is Direction.TO_VENUE:
            yield Span(move.venue_asset, 0, move.venue_units, what)
        elif move.state is not MoveState.PLANNED:
            yield Span(move.venue_asset, -move.venue_units - move.fee_units, 0, what)
            yield Span(move.rail_asset, 0, move.rail_units, what)
    for asset, units in units_afar(sql).items():
        yield Span(asset, -units, -units, "rewards that have not arrived from their chain")
