"""An instance with fast quotes on an exchange of its own, and how its books are compared in the end."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from e2e.loopback_venue import LoopbackVenue, Rule
from e2e.running import RunningInstance, start_instance, wait_until
from e2e.squaring import assert_square
from mrmarket.core.events import Fact

SPEED = 20.0
UNPROVEN = 3
"""Exit status of an instance that could not prove the end of every order."""
STRATEGY = """
order_refresh_time = 0.2
order_refresh_tolerance = 0
number_of_layers = 5
bid_spread = 0.00004
ask_spread = 0.00004
[angel]
enabled = false
[risk]
unknown_orders = 1000
reject_least = 100000
retries_per_minute = 100000
cool_down_s = 1
dwell_s = 0
"""
"""Without an Angel: what happens to the orders is to be the instance's own doing. With breakers that let it
go on through what is broken here on purpose."""


class Arena:
    """An instance of its own on the shared exchange."""

    def __init__(self, venue: LoopbackVenue, folder: Path) -> None:
        self.venue = venue
        self.data = folder / "data"
        self._config = folder / "mrmarket.toml"
        self._config.write_text(venue.config(STRATEGY))
        venue.break_things([])
        self.floor = venue.clear()
        """The last trade that is not this instance's."""
        self._running: RunningInstance | None = None

    def start(self) -> RunningInstance:
        """Start it and wait until it quotes."""
        running = self._running = start_instance(self.data, "--config", str(self._config))
        wait_until(lambda: running.remote.status().open_orders > 0)
        return running

    def suffer(self, rules: Sequence[Rule], times: int, seed: int = 1, *, halts: bool = False) -> None:
        """Break things until each rule has struck so often while trades went on; then all is well again.

        What halts the venue ends the trading, too: only the owner lets it go on.
        """
        running = self._running
        assert running is not None
        fills = running.remote.performance().fills
        self.venue.break_things(rules, seed)
        wait_until(lambda: min(self.venue.struck()) >= times, seen=self.venue.struck)
        if not halts:
            wait_until(lambda: running.remote.performance().fills > fills, seen=running.last_words)
        self.venue.break_things([])

    def square(self) -> list[Fact]:
        """End it in peace and compare its books with the exchange's.

        What was in doubt a moment ago may be unproven when a busy machine's time to end is over; it then says
        so by its exit status, and the next start proves it.
        """
        assert self._running is not None
        if self._running.interrupt() == UNPROVEN:
            assert self.start().interrupt() == 0
        assert self._running.process.returncode == 0
        return assert_square(self.data, self.venue, self.floor)

    def end(self) -> None:
        """Whatever happened, leave no process behind."""
        if self._running is not None and self._running.process.poll() is None:
            self._running.kill()
