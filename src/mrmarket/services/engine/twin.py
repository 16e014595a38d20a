"""Tells whether another live process goes by this engine's name: a copied data folder, a cloned machine."""

from __future__ import annotations

from typing import Final

from mrmarket.core.errors import MrMarketError
from mrmarket.store.operations import Beat

Identity = tuple[int, str, int]
"""(when it started in ms, machine, process id) of one life of an engine."""

_ADVANCES: Final = 2
"""A dead process's last sign of life may still arrive; a second one comes from a live one."""


class EngineNameTakenError(MrMarketError):
    """Another live process is an engine of the same name: each would take the other's runs."""

    code = "engine_name_taken"

    def __init__(self, node: str, machine: str, process: int) -> None:
        self.node = node
        self.machine = machine
        self.process = process
        super().__init__(
            f"an engine of the name {node} is alive as process {process} of {machine};"
            " in a copied data folder delete the file instance.id, and start this one again"
        )


def identity(beat: Beat) -> Identity:
    """Which life a sign of life is of."""
    return beat.started_ms, beat.host, beat.pid


class TwinWatch:
    """Looks at the row that bears our name. Pure."""

    def __init__(self, mine: Identity) -> None:
        self._mine = mine
        self._last: tuple[Identity, int] | None = None
        self._advances = 0

    def see(self, beat: Beat | None) -> Beat | None:
        """Take in what the row says now; the sign of life of a twin once it is certain that one lives."""
        if beat is None or identity(beat) == self._mine:
            return None
        seen = identity(beat), beat.seq
        if self._last is not None and seen != self._last:
            same = seen[0] == self._last[0]
            self._advances = self._advances + (seen[1] > self._last[1]) if same else 0
        self._last = seen
        return beat if self._advances >= _ADVANCES else None

    def is_elder(self, twin: Beat) -> bool:
        """Whether the twin came after us, and is the one to leave."""
        return identity(twin) > self._mine
