"""Being let in: a wallet signs a nonce, and what it gets for that is renewed before it runs out."""

from __future__ import annotations

import asyncio
import base64
import binascii
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

import msgspec

from mrmarket.core.clock import NS_PER_S, Clock
from mrmarket.core.errors import InvalidInputError
from mrmarket.partners.hufi.errors import HufiAnswerError, HufiLoginError, HufiRefusedError
from mrmarket.partners.hufi.line import HufiLine, Route
from mrmarket.partners.hufi.messages import LoginBody, NonceAnswer, NonceBody, RefreshBody, Tokens

NONCE: Final = Route("POST", "/auth/nonce", is_safe=True)
LOGIN: Final = Route("POST", "/auth", is_safe=False)
REFRESH: Final = Route("POST", "/auth/refresh", is_safe=False)
LOGOUT: Final = Route("POST", "/auth/logout", is_safe=True)

ACCESS_S: Final = 600
REFRESH_S: Final = 3_600
_MARGIN_S: Final = 30
"""Tokens are renewed so long before they run out."""

_ADDRESS: Final = re.compile(r"0x[0-9a-fA-F]{40}", re.ASCII)
_SIGNATURE: Final = re.compile(r"0x[0-9a-fA-F]{130}", re.ASCII)
_NONCE: Final = re.compile(r"[\x20\x21\x23-\x5b\x5d-\x7e]{1,200}", re.ASCII)
"""Printable, without quotes and backslashes: what JSON writes as it is."""

SignText = Callable[[str], Awaitable[str]]
"""Signs a text by EIP-191 (personal_sign) and answers `0x` and 130 hexadecimal digits."""


@dataclass(frozen=True, slots=True)
class WalletSigner:
    """A wallet by what it can do; the key stays wherever it is."""

    address: str
    """`0x` and 40 hexadecimal digits."""
    sign_text: SignText

    def __post_init__(self) -> None:
        if not _ADDRESS.fullmatch(self.address):
            raise InvalidInputError("wallet", self.address, "0x and 40 hexadecimal digits")


def login_text(nonce: str) -> str:
    """The exact text that is signed: compact JSON of the nonce."""
    return f'{{"nonce":"{nonce}"}}'


class OracleSession:
    """A wallet's tokens at the recording oracle: fetched when first needed, renewed before they run out."""

    def __init__(self, line: HufiLine, signer: WalletSigner, clock: Clock) -> None:
        self._line = line
        self._signer = signer
        self._clock = clock
        self._lock = asyncio.Lock()
        self._tokens: Tokens | None = None
        self._access_until_ns = 0
        self._refresh_until_ns = 0

    def __repr__(self) -> str:
        return f"OracleSession({self._signer.address!r})"

    @property
    def wallet(self) -> str:
        """The wallet's address as it was given."""
        return self._signer.address

    @property
    def is_in(self) -> bool:
        """Whether the wallet holds a token that is good for some time."""
        return self._tokens is not None and self._clock.monotonic_ns() < self._access_until_ns

    async def token(self) -> str:
        """An access token that is good for some time.

        Raises:
            HufiLoginError: if the wallet is not let in, or signs nothing that is a signature.
            HufiError: as of any question.
        """
        async with self._lock:
            if self._tokens is None or self._clock.monotonic_ns() >= self._access_until_ns:
                await self._renew()
            assert self._tokens is not None  # noqa: S101 - renewed or raised
            return self._tokens.access_token

    async def rejected(self, token: str) -> None:
        """A token was refused although it should be good: it is not shown again."""
        async with self._lock:
            if self._tokens is not None and self._tokens.access_token == token:
                self._access_until_ns = 0

    async def leave(self) -> None:
        """Give the tokens up, there and here; harmless without any."""
        async with self._lock:
            tokens, self._tokens = self._tokens, None
            if tokens is not None:
                body = RefreshBody(tokens.refresh_token)
                await self._line.fetch(LOGOUT, body=body, token=tokens.access_token)

    async def _renew(self) -> None:
        tokens, self._tokens = self._tokens, None
        if tokens is not None and self._clock.monotonic_ns() < self._refresh_until_ns:
            try:
                renewed = await self._line.ask(REFRESH, Tokens, body=RefreshBody(tokens.refresh_token))
            except HufiRefusedError:
                pass  # one refresh token lives per user: another sign-in of the wallet has ended ours
            else:
                self._keep(renewed)
                return
        self._keep(await self._log_in())

    async def _log_in(self) -> Tokens:
        address = self._signer.address
        told = await self._line.ask(NONCE, NonceAnswer, body=NonceBody(address))
        if not _NONCE.fullmatch(told.nonce):
            raise HufiAnswerError(str(NONCE), "a nonce that is no plain text; nothing was signed")
        signature = await self._signer.sign_text(login_text(told.nonce))
        if not _SIGNATURE.fullmatch(signature):
            raise HufiLoginError(address, "the signer gave no signature of 65 bytes")
        try:
            return await self._line.ask(LOGIN, Tokens, body=LoginBody(address, signature))
        except HufiRefusedError as refused:
            if refused.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.BAD_REQUEST}:
                raise HufiLoginError(address, refused.message or str(refused.status)) from refused
            raise

    def _keep(self, tokens: Tokens) -> None:
        now_ns = self._clock.monotonic_ns()
        life_s = _life_s(tokens.access_token)
        self._tokens = tokens
        self._access_until_ns = now_ns + max(life_s - _MARGIN_S, life_s // 2) * NS_PER_S
        self._refresh_until_ns = now_ns + (REFRESH_S - _MARGIN_S) * NS_PER_S


class _Claims(msgspec.Struct):
    exp: int = 0
    iat: int = 0


def _life_s(token: str) -> int:
    """How long a token is good, by its own words; its signature is the server's business, not ours."""
    parts = token.split(".")
    if len(parts) != 3:  # noqa: PLR2004 - head, claims, signature
        return ACCESS_S
    try:
        content = base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4))
        claims = msgspec.json.decode(content, type=_Claims)
    except (binascii.Error, ValueError, RecursionError):
        return ACCESS_S
    life_s = claims.exp - claims.iat
    return life_s if 0 < life_s <= ACCESS_S else ACCESS_S
