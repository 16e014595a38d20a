"""ccxt's unified structures to exact reports in ticks and lots."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final, TypeVar

from mrmarket.core.clock import NS_PER_MS
from mrmarket.core.decimals import format_decimal
from mrmarket.core.instrument import Instrument, OffGridError
from mrmarket.core.side import Side
from mrmarket.trading.venue.ccxt_adapter.dialects.generic import Dialect
from mrmarket.trading.venue.ccxt_adapter.faults import MalformedAnswerError
from mrmarket.trading.venue.ccxt_adapter.numbers import exact, exact_or_none
from mrmarket.trading.venue.port import (
    BalanceReport,
    FillReport,
    NewOrder,
    OrderKind,
    OrderReport,
    OrderStatus,
    TransferReport,
)

Raw = Mapping[str, Any]
"""A unified structure of ccxt; its `info` is the exchange's own answer."""

_FINAL: Final = {
    "canceled": OrderStatus.CANCELLED,
    "cancelled": OrderStatus.CANCELLED,
    "expired": OrderStatus.EXPIRED,
    "rejected": OrderStatus.REJECTED,
}
_NOT_MOVED: Final = frozenset({"failed", "canceled", "cancelled", "rejected"})
"""A withdrawal that never left, or came back; any other is out of the balance from its start on."""
_LIVE: Final = frozenset({"open", "new", "canceling", ""})


_UNREADABLE: Final = (OffGridError, ValueError, TypeError, ArithmeticError)
T = TypeVar("T")


