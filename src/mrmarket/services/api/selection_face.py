"""What the API needs of whoever chooses between strategies."""

from __future__ import annotations

from typing import Protocol

from mrmarket.services.api import selection_schema as schema
from mrmarket.trading.strategy.selection.thresholds import Thresholds


class SelectionFace(Protocol):
    """The owner's view of the choice. Everything but `standing` raises `DatabaseAwayError`."""

    def standing(self) -> schema.SelectionView:
        """Where it stands; at once."""
        ...

    async def decisions(self, limit: int, before: tuple[int, int] | None) -> list[schema.DecisionView]:
        """Recorded decisions, newest first."""
        ...

    async def tune(self, thresholds: Thresholds, by: str) -> schema.SelectionView:
        """Other thresholds from now on."""
        ...

    async def set_cap(self, candidate: str, share: float | None, by: str) -> schema.SelectionView:
        """Another cap of a candidate; None takes the owner's word back. Raises an `InvalidInputError`."""
        ...

    def rebalance(self) -> list[schema.RebalanceView]:
        """Money between venues, a row for each candidate; at once."""
        ...

    async def decide_rebalance(self, proposal: str, by: str, *, approve: bool) -> list[schema.RebalanceView]:
        """Carry a plan out, or drop it. Raises an `InvalidInputError` where it does not wait."""
        ...

    async def dry_run(self, thresholds: Thresholds) -> schema.DryRunResult:
        """What the last 24 hours would have been with them."""
        ...
