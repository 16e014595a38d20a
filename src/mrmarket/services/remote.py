"""Reads a running instance over its own API, for the command line."""

from __future__ import annotations

import urllib.request
from http.client import HTTPException
from pathlib import Path
from typing import TypeVar

import msgspec

from mrmarket.services.api.schema import InstanceStatus, PerformanceView, PoolView
from mrmarket.services.data_directory import DataDirectory, NotRunningError

T = TypeVar("T")
_TIMEOUT_S = 5.0


class RemoteInstance:
    """An instance at a URL."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")

    @classmethod
    def of(cls, data: Path) -> RemoteInstance:
        """The instance that holds a data folder; raises NotRunningError."""
        found = DataDirectory(data).whereabouts()
        if found is None:
            raise NotRunningError(f"on {data}")
        return cls(found.url)

    def status(self) -> InstanceStatus:
        """How it is doing."""
        return self._read("instance", InstanceStatus)

    def performance(self) -> PerformanceView:
        """What its trading has done."""
        return self._read("performance", PerformanceView)

    def pool(self) -> PoolView:
        """Its pool by the ledger."""
        return self._read("pool", PoolView)

    def _read(self, path: str, kind: type[T]) -> T:
        try:
            with urllib.request.urlopen(f"{self.url}/api/v1/{path}", timeout=_TIMEOUT_S) as answer:  # noqa: S310 - our own http URL
                return msgspec.json.decode(answer.read(), type=kind)
        except (OSError, ValueError, HTTPException, msgspec.MsgspecError):
            # Nobody, somebody else, or no address at all.
            raise NotRunningError(f"at {self.url}") from None
