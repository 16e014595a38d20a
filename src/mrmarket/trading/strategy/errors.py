"""What can keep a run from running."""

from __future__ import annotations

from mrmarket.core.errors import MrMarketError


class RunNotReadyError(MrMarketError):
    """The venue did not let the run begin; nothing was placed."""

    code = "run_not_ready"
    retryable = True

    def __init__(self, venue: str, reason: str) -> None:
        self.venue = venue
        self.reason = reason
        super().__init__(f"{venue}: the run could not begin: {reason}; check the venue and start again")


class StreamEndedError(MrMarketError):
    """A part of the run ended although nobody had asked it to."""

    code = "stream_ended"
    retryable = True

    def __init__(self, venue: str, part: str) -> None:
        self.venue = venue
        self.part = part
        super().__init__(f"{venue}: the {part} ended by itself; quotes were pulled, start again")


class ControlRefusedError(MrMarketError):
    """What the owner asked of a run cannot be done now; nothing was changed."""

    code = "control_refused"

    def __init__(self, run: str, control: str, reason: str) -> None:
        self.run = run
        self.control = control
        self.reason = reason
        super().__init__(f"{control} of {run}: {reason}")
