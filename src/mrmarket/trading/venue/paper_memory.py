"""What a paper account holds and has standing, kept over restarts."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from mrmarket.trading.venue.front.persistence import Frame, FrontState, StateStore
from mrmarket.trading.venue.simulated.exchange import SimulatedExchange
from mrmarket.trading.venue.simulated.records import BalanceChanged, OrderChanged, Publication

_SKIPPED_IDS: Final = 1_000_000
"""A killed process may have told of ids that it had not kept; the next one starts well above."""


class PaperMemory:
    """A directory with the exchange's state and a journal of every order, fill and balance since.

    Raises `StateError` where the directory cannot be used, is held by another process, or is full.
    """

    def __init__(self, directory: Path) -> None:
        self._store = StateStore(directory)

    def recall(self, exchange: SimulatedExchange) -> None:
        """Put back what an earlier life left; the exchange's pairs must be listed."""
        saved = self._store.load()
        if saved is not None:
            exchange.restore(saved.exchange, *saved.changes, skip_ids=_SKIPPED_IDS)
        self._store.begin(exchange.state(), FrontState(), {})

    def keep(self, exchange: SimulatedExchange, publications: Iterable[Publication]) -> None:
        """Write down what changed, before anybody is told."""
        if not any(isinstance(change, OrderChanged | BalanceChanged) for change in publications):
            return
        self._store.append(Frame(changes=exchange.state(changes_only=True), front=FrontState()))
        if self._store.compact_due:
            self._store.begin(exchange.state(), FrontState(), {})

    def close(self) -> None:
        """Let go of the directory."""
        self._store.close()
