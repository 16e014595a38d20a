"""The exchange port: what the engine asks of any venue."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextvars import ContextVar
from enum import StrEnum
from typing import ClassVar, Final, Protocol, runtime_checkable

import msgspec

from mrmarket.core.errors import MrMarketError
from mrmarket.core.instrument import Instrument
from mrmarket.core.side import Side
from mrmarket.trading.market.event import MarketEvent


class OrderKind(StrEnum):
    """How an order meets the book."""

    LIMIT = "limit"
    POST_ONLY = "post_only"
    """Rejected if it would take."""
    IOC = "ioc"
    FOK = "fok"
    MARKET = "market"


class OrderStatus(StrEnum):
    """What the venue last said of an order."""

    OPEN = "open"
    PARTIALLY_FILLED = "partially_filled"
    FILLED = "filled"
    CANCELLED = "cancelled"
    REJECTED = "rejected"
    EXPIRED = "expired"

    @property
    def is_final(self) -> bool:
        """Whether no further fill is expected."""
        return self not in (OrderStatus.OPEN, OrderStatus.PARTIALLY_FILLED)


class NewOrder(msgspec.Struct, frozen=True, kw_only=True):
    """An order to be placed."""

    symbol: str
    client_order_id: str
    side: Side
    kind: OrderKind
    price_ticks: int
    """0 for MARKET."""
    size_lots: int


class OrderReport(msgspec.Struct, frozen=True, kw_only=True):
    """An order as the venue sees it, from a response, a query or the user stream."""

    symbol: str
    client_order_id: str
    venue_order_id: str
    side: Side
    status: OrderStatus
    price_ticks: int
    size_lots: int
    filled_lots: int
    venue_ns: int
    """0 where the venue does not say."""


class FillReport(msgspec.Struct, frozen=True, kw_only=True):
    """One trade of ours. Its natural key is `(venue, symbol, trade_id)`."""

    symbol: str
    trade_id: str
    client_order_id: str
    """Empty where the venue names only its own id."""
    venue_order_id: str
    side: Side
    price_ticks: int
    size_lots: int
    fee: str
    """Decimal string; negative is a rebate."""
    fee_asset: str
    maker: bool
    venue_ns: int


class BalanceReport(msgspec.Struct, frozen=True, kw_only=True):
    """What the venue says we hold of one asset, as decimal strings."""

    asset: str
    free: str
    locked: str


class StreamState(msgspec.Struct, frozen=True, kw_only=True):
    """The user stream went up or down; on `connected` after a loss the engine must reconcile."""

    connected: bool
    reason: str = ""


class Capability(StrEnum):
    """Something that only some venues can do."""

    DEAD_MAN_SWITCH = "dead_man_switch"
    """`cancel_all_after` works."""
    TRANSFERS = "transfers"
    """`transfers_since` works."""
    CANCEL_ALL = "cancel_all"
    """It is a `CancelsAll`."""


class KeyPermissions(msgspec.Struct, frozen=True, kw_only=True):
    """What the venue lets our key do; None where it does not say."""

    read: bool | None = None
    trade: bool | None = None
    withdraw: bool | None = None
    ip_restricted: bool | None = None


class TransferReport(msgspec.Struct, frozen=True, kw_only=True):
    """Money that entered or left the account, by the venue's own books."""

    transfer_id: str
    asset: str
    amount: str
    """Decimal string; negative left the account."""
    venue_ns: int


UserEvent = OrderReport | FillReport | BalanceReport | StreamState


class VenueError(MrMarketError):
    """A venue did not do what was asked."""

    code = "venue_error"
    advice: ClassVar[str] = ""
    """What to do, where the class knows it."""

    def __init__(self, venue: str, request: str, detail: str) -> None:
        self.venue = venue
        self.request = request
        self.detail = detail
        super().__init__(f"{venue}: {request}: {detail}" + (f"; {self.advice}" if self.advice else ""))


class OrderRefusedError(VenueError):
    """The venue answered no: the order does not live."""

    code = "order_refused"


class NotSentError(OrderRefusedError):
    """The order was held back before it left this process: it does not live."""

    code = "lease_lapsed"


class UnknownOrderError(VenueError):
    """The venue answered that it knows no such order."""

    code = "unknown_order"


class OutcomeUnknownError(VenueError):
    """No answer came: the request may or may not have had its effect."""

    code = "outcome_unknown"
    retryable = True


