"""What the account holds, from the venue's balance reports and our own open orders."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from mrmarket.core.instrument import Instrument
from mrmarket.core.side import Side
from mrmarket.trading.execution.order import Order
from mrmarket.trading.execution.risk.pretrade import Holdings
from mrmarket.trading.venue.port import BalanceReport


class Account:
    """The last word of the venue on base and quote.

    Between an order and the balance report that follows it, both readings are considered: free as
    reported (it knows of amounts that others have locked), and total less what our open orders
    reserve (it knows of orders sent since). The smaller one may be spent.
    """

    def __init__(self, instrument: Instrument) -> None:
        self._instrument = instrument
        self._free: dict[str, Decimal] = {}
        self._locked: dict[str, Decimal] = {}
        self._heard: dict[str, int] = {}
        self._reports = 0
        self._base_total = Decimal(0)
        self._quote_total = Decimal(0)
        self.revision = 0
        """Rises with every change."""
        self.is_known = False
        """Whether both assets were reported."""

    @property
    def mark(self) -> int:
        """To be taken before all balances are asked for: what is heard later is newer than that answer."""
        return self._reports

    @property
    def base_total(self) -> Decimal:
        """Free and locked base."""
        return self._base_total

    @property
    def quote_total(self) -> Decimal:
        """Free and locked quote."""
        return self._quote_total

    def observe(self, report: BalanceReport) -> bool:
        """Take a report in; say whether anything changed."""
        free, locked = Decimal(report.free), Decimal(report.locked)
        changed = self._free.get(report.asset) != free or self._locked.get(report.asset) != locked
        self._free[report.asset] = free
        self._locked[report.asset] = locked
        self._reports += 1
        self._heard[report.asset] = self._reports
        if changed:
            self._changed()
        return changed

    def observe_all(self, reports: Iterable[BalanceReport], since: int | None = None) -> None:
        """Take a complete answer in: an asset of the pair that it leaves out is zero.

        With `since` (a `mark`), an asset of which the stream has told since then keeps the newer word.
        """
        newer = {asset for asset, heard in self._heard.items() if since is not None and heard > since}
        pair = (self._instrument.base, self._instrument.quote)
        named = {report.asset: (Decimal(report.free), Decimal(report.locked)) for report in reports}
        named = {**dict.fromkeys(pair, (Decimal(0), Decimal(0))), **named}
        for asset in newer & self._free.keys():
            named[asset] = (self._free[asset], self._locked[asset])
        if named != {asset: (free, self._locked[asset]) for asset, free in self._free.items()}:
            self._free = {asset: free for asset, (free, _) in named.items()}
            self._locked = {asset: locked for asset, (_, locked) in named.items()}
            self._changed()

    def reported(self) -> list[tuple[str, Decimal, Decimal]]:
        """(asset, free, locked) of every asset the venue named, by name."""
        return [(asset, free, self._locked[asset]) for asset, free in sorted(self._free.items())]

    def holdings(self, open_orders: Iterable[Order]) -> Holdings:
        """What may be spent next to these orders."""
        base_reserved, grains_reserved, lots_bought, grains_offered, count = 0, 0, 0, 0, 0
        for order in open_orders:
            count += 1
            if order.side is Side.SELL:
                base_reserved += order.remaining_lots
                grains_offered += order.remaining_lots * order.price_ticks
            else:
                grains_reserved += order.remaining_lots * order.price_ticks
                lots_bought += order.remaining_lots
        instrument = self._instrument
        base_total, quote_total = self.base_total, self.quote_total
        zero = Decimal(0)
        return Holdings(
            base_free=min(self._free.get(instrument.base, zero), base_total - instrument.size(base_reserved)),
            quote_free=min(
                self._free.get(instrument.quote, zero), quote_total - grains_reserved * instrument.grain
            ),
            base_total=base_total,
            quote_total=quote_total,
            base_pending=instrument.size(lots_bought),
            open_orders=count,
            open_notional=(grains_reserved + grains_offered) * instrument.grain,
        )

    def _changed(self) -> None:
        """Everything that is read at every decision is worked out here, once for each change."""
        base, quote = self._instrument.base, self._instrument.quote
        self.revision += 1
        self.is_known = base in self._free and quote in self._free
        self._base_total, self._quote_total = self._total(base), self._total(quote)

    def _total(self, asset: str) -> Decimal:
        return self._free.get(asset, Decimal(0)) + self._locked.get(asset, Decimal(0))
