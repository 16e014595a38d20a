"""What can be wrong with market data: frames, sequences and tapes."""

from __future__ import annotations

from pathlib import Path

from mrmarket.core.errors import MrMarketError

_SHOWN_BYTES = 60


class SequenceGapError(MrMarketError):
    """Updates of a book are missing, so the book is no longer the exchange's."""

    code = "sequence_gap"
    retryable = True

    def __init__(self, symbol: str, expected_id: int, found_id: int) -> None:
        self.symbol = symbol
        self.expected_id = expected_id
        self.found_id = found_id
        super().__init__(
            f"{symbol}: the book's updates jump from {expected_id} to {found_id}; take a new snapshot"
        )


class BadFrameError(MrMarketError):
    """A market data frame is not what the exchange documents."""

    code = "bad_frame"

    def __init__(self, detail: str, frame: bytes) -> None:
        self.detail = detail
        self.frame = bytes(frame[:_SHOWN_BYTES])
        super().__init__(f"{detail} in the frame {self.frame!r}; drop it and take a new snapshot")


class OffGridTextError(MrMarketError):
    """A price or size as text is no multiple of the instrument's step."""

    code = "off_grid_text"

    def __init__(self, text: str, step: str) -> None:
        self.text = text
        self.step = step
        super().__init__(f"{text!r} is not a plain multiple of {step}; check the instrument's grid")


class TapeError(MrMarketError):
    """A tape cannot be read or written."""

    code = "tape"

    def __init__(self, path: Path, sentence: str, *, line: int = 0) -> None:
        self.path = path
        self.line = line
        where = f"{path}, line {line}" if line else str(path)
        super().__init__(f"{where}: {sentence}")


class TapeNotFoundError(TapeError):
    """There is no readable file of that name."""

    code = "tape_not_found"

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(path, f"cannot be opened ({reason}); check the name and its permissions")


class TapeInverseError(TapeError):
    """A tape's pair is counted in quote, which the simulated exchange cannot trade."""

    code = "tape_inverse"

    def __init__(self, path: Path, venue_symbol: str) -> None:
        self.venue_symbol = venue_symbol
        super().__init__(
            path,
            f"{venue_symbol} is a coin-margined contract, its sizes are no amounts of the base;"
            " give a recording of a spot or USD-margined pair",
        )


class NotATapeError(TapeError):
    """The file holds something else."""

    code = "not_a_tape"

    def __init__(self, path: Path, detail: str) -> None:
        super().__init__(
            path, f"is not a tape ({detail}); give recorded Binance frames or a file of `mrmarket record`"
        )


class TapeEmptyError(TapeError):
    """The tape holds no book to start from."""

    code = "tape_empty"

    def __init__(self, path: Path, detail: str) -> None:
        super().__init__(path, f"holds {detail}; record at least one book snapshot")


class TapeCutError(TapeError):
    """The file ends in the middle of a line or of its compression."""

    code = "tape_cut"

    def __init__(self, path: Path, line: int) -> None:
        super().__init__(path, "the file is cut off here; copy it again, or remove this line", line=line)


class TapeLineError(TapeError):
    """One line of the tape cannot be understood."""

    code = "tape_line"

    def __init__(self, path: Path, line: int, detail: str) -> None:
        self.detail = detail
        super().__init__(path, f"{detail}; repair or remove this line", line=line)


class TapeGapError(TapeError):
    """Updates are missing on the tape."""

    code = "tape_gap"

    def __init__(self, path: Path, line: int, gap: SequenceGapError) -> None:
        self.expected_id = gap.expected_id
        self.found_id = gap.found_id
        super().__init__(
            path,
            f"updates are missing between {gap.expected_id} and {gap.found_id};"
            " end the tape before this line, or record it again",
            line=line,
        )


class TapeVersionError(TapeError):
    """The tape was written by a newer release."""

    code = "tape_version"

    def __init__(self, path: Path, found: int, known: int) -> None:
        self.found = found
        self.known = known
        super().__init__(
            path, f"has format version {found} and this release reads up to {known}; update mrmarket"
        )


class TapeMixedError(TapeError):
    """Several pairs are on one tape."""

    code = "tape_mixed"

    def __init__(self, path: Path, line: int, wanted: str, found: str) -> None:
        self.wanted = wanted
        self.found = found
        super().__init__(
            path, f"holds {found} beside {wanted}; split it into one tape for each pair", line=line
        )
