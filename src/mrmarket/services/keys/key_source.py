"""Where the master key comes from: a file, the environment, systemd's credentials, or a person."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, Protocol

from mrmarket.core.crash import reach
from mrmarket.services.keys.errors import KeyFileError, MasterKeyMissingError
from mrmarket.services.keys.private_file import attempt, read_private, rename_private, write_private
from mrmarket.services.keys.secret import Secret
from mrmarket.services.keys.section import KeysSection

VARIABLE: Final = "MRMARKET_KEY"
NEW_VARIABLE: Final = "MRMARKET_KEY_NEW"
"""The next master key, for `mrmarket keys rekey`."""
CREDENTIAL: Final = "mrmarket.key"
"""Name of the credential: `LoadCredentialEncrypted=mrmarket.key:/…` in the service's unit."""
_MOST_BYTES: Final = 4096
CRASH_POINTS: Final = ("keys.master.drafted", "keys.master.replaced", "keys.master.settled")


class KeySource(Protocol):
    """Tells the master key."""

    where: str
    """In words, for errors."""

    def candidates(self) -> list[Secret]:
        """The master keys to try, the likeliest first. Raises a `KeyStoreError` if there is none."""
        ...

    def settle(self, position: int) -> None:
        """Hear which of the candidates it was."""
        ...


class GivenKey:
    """A master key that was told already: by a variable, or by a person."""

    def __init__(self, key: Secret, where: str) -> None:
        self.where = where
        self._key = key

    def candidates(self) -> list[Secret]:
        """The one key."""
        return [self._key]

    def settle(self, position: int) -> None:
        """Nothing to settle."""


class KeyInFile:
    """A master key in a file of its own, which only the owner may read.

    A change of the master key first puts the next one beside it (`<file>.next`), then changes what it
    protects, then moves it over the old one. Whoever finds both tries both, and finishes the move.
    """

    def __init__(self, path: Path, *, credential: bool = False) -> None:
        self.path = path
        self.where = f"the file {path}"
        self._credential = credential
        self._next = path.with_name(path.name + ".next")

    def candidates(self) -> list[Secret]:
        """The key, and the next one if a change was broken off."""
        found = []
        for path in (self.path, self._next):
            try:
                text = read_private(path, _MOST_BYTES, credential=self._credential).strip()
            except FileNotFoundError:
                if path is self.path:
                    raise KeyFileError(path, "there is no such file of a master key") from None
                continue
            found.append(_decoded(path, text))
        return found

    def settle(self, position: int) -> None:
        """Finish a change that was broken off, or forget one that had not begun."""
        if position == 1:
            rename_private(self._next, self.path)
            reach("keys.master.settled")

    def stage(self, key: Secret) -> None:
        """Put the next master key beside the present one."""
        write_private(self._next, key.reveal().encode() + b"\n", "keys.master")


def write_master(path: Path, key: Secret) -> None:
    """Keep a new master key in a file that must not exist.

    Raises:
        KeyFileError: it exists, or cannot be written.
    """

    def write() -> None:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(key.reveal().encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())

    attempt(path, write)


def find_source(
    section: KeysSection, environ: Mapping[str, str], ask: Callable[[], Secret] | None = None
) -> KeySource:
    """The first source there is: the configured file, `MRMARKET_KEY`, systemd's credential, a person.

    Args:
        section: of the configuration.
        environ: the process's environment.
        ask: asks a person on a terminal; None where nobody can be asked.

    Raises:
        MasterKeyMissingError: there is none.
    """
    if section.key_file:
        return KeyInFile(Path(section.key_file).expanduser())
    if environ.get(VARIABLE):
        return GivenKey(Secret(environ[VARIABLE].strip()), VARIABLE)
    folder = environ.get("CREDENTIALS_DIRECTORY")
    if folder and (Path(folder) / CREDENTIAL).exists():
        return KeyInFile(Path(folder) / CREDENTIAL, credential=True)
    if ask is not None:
        return GivenKey(ask(), "the prompt")
    raise MasterKeyMissingError


def _decoded(path: Path, text: bytes) -> Secret:
    try:
        text.decode()
    except UnicodeDecodeError:
        raise KeyFileError(path, "is no text, so it is no master key") from None
    if not text:
        raise KeyFileError(path, "is empty; write the master key into it")
    return Secret(text)
