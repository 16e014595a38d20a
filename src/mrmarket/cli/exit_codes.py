"""What the command's exit status means; stable, and shown in `mrmarket --help`."""

from __future__ import annotations

from enum import IntEnum

from mrmarket.core.errors import MrMarketError
from mrmarket.services.child_process import ChildProcessFailedError
from mrmarket.services.data_directory import DataDirectoryError, LedgerBrokenError
from mrmarket.services.keys.errors import KeyFileError
from mrmarket.store.errors import DatabaseMissingError, StoreError


class ExitCode(IntEnum):
    """0 is success; everything else names a kind of trouble."""

    OK = 0
    CHECK_FAILED = 1
    """A check ran and said no (ledger does not verify, doctor found a fault)."""
    REFUSED = 2
    """Bad input: a wrong option, config, tape or pair. Nothing was changed."""
    UNAVAILABLE = 3
    """Something needed is not there now: no running instance, port in use, venue down."""
    DATA = 4
    """The data directory cannot be used: newer version, full disk, damage. It was left as it was."""
    INTERNAL = 70
    """A fault of ours, or of a plug-in that the line names; --debug shows where."""
    INTERRUPTED = 130


def exit_code_of(error: MrMarketError) -> ExitCode:
    """The exit status for an error of ours."""
    if isinstance(error, ChildProcessFailedError) and error.status in set(ExitCode) - {ExitCode.OK}:
        return ExitCode(error.status)
    if isinstance(error, DatabaseMissingError):
        return ExitCode.REFUSED
    if isinstance(error, StoreError | DataDirectoryError | LedgerBrokenError | KeyFileError):
        return ExitCode.DATA
    return ExitCode.UNAVAILABLE if error.retryable else ExitCode.REFUSED
