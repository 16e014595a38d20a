"""Notices by Telegram's Bot API (https://core.telegram.org/bots/api#sendmessage)."""

from __future__ import annotations

import re
from typing import Final

import msgspec

from mrmarket.core.notice import Notice, Severity
from mrmarket.services.notify.delivery import NotifyConfigError
from mrmarket.services.notify.webhook import HttpPost

_LONGEST: Final = 4_096
"""Characters that the Bot API takes in one message."""
_TOKEN: Final = re.compile(r"[0-9]+:[A-Za-z0-9_\-]+")


class Telegram:
    """Sends each notice as plain text to one chat. What is only informative makes no sound."""

    name = "telegram"

    def __init__(self, url: str, token: str, chat: str, instance: str) -> None:
        if not _TOKEN.fullmatch(token):
            raise NotifyConfigError("that is no bot token; @BotFather gives one such as 123456:ABC…")
        self._url = f"{url.rstrip('/')}/bot{token}/sendMessage"
        self._chat = chat
        self._instance = instance
        self._http = HttpPost(self.name)

    async def send(self, notice: Notice) -> None:
        """Send one message."""
        text = f"[{notice.severity.value}] {self._instance}: {notice.title}"
        if notice.text:
            text = f"{text}\n{notice.text}"
        body = {
            "chat_id": self._chat,
            "text": text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…",
            "disable_notification": notice.severity is Severity.INFO,
            "link_preview_options": {"is_disabled": True},
        }
        await self._http.post(self._url, msgspec.json.encode(body), {"Content-Type": "application/json"})

    async def close(self) -> None:
        """Hang up."""
        await self._http.close()
