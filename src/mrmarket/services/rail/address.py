"""Addresses of the simulated network: `0x` and 40 hex digits, as on Ethereum, kept in lower case."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from typing import Final

_ADDRESS: Final = re.compile(r"0[xX][0-9a-fA-F]{40}", re.ASCII)
_VENUE: Final = re.compile(r"venue:[a-zA-Z0-9_.-]{1,40}", re.ASCII)
_BYTES: Final = 20


def canonical_address(text: str) -> str | None:
    """The address in lower case; None for anything else, a wrong EIP-55 check sum included.

    Letters of one case only carry no check sum. Source: https://eips.ethereum.org/EIPS/eip-55
    """
    if not _ADDRESS.fullmatch(text):
        return None
    digits = text[2:]
    lower = digits.lower()
    if digits in (lower, digits.upper()):
        return f"0x{lower}"
    return f"0x{lower}" if digits == _checksummed(lower) else None


def checksum_address(address: str) -> str:
    """An address with the check sum of EIP-55 in its letters, for people to read."""
    return f"0x{_checksummed(address[2:].lower())}"


def canonical_destination(text: str) -> str | None:
    """Where money can be sent: an address, or `venue:` and the name of an account there."""
    return text if _VENUE.fullmatch(text) else canonical_address(text)


def is_venue(destination: str) -> bool:
    """Whether money sent there goes into an account of the trading venue."""
    return destination.startswith("venue:")


def new_address(token: Callable[[int], str] = secrets.token_hex) -> str:
    """Draw an address that nobody has."""
    return f"0x{token(_BYTES)}"


def _checksummed(lower: str) -> str:
    from eth_hash.auto import keccak  # noqa: PLC0415 - a backend is loaded, wanted only for mixed case

    digest = keccak(lower.encode()).hex()
    return "".join(
        digit.upper() if int(nibble, 16) > 7 else digit  # noqa: PLR2004 - the rule of EIP-55
        for digit, nibble in zip(lower, digest, strict=False)
    )
