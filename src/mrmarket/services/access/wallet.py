"""Proof that somebody holds a wallet's key: nonces, and the check of a signed message."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable
from typing import Final

from mrmarket.core.clock import NS_PER_MS, Clock
from mrmarket.services.access import siwe
from mrmarket.services.access.errors import SignInRefusedError
from mrmarket.services.access.identity import Site

NONCE_MS: Final = 600_000
"""How long a nonce may be signed."""

_SKEW_MS: Final = 60_000
"""By how much the signer's clock may be ahead of ours."""

_SIGNATURE: Final = re.compile(r"0x[0-9A-Fa-f]{128}(?:00|01|1[bB]|1[cC])")
"""r, s and v; the transactions' form of v, with a chain in it, is no message's."""
_STAMP_CHARS: Final = 12
_SALT_BYTES: Final = 10
_MAC_CHARS: Final = 32
_NONCE_CHARS: Final = _STAMP_CHARS + 2 * _SALT_BYTES + _MAC_CHARS


class Nonces:
    """Numbers used once.

    A nonce carries its own time and a code over it that only this process can make, so that asking for
    a million of them fills nothing; what is remembered are the ones that somebody signed in with, until
    they expire. A restart makes all earlier ones worthless.
    """

    def __init__(self, clock: Clock, entropy: Callable[[int], bytes]) -> None:
        self._clock = clock
        self._entropy = entropy
        self._key = entropy(32)
        self._used: dict[str, int] = {}

    def issue(self) -> tuple[str, int]:
        """(nonce of letters and digits, when it expires as UTC ms)."""
        now_ms = self._now_ms()
        body = f"{now_ms:0{_STAMP_CHARS}x}{self._entropy(_SALT_BYTES).hex()}"
        return body + self._code(body), now_ms + NONCE_MS

    def use(self, nonce: str) -> None:
        """Use it up.

        Raises:
            SignInRefusedError: not ours, expired, or used before.
        """
        now_ms = self._now_ms()
        body, code = nonce[:-_MAC_CHARS], nonce[-_MAC_CHARS:]
        ours = len(nonce) == _NONCE_CHARS and hmac.compare_digest(code.encode(), self._code(body).encode())
        if not ours or now_ms >= int(body[:_STAMP_CHARS], 16) + NONCE_MS:
            raise SignInRefusedError("the nonce is not of this instance or has expired; sign in again")
        if nonce in self._used:
            raise SignInRefusedError("this nonce was used before; sign in again")
        self._used = {used: until_ms for used, until_ms in self._used.items() if until_ms > now_ms}
        self._used[nonce] = now_ms + NONCE_MS

    def _code(self, body: str) -> str:
        return hmac.new(self._key, body.encode(), hashlib.sha256).hexdigest()[:_MAC_CHARS]

    def _now_ms(self) -> int:
        return self._clock.now_ns() // NS_PER_MS


class WalletCheck:
    """Checks a signed EIP-4361 message; only wallets with a key of their own (no ERC-1271 contracts)."""

    def __init__(self, clock: Clock, nonces: Nonces, chain_ids: frozenset[int]) -> None:
        self._clock = clock
        self._nonces = nonces
        self._chain_ids = chain_ids

    def signer(self, text: str, signature: str, site: Site) -> str:
        """The address that signed, with its checksum. Milliseconds of work; call it from a worker thread.

        Raises:
            SignInRefusedError: and the nonce is not used up, unless it was the signature that was right.
        """
        message = siwe.parse(text)
        self._check_fields(message, site)
        if checksum_address(message.address) != message.address:
            raise SignInRefusedError("the address has a wrong checksum (EIP-55); let the wallet sign again")
        if not _SIGNATURE.fullmatch(signature):
            raise SignInRefusedError("the signature is not 0x and 65 bytes in hex; let the wallet sign again")
        if _recovered(text, bytes.fromhex(signature[2:])) != message.address:
            raise SignInRefusedError("the signature is not of this address and this text; sign again")
        self._nonces.use(message.nonce)
        return message.address

    def _check_fields(self, message: siwe.SignInMessage, site: Site) -> None:
        now_ms = self._clock.now_ns() // NS_PER_MS
        if message.domain != site.domain or message.scheme not in {None, site.scheme}:
            raise SignInRefusedError(f"the message is for {message.domain}, this is {site.domain}")
        if message.uri != site.origin and not message.uri.startswith(f"{site.origin}/"):
            raise SignInRefusedError(f"the message's URI is not of {site.origin}")
        if message.chain_id not in self._chain_ids:
            known = ", ".join(map(str, sorted(self._chain_ids)))
            raise SignInRefusedError(f"the wallet is on chain {message.chain_id}; switch it to {known}")
        issued_ms = siwe.moment_ms(message.issued_at)
        if not now_ms - NONCE_MS <= issued_ms <= now_ms + _SKEW_MS:
            raise SignInRefusedError("the message was not issued just now; check the clock and sign in again")
        if message.expiration_time is not None and siwe.moment_ms(message.expiration_time) <= now_ms:
            raise SignInRefusedError("the message has expired; sign in again")
        if message.not_before is not None and siwe.moment_ms(message.not_before) > now_ms:
            raise SignInRefusedError("the message is not valid yet; check the clock and sign in again")


def checksum_address(address: str) -> str:
    """An address of 40 hex digits in the capitals of EIP-55."""
    from eth_utils.crypto import keccak  # noqa: PLC0415 - loads a crypto library that few requests need

    digits = address[2:].lower()
    digest = keccak(text=digits).hex()
    capitals = (
        digit.upper() if int(nibble, 16) >= 8 else digit  # noqa: PLR2004 - EIP-55's own number
        for digit, nibble in zip(digits, digest, strict=False)
    )
    return f"0x{''.join(capitals)}"


def signed_digest(text: str) -> bytes:
    """What a wallet signs for a text (EIP-191, version 0x45).

    `eth_account` would do this and the recovery as well, but importing it raises the interpreter's recursion
    limit to 100,000 for everybody (its `py_ecc` does); then a body of brackets overflows the stack of the
    JSON decoder, which ends the process.
    """
    from eth_utils.crypto import keccak  # noqa: PLC0415 - loads a crypto library that few requests need

    content = text.encode()
    return keccak(b"\x19Ethereum Signed Message:\n%d" % len(content) + content)


def _recovered(text: str, signature: bytes) -> str | None:
    """Whose signature it is (EIP-191); None if it is nobody's."""
    from eth_keys.datatypes import Signature  # noqa: PLC0415 - only wallets need it
    from eth_keys.exceptions import BadSignature  # noqa: PLC0415 - the same
    from eth_utils.exceptions import ValidationError  # noqa: PLC0415 - the same

    try:
        made = Signature(signature[:64] + bytes([signature[64] % 27]))
        return made.recover_public_key_from_msg_hash(signed_digest(text)).to_checksum_address()
    except (BadSignature, ValidationError, ValueError):
        return None
