"""An Angel that watches a small world while a script plays."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from angel.angel_world import PREFIX, Engine, World
from angel.virtual_loop import play
from mrmarket.angel.watch import Angel


async def beating(world: World) -> None:
    """Every engine beats once a second."""
    while True:
        for engine in world.engines:
            engine.beat()
        await asyncio.sleep(1.0)


def run(world: World, angel: Angel, script: Callable[[], object]) -> None:
    """Let the Angel watch while a script of coroutines plays; then end both."""

    async def all_of_it() -> None:
        beats = asyncio.ensure_future(beating(world))
        watching = asyncio.ensure_future(angel.run())
        try:
            await script()  # type: ignore[misc] # each script is a coroutine function
        finally:
            angel.stop()
            await watching
            beats.cancel()

    play(world.clock, all_of_it())


async def until(holds: Callable[[], object], seconds: float = 120) -> float:
    """Let virtual time pass until something holds; how long that took."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    while not holds():
        assert loop.time() - began < seconds, "it never came"
        await asyncio.sleep(0.05)
    return loop.time() - began


def trading(world: World, name: str = "engine-1", run_id: str = "run-1", role: str = "engine") -> Engine:
    """An engine with a run and two orders."""
    engine = world.engine(name, role)
    world.store.take(run_id, name)
    world.venue.put(f"{PREFIX}{run_id}x1", f"{PREFIX}{run_id}x2")
    return engine
