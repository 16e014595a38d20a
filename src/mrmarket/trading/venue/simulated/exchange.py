"""The simulated exchange: several markets, shared accounts, one order of events.

Assumptions of the simulation, all in one place:

- History is never altered. What clients take from a historical level is missing there until
  history refreshes that level.
- A resting order fills by queue position when history trades at its price, whole when history
  trades through it, and up to the displayed size when history's opposite price reaches it.
- A best bid or ask of history moves the book at once; queues move with prints and book updates only.
- A client's fill at the price of a historical print is part of that print's volume; a fill at a
  better price is a print of its own.
- Fees are taken from the asset received and rounded up to a unit; what changes hands in quote is
  rounded down to a unit, alike for both sides.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import copy
from types import MappingProxyType
from typing import Final

from mrmarket.core.instrument import Instrument
from mrmarket.core.side import Side
from mrmarket.trading.market.event import EventKind, Level, MarketEvent
from mrmarket.trading.venue.port import NewOrder, OrderKind, OrderStatus
from mrmarket.trading.venue.simulated import kernel as steps
from mrmarket.trading.venue.simulated.accounts import Account, Accounts
from mrmarket.trading.venue.simulated.book_arrays import QueueModel
from mrmarket.trading.venue.simulated.clearing import Clearing
from mrmarket.trading.venue.simulated.compiled import load_kernel
from mrmarket.trading.venue.simulated.listing import FillRow, Listing
from mrmarket.trading.venue.simulated.order_records import OrderRecords, PairRecords
from mrmarket.trading.venue.simulated.persistence import SavedListing, restore_exchange, save_exchange
from mrmarket.trading.venue.simulated.price_levels import NO_LIMIT
from mrmarket.trading.venue.simulated.records import (
    UNITS_PER_WHOLE,
    BalanceChanged,
    ExchangeOrder,
    ExchangeRefusedError,
    ExchangeTrade,
    ExternalTransfer,
    Publication,
    PublicTrade,
    Refusal,
    SelfTrade,
)

DEFAULT_BALANCES: Final[Mapping[str, int]] = MappingProxyType(
    {"BTC": 10 * UNITS_PER_WHOLE, "USDT": 1_000_000 * UNITS_PER_WHOLE}
)

_KINDS: Final = {
    OrderKind.LIMIT: steps.LIMIT,
    OrderKind.POST_ONLY: steps.POST_ONLY,
    OrderKind.IOC: steps.IOC,
    OrderKind.FOK: steps.FOK,
    OrderKind.MARKET: steps.MARKET,
}


class SimulatedExchange:
    """Synchronous and deterministic: every call that changes something is told the time.

    What it returns are copies. What it publishes waits in order for `drain()`.
    """

    def __init__(self, *, compiled: bool = False, queue_model: QueueModel = QueueModel.RISK_AVERSE) -> None:
        """With `compiled` the kernel runs through numba, which this imports."""
        self._kernel = load_kernel(compiled=compiled)
        self._queue_model = queue_model
        self._outbox: list[Publication] = []
        self.listings: dict[str, Listing] = {}
        """By unified symbol."""
        self.ledger = Accounts()
        self.records = OrderRecords()
        self.last_order_id = 0
        self._dormant: dict[str, SavedListing] = {}
        self._clearing = Clearing(self.ledger, self.records, self._outbox)

    def add_market(self, instrument: Instrument) -> None:
        """List a pair; orders are refused until its first SNAPSHOT."""
        self.listings[instrument.symbol] = Listing(instrument, self._kernel, self._queue_model)

    def add_account(self, name: str, balances: Mapping[str, int] | None = None) -> None:
        """Open an account with balances in units of 1e-8, by default DEFAULT_BALANCES."""
        self.ledger.open(name, DEFAULT_BALANCES if balances is None else balances)

    @property
    def instruments(self) -> list[Instrument]:
        """Every listed pair."""
        return [listing.instrument for listing in self.listings.values()]

    @property
    def accounts(self) -> list[str]:
        """The name of every account."""
        return list(self.ledger.by_name)

    def is_open(self, symbol: str) -> bool:
        """Whether a pair has a book, so that orders are taken."""
        return self._listing(symbol).open

    def on_market(self, symbol: str, event: MarketEvent, now_ns: int) -> None:
        """Let history happen.

        Events before the first SNAPSHOT are ignored.
        """
        listing = self._listing(symbol)
        kind = event.kind
        if kind is not EventKind.SNAPSHOT and not listing.open:
            return
        bids, asks = listing.apply(event)
        rows = listing.take_fills()
        if rows:
            self._clearing.settle(listing, rows, now_ns)
        if kind is EventKind.TRADE:
            taken = sum(row[4] for row in rows if row[3] == event.price_ticks)
            if taken < event.size_lots:
                rest = event.size_lots - taken
                self._outbox.append(
                    listing.add_print(event.price_ticks, rest, now_ns, taker_buys=event.taker_buys)
                )
        self._publish(listing, rows, bids, asks, now_ns)

    def place(
        self,
        account: str,
        order: NewOrder,
        now_ns: int,
        *,
        self_trade: SelfTrade = SelfTrade.EXPIRE_MAKER,
    ) -> ExchangeOrder:
        """Place an order; it comes back as it stands after immediate matching.

        IOC, FOK and MARKET rests come back EXPIRED. An empty client order id is replaced by one.

        Raises:
            ExchangeRefusedError: nothing was changed; `reason` says why.
        """
        listing = self._listing(order.symbol)
        owner = self._account(account)
        self._admit(listing, self.records.pair(account, order.symbol), order)
        reserve = self._reserve(listing, owner, order, self_trade)
        self.last_order_id += 1
        placed = ExchangeOrder(
            order_id=self.last_order_id,
            account=account,
            symbol=order.symbol,
            client_order_id=order.client_order_id or f"sim-{self.last_order_id}",
            side=order.side,
            kind=order.kind,
            price_ticks=order.price_ticks,
            size_lots=order.size_lots,
            created_ns=now_ns,
            reserved_units=reserve,
            self_trade=self_trade,
        )
        self._clearing.accept(listing, placed, now_ns)
        outcome = self._kernel.submit(
            listing.market,
            _KINDS[order.kind],
            order.side is Side.BUY,
            order.price_ticks,
            order.size_lots,
            owner.number,
            int(self_trade),
            placed.order_id,
        )
        rows = listing.take_fills()
        self._clearing.settle(listing, rows, now_ns)
        if outcome == steps.EXPIRED:
            self._clearing.end(listing, placed, OrderStatus.EXPIRED, "EXPIRED", now_ns)
        rested = {order.price_ticks} if outcome == steps.RESTING else set()
        bids, asks = (rested, set()) if order.side is Side.BUY else (set(), rested)
        self._publish(listing, rows, bids, asks, now_ns)
        return copy(placed)

    def cancel(
        self, account: str, symbol: str, *, order_id: int = 0, client_order_id: str = "", now_ns: int
    ) -> ExchangeOrder:
        """Cancel an open order by either id; given both, both must fit.

        Raises:
            ExchangeRefusedError: CANCEL_UNKNOWN when no such order is open.
        """
        listing = self._listing(symbol)
        self._account(account)
        order = self.records.pair(account, symbol).find(order_id, client_order_id)
        if order is None or order.status.is_final:
            raise ExchangeRefusedError(
                Refusal.CANCEL_UNKNOWN,
                f"{symbol} order {client_order_id or order_id}",
                "it is not open; ask for its status",
            )
        return self._cancel(listing, order, now_ns)

    def cancel_all(self, account: str, symbol: str, now_ns: int) -> list[ExchangeOrder]:
        """Cancel every open order of an account on a pair; an empty list when there was none."""
        listing = self._listing(symbol)
        self._account(account)
        live = list(self.records.pair(account, symbol).live.values())
        return [self._cancel(listing, order, now_ns) for order in live]

    def order(
        self, account: str, symbol: str, *, order_id: int = 0, client_order_id: str = ""
    ) -> ExchangeOrder:
        """Look one order up, the newest with that client id.

        Raises:
            ExchangeRefusedError: NO_SUCH_ORDER.
        """
        self._listing(symbol)
        self._account(account)
        order = self.records.pair(account, symbol).find(order_id, client_order_id)
        if order is None:
            raise ExchangeRefusedError(
                Refusal.NO_SUCH_ORDER,
                f"{symbol} order {client_order_id or order_id}",
                "check the id and the account",
            )
        return copy(order)

    def open_orders(self, account: str, symbol: str | None = None) -> list[ExchangeOrder]:
        """Live orders of an account, on one pair or on all, oldest first."""
        self._account(account)
        symbols = list(self.listings) if symbol is None else [self._listing(symbol).instrument.symbol]
        live = [order for name in symbols for order in self.records.pair(account, name).live.values()]
        return [copy(order) for order in sorted(live, key=lambda order: order.order_id)]

    def all_orders(self, account: str, symbol: str) -> list[ExchangeOrder]:
        """Live orders and the latest ended ones, oldest first."""
        self._listing(symbol)
        self._account(account)
        return [copy(order) for order in self.records.pair(account, symbol).all()]

    def trades(self, account: str, symbol: str, *, order_id: int = 0) -> list[ExchangeTrade]:
        """The latest trades of an account (or of one order), oldest first."""
        self._listing(symbol)
        self._account(account)
        trades = self.records.pair(account, symbol).trades
        return [trade for trade in trades if not order_id or trade.order_id == order_id]

    def balances(self, account: str) -> dict[str, tuple[int, int]]:
        """`{asset: (free, locked)}` in units of 1e-8."""
        return self._account(account).balances()

    def transfer(
        self, transfer_id: str, account: str, asset: str, units: int, now_ns: int
    ) -> ExternalTransfer:
        """Let units of 1e-8 into an account, or out of what it has free when negative; no trade.

        The same id with the same content has no second effect and gives the first answer.

        Raises:
            ExchangeRefusedError: nothing was changed; `reason` says why.
        """
        owner = self._account(account)
        known = self.ledger.transfers.get(transfer_id)
        if known is not None:
            if (known.account, known.asset, known.units) != (account, asset, units):
                raise ExchangeRefusedError(
                    Refusal.TRANSFER_CONFLICT, transfer_id, "give each transfer an id of its own"
                )
            return known
        if not any(asset in (pair.base, pair.quote) for pair in self.instruments):
            raise ExchangeRefusedError(Refusal.UNKNOWN_ASSET, asset, "move what it trades")
        if owner.free(asset) + units < 0:
            raise ExchangeRefusedError(
                Refusal.INSUFFICIENT_BALANCE,
                transfer_id,
                f"it takes {-units} units of {asset} and {owner.free(asset)} are free",
            )
        made = ExternalTransfer(
            transfer_id=transfer_id, account=account, asset=asset, units=units, at_ns=now_ns
        )
        self.ledger.transfer(made)
        self._outbox.append(made)
        self._publish_balances(now_ns)
        return made

    def find_transfer(self, transfer_id: str) -> ExternalTransfer:
        """A transfer by its id. Raises ExchangeRefusedError: NO_SUCH_TRANSFER."""
        known = self.ledger.transfers.get(transfer_id)
        if known is None:
            raise ExchangeRefusedError(
                Refusal.NO_SUCH_TRANSFER, transfer_id, "it was never made; ask for it again"
            )
        return known

    def depth(self, symbol: str, limit: int = 100) -> tuple[int, list[Level], list[Level]]:
        """`(last update id, bids best first, asks best first)`: history and clients' orders."""
        return self._listing(symbol).depth(limit)

    def top(self, symbol: str) -> tuple[Level | None, Level | None]:
        """Best bid and best ask."""
        _, bids, asks = self.depth(symbol, 1)
        return (bids[0] if bids else None), (asks[0] if asks else None)

    def public_trades(self, symbol: str, limit: int = 500) -> list[PublicTrade]:
        """The latest prints, oldest first."""
        return list(self._listing(symbol).prints)[-limit:]

    def lots_for_quote(self, symbol: str, side: Side, quote_units: int) -> int:
        """The most lots a MARKET order can trade now for at most that much quote."""
        return self._listing(symbol).lots_for_quote(side, quote_units)

    def drain(self) -> list[Publication]:
        """Everything published since the last call, in order."""
        published = self._outbox[:]
        self._outbox.clear()
        return published

    def state(self, *, changes_only: bool = False) -> bytes:
        """All that must survive the process; with `changes_only`, what changed since the last call.

        Books are not in it: they come with the next SNAPSHOT. Changes are tracked from the first
        call on.
        """
        return save_exchange(
            self.listings, self._dormant, self.ledger, self.records, self.last_order_id, changes_only
        )

    def restore(self, state: bytes, *changes: bytes, skip_ids: int = 0) -> None:
        """Take over a `state()` and the changes saved after it, in their order.

        Pairs must be listed first; accounts come from the state. `skip_ids` lifts every counter, for
        a process that was killed and may have published more than it saved.

        Raises:
            StateRefusedError: the state is of another version, has open orders on a pair that is not
                listed, or counts a pair in other ticks or lots.
        """
        self.last_order_id, self._dormant = restore_exchange(
            self.listings, self.ledger, self.records, (state, *changes), skip_ids
        )

    def _listing(self, symbol: str) -> Listing:
        listing = self.listings.get(symbol)
        if listing is None:
            raise ExchangeRefusedError(
                Refusal.UNKNOWN_SYMBOL,
                symbol,
                f"the exchange has {', '.join(self.listings) or 'no pair yet'}",
            )
        return listing

    def _account(self, name: str) -> Account:
        account = self.ledger.by_name.get(name)
        if account is None:
            raise ExchangeRefusedError(Refusal.UNKNOWN_ACCOUNT, name, "open the account first")
        return account

    def _admit(self, listing: Listing, pair: PairRecords, order: NewOrder) -> None:
        """Everything that can be refused without looking at money."""
        reference_ticks = listing.reference_ticks()
        if not listing.open or not reference_ticks:
            raise ExchangeRefusedError(
                Refusal.MARKET_CLOSED, order.symbol, "wait for the first book of its history"
            )
        listing.filters.check(order, reference_ticks, len(pair.live))
        if order.client_order_id and pair.is_live(order.client_order_id):
            raise ExchangeRefusedError(
                Refusal.DUPLICATE_ORDER,
                f"{order.symbol} {order.client_order_id}",
                "an open order has this id, give another",
            )
        buys = order.side is Side.BUY
        if order.kind is OrderKind.POST_ONLY:
            key = order.price_ticks if buys else -order.price_ticks
            if self._kernel.would_take(listing.market, buys, key):
                raise ExchangeRefusedError(
                    Refusal.WOULD_TAKE, f"{order.symbol} {order.client_order_id}", "move its price away"
                )
        if not listing.has_room(buys=buys):
            raise ExchangeRefusedError(
                Refusal.MAX_NUM_ORDERS, order.symbol, "the whole book is full, try later"
            )

    def _reserve(self, listing: Listing, owner: Account, order: NewOrder, self_trade: SelfTrade) -> int:
        """Units the order may need, which the account must have free."""
        instrument = listing.instrument
        if order.side is Side.SELL:
            asset, units = instrument.base, listing.base_units(order.size_lots)
        elif order.kind is OrderKind.MARKET:
            _, grains = self._kernel.fillable(
                listing.market, True, NO_LIMIT, order.size_lots, owner.number, int(self_trade)
            )
            asset, units = instrument.quote, listing.reserve_units(int(grains))
        else:
            asset = instrument.quote
            units = listing.reserve_units(order.price_ticks * order.size_lots)
        if owner.free(asset) < units:
            raise ExchangeRefusedError(
                Refusal.INSUFFICIENT_BALANCE,
                f"{order.symbol} {order.client_order_id}",
                f"it needs {units} units of {asset} and {owner.free(asset)} are free",
            )
        return units

    def _cancel(self, listing: Listing, order: ExchangeOrder, now_ns: int) -> ExchangeOrder:
        buys = order.side is Side.BUY
        self._kernel.withdraw(listing.market, buys, order.price_ticks, order.order_id)
        self._clearing.end(listing, order, OrderStatus.CANCELLED, "CANCELED", now_ns)
        prices = {order.price_ticks}
        self._publish(listing, [], prices if buys else (), () if buys else prices, now_ns)
        return copy(order)

    def _publish(
        self, listing: Listing, rows: list[FillRow], bids: Iterable[int], asks: Iterable[int], now_ns: int
    ) -> None:
        """Publish the levels an event named or a fill touched, and the balances that moved."""
        bid_prices, ask_prices = set(bids), set(asks)
        for _, _, _, price_ticks, _, taker_buys in rows:
            (ask_prices if taker_buys else bid_prices).add(price_ticks)
        self._outbox += listing.publish(sorted(bid_prices, reverse=True), sorted(ask_prices), now_ns)
        self._publish_balances(now_ns)

    def _publish_balances(self, now_ns: int) -> None:
        for account in self.ledger.by_name.values():
            if account.moved:
                balances = account.balances()
                moved = {asset: balances[asset] for asset in account.moved}
                account.moved.clear()
                self._outbox.append(BalanceChanged(account=account.name, balances=moved, at_ns=now_ns))