class RateLimitedError(VenueError):
    """The venue asked us to slow down; the request had no effect."""

    code = "rate_limited"
    retryable = True

    def __init__(self, venue: str, request: str, detail: str, retry_after_s: float, *, banned: bool) -> None:
        self.retry_after_s = retry_after_s
        self.banned = banned
        super().__init__(venue, request, detail)


class VenueUnavailableError(VenueError):
    """The venue is down or unreachable; a read had no answer."""

    code = "venue_unavailable"
    advice = "the exchange cannot be reached, check the connection or try again later"
    retryable = True


class AuthenticationRefusedError(VenueError):
    """The venue refused our key or signature."""

    code = "authentication_refused"
    advice = "check the key, its secret and what it is allowed to do"


send_permit: Final[ContextVar[Callable[[], bool] | None]] = ContextVar("send_permit", default=None)
"""Set by whoever places, for its task: asked once more at the very hand-over of a placement."""


def require_permit(venue: str, request: str) -> None:
    """To be called right before a placement leaves the process, after every wait.

    Raises:
        NotSentError: whoever places may not place any more; the request must not be sent.
    """
    permit = send_permit.get()
    if permit is not None and not permit():
        raise NotSentError(venue, request, "its run may not send any more; nothing was sent")


class Venue(Protocol):
    """One account on one exchange.

    Every method raises a `VenueError`; anything else that escapes is a bug. `place` and `cancel`
    raise `OutcomeUnknownError` on any transport failure, never a plain failure.
    """

    name: str

    async def open(self) -> None:
        """Load markets and measure the clock offset."""
        ...

    async def close(self) -> None:
        """Close every connection."""
        ...

    def instrument(self, symbol: str) -> Instrument:
        """Grid, limits and fees of a pair; raises `UnknownSymbolError`."""
        ...

    async def place(self, order: NewOrder) -> OrderReport:
        """Send an order."""
        ...

    async def cancel(self, symbol: str, client_order_id: str, venue_order_id: str) -> OrderReport:
        """Cancel by either id (`venue_order_id` may be empty)."""
        ...

    async def query(self, symbol: str, client_order_id: str, venue_order_id: str) -> OrderReport:
        """Ask for one order; raises `UnknownOrderError` only on the venue's explicit word."""
        ...

    async def open_orders(self, symbol: str) -> list[OrderReport]:
        """All our live orders of a pair."""
        ...

    async def fills_since(self, symbol: str, since_ns: int) -> list[FillReport]:
        """All our trades of a pair from a time on, oldest first, every page."""
        ...

    async def balances(self) -> list[BalanceReport]:
        """Every asset with a balance."""
        ...

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What else it can do."""
        ...

    async def permissions(self) -> KeyPermissions:
        """What our key may do."""
        ...

    async def cancel_all_after(self, symbol: str, countdown_s: float) -> None:
        """Have the venue cancel our orders of a pair unless we say so again in time; 0 takes it back.

        Only with `Capability.DEAD_MAN_SWITCH`.
        """
        ...

    async def transfers_since(self, since_ns: int) -> list[TransferReport]:
        """Deposits and withdrawals from a time on, oldest first. Only with `Capability.TRANSFERS`."""
        ...

    def market_events(self, symbol: str) -> AsyncIterator[MarketEvent]:
        """The live feed; ends only when closed. A SNAPSHOT follows every reconnect."""
        ...

    def user_events(self) -> AsyncIterator[UserEvent]:
        """Our orders, fills and balances as they change; starts with `StreamState(connected=True)`."""
        ...


@runtime_checkable
class CancelsAll(Protocol):
    """A venue that cancels everything on a pair by one request, whoever placed it with this account."""

    async def cancel_all(self, symbol: str) -> list[OrderReport]:
        """Cancel every open order of a pair; returns those it names, empty where it names none.

        Raises as `cancel`; only with `Capability.CANCEL_ALL`.
        """
        ...


class UnknownSymbolError(MrMarketError):
    """A pair that the venue does not list."""

    code = "unknown_symbol"

    def __init__(self, venue: str, symbol: str, known: list[str]) -> None:
        self.venue = venue
        self.symbol = symbol
        self.known = known
        shown = ", ".join(known[:5]) + (" …" if len(known) > 5 else "")  # noqa: PLR2004 - a glance, not a list
        super().__init__(f"{venue} has no pair {symbol!r}; it has {shown}")
