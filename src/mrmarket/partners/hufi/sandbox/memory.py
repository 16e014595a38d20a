"""What the sandbox knows, in a folder: one file that is replaced as a whole, and the documents of results."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec

from mrmarket.campaigns.offer import RewardToken
from mrmarket.core.whole_file import make_whole, replace_whole
from mrmarket.partners.hufi.errors import SandboxError
from mrmarket.partners.hufi.messages import KeyBody
from mrmarket.partners.hufi.results import CycleRow
from mrmarket.partners.hufi.sandbox.book import (
    LaunchedCampaign,
    Participant,
    SandboxBook,
    Settling,
    Status,
)

_BOOK: Final = "book.json"
_RESULTS: Final = "results"

Found = Callable[[str, int, RewardToken, str, str], LaunchedCampaign]
"""A campaign by manifest, gross fund, token, escrow and id."""


class _Kept(msgspec.Struct, frozen=True, kw_only=True):
    """A campaign on the disk. Amounts have more than 64 bits, so it is written by `json`."""

    id: str
    text: str
    token: RewardToken
    address: str
    gross_units: int
    launcher: str
    created_ms: int
    status: Status
    cancel_ms: int
    finalized_ms: int
    participants: list[Participant]
    recorded: int
    reserved_units: int
    paid_units: int
    paid_by_day: list[tuple[int, int]]
    rows: list[CycleRow]
    document_hash: str
    settling: Settling | None


class _Book(msgspec.Struct, frozen=True):
    """The file."""

    campaigns: list[_Kept]
    keys: list[tuple[str, KeyBody]]
    """By wallet."""


class BookMemory:
    """Keeps a book. Who was signed in is forgotten with the process, and signs in again."""

    def __init__(self, folder: Path, book: SandboxBook, found: Found) -> None:
        """`found` makes a campaign of its terms."""
        self._folder = folder
        self._book = book
        self._found = found
        self._written: set[str] = set()

    def load(self) -> None:
        """Put what the folder remembers into the book. Raises `SandboxError`."""
        file = self._folder / _BOOK
        if not file.exists():
            return
        try:
            kept = msgspec.convert(json.loads(file.read_bytes()), _Book)
            for path in (self._folder / _RESULTS).glob("*/*.json"):
                name = f"{path.parent.name}/{path.name}"
                self._book.files[name] = path.read_bytes()
                self._written.add(name)
            for one in kept.campaigns:
                self._book.campaigns[one.address] = self._campaign(one)
        except (OSError, ValueError, msgspec.ValidationError, RecursionError) as error:
            raise SandboxError(f"{file} cannot be read ({error}); delete its folder to begin anew") from error
        self._book.keys.update({(wallet, key.exchange_name): key for wallet, key in kept.keys})

    def save(self) -> None:
        """Put the book on the disk: documents first, so that none is missing that the book names.

        Raises:
            OSError: it cannot be written; what was there is there still.
        """
        for name in self._book.files.keys() - self._written:
            path = self._folder / _RESULTS / name
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            make_whole(path, self._book.files[name])
            self._written.add(name)
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        kept = _Book(
            [_kept(one) for one in self._book.campaigns.values()],
            [(wallet, key) for (wallet, _), key in self._book.keys.items()],
        )
        replace_whole(self._folder / _BOOK, json.dumps(msgspec.to_builtins(kept)).encode())

    def _campaign(self, kept: _Kept) -> LaunchedCampaign:
        campaign = self._found(kept.text, kept.gross_units, kept.token, kept.address, kept.id)
        for name in _HAPPENED:
            setattr(campaign, name, getattr(kept, name))
        campaign.document = self._book.files.get(f"{kept.address}/{kept.document_hash}.json", b"")
        return campaign


_HAPPENED: Final = (
    "launcher",
    "created_ms",
    "status",
    "cancel_ms",
    "finalized_ms",
    "participants",
    "recorded",
    "reserved_units",
    "paid_units",
    "paid_by_day",
    "rows",
    "document_hash",
    "settling",
)
"""What of a campaign is not in its terms."""


def _kept(campaign: LaunchedCampaign) -> _Kept:
    happened: dict[str, Any] = {name: getattr(campaign, name) for name in _HAPPENED}
    return _Kept(
        id=campaign.id,
        text=campaign.text,
        token=campaign.offer.token,
        address=campaign.offer.address,
        gross_units=campaign.gross_units,
        **happened,
    )
