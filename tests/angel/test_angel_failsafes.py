"""Fail-safes and recoveries: those of the house, and plug-ins that misbehave."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from decimal import Decimal

import pytest

from angel.angel_world import PREFIX, World
from angel.watch import run, trading, until
from mrmarket.angel.failsafe import AlertOnly, Flatten, Position, Scene, Verdict
from mrmarket.angel.recovery import Restrict
from mrmarket.angel.settings import AngelSection
from mrmarket.core.side import Side
from mrmarket.trading.venue.port import OrderRefusedError


class Desk:
    """Trades positions away, as far as a test lets it."""

    def __init__(self, *positions: Position, filled: Decimal = Decimal(1)) -> None:
        self.orders: list[tuple[str, Side, Decimal, Decimal]] = []
        self.fail = False
        self._positions = positions
        self._filled = filled

    async def positions(self, runs: Sequence[str]) -> list[Position]:
        """Those of the runs."""
        return [position for position in self._positions if position.run in runs]

    async def touch(self, venue: str, symbol: str) -> tuple[Decimal, Decimal]:
        """A market around 100."""
        return Decimal(99), Decimal(101)

    async def immediate(
        self, venue: str, symbol: str, side: Side, base: Decimal, limit_price: Decimal
    ) -> Decimal:
        """Fill a share of it."""
        if self.fail:
            raise OrderRefusedError(venue, "place", "insufficient balance")
        self.orders.append((symbol, side, base, limit_price))
        return base * self._filled


def position(base: str, symbol: str = "BTC/USDT") -> Position:
    """What run-1 holds."""
    return Position(run="run-1", venue="alpha", symbol=symbol, base=Decimal(base))


class Raising:
    """A plug-in with a fault."""

    name = "raising"

    async def begin(self, scene: Scene) -> Verdict:
        """Fail."""
        raise KeyError("nothing")

    async def finish(self, scene: Scene) -> None:
        """Fail again."""
        raise KeyError("nothing")


class Hanging:
    """A plug-in that never returns."""

    name = "hanging"

    async def begin(self, scene: Scene) -> Verdict:
        """Hang."""
        await asyncio.sleep(10_000)
        return Verdict.LEAVE

    async def finish(self, scene: Scene) -> None:
        """Hang."""
        await asyncio.sleep(10_000)


class BadRecovery:
    """A recovery with a fault."""

    name = "bad"

    async def recover(self, scene: Scene, restrict: Restrict) -> None:
        """Fail."""
        raise ValueError("no idea")


def test_alert_only_tells_and_touches_nothing() -> None:
    """Orders stand, leases stay, the owner hears of it once."""
    world = World()
    engine = trading(world)
    angel = world.angel(fail_safe=AlertOnly())

    async def script() -> None:
        await asyncio.sleep(3)
        engine.frozen = True
        await asyncio.sleep(60)

    run(world, angel, script)
    assert len(world.venue.standing) == 2
    assert world.store.rows["run-1"].fence == 1
    assert world.did.count("alert_only") == 1


@pytest.mark.parametrize("plugin", [Raising(), Hanging()])
def test_a_plug_in_that_fails_or_hangs_is_replaced_by_the_default(plugin: Raising | Hanging) -> None:
    """Orders go all the same, at most the plug-in's time later, and the owner hears why."""
    world = World()
    engine = trading(world)
    angel = world.angel(AngelSection(plugin_timeout_s=4), fail_safe=plugin)

    async def script() -> None:
        await asyncio.sleep(3)
        engine.frozen = True
        assert await until(lambda: not world.venue.standing) <= 5 + 2 + 4
        await until(lambda: angel.last)

    run(world, angel, script)
    assert world.did.count("failsafe_failed") == 2
    assert world.store.rows["run-1"].expires_ns == 0


def test_a_recovery_that_fails_leaves_trading_to_the_owner() -> None:
    """Nobody can tell what it wanted, so the instance is halted before its leases are free."""
    world = World()
    engine = trading(world)
    angel = world.angel(recovery=BadRecovery())

    async def script() -> None:
        await asyncio.sleep(3)
        engine.frozen = True
        await until(lambda: angel.last)

    run(world, angel, script)
    assert [(row.scope, row.state) for row in world.store.restrictions] == [("instance", "halt")]


def test_flatten_trades_positions_away_after_everything_is_proven_and_within_its_bounds() -> None:
    """Limits at the band, sizes at the bound, no order for a position of zero, and what is left is told."""
    world = World()
    engine = trading(world)
    desk = Desk(position("2"), position("-50", "ETH/USDT"), position("0", "SOL/USDT"))
    angel = world.angel(fail_safe=Flatten(desk, band_bps=100, max_quote=Decimal(1000)))

    async def script() -> None:
        await asyncio.sleep(3)
        engine.frozen = True
        await until(lambda: "cancelling" in world.did)
        assert desk.orders == []
        await until(lambda: angel.last)

    run(world, angel, script)
    sold, bought = desk.orders
    assert sold == ("BTC/USDT", Side.SELL, Decimal(2), Decimal("98.01"))
    symbol, side, base, limit = bought
    assert (symbol, side, limit) == ("ETH/USDT", Side.BUY, Decimal("102.01"))
    assert base * limit <= Decimal("1000.0001")
    assert base < 50
    assert world.did.index("cleared") < world.did.index("flatten")


def test_a_flatten_that_is_refused_is_told_of_and_recovery_goes_on() -> None:
    """The position stays; the owner decides."""
    world = World()
    engine = trading(world)
    desk = Desk(position("2"))
    desk.fail = True
    angel = world.angel(fail_safe=Flatten(desk, band_bps=100, max_quote=Decimal(1000)))

    async def script() -> None:
        await asyncio.sleep(3)
        engine.frozen = True
        await until(lambda: angel.last)

    run(world, angel, script)
    assert "flatten_failed" in world.did
    assert world.venue.standing == {}
    assert all(name.startswith(PREFIX) for name in world.venue.cancels)
