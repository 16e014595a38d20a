"""The exchange keys of an instance, each sealed under the master key."""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

import msgspec

from mrmarket.core.clock import NS_PER_MS, Clock
from mrmarket.core.errors import InvalidInputError
from mrmarket.services.keys.errors import (
    KeyExistsError,
    KeyFileError,
    KeysChangedError,
    KeysDamagedError,
    KeyTextRefusedError,
    UnknownKeyError,
    WrongMasterKeyError,
)
from mrmarket.services.keys.key_file import (
    FILE,
    NAME,
    VENUE_ID,
    KeyEntry,
    KeyFile,
    SealedEntry,
    read_key_file,
    write_key_file,
)
from mrmarket.services.keys.key_source import KeyInFile, KeySource
from mrmarket.services.keys.master_key import (
    Cipher,
    Derivation,
    Entropy,
    NotOpenedError,
    Sealed,
    new_derivation,
)
from mrmarket.services.keys.rights import UNKNOWN
from mrmarket.services.keys.secret import Register, Secret, unregistered
from mrmarket.trading.venue.port import KeyPermissions

_KNOWN_TEXT: Final = b"mrmarket keys"
_LONGEST: Final = 8192


@dataclass(frozen=True, slots=True)
class Credentials:
    """What an exchange wants to see; each part shows only its mask."""

    api_key: Secret
    secret: Secret
    password: Secret = field(default_factory=lambda: Secret(""))
    """Where an exchange has one."""

    def wipe(self) -> None:
        """Overwrite all of it."""
        for part in (self.api_key, self.secret, self.password):
            part.wipe()


class _Plain(msgspec.Struct, frozen=True, kw_only=True):
    api_key: str
    secret: str
    password: str


