"""The text of "Sign-In with Ethereum" (EIP-4361), read strictly by its grammar and written back."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from mrmarket.services.access.errors import SignInRefusedError

LONGEST: Final = 4096
"""Characters; a browser's wallet signs some hundreds."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_HEAD_END: Final = " wants you to sign in with your Ethereum account:"
_UNRESERVED: Final = r"A-Za-z0-9\-._~"
_SUB_DELIMS: Final = r"!$&'()*+,;="
_PERCENT: Final = "%[0-9A-Fa-f]{2}"
_PCHAR: Final = rf"(?:[{_UNRESERVED}{_SUB_DELIMS}:@]|{_PERCENT})"
_DIGITS: Final = "0|[1-9][0-9]{0,17}"

_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*")
_DOMAIN: Final = re.compile(
    rf"(?:\[[0-9A-Fa-f:.]+\]|(?:[{_UNRESERVED}{_SUB_DELIMS}]|{_PERCENT})+)(?::[0-9]{{1,5}})?"
)
_ADDRESS: Final = re.compile(r"0x[0-9A-Fa-f]{40}")
_STATEMENT: Final = re.compile(rf"[{_UNRESERVED}{_SUB_DELIMS}:/?#\[\]@ ]+")
_URI: Final = re.compile(rf"[A-Za-z][A-Za-z0-9+.\-]*:(?:[{_UNRESERVED}{_SUB_DELIMS}:/?#\[\]@]|{_PERCENT})*")
_VERSION: Final = re.compile("1")
_CHAIN: Final = re.compile(_DIGITS)
_NONCE: Final = re.compile(r"[A-Za-z0-9]{8,128}")
_REQUEST: Final = re.compile(rf"{_PCHAR}*")
_TIME: Final = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]+))?"
    r"(?:[Zz]|([+-])([0-9]{2}):([0-9]{2}))"
)


class MessageRefusedError(SignInRefusedError):
    """The text is no sign-in message."""

    code = "sign_in_message_refused"

    def __init__(self, part: str) -> None:
        self.part = part
        super().__init__(f"the signed text is no EIP-4361 message ({part}); let the wallet sign it unchanged")


@dataclass(frozen=True, slots=True)
class SignInMessage:
    """Every field, as it was written."""

    scheme: str | None
    domain: str
    address: str
    statement: str | None
    uri: str
    chain_id: int
    nonce: str
    issued_at: str
    expiration_time: str | None = None
    not_before: str | None = None
    request_id: str | None = None
    resources: tuple[str, ...] | None = None

    def text(self) -> str:
        """The message that a wallet signs."""
        lines = [
            f"{self.scheme}://{self.domain}{_HEAD_END}" if self.scheme else f"{self.domain}{_HEAD_END}",
            self.address,
            "",
            *([] if self.statement is None else [self.statement]),
            "",
            f"URI: {self.uri}",
            "Version: 1",
            f"Chain ID: {self.chain_id}",
            f"Nonce: {self.nonce}",
            f"Issued At: {self.issued_at}",
        ]
        if self.expiration_time is not None:
            lines.append(f"Expiration Time: {self.expiration_time}")
        if self.not_before is not None:
            lines.append(f"Not Before: {self.not_before}")
        if self.request_id is not None:
            lines.append(f"Request ID: {self.request_id}")
        if self.resources is not None:
            lines += ["Resources:", *(f"- {resource}" for resource in self.resources)]
        return "\n".join(lines)


