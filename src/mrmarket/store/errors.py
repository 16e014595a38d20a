"""What can go wrong with a database, one class per thing a person would do about it."""

from __future__ import annotations

from pathlib import Path

from mrmarket.core.errors import MrMarketError

Place = Path | str
"""Where a database is: a file, or a server's address without its password."""


class StoreError(MrMarketError):
    """A database did not do what was asked; what it held before, it still holds."""

    code = "store_error"

    def __init__(self, path: Place, message: str) -> None:
        self.path = path
        super().__init__(f"{path}: {message}")


class DatabaseTooNewError(StoreError):
    """The database was written by a newer version of this program."""

    code = "database_too_new"

    def __init__(self, path: Place, found: str, known: str) -> None:
        self.found = found
        self.known = known
        super().__init__(
            path,
            f"has schema {found}, we know up to {known}; install a newer mrmarket, nothing was changed",
        )


class DatabaseForeignError(StoreError):
    """The file is a database of something else."""

    code = "database_foreign"

    def __init__(self, path: Place, wanted: str) -> None:
        self.wanted = wanted
        super().__init__(
            path, f"is not a {wanted} database of mrmarket; name another file, nothing was changed"
        )


class DatabaseMissingError(StoreError):
    """There is no database where one was to be read."""

    code = "database_missing"

    def __init__(self, path: Place) -> None:
        super().__init__(path, "does not exist; start an instance first or name another data directory")


class DatabaseFullError(StoreError):
    """The disk (or the database's quota) is full."""

    code = "database_full"
    retryable = True

    def __init__(self, path: Place) -> None:
        super().__init__(path, "the disk is full; free some space and try again, nothing was half written")


class DatabaseBusyError(StoreError):
    """Another process holds the database for longer than we wait."""

    code = "database_busy"
    retryable = True

    def __init__(self, path: Place) -> None:
        super().__init__(path, "another process is writing to it; stop that process or try again")


class DatabaseDamagedError(StoreError):
    """The file's structure or a record in it is not what was written."""

    code = "database_damaged"

    def __init__(self, path: Place, detail: str) -> None:
        self.detail = detail
        super().__init__(path, f"is damaged ({detail}); keep a copy and restore a backup")


class DatabaseUnavailableError(StoreError):
    """The file cannot be opened, read or written."""

    code = "database_unavailable"

    def __init__(self, path: Place, detail: str) -> None:
        self.detail = detail
        super().__init__(path, f"cannot be used ({detail}); check the path, its permissions and the disk")


class DatabaseDisconnectedError(StoreError):
    """The connection to the database's server was lost, and nothing was written."""

    code = "database_disconnected"
    retryable = True

    def __init__(self, path: Place, detail: str) -> None:
        self.detail = detail
        super().__init__(path, f"no connection ({detail}); nothing was written, check the server and repeat")


class CommitUnknownError(StoreError):
    """The connection was lost during a commit, and the server cannot be asked what became of it."""

    code = "commit_unknown"

    def __init__(self, path: Place) -> None:
        super().__init__(
            path,
            "the connection was lost during a commit and could not be made again: it may have happened or"
            " not; when the server is back, open the database anew and repeat the request under the same key",
        )


class DriverMissingError(MrMarketError):
    """PostgreSQL was asked for and its driver is not installed."""

    code = "driver_missing"

    def __init__(self) -> None:
        super().__init__("PostgreSQL needs its driver; install it with: pip install 'mrmarket[postgres]'")


class LeaseHeldError(StoreError):
    """Somebody else holds the lease and it has not run out."""

    code = "lease_held"
    retryable = True

    def __init__(self, path: Place, name: str, owner: str, expires_ns: int) -> None:
        self.name = name
        self.owner = owner
        self.expires_ns = expires_ns
        super().__init__(
            path, f"lease {name!r} is held by {owner!r}; stop that process or wait until it runs out"
        )


class StaleFenceError(StoreError):
    """A newer owner took the lease: everything this owner writes is refused."""

    code = "stale_fence"

    def __init__(self, path: Place, name: str, held: int) -> None:
        self.name = name
        self.held = held
        super().__init__(
            path, f"lease {name!r} is no longer held with fence {held}; stop, another process took over"
        )


class DuplicateIntentError(StoreError):
    """A client order id was used before."""

    code = "duplicate_intent"

    def __init__(self, path: Place, client_order_id: str) -> None:
        self.client_order_id = client_order_id
        super().__init__(path, f"order {client_order_id!r} is written already; take the next sequence number")


class UnknownIntentError(StoreError):
    """A report came for an order that was never written down."""

    code = "unknown_intent"

    def __init__(self, path: Place, client_order_id: str) -> None:
        self.client_order_id = client_order_id
        super().__init__(path, f"order {client_order_id!r} is not in the journal; record its intent first")


class StaleRevisionError(StoreError):
    """A run's specification is there already in this revision or a later one."""

    code = "stale_revision"

    def __init__(self, path: Place, run: str, revision: int) -> None:
        self.run = run
        self.revision = revision
        super().__init__(
            path, f"run {run!r} has revision {revision} already; read it again and change what is there now"
        )