class KeyStore:
    """Reads and changes `keys.json`; every change is durable before it returns.

    A command and a running instance may use one file at the same time: changes are made under a lock,
    over the file as it is then.
    """

    def __init__(
        self, path: Path, cipher: Cipher, derivation: Derivation, clock: Clock, entropy: Entropy
    ) -> None:
        """Use `open`."""
        self.path = path
        self._cipher = cipher
        self._derivation = derivation
        self._clock = clock
        self._entropy = entropy

    @classmethod
    def open(cls, folder: Path, source: KeySource, clock: Clock, entropy: Entropy = os.urandom) -> Self:
        """The keys of a data folder; the file comes into being with the first key.

        Raises:
            WrongMasterKeyError: the master key does not open it.
            KeyStoreError: it cannot be used; the words say why.
        """
        path = folder / FILE
        file = read_key_file(path)
        candidates = source.candidates()
        if file is None:
            derivation = new_derivation(candidates[0], entropy)
            return cls(path, Cipher.derive(candidates[0], derivation, entropy), derivation, clock, entropy)
        for position, master in enumerate(candidates):
            try:
                cipher = Cipher.derive(master, file.derivation, entropy)
                cipher.open(file.check, _check_subject(file.derivation))
            except NotOpenedError:
                continue
            _require_unchanged(path, file, cipher)
            source.settle(position)
            return cls(path, cipher, file.derivation, clock, entropy)
        raise WrongMasterKeyError(path, source.where)

    def entries(self) -> list[KeyEntry]:
        """Every key without what is secret of it, by name."""
        return [kept.entry for kept in self._read()]

    def entry(self, name: str) -> KeyEntry:
        """One key without what is secret of it; raises `UnknownKeyError`."""
        return self._find(self._read(), name).entry

    def credentials(self, name: str, register: Register = unregistered) -> Credentials:
        """Open one key.

        Args:
            name: of the key.
            register: told every text that must never appear in a log.

        Raises:
            UnknownKeyError: there is none of that name.
            KeysDamagedError: it was changed.
        """
        kept = self._find(self._read(), name)
        plain = self._open(kept)
        for text in (plain.api_key, plain.secret, plain.password):
            if text:
                register(text)
        return Credentials(Secret(plain.api_key), Secret(plain.secret), Secret(plain.password))

    def add(
        self,
        name: str,
        venue: str,
        credentials: Credentials,
        *,
        rights: KeyPermissions = UNKNOWN,
        checked_ms: int = 0,
        allow_withdraw: bool = False,
        replace: bool = False,
    ) -> KeyEntry:
        """Keep a key.

        Args:
            name: lower-case letters, digits, `.`, `_` and `-`.
            venue: ccxt's id of the exchange.
            credentials: what the exchange gave.
            rights: what the exchange says it may do.
            checked_ms: when it said so; 0 for never.
            allow_withdraw: the owner insists although it may withdraw.
            replace: a key of that name makes way.

        Raises:
            KeyExistsError: the name is taken.
            KeyTextRefusedError: no exchange gives such a key.
            InvalidInputError: the name or the exchange's id is none.
        """
        if not re.search(NAME, name):
            raise InvalidInputError("name", name, "1 to 40 lower-case letters, digits, `.`, `_` and `-`")
        if not re.search(VENUE_ID, venue):
            raise InvalidInputError("venue", venue, "an exchange id of ccxt, such as binance")
        plain = _checked(credentials)
        with self._changing() as kept:
            there = next((one for one in kept if one.entry.name == name), None)
            if there is not None and not replace:
                raise KeyExistsError(name)
            entry = KeyEntry(
                name=name,
                venue=venue,
                version=1 if there is None else there.entry.version + 1,
                added_ms=self._clock.now_ns() // NS_PER_MS,
                allow_withdraw=allow_withdraw,
                rights=rights,
                checked_ms=checked_ms,
            )
            kept[:] = [one for one in kept if one is not there]
            kept.append(self._seal(entry, plain))
        return entry

    def note_rights(self, name: str, rights: KeyPermissions, at_ms: int) -> KeyEntry:
        """Write down what the exchange now says of a key; raises `UnknownKeyError`."""
        with self._changing() as kept:
            old = self._find(kept, name)
            entry = msgspec.structs.replace(old.entry, rights=rights, checked_ms=at_ms)
            kept[:] = [one for one in kept if one is not old]
            kept.append(self._seal(entry, self._open(old)))
        return entry

    def remove(self, name: str) -> KeyEntry:
        """Forget a key; raises `UnknownKeyError`."""
        with self._changing() as kept:
            old = self._find(kept, name)
            kept.remove(old)
        return old.entry

    def rekey(self, master: Secret, home: KeyInFile | None = None) -> int:
        """Seal everything anew under another master key, with a new salt and new nonces.

        Whenever this is broken off, the file opens with the old key or with the new one, whole. With a
        home the new one is put beside the old one first and moved over it last, so that what lies
        there always opens the file.

        Returns:
            How many keys were sealed anew.
        """
        derivation = new_derivation(master, self._entropy)
        cipher = Cipher.derive(master, derivation, self._entropy)
        with self._locked():
            plain = [(kept.entry, self._open(kept)) for kept in self._read()]
            if home is not None:
                home.stage(master)
            self._cipher, old_cipher = cipher, self._cipher
            self._derivation, old_derivation = derivation, self._derivation
            try:
                self._write([self._seal(entry, text) for entry, text in plain])
            except KeyFileError:
                self._cipher, self._derivation = old_cipher, old_derivation
                raise
            if home is not None:
                home.settle(1)
        return len(plain)

    def _read(self) -> list[SealedEntry]:
        file = read_key_file(self.path)
        if file is None:
            return []
        if file.derivation != self._derivation:
            raise KeysChangedError(self.path)
        _require_unchanged(self.path, file, self._cipher)
        return file.entries

    def _write(self, kept: Sequence[SealedEntry]) -> None:
        entries = sorted(kept, key=lambda one: one.entry.name)
        check = self._cipher.seal(_KNOWN_TEXT, _check_subject(self._derivation))
        file = KeyFile(
            derivation=self._derivation,
            check=check,
            entries=entries,
            seal=self._cipher.seal(b"", _whole_subject(self._derivation, check, entries)),
        )
        write_key_file(self.path, file)

    @contextmanager
    def _changing(self) -> Iterator[list[SealedEntry]]:
        with self._locked():
            kept = list(self._read())
            yield kept
            self._write(kept)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        lock = self.path.with_name(f"{FILE}.lock")
        try:
            descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise KeyFileError(lock, f"cannot be written ({error.strerror}); check the folder") from error
        with os.fdopen(descriptor) as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            yield

    def _find(self, kept: Sequence[SealedEntry], name: str) -> SealedEntry:
        for one in kept:
            if one.entry.name == name:
                return one
        raise UnknownKeyError(name, [one.entry.name for one in kept])

    def _seal(self, entry: KeyEntry, plain: _Plain) -> SealedEntry:
        text = bytearray(msgspec.json.encode(plain))
        try:
            return SealedEntry(entry=entry, sealed=self._cipher.seal(text, _entry_subject(entry)))
        finally:
            text[:] = bytes(len(text))

    def _open(self, kept: SealedEntry) -> _Plain:
        try:
            text = self._cipher.open(kept.sealed, _entry_subject(kept.entry))
        except NotOpenedError:
            raise KeysDamagedError(self.path, f"the key {kept.entry.name!r} was changed") from None
        try:
            return msgspec.json.decode(text, type=_Plain)
        finally:
            text[:] = bytes(len(text))


def _require_unchanged(path: Path, file: KeyFile, cipher: Cipher) -> None:
    try:
        cipher.open(file.seal, _whole_subject(file.derivation, file.check, file.entries))
    except NotOpenedError:
        raise KeysDamagedError(path, "was changed by something else than mrmarket") from None


def _check_subject(derivation: Derivation) -> object:
    return ["mrmarket keys check v1", derivation]


def _whole_subject(derivation: Derivation, check: Sealed, entries: Sequence[SealedEntry]) -> object:
    return ["mrmarket keys file v1", derivation, check, entries]


def _entry_subject(entry: KeyEntry) -> object:
    return ["mrmarket key v1", entry]


def _checked(credentials: Credentials) -> _Plain:
    api_key, secret, password = (
        part.reveal().strip() for part in (credentials.api_key, credentials.secret, credentials.password)
    )
    for part, text in (("key", api_key), ("secret", secret), ("passphrase", password)):
        if len(text) > _LONGEST:
            raise KeyTextRefusedError(part, f"it is longer than {_LONGEST} characters")
    # It goes into a header of every request: a line break in it would write headers of its own.
    if not api_key or not api_key.isascii() or not api_key.isprintable() or " " in api_key:
        raise KeyTextRefusedError("key", "give printable ASCII without spaces")
    if not secret or not secret.replace("\n", "").isprintable():
        raise KeyTextRefusedError("secret", "give text without control characters")
    if not password.isprintable():
        raise KeyTextRefusedError("passphrase", "give text without control characters")
    return _Plain(api_key=api_key, secret=secret, password=password)
