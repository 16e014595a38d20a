"""The demo's people: wallets with well-known keys, for play money only."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from mrmarket.services.access.wallet import signed_digest

DEMO_WALLETS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "alice": "0x1B15d6fC92708c50E6f828EEA0f3781948D61272",
        "bob": "0x54C13D942fF3ca3183E1cDf0959af6ee604aaF4E",
        "carol": "0x94cAef4e63F2e4cb6F430Ae91Dd672c154301912",
    }
)
"""Name to address. The founders of the demo pool, and whoever can read this file, hold their keys."""


def play_key(name: str) -> bytes:
    """The private key of a demo wallet: no secret, and worth nothing where money is real."""
    return hashlib.sha256(f"mrmarket demo wallet: {name}".encode()).digest()


def demo_name(address: str) -> str | None:
    """Whose demo wallet an address is; None if it is nobody's. Compared without regard to case."""
    wanted = address.lower()
    return next((name for name, known in DEMO_WALLETS.items() if known.lower() == wanted), None)


def demo_signature(name: str, text: str) -> str:
    """Sign a text as a demo person's wallet would (EIP-191)."""
    from eth_keys.datatypes import PrivateKey  # noqa: PLC0415 - loads a crypto library that only the demo needs

    made = PrivateKey(play_key(name)).sign_msg_hash(signed_digest(text)).to_bytes()
    return f"0x{made[:64].hex()}{made[64] + 27:02x}"
