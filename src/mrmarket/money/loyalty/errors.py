"""Why a loyalty computation was refused; nothing is written when one of these is raised."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from mrmarket.core.errors import MrMarketError


class LoyaltyError(MrMarketError):
    """The root of this room's refusals."""

    code: ClassVar[str] = "loyalty"


class FileRefusedError(LoyaltyError):
    """An input file cannot be read as what it should be."""

    code = "corrupt_file"

    def __init__(self, path: Path, reason: str) -> None:
        self.path = path
        self.reason = reason
        super().__init__(f"{path}: {reason}; fetch the file again")


class CorruptEventError(LoyaltyError):
    """One event contradicts itself or lacks what an event must have."""

    code = "corrupt_event"

    def __init__(self, index: int, reason: str) -> None:
        self.index = index
        self.reason = reason
        super().__init__(f"event {index} (counted from 0): {reason}; fetch the events again")


class UnknownEventError(LoyaltyError):
    """An event of a kind whose effect on a position is not known."""

    code = "unknown_event"

    def __init__(self, index: int, kind: str, known: str) -> None:
        self.index = index
        self.kind = kind
        super().__init__(f"event {index} (counted from 0) is a {kind!r}; leave it out or give one of {known}")


class DuplicateEventError(LoyaltyError):
    """The same event was delivered twice."""

    code = "duplicate_event"

    def __init__(self, first: int, second: int, transaction: str, copies: int) -> None:
        self.first = first
        self.second = second
        self.transaction = transaction
        self.copies = copies
        super().__init__(
            f"event {second} repeats event {first} (transaction {transaction}; {copies} such copies in all); "
            "take the copies out, or count each once with --duplicates drop"
        )


class ConflictingEventError(LoyaltyError):
    """Two events claim the same place in the chain with different content."""

    code = "conflicting_event"

    def __init__(self, first: int, second: int, transaction: str, log_index: int) -> None:
        self.first = first
        self.second = second
        self.transaction = transaction
        self.log_index = log_index
        super().__init__(
            f"events {first} and {second} differ, yet both are log {log_index} of transaction {transaction}; "
            "fetch the events again"
        )


class LateEventError(LoyaltyError):
    """History before the state's last day is not what the state has counted."""

    code = "late_event"

    def __init__(self, through: str, counted: int, found: int) -> None:
        self.through = through
        self.counted = counted
        self.found = found
        super().__init__(
            f"the state counted {counted} events before {through}, the file now has {found} or others; "
            "an event came late or was taken back: compute from the start, without --state"
        )


class StateRefusedError(LoyaltyError):
    """A state file does not belong to this run."""

    code = "state_mismatch"

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"the state cannot be continued: {reason}; compute from the start, without --state")


class UnknownTokenError(LoyaltyError):
    """A token without any price."""

    code = "unknown_token"

    def __init__(self, token: str, known: str) -> None:
        self.token = token
        super().__init__(f"there are no prices of {token!r}; add them to the file, which has {known}")


class TokenNotYetKnownError(LoyaltyError):
    """An event that happened before its token had a price."""

    code = "token_not_yet_known"

    def __init__(self, token: str, event_day: str, first_quote: str) -> None:
        self.token = token
        self.event_day = event_day
        self.first_quote = first_quote
        super().__init__(
            f"{token} is held on {event_day}, but its first price is of {first_quote}; "
            "add the earlier prices or start later"
        )


class TokenConflictError(LoyaltyError):
    """A token was described in two ways."""

    code = "token_conflict"

    def __init__(self, token: str, first: object, second: object) -> None:
        self.token = token
        super().__init__(f"token {token} is described as {first} and as {second}; correct the events")


class PriceHoleError(LoyaltyError):
    """A day without a price near it."""

    code = "price_hole"

    def __init__(self, token: str, day: str, nearest: str, holes: int) -> None:
        self.token = token
        self.day = day
        self.nearest = nearest
        self.holes = holes
        super().__init__(
            f"no price of {token!r} within 12 hours of {day} (nearest: {nearest}; {holes} such days in all); "
            "add the prices, end earlier with --as-of, or take the nearest with --fill-holes"
        )


class CorruptPriceError(LoyaltyError):
    """A quote that is not a positive number at a time."""

    code = "corrupt_price"

    def __init__(self, token: str, index: int, reason: str) -> None:
        self.token = token
        self.index = index
        super().__init__(f"quote {index} of {token!r} (counted from 0): {reason}; fetch the prices again")


class DatesOutOfOrderError(LoyaltyError):
    """Two times that must follow each other do not."""

    code = "dates_out_of_order"

    def __init__(self, earlier: str, later: str, wanted: str) -> None:
        self.earlier = earlier
        self.later = later
        super().__init__(f"{later} does not come after {earlier}; {wanted}")


class AmountTooLargeError(LoyaltyError):
    """A position outgrew the integers it is computed in."""

    code = "amount_too_large"

    def __init__(self, what: str, limit: str) -> None:
        self.what = what
        super().__init__(f"{what} is beyond {limit}; check the token's decimals and price")


class FolderRefusedError(LoyaltyError):
    """The output folder holds something else."""

    code = "folder_not_empty"

    def __init__(self, path: Path, stranger: str) -> None:
        self.path = path
        self.stranger = stranger
        super().__init__(
            f"{path} holds {stranger}, which is not of this command; give a new folder with --out"
        )


class CannotWriteError(LoyaltyError):
    """The disk or the system refused a file."""

    code = "cannot_write"

    def __init__(self, path: Path, error: OSError) -> None:
        self.path = path
        super().__init__(
            f"{path} cannot be written ({error.strerror or error}); "
            "make room or give another place: what was there before stands"
        )
