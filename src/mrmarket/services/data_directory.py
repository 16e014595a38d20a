"""The folder an instance keeps its databases in, held by one process at a time."""

from __future__ import annotations

import fcntl
import os
import shutil
from pathlib import Path
from typing import IO, Self

import msgspec

from mrmarket.core.clock import SystemClock
from mrmarket.core.errors import MrMarketError
from mrmarket.core.ids import uuid7
from mrmarket.core.whole_file import make_whole, replace_whole
from mrmarket.services.store_address import StoreAddress
from mrmarket.store.errors import Place


class InstanceBusyError(MrMarketError):
    """Another process holds the data folder."""

    code = "instance_busy"
    retryable = True

    def __init__(self, path: Path, holder: str) -> None:
        self.path = path
        self.holder = holder
        super().__init__(
            f"another instance ({holder}) uses {path}; stop it, or start this one with another --data folder"
        )


class DataDirectoryError(MrMarketError):
    """The data folder cannot be used."""

    code = "data_folder_refused"

    def __init__(self, path: Path, problem: str) -> None:
        self.path = path
        super().__init__(f"{path}: {problem}; give another folder with --data")


class ForeignFolderError(MrMarketError):
    """The data folder holds the books of another pair or venue."""

    code = "foreign_folder"

    def __init__(self, path: Path, holds: str, wanted: str) -> None:
        self.path = path
        self.holds = holds
        self.wanted = wanted
        super().__init__(
            f"{path} holds the books of {holds}, not of {wanted}; give another folder with --data"
        )


class LedgerBrokenError(MrMarketError):
    """The books do not add up."""

    code = "ledger_broken"

    def __init__(self, path: Place, reason: str) -> None:
        self.path = path
        self.reason = reason
        super().__init__(
            f"{path}: the ledger does not verify ({reason});"
            " keep a copy of it and restore the last good backup"
        )


class NotRunningError(MrMarketError):
    """No instance answers."""

    code = "not_running"
    retryable = True

    def __init__(self, where: str) -> None:
        self.where = where
        super().__init__(f"no instance is running {where}; start one with: mrmarket run")


class Whereabouts(msgspec.Struct, frozen=True):
    """How to reach the instance that holds a folder."""

    url: str
    pid: int


class DataDirectory:
    """Names the files of an instance and keeps a second instance out while entered.

    A start that is refused leaves nothing behind in a folder that was new: what was made in it before
    `keep` goes again if it is left with an error.
    """

    def __init__(self, root: Path, store_url: str = "") -> None:
        """Touches nothing.

        Args:
            root: the folder.
            store_url: a PostgreSQL address where the books are there and not in the folder.
        """
        self.root = root
        self.store = StoreAddress(root, store_url)
        self.trading_db = root / "trading.db"
        self.money_db = root / "money.db"
        self.control_db = root / "control.db"
        self.venue_state = root / "venue"
        self._whereabouts = root / "instance.json"
        self._lock: IO[str] | None = None
        self._was_there = False
        self._disposable = False

    def __enter__(self) -> Self:
        try:
            self._was_there = self.root.exists()
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._disposable = not any(self.root.iterdir())
            self._lock = (self.root / "instance.lock").open("a+", encoding="ascii")
        except OSError as error:
            raise DataDirectoryError(self.root, error.strerror or str(error)) from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.close()
            self._disposable = False
            found = self.whereabouts()
            raise InstanceBusyError(self.root, f"process {found.pid}" if found else "unknown") from None
        return self

    def __exit__(self, refused: type[BaseException] | None, *_: object) -> None:
        self._whereabouts.unlink(missing_ok=True)
        if self._disposable and refused is not None:
            self._clear()
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def keep(self) -> None:
        """From now on the folder holds something of worth; to be called before the first order."""
        self._disposable = False

    def require_current(self) -> None:
        """Look at the databases before anything is touched.

        Raises:
            StoreError: one is of a newer version, of another program, or damaged.
        """
        self.store.require_current()

    def instance_id(self) -> str:
        """This instance's own name, made once; it stays with the folder, and our order ids carry it."""
        file = self.root / "instance.id"
        if not file.exists():
            # Never an empty one: it would stay so, and every order of ours would go by no name.
            make_whole(file, str(uuid7(SystemClock())).encode("ascii"))
        return file.read_text(encoding="ascii").strip()

    def announce(self, url: str) -> None:
        """Write down where this instance can be reached, for `mrmarket status`."""
        replace_whole(self._whereabouts, msgspec.json.encode(Whereabouts(url, os.getpid())))

    def whereabouts(self) -> Whereabouts | None:
        """Where the instance that holds this folder said it is; None if nobody said anything readable."""
        try:
            return msgspec.json.decode(self._whereabouts.read_bytes(), type=Whereabouts)
        except (OSError, msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
            return None

    def _clear(self) -> None:
        """Empty the folder, and remove it if it is ours; the lock is still held."""
        for path in self.root.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
        if not self._was_there:
            self.root.rmdir()
