"""The loop in one of both forms, and runs of it: as it is on lists, or compiled on one block of memory.

A strategy is either a function over a `Desk` that is compiled with the loop, or any Python object
with `decide(desk)`; that one is called by the compiled loop only for what it asks to be called for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import FunctionType
from typing import Final, Protocol, cast

from mrmarket.core.errors import MrMarketError
from mrmarket.trading.backtest.loop import desk as desk_room
from mrmarket.trading.backtest.loop import quoters, stream
from mrmarket.trading.backtest.loop.desk import (
    ASK,
    BID,
    FEED,
    KIND,
    LIVE,
    NOW_NS,
    ON,
    ORDER_NS,
    ORDERS,
    POSITION,
    RESPONSE_NS,
    RING,
    TRADE_ROWS,
    WOKEN,
    Desk,
    new_desks,
)
from mrmarket.trading.backtest.loop.feed import Feed
from mrmarket.trading.venue.simulated.book_arrays import Columns, Ints, QueueModel, list_column
from mrmarket.trading.venue.simulated.compiled import compile_form
from mrmarket.trading.venue.simulated.kernel import POST_ONLY

Decide = Callable[[Desk], None]
Place = Callable[[list[Desk], bool, int, int], int]
Cancel = Callable[[list[Desk], int], None]

_ENTRIES: Final = frozenset({"play_on", "drive", "send_order", "send_cancel"})


class FeedBacklogError(MrMarketError):
    """More events were on their way to the strategy than the loop keeps."""

    code = "feed_backlog"

    def __init__(self) -> None:
        self.limit = RING
        super().__init__(
            f"more than {RING} events were on their way to the strategy at one time; "
            "shorten the feed's latency"
        )


@dataclass(frozen=True, slots=True)
class LoopSetting:
    """What a run of the loop assumes."""

    order_ns: int = 5_000_000
    """From the strategy to the exchange."""
    response_ns: int = 5_000_000
    """From the exchange to the strategy."""
    model: QueueModel = QueueModel.POWER
    exponent_milli: int = 2_000
    order_kind: int = POST_ONLY
    """kernel.POST_ONLY or kernel.LIMIT."""
    wake_on: int = FEED
    """Bits of desk.FEED, PRICES, OWN: what the strategy is called for; FEED is called for every event."""
    parameters: Sequence[int] = ()
    """The strategy's own; see there."""


@dataclass(frozen=True, slots=True)
class LoopResult:
    """What a run left."""

    state: tuple[int, ...]
    """`Desk.state` at the end, by the same indices."""
    trades: list[tuple[int, bool, int, int, bool]]
    """(exchange time, buys, price in ticks, lots, maker), ascending by time."""


class PythonDesk:
    """A desk for strategies in plain Python: the same columns, read as fast as lists."""

    __slots__ = ("_cancel", "_desks", "_place", "memory", "own", "parameters", "state")

    def __init__(self, loop: Loop, desks: list[Desk]) -> None:
        self._desks = desks
        self._place, self._cancel = loop.actions(desks)
        desk, window = desks[0], loop.column.window
        self.state = window(desk.state)
        """As `Desk.state`, for who reads many of its values."""
        self.parameters = window(desk.parameters)
        self.memory = window(desk.memory)
        own = desk.own
        self.own = tuple(window(part) for part in (own.buys, own.price_ticks, own.lots, own.stage))

    @property
    def now_ns(self) -> int:
        """Time where the strategy is."""
        return self.state[NOW_NS]

    @property
    def bid_ticks(self) -> int:
        """The best bid, 0 when there is none."""
        return self.state[BID]

    @property
    def ask_ticks(self) -> int:
        """The best ask, 0 when there is none."""
        return self.state[ASK]

    @property
    def position_lots(self) -> int:
        """Bought less sold, as far as heard of."""
        return self.state[POSITION]

    def orders(self) -> list[tuple[bool, int, int, bool]]:
        """(buys, price in ticks, open lots, can be cancelled) of own orders, by the row `cancel` takes."""
        buys, prices, lots, stages = self.own
        return [
            (buys[row] == 1, prices[row], lots[row], stages[row] == LIVE) for row in range(self.state[ORDERS])
        ]

    def place(self, buys: bool, price_ticks: int, lots: int) -> int:
        """Send an order; its id, or 0 when there is no room for more."""
        return self._place(self._desks, buys, price_ticks, lots)

    def cancel(self, row: int) -> None:
        """Ask for the end of an own order that can be cancelled."""
        self._cancel(self._desks, row)