def parse(text: str) -> SignInMessage:
    """Read a message; whatever is not exactly the grammar is refused.

    Raises:
        MessageRefusedError: with the part at fault.
    """
    if len(text) > LONGEST:
        raise MessageRefusedError(f"more than {LONGEST} characters")
    lines = _Lines(text.split("\n"))
    scheme, domain = _head(lines.take("domain"))
    address = _matched(_ADDRESS, lines.take("address"), "address")
    lines.blank("after the address")
    statement = lines.take("statement") or None
    if statement is not None:
        _matched(_STATEMENT, statement, "statement")
        lines.blank("after the statement")
    return SignInMessage(
        scheme=scheme,
        domain=domain,
        address=address,
        statement=statement,
        uri=lines.field("URI", _URI),
        # `Version` is fixed; read for its check alone.
        chain_id=int((lines.field("Version", _VERSION), lines.field("Chain ID", _CHAIN))[1]),
        nonce=lines.field("Nonce", _NONCE),
        issued_at=lines.field("Issued At", _TIME),
        expiration_time=lines.optional("Expiration Time", _TIME),
        not_before=lines.optional("Not Before", _TIME),
        request_id=lines.optional("Request ID", _REQUEST),
        resources=lines.resources(),
    )


def moment_ms(text: str) -> int:
    """An RFC 3339 time as UTC milliseconds, rounded down.

    Raises:
        MessageRefusedError: there is no such moment.
    """
    match = _TIME.fullmatch(text)
    if match is None:
        raise MessageRefusedError("time")
    year, month, day, hour, minute, second = (int(match[n]) for n in range(1, 7))
    fraction_ms = int((match[7] or "0")[:3].ljust(3, "0"))
    hours_off, minutes_off = int(match[9] or 0), int(match[10] or 0)
    if hours_off >= 24 or minutes_off >= 60:  # noqa: PLR2004 - of a day and an hour
        raise MessageRefusedError("time")
    try:
        whole = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        raise MessageRefusedError("time") from None
    offset = timedelta(hours=hours_off, minutes=minutes_off)
    since = whole - _EPOCH + (offset if match[8] == "-" else -offset)
    return since // timedelta(seconds=1) * 1000 + fraction_ms


def moment_text(at_ms: int) -> str:
    """UTC milliseconds as RFC 3339."""
    moment = datetime.fromtimestamp(at_ms // 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{at_ms % 1000:03}Z"


def _head(line: str) -> tuple[str | None, str]:
    if not line.endswith(_HEAD_END):
        raise MessageRefusedError("first line")
    before = line.removesuffix(_HEAD_END)
    scheme, separator, domain = before.partition("://")
    if not separator:
        return None, _matched(_DOMAIN, before, "domain")
    return _matched(_SCHEME, scheme, "scheme"), _matched(_DOMAIN, domain, "domain")


def _matched(pattern: re.Pattern[str], text: str, part: str) -> str:
    if pattern.fullmatch(text) is None:
        raise MessageRefusedError(part)
    return text


class _Lines:
    """The lines not yet read."""

    def __init__(self, lines: list[str]) -> None:
        self._lines = lines
        self._at = 0

    def take(self, part: str) -> str:
        if self._at == len(self._lines):
            raise MessageRefusedError(f"{part} is missing")
        self._at += 1
        return self._lines[self._at - 1]

    def blank(self, where: str) -> None:
        if self.take(f"empty line {where}"):
            raise MessageRefusedError(f"no empty line {where}")

    def field(self, name: str, pattern: re.Pattern[str]) -> str:
        line = self.take(name)
        if not line.startswith(f"{name}: "):
            raise MessageRefusedError(name)
        value = _matched(pattern, line.removeprefix(f"{name}: "), name)
        if pattern is _TIME:
            moment_ms(value)
        return value

    def optional(self, name: str, pattern: re.Pattern[str]) -> str | None:
        if self._at < len(self._lines) and self._lines[self._at].startswith(f"{name}: "):
            return self.field(name, pattern)
        return None

    def resources(self) -> tuple[str, ...] | None:
        """The rest: nothing, or the list of resources."""
        rest = self._lines[self._at :]
        if not rest:
            return None
        if rest[0] != "Resources:" or not all(line.startswith("- ") for line in rest[1:]):
            raise MessageRefusedError("something after the last field")
        return tuple(_matched(_URI, line.removeprefix("- "), "resource") for line in rest[1:])
