"""What the venue must not forget, and when it is written: the store behind the gateway."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from mrmarket.core.clock import NS_PER_S
from mrmarket.trading.venue.front.dead_man import DeadManSwitch
from mrmarket.trading.venue.front.feed import Feed
from mrmarket.trading.venue.front.persistence import Frame, FrontState, Fsync, Saved, StateStore
from mrmarket.trading.venue.front.signature import ApiKey, Use, new_key
from mrmarket.trading.venue.simulated.exchange import SimulatedExchange
from mrmarket.trading.venue.simulated.records import (
    BalanceChanged,
    ExternalTransfer,
    OrderChanged,
    Publication,
)

_POSITION_EVERY_NS: Final = NS_PER_S
_SKIPPED_IDS: Final = 1_000_000
"""Ids passed over after a restart: more than a venue can have published since its last frame."""


class Memory:
    """Writes every effect before it is told; keeps nothing without a directory."""

    def __init__(self, directory: Path | None, fsync: Fsync) -> None:
        self._store = StateStore(directory, fsync) if directory is not None else None
        self._exchange: SimulatedExchange | None = None
        self._feed: Feed | None = None
        self._dead_man = DeadManSwitch()
        self._quote_sizes: dict[int, int] = {}
        self._new_quote_sizes: dict[int, int] = {}
        self._written_ns = 0

    def load(self) -> Saved | None:
        """What the directory holds."""
        return self._store.load() if self._store else None

    def keys(self, accounts: list[str], use: Use) -> list[ApiKey]:
        """The key pairs of these accounts for one use, in their order; kept if there is a directory."""
        if self._store is None:
            return [new_key(account, use=use) for account in accounts]
        known = {key.account: key for key in self._store.keys(accounts) if key.use == use}
        return [known[account] for account in accounts]

    def funding_token(self) -> str:
        """The kept token of who funds the accounts; empty without a directory."""
        return self._store.funding_token() if self._store else ""

    def attach(
        self,
        exchange: SimulatedExchange,
        feed: Feed,
        dead_man: DeadManSwitch,
        quote_sizes: dict[int, int],
        saved: Saved | None,
    ) -> None:
        """Put back what was saved and write down from now on; pairs are listed, accounts open."""
        self._exchange, self._feed = exchange, feed
        self._dead_man, self._quote_sizes = dead_man, quote_sizes
        if saved is not None:
            exchange.restore(saved.exchange, *saved.changes, skip_ids=_SKIPPED_IDS)
            dead_man.restore(saved.front.dead_man)
            quote_sizes.update(saved.quote_sizes)
        self.save()

    def write(self, publications: list[Publication]) -> None:
        """Keep what the publications say of orders, trades and balances; returns once it is safe."""
        if self._store is None or self._exchange is None:
            return
        if any(isinstance(change, OrderChanged | BalanceChanged) for change in publications):
            # Money from elsewhere: whoever sent it forgets it once we have said that it is here.
            sync = any(isinstance(change, ExternalTransfer) for change in publications)
            self._append(self._store, self._exchange.state(changes_only=True), sync=sync)

    def remember_quote_size(self, order_id: int, units: int) -> None:
        """Keep the `quoteOrderQty` of a market order with the next frame."""
        self._new_quote_sizes[order_id] = units

    def note(self) -> None:
        """Keep where the front stands, apart from the exchange."""
        if self._store is not None:
            self._append(self._store, b"")

    def tick(self, now_ns: int) -> None:
        """Keep the tape's position once a second, and shorten a long journal."""
        if self._store is None or now_ns - self._written_ns < _POSITION_EVERY_NS:
            return
        self._written_ns = now_ns
        if self._store.compact_due:
            self.save()
        else:
            self.note()

    def save(self) -> None:
        """Write a full state."""
        if self._store is not None and self._exchange is not None:
            self._store.begin(self._exchange.state(), self._front(), self._quote_sizes)

    def close(self) -> None:
        """Let go of the directory."""
        if self._store is not None:
            self._store.close()
            self._store = None

    def _append(self, store: StateStore, changes: bytes, *, sync: bool = False) -> None:
        sizes, self._new_quote_sizes = self._new_quote_sizes, {}
        store.append(Frame(changes=changes, front=self._front(), quote_sizes=sizes), sync=sync)

    def _front(self) -> FrontState:
        feed = self._feed.save() if self._feed else b""
        return FrontState(feed=feed, dead_man=self._dead_man.save())
