"""The market the venue plays: due events one by one, and where the tape stands."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Final

import msgspec

from mrmarket.core.errors import InvalidInputError
from mrmarket.core.instrument import Instrument
from mrmarket.trading.market.errors import TapeInverseError
from mrmarket.trading.market.event import MarketEvent
from mrmarket.trading.market.generator import DEFAULT_INSTRUMENT, DEFAULT_PARAMETERS, MarketGenerator
from mrmarket.trading.market.tape import Tape, open_tape
from mrmarket.trading.venue.front.config import VenueConfig
from mrmarket.trading.venue.simulated.replay import DueEvent, Replay, ReplayPosition, Source


class TapeClock(msgspec.Struct, frozen=True, kw_only=True):
    """Where the tape stands, for who wants to wait for it."""

    tape_ns: int
    """The tape's own time, going on over loops."""
    tape_start_ns: int
    """The tape's own time at its first event."""
    elapsed_tape_ns: int
    """Tape time played, over all loops and restarts."""
    loops: int
    """How often a tape started over; the highest of all pairs."""
    ended: bool
    speed: float


_COIN_MARGINED: Final = re.compile(r"USD_(PERP|[0-9]{6})$")
"""Binance's names of contracts that count dollars and settle in coins, such as BTCUSD_PERP."""


class FeedPosition(msgspec.Struct, frozen=True, kw_only=True):
    """What a venue needs to go on after a restart."""

    replay: ReplayPosition
    elapsed_tape_ns: int
    market: str = ""
    """What was played; a position in one market says nothing about another."""


class Feed:
    """A replay with one event of foresight and a tape clock."""

    def __init__(
        self,
        sources: Sequence[Source],
        *,
        start_ns: int,
        speed: float,
        loop: bool,
        position: FeedPosition | None = None,
        market: str = "",
    ) -> None:
        """Start playing at `start_ns`, from a position if there is one; raises as `Replay` does."""
        self.instruments: list[Instrument] = [source.instrument for source in sources]
        self.tape_start_ns = next(iter(sources[0].events())).exchange_ns
        self._speed = speed
        self._market = market
        self._start_ns = start_ns
        self._elapsed_before_ns = position.elapsed_tape_ns if position else 0
        self._replay = Replay(
            sources,
            start_ns=start_ns,
            speed=speed,
            loop=loop,
            position=position.replay if position else None,
        )
        self._events: Iterator[DueEvent] = iter(self._replay)
        self._taken_ns = start_ns
        self._position = self._replay.position()
        self._next = next(self._events, None)

    @property
    def ended(self) -> bool:
        """Whether every event was taken."""
        return self._next is None

    def next_due_ns(self) -> int | None:
        """When the next event is due, UTC ns; None after the last."""
        return self._next.due_ns if self._next else None

    def take(self, now_ns: int) -> tuple[int, str, MarketEvent] | None:
        """The next event as `(due ns, symbol, event)` if it is due.

        Raises:
            TapeError: the tape is damaged at this point.
        """
        due = self._next
        if due is None or due.due_ns > now_ns:
            return None
        # The position of an event nobody has seen yet must not be saved as played.
        self._position = self._replay.position()
        self._taken_ns = due.due_ns
        self._next = next(self._events, None)
        return due.due_ns, due.symbol, due.event

    def clock(self, now_ns: int) -> TapeClock:
        """Where the tape stands."""
        elapsed_ns = self._elapsed_ns(self._taken_ns if self.ended else now_ns)
        return TapeClock(
            tape_ns=self.tape_start_ns + elapsed_ns,
            tape_start_ns=self.tape_start_ns,
            elapsed_tape_ns=elapsed_ns,
            loops=max(source.rounds for source in self._position.sources),
            ended=self.ended,
            speed=self._speed,
        )

    def save(self) -> bytes:
        """The position after the last event that was taken."""
        position = FeedPosition(
            replay=self._position,
            elapsed_tape_ns=self._elapsed_ns(self._taken_ns),
            market=self._market,
        )
        return msgspec.msgpack.encode(position)

    def _elapsed_ns(self, until_ns: int) -> int:
        played_ns = max(0, until_ns - self._start_ns)
        return self._elapsed_before_ns + int(played_ns * self._speed)


def open_feed(config: VenueConfig, start_ns: int, saved: bytes) -> Feed:
    """The feed a config asks for, resumed from what `save` gave if it played the same market.

    Raises:
        TapeError: a tape cannot be read.
        InvalidInputError: two tapes are of one pair, or a fee is no number.
    """
    position = msgspec.msgpack.decode(saved, type=FeedPosition) if saved else None
    market = _market_name(config)
    if position is not None and position.market != market:
        position = None
    sources: list[Source] = [_open_tape(config, Path(path)) for path in config.tapes]
    if not sources:
        # A restarted generator must not repeat the market it made before.
        seed = config.generator_seed + (position.replay.sources[0].last_id if position else 0)
        instrument = with_fees(config, DEFAULT_INSTRUMENT)
        sources.append(MarketGenerator(DEFAULT_PARAMETERS, instrument, seed, start_ns))
    return Feed(
        sources,
        start_ns=start_ns,
        speed=config.speed,
        loop=config.loop,
        position=position,
        market=market,
    )


def with_fees(config: VenueConfig, instrument: Instrument) -> Instrument:
    """The instrument with the config's fees where it names any."""
    return replace(
        instrument,
        maker_fee=_fee("maker_fee", config.maker_fee, instrument.maker_fee),
        taker_fee=_fee("taker_fee", config.taker_fee, instrument.taker_fee),
    )


def _market_name(config: VenueConfig) -> str:
    """Names the tapes by file name and size, the generator by its seed."""
    if not config.tapes:
        return f"generator {config.generator_seed}"
    # A tape that is not there is reported by who opens it.
    sizes = [(path.name, path.stat().st_size if path.exists() else 0) for path in map(Path, config.tapes)]
    return " ".join(f"{name}:{size}" for name, size in sizes)


def _open_tape(config: VenueConfig, path: Path) -> Tape:
    tape = open_tape(path)
    if _COIN_MARGINED.search(tape.venue_symbol):
        raise TapeInverseError(path, tape.venue_symbol)
    return Tape(tape.path, tape.format, with_fees(config, tape.instrument), tape.venue_symbol)


def _fee(name: str, text: str | None, default: Decimal) -> Decimal:
    if text is None:
        return default
    try:
        fee = Decimal(text)
    except InvalidOperation:
        fee = Decimal("NaN")
    if not fee.is_finite() or abs(fee) >= 1:
        raise InvalidInputError(name, text, "a fraction such as 0.001 (a rebate is negative)")
    return fee
