"""Reads credentials that a person or a script hands over on standard input."""

from __future__ import annotations

from typing import Final, TextIO

import msgspec

from mrmarket.services.keys.errors import KeyTextRefusedError
from mrmarket.services.keys.key_store import Credentials
from mrmarket.services.keys.secret import Secret

_MOST: Final = 32_768


class _Typed(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    api_key: str
    secret: str
    password: str = ""


def read_credentials(stream: TextIO) -> Credentials:
    """Key, secret and passphrase, a line each; or `{"api_key", "secret", "password"}` as JSON.

    A secret that is a private key in PEM form has line breaks, and needs the second form.

    Raises:
        KeyTextRefusedError: it is neither. The words hold nothing of what was read.
    """
    try:
        text = stream.read(_MOST + 1)
    except UnicodeDecodeError:
        raise KeyTextRefusedError("input", "it is no text") from None
    if len(text) > _MOST:
        raise KeyTextRefusedError("input", f"it is longer than {_MOST} characters")
    if text.lstrip().startswith("{"):
        try:
            typed = msgspec.json.decode(text.encode(), type=_Typed)
        except (msgspec.MsgspecError, UnicodeEncodeError, RecursionError):
            raise KeyTextRefusedError("input", 'give {"api_key": …, "secret": …, "password": …}') from None
        return Credentials(Secret(typed.api_key), Secret(typed.secret), Secret(typed.password))
    lines = text.split("\n")
    least = 2
    if len(lines) < least or any(line.strip() for line in lines[least + 1 :]):
        raise KeyTextRefusedError("input", "give the key, the secret and maybe a passphrase, a line each")
    key, secret, password = (line.strip("\r") for line in (*lines, "")[:3])
    try:
        return Credentials(Secret(key), Secret(secret), Secret(password))
    except UnicodeEncodeError:
        raise KeyTextRefusedError("input", "it is no text") from None
