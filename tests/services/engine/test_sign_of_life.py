"""What others read of an engine's life while its database stands still."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

from engine_stage import StageWorkshop
from mrmarket.core.clock import NS_PER_S, ManualClock
from mrmarket.services.engine.host import EngineHost
from mrmarket.store.operations import Beat
from mrmarket.store.sqlite_operations import SqliteOperations
from mrmarket.store.trading_store import TradingStore


class StillOperations:
    """An operations store in which writing a sign of life takes as long as the test wants."""

    def __init__(self, store: SqliteOperations) -> None:
        self._store = store
        self.asked, self.answers = threading.Event(), threading.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def beat(self, beat: Beat) -> None:
        """Stand still first."""
        self.asked.set()
        self.answers.wait(60)
        self._store.beat(beat)


async def test_a_database_that_stands_still_does_not_stop_the_heart(tmp_path: Path) -> None:
    """Whoever asks the process itself sees its sequence rise: it is not taken for dead with its database."""
    operations = StillOperations(SqliteOperations.open(tmp_path / "control.db"))
    log, clock = TradingStore.open(tmp_path / "trading.db"), ManualClock()
    host = EngineHost("one", operations, log, StageWorkshop(), clock=clock)
    keeping = asyncio.create_task(host.keep())
    await asyncio.to_thread(operations.asked.wait, 60)
    seen = [host.seq]
    clock.advance(4 * NS_PER_S)
    seen.append(host.seq)
    assert seen == [1, 5]
    operations.answers.set()
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)
    await host.close()
    log.close()
    operations.close()
