"""The truth about one trading account: orders, trades and balances of a modelled exchange.

Assumptions, all in one place:

- Others quote a ladder around a price that walks at random; whoever crosses it is filled by it.
- A trade of others takes the best prices first; at one price ours stand behind what was there before.
- A market that moves through our order fills it.
- Fees are of the quote asset, and every amount is a whole number of its base units.
- A cancel and a query answer at once and are always right. What gets lost is lost on the way.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from mrmarket.core.clock import NS_PER_S
from mrmarket.core.decimals import format_units
from mrmarket.core.instrument import Instrument
from mrmarket.core.side import Side
from mrmarket.trading.market.event import EventKind, Level, MarketEvent
from mrmarket.trading.venue.port import (
    BalanceReport,
    FillReport,
    NewOrder,
    OrderKind,
    OrderReport,
    OrderStatus,
    TransferReport,
    UserEvent,
)

BASE_DECIMALS: Final = 4
QUOTE_DECIMALS: Final = 10
QUOTE_PER_GRAIN: Final = 10**4
"""Quote units of one tick times one lot: a grain of 1e-6 quote."""
MAKER_FEE_UNITS: Final = 10
"""Quote units of fee for each tick times lot: a tenth of a per cent."""
TAKER_FEE_UNITS: Final = 20

_LEVELS: Final = 3
_OPEN: Final = (OrderStatus.OPEN, OrderStatus.PARTIALLY_FILLED)


def pair(venue: str, base: str, quote: str) -> Instrument:
    """What an exchange of the simulation lists: prices of 0.01, sizes of 0.0001."""
    return Instrument(
        venue=venue,
        symbol=f"{base}/{quote}",
        base=base,
        quote=quote,
        tick_size=Decimal("0.01"),
        lot_size=Decimal("0.0001"),
        min_notional=Decimal(5),
        maker_fee=Decimal("0.001"),
        taker_fee=Decimal("0.002"),
    )


class RefusedError(Exception):
    """The exchange says no."""

    def __init__(self, code: str) -> None:
        self.code = code
        super().__init__(code)


@dataclass(slots=True)
class StandingOrder:
    """An order as the exchange has it."""

    order: NewOrder
    venue_order_id: str
    placed_ns: int
    status: OrderStatus = OrderStatus.OPEN
    filled_lots: int = 0

    @property
    def remaining_lots(self) -> int:
        """What still stands."""
        return self.order.size_lots - self.filled_lots if self.status in _OPEN else 0

    def report(self, at_ns: int) -> OrderReport:
        """What the exchange says of it."""
        order = self.order
        return OrderReport(
            symbol=order.symbol,
            client_order_id=order.client_order_id,
            venue_order_id=self.venue_order_id,
            side=order.side,
            status=self.status,
            price_ticks=order.price_ticks,
            size_lots=order.size_lots,
            filled_lots=self.filled_lots,
            venue_ns=at_ns,
        )


@dataclass(slots=True)
class Counts:
    """What happened at an exchange."""

    placed: int = 0
    cancelled: int = 0
    refused: int = 0
    fills: int = 0

    @property
    def actions(self) -> int:
        """Orders placed and cancelled."""
        return self.placed + self.cancelled


@dataclass(slots=True)
class _Ladder:
    """What others quote: so many lots at each of a few prices on both sides of the middle."""

    middle_ticks: int
    half_ticks: int
    lots: dict[tuple[int, int], int] = field(default_factory=dict)
    """By side (+1 buys) and level."""


class Exchange:
    """One account at one exchange with one pair. Time comes with every call."""

    def __init__(
        self,
        instrument: Instrument,
        rng: random.Random,
        *,
        base_lots: int,
        quote_units: int,
        middle_ticks: int = 1_000_000,
    ) -> None:
        self.instrument = instrument
        self.name = instrument.venue
        self.counts = Counts()
        self.orders: dict[str, StandingOrder] = {}
        """By client order id, every one ever placed."""
        self.trades: list[FillReport] = []
        self.base_lots = base_lots
        self.quote_units = quote_units
        self.transfers: dict[str, TransferReport] = {}
        self.listeners: list[Callable[[UserEvent], None]] = []
        self.watchers: list[Callable[[MarketEvent], None]] = []
        self.on_placed: list[Callable[[NewOrder, int], None]] = []
        """The checkers': called for every placement that reaches the exchange, also a refused one."""
        self.deadline_ns: int | None = None
        """When the dead man's switch falls."""
        self.switch_fell = 0
        self._by_venue_id: dict[str, StandingOrder] = {}
        self._open: dict[str, StandingOrder] = {}
        self._rng = rng
        self._ladder = _Ladder(middle_ticks, 50)
        self._published: tuple[dict[int, int], dict[int, int]] = ({}, {})
        self._last_id = 1
        self._refill()
        self._published = self._displayed()

    # What our side asks for.

    def place(self, order: NewOrder, now_ns: int) -> OrderReport:
        """Take an order in. Raises RefusedError."""
        for watch in self.on_placed:
            watch(order, now_ns)
        key = order.client_order_id
        known = self.orders.get(key)
        if known is not None and known.status in _OPEN:
            raise self._no("duplicate order id")
        self._check_funds(order)
        crossing = self._crosses(order)
        if crossing and order.kind is OrderKind.POST_ONLY:
            raise self._no("would take")
        self.counts.placed += 1
        standing = StandingOrder(order, f"{self.name}-{self.counts.placed}", now_ns)
        self.orders[key] = standing
        self._by_venue_id[standing.venue_order_id] = standing
        self._open[key] = standing
        if crossing:
            best = self._best(-order.side.sign)
            self._fill(standing, min(order.size_lots, best[1]), best[0], now_ns, maker=False)
        if order.kind in (OrderKind.IOC, OrderKind.FOK, OrderKind.MARKET) and standing.status in _OPEN:
            self._close(standing, OrderStatus.CANCELLED)
        self._tell_order(standing, now_ns)
        self._tell_balances()
        return standing.report(now_ns)

    def cancel(self, client_order_id: str, venue_order_id: str, now_ns: int) -> OrderReport:
        """Take an order off the book. Raises RefusedError where none stands."""
        standing = self._find(client_order_id, venue_order_id)
        if standing is None or standing.status not in _OPEN:
            raise self._no("unknown order")
        self.counts.cancelled += 1
        self._close(standing, OrderStatus.CANCELLED)
        self._tell_order(standing, now_ns)
        self._tell_balances()
        return standing.report(now_ns)

    def query(self, client_order_id: str, venue_order_id: str, now_ns: int) -> OrderReport:
        """One order. Raises RefusedError where there never was one."""
        standing = self._find(client_order_id, venue_order_id)
        if standing is None:
            raise self._no("unknown order")
        return standing.report(now_ns)

    def open_orders(self, now_ns: int) -> list[OrderReport]:
        """What stands."""
        return [standing.report(now_ns) for standing in self._open.values()]

    def standing(self) -> list[StandingOrder]:
        """What stands, as the exchange has it."""
        return list(self._open.values())

    def fills_since(self, since_ns: int) -> list[FillReport]:
        """Trades from a time on, oldest first."""
        return [trade for trade in self.trades if trade.venue_ns >= since_ns]

    def balances(self) -> list[BalanceReport]:
        """Both assets."""
        base_locked, quote_locked = self._locked()
        return [
            _balance(self.instrument.base, self.base_lots, base_locked, BASE_DECIMALS),
            _balance(self.instrument.quote, self.quote_units, quote_locked, QUOTE_DECIMALS),
        ]

    def arm(self, countdown_s: float, now_ns: int) -> None:
        """Set the dead man's switch; 0 takes it back."""
        self.deadline_ns = now_ns + int(countdown_s * NS_PER_S) if countdown_s else None

    def transfer(self, transfer_id: str, units: int, now_ns: int) -> bool:
        """Money in (or out, if negative) from the payment rail, once an id; False if it is not there."""
        if transfer_id in self.transfers:
            return True
        _, locked = self._locked()
        if units < 0 and self.quote_units - locked < -units:
            return False
        self.quote_units += units
        amount = ("-" if units < 0 else "") + format_units(abs(units), QUOTE_DECIMALS)
        self.transfers[transfer_id] = TransferReport(
            transfer_id=transfer_id, asset=self.instrument.quote, amount=amount, venue_ns=now_ns
        )
        self._tell_balances()
        return True

    # What others do.

    def move(self, now_ns: int) -> None:
        """The market moves, and somebody trades."""
        ladder, rng = self._ladder, self._rng
        if self.deadline_ns is not None and now_ns >= self.deadline_ns:
            self.deadline_ns = None
            self.fall(now_ns)
        ladder.middle_ticks = max(100_000, ladder.middle_ticks + rng.randint(-120, 120))
        self._refill()
        for standing in list(self._open.values()):
            if standing.status in _OPEN and self._crosses(standing.order):
                price = standing.order.price_ticks
                self._fill(standing, standing.remaining_lots, price, now_ns, maker=True)
        if rng.random() < 0.9:  # noqa: PLR2004 - most moves come with a trade
            self._trade(rng.choice((1, -1)), rng.randint(20, 400), rng.randint(20, 700), now_ns)
        self._publish(now_ns)

    def idle(self, now_ns: int) -> None:
        """Say that nothing has changed."""
        self._send(
            MarketEvent(
                kind=EventKind.DEPTH,
                exchange_ns=now_ns,
                local_ns=now_ns,
                first_id=self._last_id + 1,
                last_id=self._last_id + 1,
            )
        )

    def fall(self, now_ns: int) -> None:
        """The dead man's switch cancels everything."""
        self.switch_fell += 1
        for standing in list(self._open.values()):
            self._close(standing, OrderStatus.CANCELLED)
            self._tell_order(standing, now_ns)
        self._tell_balances()

    def forget(self, before_ns: int) -> None:
        """Drop trades and ended orders of before a time, which nobody asks for any more."""
        self.trades = [trade for trade in self.trades if trade.venue_ns >= before_ns]
        for key, standing in list(self.orders.items()):
            if standing.status not in _OPEN and standing.placed_ns < before_ns:
                del self.orders[key]
                self._by_venue_id.pop(standing.venue_order_id, None)

    def snapshot(self, now_ns: int) -> MarketEvent:
        """The whole book as it was published last."""
        bids, asks = self._published
        return MarketEvent(
            kind=EventKind.SNAPSHOT,
            exchange_ns=now_ns,
            local_ns=now_ns,
            last_id=self._last_id,
            bids=sorted(bids.items(), reverse=True),
            asks=sorted(asks.items()),
        )

    @property
    def middle_ticks(self) -> int:
        """The price that others quote around."""
        return self._ladder.middle_ticks

    # Inside.

    def _trade(self, sign: int, lots: int, reach_ticks: int, now_ns: int) -> None:
        """Somebody takes (buys for +1) everything up to a price, at most so many lots."""
        limit = self._ladder.middle_ticks + sign * reach_ticks
        ours = sorted(
            (each for each in self._open.values() if each.order.side.sign == -sign),
            key=lambda each: sign * each.order.price_ticks,
        )
        for standing in ours:
            price = standing.order.price_ticks
            if (price - limit) * sign > 0 or lots <= 0:
                break
            ahead = sum(
                size
                for level in range(_LEVELS)
                if (self._price(-sign, level) - price) * sign <= 0
                and (size := self._ladder.lots[-sign, level])
            )
            lots -= min(ahead, lots)
            take = min(lots, standing.remaining_lots)
            if take > 0:
                self._fill(standing, take, price, now_ns, maker=True)
                lots -= take

    def _fill(self, standing: StandingOrder, lots: int, price: int, now_ns: int, *, maker: bool) -> None:
        order = standing.order
        grains = lots * price
        fee = grains * (MAKER_FEE_UNITS if maker else TAKER_FEE_UNITS)
        self.base_lots += order.side.sign * lots
        self.quote_units -= order.side.sign * grains * QUOTE_PER_GRAIN + fee
        standing.filled_lots += lots
        if standing.filled_lots == order.size_lots:
            self._close(standing, OrderStatus.FILLED)
        else:
            standing.status = OrderStatus.PARTIALLY_FILLED
        self.counts.fills += 1
        trade = FillReport(
            symbol=order.symbol,
            trade_id=str(self.counts.fills),
            client_order_id=order.client_order_id,
            venue_order_id=standing.venue_order_id,
            side=order.side,
            price_ticks=price,
            size_lots=lots,
            fee=format_units(fee, QUOTE_DECIMALS),
            fee_asset=self.instrument.quote,
            maker=maker,
            venue_ns=now_ns,
        )
        self.trades.append(trade)
        if maker:  # of a taker's order the answer says it
            self._tell_order(standing, now_ns)
        self._tell(trade)
        self._tell_balances()

    def _close(self, standing: StandingOrder, status: OrderStatus) -> None:
        standing.status = status
        self._open.pop(standing.order.client_order_id, None)

    def _check_funds(self, order: NewOrder) -> None:
        base_locked, quote_locked = self._locked()
        if order.side is Side.SELL:
            if self.base_lots - base_locked < order.size_lots:
                raise self._no("insufficient balance")
            return
        needed = order.size_lots * order.price_ticks * (QUOTE_PER_GRAIN + TAKER_FEE_UNITS)
        if self.quote_units - quote_locked < needed:
            raise self._no("insufficient balance")

    def _locked(self) -> tuple[int, int]:
        base = quote = 0
        for standing in self._open.values():
            if standing.order.side is Side.SELL:
                base += standing.remaining_lots
            else:
                quote += standing.remaining_lots * standing.order.price_ticks * QUOTE_PER_GRAIN
        return base, quote

    def _crosses(self, order: NewOrder) -> bool:
        best = self._price(-order.side.sign, 0)
        return (order.price_ticks - best) * order.side.sign >= 0

    def _best(self, sign: int) -> Level:
        return self._price(sign, 0), self._ladder.lots[sign, 0]

    def _price(self, sign: int, level: int) -> int:
        """Of a level of others: bids (+1) below the middle, asks above."""
        return self._ladder.middle_ticks - sign * self._ladder.half_ticks * (level + 1)

    def _refill(self) -> None:
        rng = self._rng
        self._ladder.lots = {
            (sign, level): rng.randint(5, 60) for sign in (1, -1) for level in range(_LEVELS)
        }

    def _displayed(self) -> tuple[dict[int, int], dict[int, int]]:
        bids = {self._price(1, level): self._ladder.lots[1, level] for level in range(_LEVELS)}
        asks = {self._price(-1, level): self._ladder.lots[-1, level] for level in range(_LEVELS)}
        for standing in self._open.values():
            side = bids if standing.order.side is Side.BUY else asks
            price = standing.order.price_ticks
            side[price] = side.get(price, 0) + standing.remaining_lots
        return bids, asks

    def _publish(self, now_ns: int) -> None:
        before, self._published = self._published, self._displayed()
        bids, asks = (_changes(old, new) for old, new in zip(before, self._published, strict=True))
        self._send(
            MarketEvent(
                kind=EventKind.DEPTH,
                exchange_ns=now_ns,
                local_ns=now_ns,
                first_id=self._last_id + 1,
                last_id=self._last_id + 1,
                bids=bids,
                asks=asks,
            )
        )

    def _send(self, event: MarketEvent) -> None:
        self._last_id = event.last_id
        for watch in self.watchers:
            watch(event)

    def _tell_order(self, standing: StandingOrder, now_ns: int) -> None:
        self._tell(standing.report(now_ns))

    def _tell_balances(self) -> None:
        if self.listeners:
            for report in self.balances():
                self._tell(report)

    def _tell(self, event: UserEvent) -> None:
        for listen in self.listeners:
            listen(event)

    def _find(self, client_order_id: str, venue_order_id: str) -> StandingOrder | None:
        known = self.orders.get(client_order_id) if client_order_id else None
        return known or self._by_venue_id.get(venue_order_id)

    def _no(self, code: str) -> RefusedError:
        self.counts.refused += 1
        return RefusedError(code)


def _changes(old: dict[int, int], new: dict[int, int]) -> list[Level]:
    gone = [(price, 0) for price in old if price not in new]
    return gone + [level for level in new.items() if old.get(level[0]) != level[1]]


def _balance(asset: str, units: int, locked: int, decimals: int) -> BalanceReport:
    free = units - locked
    text = format_units(free, decimals) if free >= 0 else "-" + format_units(-free, decimals)
    return BalanceReport(asset=asset, free=text, locked=format_units(locked, decimals))
