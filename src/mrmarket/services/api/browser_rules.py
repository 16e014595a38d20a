"""What every answer tells a browser to leave alone."""

from __future__ import annotations

from typing import Final

EVERYWHERE: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
"""Pages, their files and the API."""

OF_API: Final = (
    *EVERYWHERE,
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cache-control", b"no-store"),
)
"""What the API says is for nobody's cache and no frame."""

STRICT_TRANSPORT: Final = (b"strict-transport-security", b"max-age=31536000")
"""Where people come over https."""
