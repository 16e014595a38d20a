"""`[notify]`: who hears of what."""

from __future__ import annotations

from typing import Annotated

import msgspec

from mrmarket.core.notice import Severity


class NotifySection(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[notify]`: who hears of what. Addresses and tokens come from the environment, never from the file.

    A way whose variables are not set is off.
    """

    severity: Severity = Severity.WARNING
    """Lighter news stay in the log."""
    quiet_s: Annotated[int, msgspec.Meta(ge=0, le=86_400)] = 900
    """The same news is not told again for so long, unless it got worse."""
    per_minute: Annotated[int, msgspec.Meta(ge=1, le=600)] = 6
    """More than these wait for a digest; critical ones have as many of their own."""
    venue_silent_s: Annotated[int, msgspec.Meta(ge=5, le=3_600)] = 30
    """A venue or a book that is gone for longer is news."""
    webhook_url_env: str = "MRMARKET_WEBHOOK_URL"
    webhook_secret_env: str = "MRMARKET_WEBHOOK_SECRET"  # noqa: S105 - the name of a variable, not a secret
    """Signs each message; a webhook without it is refused."""
    telegram_token_env: str = "MRMARKET_TELEGRAM_TOKEN"  # noqa: S105 - the same
    telegram_chat_env: str = "MRMARKET_TELEGRAM_CHAT"
    telegram_url: str = "https://api.telegram.org"
    """Another host that speaks the Bot API."""
