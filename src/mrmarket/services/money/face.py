"""The business core as the API sees it: every counter behind one door."""

from __future__ import annotations

from mrmarket.services.money.depositor_counter import MovementCounter
from mrmarket.services.money.evidence_counter import EvidenceCounter
from mrmarket.services.money.owner_counter import OwnerCounter
from mrmarket.services.money.solvency_counter import SolvencyCounter


class MoneyOffice(MovementCounter, EvidenceCounter, SolvencyCounter, OwnerCounter):
    """Implements `MoneyFace` over the offices."""
