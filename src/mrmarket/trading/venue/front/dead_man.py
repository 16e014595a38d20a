"""The dead man's switch: an account that falls silent has its orders cancelled."""

from __future__ import annotations

from mrmarket.core.clock import NS_PER_MS

_Key = tuple[str, str]
"""(account, symbol)."""


class DeadManSwitch:
    """Deadlines by account and pair. Pure: it is told the time and says what is due."""

    def __init__(self) -> None:
        self._deadlines: dict[_Key, int] = {}

    def arm(self, account: str, symbol: str, countdown_ms: int, now_ns: int) -> None:
        """Set the deadline anew; a countdown of 0 takes it away."""
        if countdown_ms:
            self._deadlines[account, symbol] = now_ns + countdown_ms * NS_PER_MS
        else:
            self._deadlines.pop((account, symbol), None)

    def next_due_ns(self) -> int | None:
        """The first deadline, None without any."""
        return min(self._deadlines.values(), default=None)

    def take_due(self, now_ns: int) -> list[_Key]:
        """Who has let the deadline pass; each is told once."""
        due = [key for key, deadline_ns in self._deadlines.items() if deadline_ns <= now_ns]
        for key in due:
            del self._deadlines[key]
        return due

    def save(self) -> list[tuple[str, str, int]]:
        """Every deadline as `(account, symbol, UTC ns)`."""
        return [(account, symbol, at_ns) for (account, symbol), at_ns in self._deadlines.items()]

    def restore(self, saved: list[tuple[str, str, int]]) -> None:
        """Take over what `save` gave."""
        self._deadlines = {(account, symbol): at_ns for account, symbol, at_ns in saved}
