"""`[keys]` of the configuration."""

from __future__ import annotations

import msgspec


class KeysSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[keys]`: where the master key comes from, and what exchange keys may be."""

    key_file: str = ""
    """File with the master key; empty: `MRMARKET_KEY`, then systemd's credentials, then a prompt."""
    allow_withdraw_key: bool = False
    """Whether a key that may withdraw is used all the same."""
