"""The columns the kernel works on: plain lists of ints, or int64 arrays of the same shape.

Every column has a fixed length and a number of rows in use beside it; the kernel only indexes
columns and assigns slices of equal length, which lists and arrays do alike. Prices are kept as
keys: a bid's key is its price in ticks, an ask's key is minus its price. So on both sides columns
ascend, the best stands last where it is cheap to change, and a bid and an ask cross exactly when
their keys sum to 0 or more.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any, Final, NamedTuple, Protocol, TypeVar

Ints = list[int]
"""A column: `list[int]`, or an int64 array that is used in the same way."""

Bundle = TypeVar("Bundle", bound=tuple[Any, ...])

MODEL: Final = 0
"""Index into `Market.settings`: a QueueModel."""
EXPONENT_MILLI: Final = 1
"""Index into `Market.settings`: thousandths of the power model's exponent."""

FILL: Final = 0
"""`Fills.kind`: lots changed hands."""
MAKER_PREVENTED: Final = 1
"""`Fills.kind`: the maker expired instead of trading with its own account."""
TAKER_PREVENTED: Final = 2
"""`Fills.kind`: the rest of the taker expired instead of trading with its own account."""

HISTORY: Final = 0
"""The order id that stands for everybody who is not a client."""

LEVEL_CAPACITY: Final = 5_000
"""Historical levels surely kept on a side; of more, those farthest from the market may go.

Binance shows 5,000.
"""
NEAR: Final = 1_024
"""Prices that are kept in order on a side; half of them stay when there are more."""
ORDER_CAPACITY: Final = 2_048
"""Clients' orders on a side of one market."""


class QueueModel(IntEnum):
    """Where the cancellations stood that make a level shrink: behind our order, or ahead of it."""

    RISK_AVERSE = 0
    """All behind as long as there is anybody behind: only trades advance us. A pessimistic bound."""
    POWER = 1
    """Behind with probability f(W) / (f(W) + f(V)), f(x) = x^n; V lots ahead, W behind."""
    LOGARITHM = 2
    """The same with f(x) = ln(1 + x)."""


class Levels(NamedTuple):
    """History on one side: sizes by price in a hash table, and the best prices in order beside it.

    Most rows of a market change a price that is known: they cost one probe and move nothing.
    """

    key: Ints
    """The best prices, ascending; the last one is the best and never empty. Others may hold nothing:
    most that are removed come back within milliseconds."""
    held: Ints
    """[rows of `key` in use, slots in use, 1 if there are prices below the first row of `key`]."""
    slot_key: Ints
    """Open addressing with linear probing; 0 is a free slot. The length is a power of two."""
    lots: Ints
    """Lots of history, by slot; 0 where the level was removed."""
    eaten: Ints
    """Lots of it that clients took since history last refreshed the level, by slot."""
    spare_key: Ints
    spare_size: Ints
    spare_eaten: Ints
    """Where a table that is rebuilt waits."""


class Queue(NamedTuple):
    """Clients' orders on one side, ascending by key; among equals the oldest stands last."""

    key: Ints
    id: Ints
    open: Ints
    """Lots still to fill."""
    ahead: Ints
    """V: lots of history that stand before it at its price."""
    traded: Ints
    """Lots history traded at its price since the level last changed."""
    owner: Ints
    """A number for the account, for self-trade prevention."""
    held: Ints
    """[rows in use]."""


class BookSide(NamedTuple):
    """One side of a market: history, and the clients' orders in it."""

    levels: Levels
    queue: Queue


class Fills(NamedTuple):
    """What the last kernel call did, in order. `maker` and `taker` are order ids or HISTORY."""

    kind: Ints
    maker: Ints
    taker: Ints
    price_ticks: Ints
    lots: Ints
    taker_buys: Ints
    """1 or 0."""
    rows: Ints
    """[how many]."""


class Market(NamedTuple):
    """One pair: both sides, the rows of the last call, and the model's settings."""

    bids: BookSide
    asks: BookSide
    fills: Fills
    settings: Ints
    """[model, exponent in thousandths]."""


class Columns(Protocol):
    """Makes the columns that one form of the kernel works on."""

    def __call__(self, length: int) -> Ints:
        """A column of zeros."""
        ...

    def bundle(self, parts: Bundle) -> Bundle:
        """Named columns (and bundles of them) as what is handed to the kernel; read by the same names."""
        ...

    def block(self, parts: Bundle) -> list[Bundle]:
        """The same as the only element of a sequence, which costs compiled code less to take."""
        ...

    def sole(self, bundle: Bundle) -> list[Bundle]:
        """A bundle that was made before, seen as the only element of such a sequence."""
        ...

    def window(self, column: Ints) -> Ints:
        """A column that stays in its bundle, for plain Python that reads and writes single ints."""
        ...


class ListColumns:
    """Lists for the uncompiled kernel; a bundle is the named tuple itself."""

    __slots__ = ()

    def __call__(self, length: int) -> Ints:
        """A column of zeros."""
        return [0] * length

    def bundle(self, parts: Bundle) -> Bundle:
        """What was given."""
        return parts

    def block(self, parts: Bundle) -> list[Bundle]:
        """What was given, in a list."""
        return [parts]

    def sole(self, bundle: Bundle) -> list[Bundle]:
        """What was given, in a list."""
        return [bundle]

    def window(self, column: Ints) -> Ints:
        """What was given."""
        return column


list_column: Final = ListColumns()
"""The columns of the uncompiled kernel."""


def new_market(
    column: Columns = list_column,
    *,
    model: QueueModel = QueueModel.RISK_AVERSE,
    exponent_milli: int = 2_000,
    level_capacity: int = LEVEL_CAPACITY,
    order_capacity: int = ORDER_CAPACITY,
) -> Market:
    """An empty market whose columns come from `column(length)`."""

    def side() -> BookSide:
        slots = 1 << (4 * level_capacity - 1).bit_length()
        levels = Levels(
            key=column(2 * level_capacity),
            held=column(3),
            slot_key=column(slots),
            lots=column(slots),
            eaten=column(slots),
            spare_key=column(slots),
            spare_size=column(slots),
            spare_eaten=column(slots),
        )
        queue = Queue(
            key=column(order_capacity),
            id=column(order_capacity),
            open=column(order_capacity),
            ahead=column(order_capacity),
            traded=column(order_capacity),
            owner=column(order_capacity),
            held=column(1),
        )
        return BookSide(levels, queue)

    # A sweep writes at most one row for each level, and three for each order: the history before
    # it, its fill, its prevention. A crossing after an event does the same on both sides.
    rows = 2 * (2 * level_capacity + 3 * order_capacity)
    fills = Fills(
        kind=column(rows),
        maker=column(rows),
        taker=column(rows),
        price_ticks=column(rows),
        lots=column(rows),
        taker_buys=column(rows),
        rows=column(1),
    )
    settings = column(2)
    settings[MODEL] = int(model)
    settings[EXPONENT_MILLI] = exponent_milli
    return column.bundle(Market(side(), side(), fills, settings))
