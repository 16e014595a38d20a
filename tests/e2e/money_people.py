"""People of the demo, as their browsers would be: a session each, over the real API."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Callable
from typing import Any
from urllib.error import HTTPError


class Person:
    """A session with an instance; signs in by name as the demo's page does."""

    def __init__(self, url: str, name: str | None = None) -> None:
        assert url.startswith("http://127.0.0.1:")
        self._url = url
        self._cookie = ""
        self._csrf = ""
        if name is not None:
            self._csrf = self.post("auth/demo", {"name": name})["csrf"]

    def get(self, path: str) -> Any:
        """Read something; an HTTP error is raised."""
        return self._ask("GET", path, None)

    def post(self, path: str, body: object = None) -> Any:
        """Change something; an HTTP error is raised."""
        return self._ask("POST", path, body)

    def refusal(self, path: str, body: object = None) -> tuple[int, str]:
        """Status and code of a change that must be refused."""
        try:
            self._ask("POST", path, body)
        except HTTPError as refused:
            return refused.code, json.load(refused)["code"]
        raise AssertionError(f"{path} was not refused")

    def until(self, path: str, holds: Callable[[Any], object], timeout_s: float = 180.0) -> Any:
        """Look again and again until what is there holds."""
        deadline = time.monotonic() + timeout_s
        while True:
            seen = self.get(path)
            if holds(seen):
                return seen
            assert time.monotonic() < deadline, f"{path} never came to it: {seen}"
            time.sleep(0.2)

    def _ask(self, method: str, path: str, body: object) -> Any:
        headers = {"Cookie": self._cookie, "X-CSRF-Token": self._csrf}
        content = None
        if body is not None:
            headers["Content-Type"] = "application/json"
            content = json.dumps(body).encode()
        request = urllib.request.Request(  # noqa: S310 - a loopback address, see above
            f"{self._url}/api/v1/{path}", data=content, headers=headers, method=method
        )
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - the same
            if cookie := answer.headers.get("set-cookie"):
                self._cookie = cookie.partition(";")[0]
            return json.load(answer)