class PythonStrategy(Protocol):
    """A strategy in plain Python."""

    def decide(self, desk: PythonDesk) -> None:
        """Look, and place or cancel."""
        ...


@dataclass(frozen=True, slots=True)
class Loop:
    """The loop's entry points in one form."""

    column: Columns
    drive: Callable[[list[Desk], Ints, Ints, Ints, Ints, Ints, Decide], bool]
    """`stream.drive`."""
    compile_strategy: Callable[[Decide], Decide]
    """What `drive` takes for a strategy."""
    actions: Callable[[list[Desk]], tuple[Place, Cancel]]
    """`stream.send_order` and `stream.send_cancel` for desks of that kind."""
    steps: Callable[[list[Desk], Feed], Callable[..., bool]]
    """`stream.play_on` for desks and feeds of that kind."""

    def run(self, feed: Feed, decide: Decide, setting: LoopSetting) -> LoopResult:
        """Play a feed against a function over a desk.

        Raises:
            FeedBacklogError: too many events were on their way to the strategy.
        """
        desks = self.prepare(setting)
        if not self.drive(desks, *feed, self.compile_strategy(decide)):
            raise FeedBacklogError
        return _result(desks[0])

    def run_python(self, feed: Feed, strategy: PythonStrategy, setting: LoopSetting) -> LoopResult:
        """Play a feed against a strategy in plain Python.

        Raises:
            FeedBacklogError: as `run`.
        """
        desks = self.prepare(setting)
        desk = PythonDesk(self, desks)
        state, decide = desk.state, strategy.decide
        play_on = self.steps(desks, feed)
        code, price_ticks, lots, at_ns, seen_ns = feed
        while play_on(desks, code, price_ticks, lots, at_ns, seen_ns):
            if not state[WOKEN]:
                return _result(desks[0])
            decide(desk)
        raise FeedBacklogError

    def prepare(self, setting: LoopSetting) -> list[Desk]:
        """The desk of a run that has not begun, as what `drive` takes."""
        desks = new_desks(self.column, model=setting.model, exponent_milli=setting.exponent_milli)
        desk = desks[0]
        desk.settings[ORDER_NS] = setting.order_ns
        desk.settings[RESPONSE_NS] = setting.response_ns
        desk.settings[ON] = setting.wake_on
        desk.settings[KIND] = setting.order_kind
        for at, value in enumerate(setting.parameters):
            desk.parameters[at] = value
        return desks


def _result(desk: Desk) -> LoopResult:
    trades = desk.trades
    written = range(desk.state[TRADE_ROWS])
    return LoopResult(
        tuple(int(value) for value in desk.state),
        [
            (
                int(trades.at_ns[row]),
                bool(trades.buys[row]),
                int(trades.price_ticks[row]),
                int(trades.lots[row]),
                bool(trades.maker[row]),
            )
            for row in written
        ],
    )


def load_loop(*, compiled: bool = False) -> Loop:
    """The loop; with `compiled` numba is imported and compiles on first use (cached on disk).

    Raises:
        CompilerMissingError: if `compiled` and numba is not installed.
    """
    if not compiled:
        return Loop(
            list_column,
            stream.drive,
            lambda decide: decide,
            lambda _desks: (stream.send_order, stream.send_cancel),
            lambda _desks, _feed: stream.play_on,
        )
    form = compile_form((desk_room, stream, quoters), _ENTRIES)
    strategies: dict[Decide, Decide] = {}

    def compile_strategy(decide: Decide) -> Decide:
        if decide not in strategies:
            strategies[decide] = form.adopt(cast("FunctionType", decide))
        return strategies[decide]

    def actions(desks: list[Desk]) -> tuple[Place, Cancel]:
        place = form.direct("send_order", desks, True, 1, 1)
        return place, form.direct("send_cancel", desks, 1)

    def steps(desks: list[Desk], feed: Feed) -> Callable[..., bool]:
        return form.direct("play_on", desks, *feed)

    return Loop(form.column, form.functions["drive"], compile_strategy, actions, steps)
