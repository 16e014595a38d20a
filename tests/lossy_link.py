"""A connection to PostgreSQL that can be cut at the moment of a statement, as networks do it."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from enum import StrEnum
from types import TracebackType
from typing import Self

from psycopg import conninfo


class Cut(StrEnum):
    """Where the link breaks when the statement that is watched for passes, once."""

    NEVER = "never"
    BEFORE = "before"
    """The server never sees it."""
    AFTER = "after"
    """The server carries it out, and its answer is lost."""
    FOR_GOOD = "for good"
    """The server carries it out, and the link does not come back."""


class LossyLink:
    """Passes bytes between clients and a server until it is told to break."""

    def __init__(self, address: str, watched: bytes = b"COMMIT") -> None:
        self._watched = watched
        self._upstream = conninfo.conninfo_to_dict(address)
        self._door = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self.cut = Cut.NEVER
        self.address = conninfo.make_conninfo(
            address,
            host="127.0.0.1",
            port=self._door.getsockname()[1],
            sslmode="disable",
            gssencmode="disable",
        )
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._door.close()
        for end in self._open:
            end.close()

    def _accept(self) -> None:
        with suppress(OSError):  # the door is closed
            while True:
                client, _ = self._door.accept()
                server = self._connect()
                self._open += [client, server]
                threading.Thread(target=self._forward, args=(client, server), daemon=True).start()
                threading.Thread(target=self._pass, args=(server, client), daemon=True).start()

    def _connect(self) -> socket.socket:
        host, port = str(self._upstream["host"]), int(self._upstream.get("port") or 5432)
        if host.startswith("/"):
            server = socket.socket(socket.AF_UNIX)
            server.connect(f"{host}/.s.PGSQL.{port}")
            return server
        return socket.create_connection((host, port))

    def _forward(self, client: socket.socket, server: socket.socket) -> None:
        """From the client to the server, with an eye on what passes."""
        with suppress(OSError):
            while data := client.recv(65_536):
                cut = self.cut if self._watched in data else Cut.NEVER
                if cut is not Cut.NEVER:
                    self.cut = Cut.NEVER
                    if cut is Cut.FOR_GOOD:
                        self._door.shutdown(socket.SHUT_RDWR)
                        self._door.close()
                    client.shutdown(socket.SHUT_RDWR)  # nothing the server says from here on arrives
                    if cut is Cut.BEFORE:
                        break
                server.sendall(data)
                if cut is not Cut.NEVER:
                    break
        with suppress(OSError):
            server.shutdown(socket.SHUT_WR)

    @staticmethod
    def _pass(server: socket.socket, client: socket.socket) -> None:
        with suppress(OSError):
            while data := server.recv(65_536):
                client.sendall(data)
        for end in (server, client):
            with suppress(OSError):
                end.close()
