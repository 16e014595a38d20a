"""What a run writes down of the market and of the venue's balances, now and then."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from mrmarket.core.clock import NS_PER_S, Clock
from mrmarket.core.decimals import format_decimal
from mrmarket.core.events import BalanceObserved, MarkObserved
from mrmarket.core.instrument import Instrument
from mrmarket.trading.execution.account import Account
from mrmarket.trading.execution.fact_writer import FactWriter
from mrmarket.trading.execution.risk.pretrade import MarketTop

_CONFIRM_NS: Final = 30 * NS_PER_S


class Observations:
    """Marks and balances every few seconds, each only when it differs from the last.

    A price that stands still is confirmed now and then: deposits and withdrawals wait for a young one.

    Of balances the total counts: what is merely locked or free again changes with every order.
    """

    def __init__(
        self,
        instrument: Instrument,
        venue: str,
        facts: FactWriter,
        wall: Clock,
        *,
        mark_every_ns: int,
        balances_every_ns: int,
    ) -> None:
        self._instrument = instrument
        self._venue = venue
        self._priced = False
        self._facts = facts
        self._wall = wall
        self._mark_every_ns = mark_every_ns
        self._balances_every_ns = balances_every_ns
        self._marked_ns: int | None = None
        self._balances_ns = wall.monotonic_ns()
        self._last_top: MarketTop | None = None
        self._written_ns = 0
        """When the last mark was written down; monotonic."""
        self._last_totals: dict[str, Decimal] = {}

    def wanting(self, account: Account) -> str:
        """What keeps the first order back; empty once balances and a price are in the event log for good.

        Fills that follow can then be told from what the account held before.
        """
        if not account.is_known:
            return "the balances are not known yet"
        return "" if self._priced else "the first price is not written down yet"

    @property
    def is_due(self) -> bool:
        """Whether a tick may have anything to do."""
        now_ns = self._wall.monotonic_ns()
        return (
            self._marked_ns is None
            or now_ns - self._marked_ns >= self._mark_every_ns
            or now_ns - self._balances_ns >= self._balances_every_ns
        )

    def tick(self, top: MarketTop | None, account: Account, *, stale: bool) -> None:
        """Write down what is due; a stale book marks nothing."""
        now_ns = self._wall.monotonic_ns()
        if not stale and (self._marked_ns is None or now_ns - self._marked_ns >= self._mark_every_ns):
            self.mark(top)
        if now_ns - self._balances_ns >= self._balances_every_ns:
            self.balances(account)

    def mark(self, top: MarketTop | None) -> None:
        """Write the best bid and ask of others down."""
        if top is None:
            return
        self._marked_ns = now_ns = self._wall.monotonic_ns()
        if top == self._last_top and now_ns - self._written_ns < _CONFIRM_NS:
            return
        self._last_top, self._written_ns = top, now_ns
        instrument = self._instrument
        self._facts.write(
            MarkObserved(
                venue=self._venue,
                at_ns=self._wall.now_ns(),
                symbol=instrument.symbol,
                base=instrument.base,
                quote=instrument.quote,
                bid=instrument.price_text(top.bid_ticks),
                ask=instrument.price_text(top.ask_ticks),
            ),
            urgent=not self._priced,
            then=self._note_priced,
        )

    def balances(self, account: Account) -> None:
        """Write what the venue says we hold down."""
        self._balances_ns = self._wall.monotonic_ns()
        for asset, free, locked in account.reported():
            if self._last_totals.get(asset) != free + locked:
                self._last_totals[asset] = free + locked
                self._facts.write(
                    BalanceObserved(
                        venue=self._venue,
                        at_ns=self._wall.now_ns(),
                        asset=asset,
                        free=format_decimal(free),
                        locked=format_decimal(locked),
                    )
                )

    def _note_priced(self, _appended: bool) -> None:
        self._priced = True
