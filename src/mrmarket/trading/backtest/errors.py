"""What a backtest refuses before it starts, and what ends one."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from pathlib import Path

from mrmarket.core.errors import MrMarketError


class BacktestError(MrMarketError):
    """A backtest cannot be run as it was asked for; nothing was written."""

    code = "backtest"


class TapeChangedError(BacktestError):
    """The file at a tape's place is not the one that the setting names."""

    code = "tape_changed"

    def __init__(self, path: Path, wanted: str, found: str) -> None:
        self.path = path
        self.wanted = wanted
        self.found = found
        super().__init__(
            f"{path}: its SHA-256 is {found[:12]}… where the setting names {wanted[:12]}…;"
            " give the recording that the report was made from"
        )


class ChannelMissingError(BacktestError):
    """A tape lacks a kind of event that the driver cannot do without."""

    code = "tape_channel_missing"

    def __init__(self, path: Path, channel: str, purpose: str) -> None:
        self.path = path
        self.channel = channel
        super().__init__(f"{path}: holds no {channel}, which {purpose} needs; record it with that channel")


class BarFileError(BacktestError):
    """A file of bars cannot be understood."""

    code = "bar_file"

    def __init__(self, path: Path, detail: str) -> None:
        self.path = path
        self.detail = detail
        super().__init__(f"{path}: {detail}")


class PairMismatchError(BacktestError):
    """The strategy's pair is not on the tape."""

    code = "pair_not_on_tape"

    def __init__(self, path: Path, wanted: str, held: Iterable[str]) -> None:
        self.path = path
        self.wanted = wanted
        self.held = tuple(held)
        have = ", ".join(self.held)
        asked = f"{wanted} is not among them" if wanted else "say which one is meant"
        super().__init__(f"{path}: holds {have}; {asked} (--symbol BASE/QUOTE)")


class StrategyChangedError(BacktestError):
    """The strategy's code or parameters are not those that the setting pins."""

    code = "strategy_changed"

    def __init__(self, name: str, wanted: str, found: str) -> None:
        self.name = name
        self.wanted = wanted
        self.found = found
        super().__init__(
            f"{name} is pinned to snapshot {wanted[:12]} and this release makes {found[:12]};"
            " run the version that made the report, or start a new run without it"
        )


class EmptyWindowError(BacktestError):
    """The window holds no market to trade in."""

    code = "empty_window"

    def __init__(self, path: Path, detail: str) -> None:
        self.path = path
        super().__init__(f"{path}: the window holds {detail}; give a wider one")


class ParametersRefusedError(BacktestError):
    """A parameter has the wrong type or does not exist; nothing was run."""

    code = "parameter_refused"

    def __init__(self, strategy: str, detail: str, known: Iterable[str]) -> None:
        self.strategy = strategy
        self.detail = detail
        near: list[str] = []
        if found := re.search(r"unknown field `([^`]*)`", detail):
            near = difflib.get_close_matches(found[1], list(known), n=1)
        hint = f"did you mean {near[0]}?" if near else f"`mrmarket strategy show {strategy}` lists them"
        super().__init__(f"{strategy}: {detail}; {hint}")


class DriverMissingError(BacktestError):
    """The strategy and the number of tapes do not go together."""

    code = "no_driver"

    def __init__(self, strategy: str, tapes: int) -> None:
        self.strategy = strategy
        self.tapes = tapes
        super().__init__(f"{strategy} trades one tape and was given {tapes}; give one --tape")


class StrategyFailedError(BacktestError):
    """A strategy raised in the middle of a run; the run is marked failed."""

    code = "strategy_raised"

    def __init__(self, name: str, error: BaseException) -> None:
        self.name = name
        text = " ".join(str(error).split())
        super().__init__(f"{name} raised {type(error).__name__}: {text}; mend the strategy")


class StrategyHungError(BacktestError):
    """A decision took longer than its limit; the run is marked failed."""

    code = "strategy_hung"

    def __init__(self, name: str = "the strategy", limit_s: float = 0.0) -> None:
        self.name = name
        self.limit_s = limit_s
        super().__init__(
            f"{name} took longer than {limit_s:g} s for one decision; mend it or raise --decision-limit"
        )