class ReportReader:
    """Reads orders, fills and balances of one venue.

    Numbers are exact strings where the dialect has them; a float is read by its shortest text,
    which is the exchange's own up to 15 digits. What is off the grid is an error, never rounded.
    """

    def __init__(self, venue: str, dialect: Dialect, instrument: Callable[[str], Instrument | None]) -> None:
        """`instrument` gives the pair's grid, or None for a pair that is not followed."""
        self._venue = venue
        self._dialect = dialect
        self._instrument = instrument

    def order(self, raw: Raw, sent: NewOrder | None = None) -> OrderReport:
        """An order; `sent` fills in what an acknowledgement leaves out.

        Raises:
            MalformedAnswerError: what must be there is missing or off the grid.
        """
        symbol = _text(raw.get("symbol")) or (sent.symbol if sent else "")
        instrument = self._grid(symbol)
        try:
            size = exact_or_none(raw.get("amount"))
            size_lots = instrument.size_to_lots(size) if size is not None else _sent(sent, "size_lots")
            filled_lots = instrument.size_to_lots(exact_or_none(raw.get("filled")) or Decimal(0))
            return OrderReport(
                symbol=symbol,
                client_order_id=self._dialect.client_id(raw) or (sent.client_order_id if sent else ""),
                venue_order_id=_required(_text(raw.get("id")), "id"),
                side=sent.side if sent else Side(_text(raw.get("side"))),
                status=self._status(raw, size_lots, filled_lots),
                price_ticks=_at_least(0, self._price_ticks(raw, instrument, sent), "price"),
                size_lots=_at_least(1, size_lots, "size"),
                filled_lots=_at_least(0, filled_lots, "filled size"),
                venue_ns=_venue_ns(raw),
            )
        except _UNREADABLE as error:
            raise MalformedAnswerError(self._venue, f"read an order of {symbol}", str(error)) from error

    def fill(self, raw: Raw) -> FillReport:
        """A trade of ours.

        Raises:
            MalformedAnswerError: what must be there is missing or off the grid.
        """
        symbol = _text(raw.get("symbol"))
        instrument = self._grid(symbol)
        try:
            cost, asset = _required(self._dialect.fee(raw), "fee")
            price = _required(exact_or_none(raw.get("price")), "price")
            size = _required(exact_or_none(raw.get("amount")), "size")
            return FillReport(
                symbol=symbol,
                trade_id=_required(_text(raw.get("id")), "id"),
                client_order_id=self._dialect.fill_client_id(raw),
                venue_order_id=_text(raw.get("order")),
                side=Side(_text(raw.get("side"))),
                price_ticks=_at_least(1, instrument.price_to_ticks(price), "price"),
                size_lots=_at_least(1, instrument.size_to_lots(size), "size"),
                fee=format_decimal(exact(cost)),
                fee_asset=asset or instrument.quote,
                maker=_text(raw.get("takerOrMaker")) == "maker",
                venue_ns=_venue_ns(raw),
            )
        except _UNREADABLE as error:
            raise MalformedAnswerError(self._venue, f"read a fill of {symbol}", str(error)) from error

    def balances(self, raw: Raw) -> list[BalanceReport]:
        """Every asset of which something is held, by name.

        Raises:
            MalformedAnswerError: an amount is none.
        """
        reports = []
        try:
            for asset, entry in raw.items():
                if not isinstance(entry, Mapping) or asset in ("info", "free", "used", "total"):
                    continue
                free, used, total = (exact_or_none(entry.get(key)) for key in ("free", "used", "total"))
                if free is None and total is not None:
                    free = total - (used or Decimal(0))
                if used is None and total is not None and free is not None:
                    used = total - free
                free, used = free or Decimal(0), used or Decimal(0)
                reports.append(
                    BalanceReport(asset=asset, free=format_decimal(free), locked=format_decimal(used))
                )
        except _UNREADABLE as error:
            raise MalformedAnswerError(self._venue, "read balances", str(error)) from error
        return sorted(reports, key=lambda report: report.asset)

    def transfer(self, raw: Raw) -> TransferReport | None:
        """A deposit that was credited or a withdrawal that left; None for one that has no effect.

        Raises:
            MalformedAnswerError: what must be there is missing.
        """
        leaves = _text(raw.get("type")) == "withdrawal"
        status = _text(raw.get("status"))
        if (status in _NOT_MOVED) if leaves else (status != "ok"):
            return None
        try:
            amount = _required(exact_or_none(raw.get("amount")), "amount")
            asset = _required(_text(raw.get("currency")), "asset")
            name = _required(_text(raw.get("id")) or _text(raw.get("txid")), "id")
            fee = raw.get("fee")
            if leaves:
                same = isinstance(fee, Mapping) and _text(fee.get("currency")) in ("", asset)
                cost = exact_or_none(fee.get("cost")) if same and isinstance(fee, Mapping) else None
                amount = -amount - (cost or Decimal(0))
            return TransferReport(
                transfer_id=f"{'out' if leaves else 'in'}:{name}",
                asset=asset,
                amount=format_decimal(amount),
                venue_ns=_venue_ns(raw),
            )
        except _UNREADABLE as error:
            raise MalformedAnswerError(self._venue, "read a transfer", str(error)) from error

    def follows(self, raw: Raw) -> bool:
        """Whether the structure belongs to a pair this venue was opened for."""
        return self._instrument(_text(raw.get("symbol"))) is not None

    def _grid(self, symbol: str) -> Instrument:
        instrument = self._instrument(symbol)
        if instrument is None:
            raise MalformedAnswerError(self._venue, "read an answer", f"it is about the pair {symbol!r}")
        return instrument

    def _price_ticks(self, raw: Raw, instrument: Instrument, sent: NewOrder | None) -> int:
        if sent is not None:
            return sent.price_ticks
        if _text(raw.get("type")) == OrderKind.MARKET:
            return 0  # ccxt shows the average here, which need not lie on the grid
        price = exact_or_none(raw.get("price"))
        return 0 if price is None else instrument.price_to_ticks(price)

    def _status(self, raw: Raw, size_lots: int, filled_lots: int) -> OrderStatus:
        text = _text(raw.get("status"))
        if text in _FINAL:
            return _FINAL[text]
        if text == "closed":
            # Bybit calls an order closed that was cancelled after a partial fill.
            return OrderStatus.FILLED if filled_lots >= size_lots else OrderStatus.CANCELLED
        if text in _LIVE:
            if size_lots and filled_lots >= size_lots:
                return OrderStatus.FILLED
            return OrderStatus.PARTIALLY_FILLED if filled_lots else OrderStatus.OPEN
        raise MalformedAnswerError(self._venue, "read an order", f"the status {text!r} is not known")


def _sent(sent: NewOrder | None, name: str) -> int:
    if sent is None:
        raise ValueError(f"{name} is missing")
    return int(getattr(sent, name))


def _required(value: T | None, name: str) -> T:
    if not value:
        raise ValueError(f"the {name} is missing")
    return value


def _at_least(least: int, value: int, name: str) -> int:
    if value < least:
        raise ValueError(f"the {name} is {value} steps")
    return value


def _text(value: object) -> str:
    return "" if value is None else str(value)


def _venue_ns(raw: Raw) -> int:
    for name in ("lastUpdateTimestamp", "lastTradeTimestamp", "timestamp"):
        value = raw.get(name)
        if value is not None:
            return int(value) * NS_PER_MS
    return 0
