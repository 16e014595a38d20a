"""Who is signed in, and how one signs in."""

from __future__ import annotations

from typing import Annotated

import msgspec

from mrmarket.services.api.money_schema.words import Name, Role


class SessionView(msgspec.Struct, kw_only=True):
    """Who is asking."""

    role: Role
    user: str | None = None
    """Account name without `user:`; null for visitors and the admin."""
    csrf: str | None = None
    """To be sent as `X-CSRF-Token` with everything that changes something."""
    expires_at_ms: int | None = None
    admin_needs_setup: bool = False
    """No password is set yet: the link that the terminal printed sets one."""
    demo: bool = False
    """The rail is the simulated one: wallets hold play money, and the server can sign for demo people."""


class NonceView(msgspec.Struct, kw_only=True):
    """What a wallet must sign (EIP-4361)."""

    nonce: str
    domain: str
    uri: str
    chain_id: int
    issued_at: str
    expires_at: str


class WalletSignIn(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A signed EIP-4361 message."""

    message: Annotated[str, msgspec.Meta(max_length=4096)]
    signature: Name


class AdminSignIn(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The owner's password."""

    password: Annotated[str, msgspec.Meta(max_length=256)]


class AdminSetup(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The first password, with the one-time token that the terminal printed."""

    token: Name
    password: Annotated[str, msgspec.Meta(max_length=256)]


class DemoPerson(msgspec.Struct, kw_only=True):
    """Somebody of the demo; the server holds their play wallet's key and signs for them."""

    name: str
    address: str


class DemoSignIn(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Which of the demo's people to be."""

    name: Name
