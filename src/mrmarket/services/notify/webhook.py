"""Notices by HTTP POST, signed."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
import msgspec

from mrmarket.core.clock import NS_PER_S, Clock
from mrmarket.core.notice import Notice
from mrmarket.services.notify.delivery import DeliveryError, NotifyConfigError, notice_id

SIGNATURE: Final = "X-MrMarket-Signature"
_TIMEOUT_S: Final = 5.0
_OK: Final = range(200, 300)
_MAY_PASS: Final = frozenset({408, 425, 429, *range(500, 600)})
_LONGEST_ANSWER: Final = 4_096


def sign(secret: str, sent_s: int, body: bytes) -> str:
    """The signature header's value: `t=<UTC seconds>,v1=<HMAC-SHA256 of "t.body" in hexadecimal>`."""
    digest = hmac.new(secret.encode(), b"%d." % sent_s + body, hashlib.sha256).hexdigest()
    return f"t={sent_s},v1={digest}"


class Webhook:
    """Posts each notice as a JSON object with an `Idempotency-Key`, which is the same for every attempt."""

    name = "webhook"

    def __init__(self, url: str, secret: str, instance: str, clock: Clock) -> None:
        if urlsplit(url).scheme not in {"http", "https"}:
            raise NotifyConfigError("the webhook's address must begin with https:// or http://")
        self._url = url
        self._secret = secret
        self._instance = instance
        self._clock = clock
        self._http = HttpPost(self.name)

    async def send(self, notice: Notice) -> None:
        """Post it; anything but 2xx is a failure."""
        body = msgspec.json.encode(
            {"id": notice_id(notice), "instance": self._instance, **msgspec.to_builtins(notice)}
        )
        headers = {
            "Content-Type": "application/json",
            "Idempotency-Key": notice_id(notice),
            SIGNATURE: sign(self._secret, self._clock.now_ns() // NS_PER_S, body),
        }
        await self._http.post(self._url, body, headers)

    async def close(self) -> None:
        """Hang up."""
        await self._http.close()


class HttpPost:
    """POST requests whose failures say neither address nor content."""

    def __init__(self, way: str) -> None:
        self._way = way
        self._session: aiohttp.ClientSession | None = None

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> None:
        """Send once.

        Raises:
            DeliveryError: no answer, or another than 2xx; redirects are not followed.
        """
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_TIMEOUT_S))
        try:
            async with self._session.post(url, data=body, headers=headers, allow_redirects=False) as answer:
                if answer.status in _OK:
                    return
                text = await answer.content.read(_LONGEST_ANSWER)
                raise DeliveryError(
                    self._way,
                    f"it answered {answer.status}",
                    may_retry=answer.status in _MAY_PASS,
                    retry_after_s=_retry_after_s(answer.headers.get("Retry-After", ""), text),
                )
        except TimeoutError:
            raise DeliveryError(self._way, f"no answer within {_TIMEOUT_S:.0f} s", may_retry=True) from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            # The text of the error would name the address, which may be a secret.
            problem = f"it cannot be reached ({type(error).__name__})"
            raise DeliveryError(
                self._way, problem, may_retry=isinstance(error, OSError | aiohttp.ClientError)
            ) from None

    async def close(self) -> None:
        """Hang up; closing twice is harmless."""
        if self._session is not None:
            await self._session.close()
            self._session = None


def _retry_after_s(header: str, body: bytes) -> float:
    """What the other side asks for: the header in seconds, or Telegram's `parameters.retry_after`."""
    if header.strip().isdigit():
        return float(header)
    try:
        told: Any = msgspec.json.decode(body)
        return max(0.0, float(told["parameters"]["retry_after"]))
    except (msgspec.DecodeError, KeyError, TypeError, ValueError, RecursionError):
        return 0.0
