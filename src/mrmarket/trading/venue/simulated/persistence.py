"""The exchange's accounts, orders, trades and counters as bytes, whole or as changes."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import msgspec

from mrmarket.core.errors import MrMarketError
from mrmarket.core.side import Side
from mrmarket.trading.venue.simulated.accounts import Accounts, Holding
from mrmarket.trading.venue.simulated.listing import Listing
from mrmarket.trading.venue.simulated.order_records import OrderRecords
from mrmarket.trading.venue.simulated.records import (
    ExchangeOrder,
    ExchangeTrade,
    ExternalTransfer,
    PublicTrade,
)

STATE_VERSION: Final = 1
PRINTS_SAVED: Final = 1_000


class StateRefusedError(MrMarketError):
    """A saved state does not fit this exchange."""

    code = "state_refused"

    def __init__(self, detail: str, advice: str) -> None:
        super().__init__(f"the simulated exchange's saved state {detail}; {advice}")


class SavedListing(msgspec.Struct, frozen=True, kw_only=True):
    """The counters of one pair and its latest prints."""

    last_id: int
    last_trade_id: int
    prints: list[PublicTrade]
    tick_size: str = ""
    """Decimal; what a tick and a lot in orders, trades and prints are worth."""
    lot_size: str = ""


class SavedExchange(msgspec.Struct, frozen=True, kw_only=True):
    """A state, or the changes after one; the maps of balances and counters are always complete."""

    version: int
    last_order_id: int
    listings: dict[str, SavedListing]
    accounts: dict[str, dict[str, tuple[int, int]]]
    fees: dict[str, int]
    outside: dict[str, int]
    orders: list[ExchangeOrder]
    trades: list[ExchangeTrade]
    ahead: dict[int, int]
    """Lots of history before each live order; 0 is left out."""
    transfers: list[ExternalTransfer] = msgspec.field(default_factory=list)
    """Of a state all, of changes the new ones; states of earlier releases have none."""


_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[SavedExchange] = msgspec.msgpack.Decoder(SavedExchange)


def save_exchange(
    listings: dict[str, Listing],
    dormant: dict[str, SavedListing],
    accounts: Accounts,
    records: OrderRecords,
    last_order_id: int,
    changes_only: bool,
) -> bytes:
    """Write a state, or only the orders, trades and prints that are new since the last call.

    `dormant` are pairs that were listed once; their counters go along, so that no id is given twice.
    """
    orders, trades = records.take_changes() if changes_only else records.take_all()
    new_transfers = accounts.take_new_transfers()
    ahead: dict[int, int] = {}
    for listing in listings.values():
        for side in (listing.market.bids, listing.market.asks):
            for at in range(side.queue.held[0]):
                if side.queue.ahead[at]:
                    ahead[int(side.queue.id[at])] = int(side.queue.ahead[at])
    saved = SavedExchange(
        version=STATE_VERSION,
        last_order_id=last_order_id,
        listings={
            **dormant,
            **{
                symbol: SavedListing(
                    last_id=listing.last_id,
                    last_trade_id=listing.last_trade_id,
                    prints=list(listing.prints)[-(1 if changes_only else PRINTS_SAVED) :],
                    tick_size=f"{listing.instrument.tick_size:f}",
                    lot_size=f"{listing.instrument.lot_size:f}",
                )
                for symbol, listing in listings.items()
            },
        },
        accounts={name: account.balances() for name, account in accounts.by_name.items()},
        fees=accounts.fees,
        outside=accounts.outside,
        orders=orders,
        trades=trades,
        ahead=ahead,
        transfers=new_transfers if changes_only else list(accounts.transfers.values()),
    )
    return _encoder.encode(saved)


def restore_exchange(
    listings: dict[str, Listing],
    accounts: Accounts,
    records: OrderRecords,
    states: tuple[bytes, ...],
    skip_ids: int,
) -> tuple[int, dict[str, SavedListing]]:
    """Put a state and its changes back into an exchange that has its pairs.

    Accounts that exist already take the saved balances; the others are opened.

    Returns:
        The last order id, and the counters of pairs that are not listed any more.
    """
    parts = [_decode(state) for state in states]
    last = parts[-1]
    _check(listings, records, parts)
    for part in parts:
        for order in part.orders:
            records.put(order)
        for trade in part.trades:
            records.add_trade(trade)
        accounts.transfers |= {transfer.transfer_id: transfer for transfer in part.transfers}
    for name, balances in last.accounts.items():
        account = accounts.by_name.get(name) or accounts.open(name, {})
        account.holdings = {asset: Holding(free, locked) for asset, (free, locked) in balances.items()}
    accounts.fees = dict(last.fees)
    accounts.outside = dict(last.outside)
    for symbol in last.listings.keys() & listings.keys():
        _resume(
            listings[symbol], [part.listings[symbol] for part in parts if symbol in part.listings], skip_ids
        )
    for order in sorted(records.by_id.values(), key=lambda order: order.order_id):
        _stand(listings[order.symbol], order, accounts)
    for listing in listings.values():
        for side in (listing.market.bids, listing.market.asks):
            for at in range(side.queue.held[0]):
                side.queue.ahead[at] = last.ahead.get(int(side.queue.id[at]), 0)
    records.take_changes()
    dormant = {symbol: saved for symbol, saved in last.listings.items() if symbol not in listings}
    return last.last_order_id + skip_ids, dormant


def _decode(state: bytes) -> SavedExchange:
    try:
        saved = _decoder.decode(state)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise StateRefusedError(
            f"cannot be read ({error})", "restore a backup or start without it"
        ) from error
    if saved.version != STATE_VERSION:
        raise StateRefusedError(f"has version {saved.version}", f"this release reads {STATE_VERSION}, update")
    return saved


def _check(listings: dict[str, Listing], records: OrderRecords, parts: list[SavedExchange]) -> None:
    if records.by_id:
        raise StateRefusedError("meets an exchange with open orders", "restore before any order is placed")
    live = {order.order_id: order for part in parts for order in part.orders}
    missing = {order.symbol for order in live.values() if not order.status.is_final} - listings.keys()
    if missing:
        raise StateRefusedError(
            f"has open orders on {', '.join(sorted(missing))}, which is not listed", "list the pair first"
        )
    for symbol, saved in parts[-1].listings.items():
        listing = listings.get(symbol)
        if listing is None or not saved.tick_size:
            continue
        then = Decimal(saved.tick_size), Decimal(saved.lot_size)
        now = listing.instrument.tick_size, listing.instrument.lot_size
        if then != now:
            raise StateRefusedError(
                f"counts {symbol} in ticks of {then[0]} and lots of {then[1]}, not of {now[0]} and {now[1]}",
                "play a market with the same steps, or start with another folder",
            )


def _resume(listing: Listing, saved: list[SavedListing], skip_ids: int) -> None:
    listing.last_id = saved[-1].last_id + skip_ids
    listing.last_trade_id = saved[-1].last_trade_id + skip_ids
    for part in saved:
        for print_ in part.prints:
            # Every saved change repeats the last print.
            if not listing.prints or print_.trade_id > listing.prints[-1].trade_id:
                listing.prints.append(print_)


def _stand(listing: Listing, order: ExchangeOrder, accounts: Accounts) -> None:
    """Put a live order back into its queue; ids ascend with time, so the queue is as it was."""
    buys = order.side is Side.BUY
    key = order.price_ticks if buys else -order.price_ticks
    owner = accounts.by_name[order.account].number
    listing.kernel.rest(listing.market, buys, key, order.open_lots, owner, order.order_id)
