"""What the API says of money that is moved between venues."""

from __future__ import annotations

from typing import Final

from mrmarket.core.clock import NS_PER_MS
from mrmarket.services.api import selection_schema as schema
from mrmarket.services.selection.rebalancing import Proposal, Rebalancing, earns, whole
from mrmarket.trading.strategy.rebalance.machine import TransferStage, TransferState

_STAGES: Final[dict[TransferStage, schema.TransferStageName]] = {
    TransferStage.PLANNED: "planned",
    TransferStage.ASKED: "unknown",
    TransferStage.PENDING: "pending",
    TransferStage.ARRIVED: "arrived",
    TransferStage.FAILED: "failed",
}


def rebalance_view(made: Rebalancing) -> schema.RebalanceView:
    """One candidate's."""
    book = made.book
    return schema.RebalanceView(
        candidate=made.candidate,
        places=list(made.places),
        problem=made.problem,
        proposals=[_proposal(each) for _, each in sorted(made.proposals.items())],
        transfers=[
            _transfer(each, book.approved.get(asset, ""))
            for asset, transfers in sorted(book.transfers.items())
            for each in transfers
        ],
        left=[text for _, texts in sorted(made.left.items()) for text in texts],
    )


def _proposal(each: Proposal) -> schema.RebalanceProposal:
    return schema.RebalanceProposal(
        id=each.id,
        asset=each.asset,
        value=f"{each.value.normalize():f}",
        at_ms=each.at_ns // NS_PER_MS,
        moves=[
            schema.RebalanceMove(
                source=move.source,
                target=move.target,
                amount=whole(move.units),
                fee=whole(move.fee_units),
                why=earns(move),
            )
            for move in each.plan.moves
        ],
    )


def _transfer(each: TransferState, approved_by: str) -> schema.TransferView:
    order = each.order
    return schema.TransferView(
        key=order.key,
        asset=order.asset,
        source=order.source,
        target=order.target,
        amount=whole(order.units),
        fee=whole(order.fee_units),
        stage=_STAGES[each.stage],
        approved_by=approved_by,
        reason=each.reason,
    )
