"""A way for notices, and what may go wrong on it."""

from __future__ import annotations

import hashlib
from typing import Protocol

import msgspec

from mrmarket.core.errors import MrMarketError
from mrmarket.core.notice import Notice


class DeliveryError(MrMarketError):
    """A notice did not reach whoever should hear of it. The message never names an address or a token."""

    code = "notice_not_delivered"

    def __init__(self, way: str, problem: str, *, may_retry: bool, retry_after_s: float = 0.0) -> None:
        self.way = way
        self.problem = problem
        self.may_retry = may_retry
        self.retry_after_s = retry_after_s
        super().__init__(f"{way}: {problem}; check [notify] and try: mrmarket notify test")


class NotifyConfigError(MrMarketError):
    """A way for notices is half configured."""

    code = "notify_refused"

    def __init__(self, problem: str) -> None:
        self.problem = problem
        super().__init__(f"[notify]: {problem}")


class Way(Protocol):
    """One way to a person."""

    name: str

    async def send(self, notice: Notice) -> None:
        """Deliver a notice once; raises DeliveryError. Sending one twice must be recognisable by its id."""
        ...

    async def close(self) -> None:
        """Hang up."""
        ...


def notice_id(notice: Notice) -> str:
    """A name for exactly this notice: the same for each attempt to send it."""
    return hashlib.sha256(msgspec.json.encode(notice, order="deterministic")).hexdigest()[:32]
