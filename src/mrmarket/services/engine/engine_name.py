"""An engine's name, which no two live engines may share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import structlog

from mrmarket.core.clock import NS_PER_S, Clock
from mrmarket.services.engine.database_line import DatabaseLine
from mrmarket.services.engine.timing import EngineTiming
from mrmarket.services.engine.twin import EngineNameTakenError, Identity, TwinWatch
from mrmarket.store.errors import StoreError
from mrmarket.store.operations import Beat, OperationsStore

_log = structlog.get_logger("mrmarket.engine")


class EngineName:
    """Makes sure of the name before anything is claimed, and gives it up to whoever had it first."""

    def __init__(
        self,
        node: str,
        mine: Identity,
        operations: OperationsStore,
        line: DatabaseLine,
        clock: Clock,
        timing: EngineTiming,
        has_ended: Callable[[Beat], bool],
    ) -> None:
        """`has_ended`: whether the process of an earlier sign of life is certainly gone."""
        self.is_ours = True
        """Whether no elder goes by it."""
        self._node = node
        self._operations = operations
        self._line = line
        self._clock = clock
        self._timing = timing
        self._has_ended = has_ended
        self._twin = TwinWatch(mine)

    async def secure(self) -> None:
        """Return once no other live process can go by it.

        Raises:
            EngineNameTakenError: one does.
        """
        since_ns = self._clock.monotonic_ns()
        while True:
            try:
                beat = self._own(await self._line.call(self._operations.beats))
            except StoreError as error:
                _log.warning("waits for signs of life", error=str(error))
                since_ns = self._clock.monotonic_ns()
            else:
                if beat is None or self._has_ended(beat):
                    return
                if (twin := self._twin.see(beat)) is not None:
                    raise self._taken_by(twin)
                if self._clock.monotonic_ns() - since_ns >= self._timing.dead_s * NS_PER_S:
                    return
            await asyncio.sleep(self._timing.look_s)

    def look(self, beats: Sequence[Beat]) -> None:
        """Take signs of life in.

        Raises:
            EngineNameTakenError: another live process had the name before us.
        """
        twin = self._twin.see(self._own(beats))
        if twin is None:
            return
        if not self._twin.is_elder(twin):
            raise self._taken_by(twin)
        _log.error("another process goes by our name and has to leave", host=twin.host, pid=twin.pid)

    def _own(self, beats: Sequence[Beat]) -> Beat | None:
        return next((beat for beat in beats if beat.node == self._node), None)

    def _taken_by(self, twin: Beat) -> EngineNameTakenError:
        self.is_ours = False
        return EngineNameTakenError(self._node, twin.host, twin.pid)
