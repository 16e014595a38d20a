"""The file `keys.json`: its shape, and how it is read and written."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import msgspec

from mrmarket.services.keys.errors import KeysDamagedError, KeysTooNewError
from mrmarket.services.keys.master_key import Derivation, Sealed
from mrmarket.services.keys.private_file import read_private, write_private
from mrmarket.trading.venue.port import KeyPermissions

FILE: Final = "keys.json"
FORMAT: Final = "mrmarket keys"
VERSION: Final = 1
_MOST_BYTES: Final = 2 * 1024**2
CRASH_POINTS: Final = ("keys.file.drafted", "keys.file.replaced")

NAME: Final = r"\A[a-z0-9][a-z0-9._-]{0,39}\Z"
VENUE_ID: Final = r"\A[a-z0-9_]{2,40}\Z"
Name = Annotated[str, msgspec.Meta(pattern=NAME)]
VenueId = Annotated[str, msgspec.Meta(pattern=VENUE_ID)]
Moment = Annotated[int, msgspec.Meta(ge=0, le=2**53)]


class KeyEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is known of a key without opening it. All of it is bound to the sealed text."""

    name: Name
    venue: VenueId
    """ccxt's id of the exchange."""
    version: Annotated[int, msgspec.Meta(ge=1, le=2**31)] = 1
    """Rises with every replacement."""
    added_ms: Moment
    allow_withdraw: bool = False
    """The owner insists although it may withdraw."""
    rights: KeyPermissions = KeyPermissions()
    """What the exchange last said it may do."""
    checked_ms: Moment = 0
    """When it said so; 0 for never."""


class SealedEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A key as it is kept."""

    entry: KeyEntry
    sealed: Sealed


class KeyFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole file."""

    format: str = FORMAT
    version: int = VERSION
    derivation: Derivation
    check: Sealed
    """A known text: whether a master key is the right one."""
    seal: Sealed
    """An empty text bound to everything else: whether anything was changed, removed or put back."""
    entries: Annotated[list[SealedEntry], msgspec.Meta(max_length=1000)]


class _Head(msgspec.Struct, frozen=True, kw_only=True):
    format: str
    version: int


def read_key_file(path: Path) -> KeyFile | None:
    """The file, not yet proved to be unchanged; None if there is none.

    Raises:
        KeyFileError: others may read it, it is damaged, or of a newer version.
    """
    try:
        content = read_private(path, _MOST_BYTES)
    except FileNotFoundError:
        return None
    try:
        head = msgspec.json.decode(content, type=_Head)
        if head.format == FORMAT and head.version > VERSION:
            raise KeysTooNewError(path, head.version)
        found = msgspec.json.decode(content, type=KeyFile)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise KeysDamagedError(path, "is no file of exchange keys") from error
    if found.format != FORMAT or found.version != VERSION:
        raise KeysDamagedError(path, "is no file of exchange keys")
    return found


def write_key_file(path: Path, content: KeyFile) -> None:
    """Replace the file in one step; raises `KeyFileError` with the old one still there."""
    write_private(path, msgspec.json.format(msgspec.json.encode(content)) + b"\n", "keys.file")
