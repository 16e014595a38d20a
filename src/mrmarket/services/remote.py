"""Reads a running instance over its own API, for the command line."""

from __future__ import annotations

import urllib.request
from http.client import HTTPException
from pathlib import Path
from typing import TypeVar
from urllib.error import HTTPError

import msgspec

from mrmarket.core.errors import MrMarketError
from mrmarket.services.access.owner_token import read_owner_token
from mrmarket.services.api.schema import InstanceStatus, PerformanceView, PoolView, Problem
from mrmarket.services.data_directory import DataDirectory, NotRunningError

T = TypeVar("T")


class RemoteRefusedError(MrMarketError):
    """The instance is there and says no."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.code = problem.code  # type: ignore[misc] # the refusal's own code, not this class's
        self.retryable = problem.retryable  # type: ignore[misc] # the same
        super().__init__(problem.message)


_READ_S = 5.0
_CHANGE_S = 30.0
"""Longer than pausing takes, which answers when every cancel is proven or its time is up."""


class RemoteInstance:
    """An instance at a URL; with the owner's token it shows and does what the owner may."""

    def __init__(self, url: str, token: str | None = None) -> None:
        self.url = url.rstrip("/")
        self._token = token

    @classmethod
    def of(cls, data: Path) -> RemoteInstance:
        """The instance that holds a data folder; raises NotRunningError."""
        found = DataDirectory(data).whereabouts()
        if found is None:
            raise NotRunningError(f"on {data}")
        return cls(found.url, read_owner_token(data))

    def status(self) -> InstanceStatus:
        """How it is doing."""
        return self.read("instance", InstanceStatus)

    def performance(self) -> PerformanceView:
        """What its trading has done."""
        return self.read("performance", PerformanceView)

    def pool(self) -> PoolView:
        """Its pool by the ledger."""
        return self.read("pool", PoolView)

    def start(self) -> InstanceStatus:
        """Resume quoting; the owner's."""
        return self._ask("instance/start", InstanceStatus, change=True)

    def stop(self) -> InstanceStatus:
        """Cancel every quote and stay paused; the owner's."""
        return self._ask("instance/stop", InstanceStatus, change=True)

    def read(self, path: str, kind: type[T]) -> T:
        """Any read below `/api/v1/`, by its type.

        Raises:
            NotRunningError: nobody of ours answers there.
            RemoteRefusedError: with the refusal's own code and sentence.
        """
        return self._ask(path, kind, change=False)

    def change(self, path: str, kind: type[T], body: object = None) -> T:
        """Anything below `/api/v1/` that changes something. Raises as `read`."""
        return self._ask(path, kind, change=True, body=body)

    def _ask(self, path: str, kind: type[T], *, change: bool, body: object = None) -> T:
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        limit_s = _CHANGE_S if change else _READ_S
        content = None if body is None else msgspec.json.encode(body)
        if content is not None:
            headers["Content-Type"] = "application/json"
        try:
            request = urllib.request.Request(  # noqa: S310 - our own http URL
                f"{self.url}/api/v1/{path}",
                data=content,
                headers=headers,
                method="POST" if change else "GET",
            )
            with urllib.request.urlopen(request, timeout=limit_s) as answer:  # noqa: S310 # nosec B310 # http only
                return msgspec.json.decode(answer.read(), type=kind)
        except HTTPError as refused:
            raise self._refusal(refused) from None
        except (OSError, ValueError, HTTPException, msgspec.MsgspecError, RecursionError):
            # Nobody, somebody else, or no address at all.
            raise NotRunningError(f"at {self.url}") from None

    def _refusal(self, refused: HTTPError) -> MrMarketError:
        try:
            problem = msgspec.json.decode(refused.read(), type=Problem)
        except (OSError, HTTPException, msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
            return NotRunningError(f"at {self.url}")
        return RemoteRefusedError(problem)
