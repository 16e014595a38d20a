"""What goes wrong, how often, and until when: one seed's weather."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping
from enum import StrEnum


class FaultKind(StrEnum):
    """Everything that can be made to go wrong. Each seed switches some of them off."""

    # A request and its answer.
    LOST_REQUEST = "lost_request"
    """No effect, no answer."""
    LOST_ANSWER = "lost_answer"
    """The effect, and no answer."""
    SLOW = "slow"
    """Effect and answer come late, within the time-out."""
    LATE_EFFECT = "late_effect"
    """The caller has given up when the effect comes; past the receive window it is refused."""
    SERVER_ERROR = "server_error"
    """5xx, with or without the effect."""
    RATE_LIMIT = "rate_limit"
    """429 without the effect."""
    VENUE_LAG = "venue_lag"
    """The venue denies knowing a young order."""
    # Streams.
    STREAM_DUPLICATE = "stream_duplicate"
    STREAM_REORDER = "stream_reorder"
    STREAM_LOSS = "stream_loss"
    """A message is missing, and nothing says so."""
    STREAM_BREAK = "stream_break"
    """The connection is cut; what happens meanwhile is never told."""
    MARKET_GAP = "market_gap"
    """An update of the book is missing."""
    # Processes and machines.
    CRASH = "crash"
    """A process dies between any two of its steps."""
    CRASH_AT_COMMIT = "crash_at_commit"
    """A process dies right before or right after a commit, or at a labelled point."""
    POWER_CUT = "power_cut"
    """All processes of a machine die, and what was not synced is gone."""
    PAUSE = "pause"
    """A process is frozen for a while and then goes on."""
    CLOCK_STEP = "clock_step"
    """A process's wall clock leaps."""
    PARTITION = "partition"
    """A process reaches one of its peers no more."""
    # Databases.
    DISK_FULL = "disk_full"
    DATABASE_AWAY = "database_away"
    LOST_COMMIT = "lost_commit"
    """The answer to a commit is lost, and the server cannot be asked what became of it."""
    # The payment rail.
    RAIL_REFUSAL = "rail_refusal"
    """A payment that was accepted comes back."""
    RAIL_DELAY = "rail_delay"
    """A payment's next step takes long."""
    FEED_DISORDER = "feed_disorder"
    """The feed of incoming payments repeats, reorders or withholds."""
    # Campaigns: their chain, its node, and the partner that pays.
    CHAIN_REORGANISATION = "chain_reorganisation"
    """The newest blocks are replaced, fewer or more than are waited for."""
    NODE_LAG = "node_lag"
    """A node answers as it did some blocks ago."""
    NODE_OMISSION = "node_omission"
    """A node leaves logs of a block out, and is found out."""
    TRANSACTION_LOST = "transaction_lost"
    """A node takes a transaction, and no block ever has it."""
    PAYOUT_LATE = "payout_late"
    """A cycle is paid long after it is over."""
    PAYOUT_TWICE = "payout_twice"
    """A cycle is paid again."""
    RESULTS_LATE = "results_late"
    """A payout is there before anybody says which cycle it is for."""


REQUEST_FAULTS = (
    FaultKind.LOST_REQUEST,
    FaultKind.LOST_ANSWER,
    FaultKind.SLOW,
    FaultKind.LATE_EFFECT,
    FaultKind.SERVER_ERROR,
    FaultKind.RATE_LIMIT,
)
CAMPAIGN_FAULTS = (
    FaultKind.CHAIN_REORGANISATION,
    FaultKind.NODE_LAG,
    FaultKind.NODE_OMISSION,
    FaultKind.TRANSACTION_LOST,
    FaultKind.PAYOUT_LATE,
    FaultKind.PAYOUT_TWICE,
    FaultKind.RESULTS_LATE,
)
"""Strike in seeds that live with campaigns."""
STREAM_FAULTS = (
    FaultKind.STREAM_DUPLICATE,
    FaultKind.STREAM_REORDER,
    FaultKind.STREAM_LOSS,
    FaultKind.STREAM_BREAK,
)


class Weather:
    """Draws what strikes a message. Once it is calm nothing strikes any more."""

    def __init__(self, rates: Mapping[FaultKind, float], rng: random.Random) -> None:
        self.rng = rng
        self.struck: Counter[FaultKind] = Counter()
        self.is_calm = False
        self._rates = {kind: rate for kind, rate in rates.items() if rate > 0}
        self._request = self._table(REQUEST_FAULTS)
        self._stream = self._table(STREAM_FAULTS)

    def note(self, kind: FaultKind) -> None:
        """A fault has struck."""
        self.struck[kind] += 1

    def strikes(self, kind: FaultKind) -> bool:
        """Whether one kind of fault strikes now."""
        rate = 0.0 if self.is_calm else self._rates.get(kind, 0.0)
        if rate and self.rng.random() < rate:
            self.struck[kind] += 1
            return True
        return False

    def of_request(self) -> FaultKind | None:
        """What happens to a request."""
        return self._draw(self._request)

    def of_message(self) -> FaultKind | None:
        """What happens to a message of a stream."""
        return self._draw(self._stream)

    def _table(self, kinds: tuple[FaultKind, ...]) -> list[tuple[float, FaultKind]]:
        table, total = [], 0.0
        for kind in kinds:
            if kind in self._rates:
                total += self._rates[kind]
                table.append((total, kind))
        return table

    def _draw(self, table: list[tuple[float, FaultKind]]) -> FaultKind | None:
        if self.is_calm or not table:
            return None
        drawn = self.rng.random()
        if drawn >= table[-1][0]:
            return None
        for total, kind in table:
            if drawn < total:
                self.struck[kind] += 1
                return kind
        return None
