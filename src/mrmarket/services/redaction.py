"""Keeps secrets out of what is logged: by the names of values, by the shape of texts, and by heart."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from typing import Any, Final
from urllib.parse import quote, quote_plus

import msgspec

MASK: Final = "********"
SHORTEST: Final = 6
"""Characters; a shorter secret is not searched for by its value, it would mask innocent words."""
_DEEPEST: Final = 12
_NAMES_KEPT: Final = 1_000

_SECRET_NAME: Final = re.compile(
    r"secret|passw(?:or)?d|passphrase|api_?-?key|signature|token|private|authorization|mnemonic|credential"
    r"|listen_?-?key|cookie|(?:^|[_\-.])(?:dsn|csrf)(?:$|[_\-.])",
    re.IGNORECASE,
)
_SECRET_TEXT: Final = re.compile(
    r"(?i)((?:api|listen)[_-]?key|secret|passw(?:or)?d|passphrase|signature|(?:access|auth|bot|csrf|owner|setup)?[_-]?token"
    r"|private[_-]?key|mnemonic|seed[_-]?phrase|x-mbx-apikey|ok-access-(?:key|sign|passphrase))"
    r"(\\?[\"']?\s*[=:]\s*\\?[\"']?)[^\s&\"',}\\]+"
)
_AUTHORIZATION: Final = re.compile(r"(?i)\b(basic|bearer|token)\s+[A-Za-z0-9._~+/=\-]{6,}")
_HEADER: Final = re.compile(
    r"(?i)(\b(?:proxy-)?authorization|\bset-cookie|\bcookie)([\"']?\s*[:=]\s*[\"']?)[^\r\n\"']+"
)
_URL_PASSWORD: Final = re.compile(r"(\b[A-Za-z][A-Za-z0-9+.\-]*://[^\s:/@]*:)[^\s@/]+(?=@)")
_BOT_TOKEN: Final = re.compile(r"\b(bot)?[0-9]{6,12}:[A-Za-z0-9_\-]{30,}")
_PEM: Final = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL
)
_LOOKS: Final[tuple[tuple[re.Pattern[str], str], ...]] = (
    (_PEM, MASK),
    (_HEADER, rf"\1\2{MASK}"),
    (_SECRET_TEXT, rf"\1\2{MASK}"),
    (_AUTHORIZATION, rf"\1 {MASK}"),
    (_URL_PASSWORD, rf"\1{MASK}"),
    (_BOT_TOKEN, MASK),
)

_SIGNS: Final = re.compile(r"[=:]|(?i:basic|bearer|token)\s|-----BEGIN")
"""What any text that looks like a secret has."""


class Redactor:
    """A structlog processor that masks secrets; it also knows by heart the ones it was told.

    A known secret is found as it is, URL-quoted, JSON-escaped, in hexadecimal, and inside any base64 text,
    such as that of `user:password`.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._forms: frozenset[str] = frozenset()
        self._known: re.Pattern[str] | None = None
        self._names: dict[str, str] = {}
        self.know(*secrets)

    def know(self, *secrets: str) -> None:
        """Remember secrets; ones of fewer than `SHORTEST` characters are passed over."""
        new = {form for secret in secrets if len(secret) >= SHORTEST for form in _forms(secret)}
        if new <= self._forms:
            return
        self._forms |= new
        longest_first = sorted(self._forms, key=lambda form: (-len(form), form))
        # One assignment, so that another thread sees the old pattern or the new one.
        self._known = re.compile("|".join(map(re.escape, longest_first)))
        self._names = {}

    def __call__(self, _: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        """Clean one event."""
        return {self._name(str(name)): self.value(str(name), inner) for name, inner in event.items()}

    def value(self, name: str, value: Any, depth: int = 0) -> Any:
        """A value as it may be logged under its name: plain containers and texts, secrets masked."""
        if value is None or isinstance(value, bool):
            return value
        if _is_secret(name, value):
            return MASK
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, int | float):
            return value if self.text(str(value)) == str(value) else MASK
        return self._other(value, depth)

    def _other(self, value: object, depth: int) -> Any:
        if depth < _DEEPEST:
            if isinstance(value, Mapping):
                return {
                    self.text(str(key)): self.value(str(key), inner, depth + 1)
                    for key, inner in value.items()
                }
            if isinstance(value, list | tuple | set | frozenset):
                return [self.value("", inner, depth + 1) for inner in value]
        if isinstance(value, bytes | bytearray):
            return self.text(bytes(value).decode("utf-8", "backslashreplace"))
        if isinstance(value, BaseException):
            return self.text(f"{type(value).__name__}: {value}")
        return self.text(repr(value))

    def _name(self, name: str) -> str:
        """A field's own name as it may be logged; there are few, so each is looked at once."""
        cleaned = self._names.get(name)
        if cleaned is None:
            cleaned = self.text(name)
            if len(self._names) < _NAMES_KEPT:
                self._names[name] = cleaned
        return cleaned

    def text(self, text: str) -> str:
        """A text without what is known to be secret, and without what looks like it."""
        # Looking for a few texts one by one is quicker than one pattern of all, and nearly always enough.
        if self._known is not None and any(form in text for form in self._forms):
            text = self._known.sub(MASK, text)
        if _SIGNS.search(text) is None:
            return text
        for pattern, instead in _LOOKS:
            text = pattern.sub(instead, text)
        return text


def secrets_of(config: msgspec.Struct, environ: Mapping[str, str]) -> list[str]:
    """Every secret that a configuration points to: what the variables named by its `…_env` keys hold."""
    names = {value for key, value in _leaves(msgspec.to_builtins(config)) if key.endswith("_env")}
    return [environ[name] for name in sorted(filter(None, names)) if environ.get(name)]


def _is_secret(name: str, value: object) -> bool:
    # The seed of a generator is a number, and worth its line; the seed of a wallet is words.
    return bool(_SECRET_NAME.search(name)) or ("seed" in name.lower() and isinstance(value, str | bytes))


def _leaves(value: object, key: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _leaves(inner, str(name))
    elif isinstance(value, list):
        for inner in value:
            yield from _leaves(inner, key)
    elif isinstance(value, str):
        yield key, value


def _forms(secret: str) -> Iterator[str]:
    """The ways in which a secret may stand in a text."""
    raw = secret.encode("utf-8", "surrogatepass")
    stripped = secret.strip()
    plain = {secret, stripped} if len(stripped) >= SHORTEST else {secret}
    for form in plain:
        yield form
        yield from (json.dumps(form)[1:-1], json.dumps(form, ensure_ascii=False)[1:-1], repr(form)[1:-1])
        quoting: tuple[Callable[..., str], ...] = (quote, quote_plus)
        for each in quoting:
            for safe in ("", "/", "/:@"):
                quoted = each(form.encode("utf-8", "surrogatepass"), safe=safe)
                yield from (quoted, re.sub(r"%[0-9A-F]{2}", lambda code: code[0].lower(), quoted))
    yield from (raw.hex(), raw.hex().upper(), repr(raw)[2:-1])
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        for before in range(3):
            yield from _inside_base64(raw, before, encode)


def _inside_base64(raw: bytes, before: int, encode: Callable[[bytes], bytes]) -> Iterator[str]:
    """The characters that a value has in base64 when `before` bytes (of a group of three) precede it.

    The first and the last character may hold bits of the neighbours, so they are left out.
    """
    text = encode(b"\0" * before + raw).decode().rstrip("=")
    first = -(-before * 8 // 6)
    last = (before + len(raw)) * 8 // 6
    core = text[first:last]
    if len(core) >= SHORTEST:
        yield core
