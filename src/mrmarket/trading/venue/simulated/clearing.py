"""From the kernel's rows to trades, balances and order states."""

from __future__ import annotations

from copy import copy

from mrmarket.core.side import Side
from mrmarket.trading.venue.port import OrderKind, OrderStatus
from mrmarket.trading.venue.simulated.accounts import Account, Accounts
from mrmarket.trading.venue.simulated.book_arrays import FILL, HISTORY, MAKER_PREVENTED
from mrmarket.trading.venue.simulated.listing import FillRow, Listing
from mrmarket.trading.venue.simulated.order_records import OrderRecords
from mrmarket.trading.venue.simulated.records import (
    ExchangeOrder,
    ExchangeTrade,
    Execution,
    OrderChanged,
    Publication,
)


class Clearing:
    """Settles what the kernel matched. Every change is published to `outbox` in order."""

    def __init__(self, accounts: Accounts, records: OrderRecords, outbox: list[Publication]) -> None:
        self._accounts = accounts
        self._records = records
        self._outbox = outbox

    def settle(self, listing: Listing, rows: list[FillRow], now_ns: int) -> None:
        """Carry out the rows of one kernel call."""
        for kind, maker_id, taker_id, price_ticks, lots, taker_buys in rows:
            if kind == FILL:
                self._trade(listing, maker_id, taker_id, price_ticks, lots, now_ns, taker_buys=taker_buys)
            elif kind == MAKER_PREVENTED:
                maker = self._records.by_id[maker_id]
                maker.prevented_lots = lots
                self.end(listing, maker, OrderStatus.EXPIRED, "TRADE_PREVENTION", now_ns)
            else:
                taker = self._records.by_id[taker_id]
                taker.prevented_lots = lots
                self.end(listing, taker, OrderStatus.EXPIRED, "TRADE_PREVENTION", now_ns)

    def accept(self, listing: Listing, order: ExchangeOrder, now_ns: int) -> None:
        """Lock what a new order may need and file it."""
        account = self._accounts.by_name[order.account]
        account.lock(self._paying_asset(listing, order), order.reserved_units)
        self._changed(order, "NEW", now_ns)

    def end(
        self, listing: Listing, order: ExchangeOrder, status: OrderStatus, execution: Execution, now_ns: int
    ) -> None:
        """Close an order with lots unfilled and give back what it had locked."""
        account = self._accounts.by_name[order.account]
        account.unlock(self._paying_asset(listing, order), order.reserved_units)
        order.reserved_units = 0
        order.status = status
        self._changed(order, execution, now_ns)

    def _trade(
        self,
        listing: Listing,
        maker_id: int,
        taker_id: int,
        price_ticks: int,
        lots: int,
        now_ns: int,
        *,
        taker_buys: bool,
    ) -> None:
        self._outbox.append(listing.add_print(price_ticks, lots, now_ns, taker_buys=taker_buys))
        base_units = listing.base_units(lots)
        quote_units = listing.quote_units(price_ticks * lots)
        for order_id, maker in ((maker_id, True), (taker_id, False)):
            if order_id == HISTORY:
                gains_base = 1 if taker_buys != maker else -1
                self._accounts.outsider(listing.instrument.base, gains_base * base_units)
                self._accounts.outsider(listing.instrument.quote, -gains_base * quote_units)
            else:
                order = self._records.by_id[order_id]
                self._fill(listing, order, price_ticks, lots, base_units, quote_units, now_ns, maker=maker)

    def _fill(
        self,
        listing: Listing,
        order: ExchangeOrder,
        price_ticks: int,
        lots: int,
        base_units: int,
        quote_units: int,
        now_ns: int,
        *,
        maker: bool,
    ) -> None:
        instrument = listing.instrument
        account = self._accounts.by_name[order.account]
        buys = order.side is Side.BUY
        if buys:
            paid, received, asset = quote_units, base_units, instrument.base
        else:
            paid, received, asset = base_units, quote_units, instrument.quote
        commission = listing.commission(received, maker=maker)
        account.pay(self._paying_asset(listing, order), paid)
        account.receive(asset, received - commission)
        self._accounts.charge(asset, commission)
        order.filled_lots += lots
        order.filled_grains += price_ticks * lots
        order.reserved_units -= paid
        self._release(listing, order, account)
        done = order.filled_lots == order.size_lots
        order.status = OrderStatus.FILLED if done else OrderStatus.PARTIALLY_FILLED
        trade = ExchangeTrade(
            trade_id=listing.last_trade_id,
            order_id=order.order_id,
            client_order_id=order.client_order_id,
            account=order.account,
            symbol=order.symbol,
            side=order.side,
            price_ticks=price_ticks,
            size_lots=lots,
            quote_units=quote_units,
            commission_units=commission,
            commission_asset=asset,
            maker=maker,
            at_ns=now_ns,
        )
        self._records.add_trade(trade)
        self._changed(order, "TRADE", now_ns, trade)

    def _release(self, listing: Listing, order: ExchangeOrder, account: Account) -> None:
        """Give back what the rest of an order cannot need: a fill was better than its limit."""
        rest = order.size_lots - order.filled_lots
        if order.side is Side.SELL:
            needed = listing.base_units(rest)
        elif order.kind is OrderKind.MARKET and rest:
            needed = order.reserved_units
        else:
            needed = listing.reserve_units(order.price_ticks * rest)
        account.unlock(self._paying_asset(listing, order), order.reserved_units - needed)
        order.reserved_units = needed

    def _changed(
        self, order: ExchangeOrder, execution: Execution, now_ns: int, trade: ExchangeTrade | None = None
    ) -> None:
        order.updated_ns = now_ns
        self._records.put(order)
        self._outbox.append(OrderChanged(order=copy(order), execution=execution, trade=trade))

    @staticmethod
    def _paying_asset(listing: Listing, order: ExchangeOrder) -> str:
        return listing.instrument.quote if order.side is Side.BUY else listing.instrument.base
