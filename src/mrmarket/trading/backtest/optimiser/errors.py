"""What the optimiser refuses, and why."""

from __future__ import annotations

from pathlib import Path

from mrmarket.core.errors import InvalidInputError, MrMarketError


class SearchRefusedError(InvalidInputError):
    """A search dimension cannot be read; nothing was started."""

    code = "search_refused"


class StudyFolderError(MrMarketError):
    """The folder holds no study, or already holds another one."""

    code = "study_folder"

    def __init__(self, folder: Path, problem: str) -> None:
        self.folder = folder
        super().__init__(f"{folder}: {problem}")


class NothingFinishedError(MrMarketError):
    """No trial has a score yet, so there is no best one."""

    code = "nothing_finished"

    def __init__(self, folder: Path, failed: int, first: str = "") -> None:
        self.folder = folder
        self.failed = failed
        self.first = first
        why = f"all {failed} that ran have failed, the first with: {first}" if failed else "none has been run"
        super().__init__(f"no set of {folder} has a score; {why}")


class OptimiserMissingError(MrMarketError):
    """A library this needs is not installed."""

    code = "optimiser_missing"

    def __init__(self, library: str, extra: str) -> None:
        self.library = library
        super().__init__(f"{library} is not installed; pip install 'mrmarket[{extra}]'")


class ClusterError(MrMarketError):
    """The cluster cannot be used; nothing was started, or the study can be resumed."""

    code = "cluster"
    retryable = True

    def __init__(self, address: str, problem: str) -> None:
        self.address = address
        super().__init__(f"cluster {address}: {problem}")


class LookAheadError(MrMarketError):
    """The strategy decided otherwise when its future was taken away: it knew what was to come."""

    code = "look_ahead"

    def __init__(self, what: str, at_ns: int, whole: str, cut: str) -> None:
        self.what = what
        self.at_ns = at_ns
        self.whole = whole
        self.cut = cut
        super().__init__(
            f"the strategy looks ahead: with the future {what} it decides otherwise at {at_ns} ns of the "
            f"run: {cut}, where it was {whole}; its backtest is worth nothing"
        )
