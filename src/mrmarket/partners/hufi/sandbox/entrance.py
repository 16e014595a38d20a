"""Who may come in: nonces that change with every sign-in, signatures, and one refresh token per user."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from eth_hash.auto import keccak

from mrmarket.core.clock import NS_PER_S, Clock
from mrmarket.partners.hufi.login import ACCESS_S, REFRESH_S, login_text
from mrmarket.partners.hufi.messages import Tokens
from mrmarket.partners.hufi.sandbox.tokens import TokenMint

SIGN_UP: Final = "signup"
"""The nonce of a wallet that was never here."""

_V: Final = 27


@dataclass
class User:
    """A wallet that has signed in."""

    id: str
    wallet: str
    """Lower case."""
    nonce: str
    refresh: str = ""
    refresh_until_s: int = 0


class Entrance:
    """Users, their nonces and their tokens. By wall time, whatever the world's clock says."""

    def __init__(
        self,
        clock: Clock,
        entropy: Callable[[int], bytes],
        access_s: int = ACCESS_S,
        refresh_s: int = REFRESH_S,
    ) -> None:
        self._clock = clock
        self._entropy = entropy
        self._refresh_s = refresh_s
        self._mint = TokenMint(clock, access_s)
        self._users: dict[str, User] = {}

    def nonce(self, wallet: str) -> str:
        """What a wallet is to sign."""
        user = self._users.get(wallet.lower())
        return SIGN_UP if user is None else user.nonce

    def enter(self, wallet: str, signature: str) -> Tokens | None:
        """Tokens for a signature of the nonce, which changes with it; None for any other."""
        wallet = wallet.lower()
        if signer_of(login_text(self.nonce(wallet)), signature) != wallet:
            return None
        user = self._users.get(wallet)
        if user is None:
            user = self._users[wallet] = User(self.new_id(), wallet, "")
        user.nonce = self._entropy(16).hex()
        return self._tokens(user)

    def renew(self, refresh: str) -> Tokens | None:
        """New tokens for a refresh token, which dies with it."""
        now_s = self._clock.now_ns() // NS_PER_S
        for user in self._users.values():
            if refresh and user.refresh == refresh and now_s < user.refresh_until_s:
                return self._tokens(user)
        return None

    def leave(self, wallet: str) -> None:
        """Forget a user's refresh token."""
        self._users[wallet].refresh = ""

    def who(self, token: str) -> User | None:
        """Whose access token that is."""
        claims = self._mint.read(token)
        return None if claims is None else self._users.get(claims.wallet_address)

    def new_id(self) -> str:
        """A random UUID (version 4)."""
        return str(UUID(bytes=self._entropy(16), version=4))

    def _tokens(self, user: User) -> Tokens:
        user.refresh = self.new_id()
        user.refresh_until_s = self._clock.now_ns() // NS_PER_S + self._refresh_s
        return Tokens(self._mint.make(user.id, user.wallet), user.refresh)


def text_hash(text: str) -> bytes:
    """What a wallet signs for a text (EIP-191, version 0x45)."""
    content = text.encode()
    return keccak(b"\x19Ethereum Signed Message:\n" + str(len(content)).encode() + content)


def signer_of(text: str, signature: str) -> str | None:
    """Address that signed a text, in lower case; None for what is no signature."""
    from eth_keys.datatypes import Signature  # noqa: PLC0415 - loads a crypto library that only this needs
    from eth_keys.exceptions import BadSignature  # noqa: PLC0415 - the same
    from eth_utils.exceptions import ValidationError  # noqa: PLC0415 - the same

    try:
        content = bytes.fromhex(signature.removeprefix("0x"))
        last = content[64] - _V if content[64] >= _V else content[64]
        found = Signature(content[:64] + bytes([last])).recover_public_key_from_msg_hash(text_hash(text))
    except (ValueError, IndexError, BadSignature, ValidationError):
        return None
    return found.to_address()


def key_signer(key: bytes) -> tuple[str, Callable[[str], str]]:
    """Address and signing function of a private key: what a test or the demo signs in with."""
    from eth_keys.datatypes import PrivateKey  # noqa: PLC0415 - the same

    private = PrivateKey(key)

    def sign(text: str) -> str:
        signature = private.sign_msg_hash(text_hash(text)).to_bytes()
        return "0x" + (signature[:64] + bytes([signature[64] + _V])).hex()

    return private.public_key.to_address(), sign
