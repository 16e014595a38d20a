"""What can go wrong with exchange keys, in words that never hold one."""

from __future__ import annotations

from pathlib import Path

from mrmarket.core.errors import MrMarketError


class KeyStoreError(MrMarketError):
    """Something about the stored exchange keys."""

    code = "keys_refused"


class KeyFileError(KeyStoreError):
    """The file of keys, or of the master key, cannot be used."""

    code = "keys_file_refused"

    def __init__(self, path: Path, problem: str) -> None:
        self.path = path
        self.problem = problem
        super().__init__(f"{path}: {problem}")


class KeysExposedError(KeyFileError):
    """Others may read or change it."""

    code = "keys_exposed"

    def __init__(self, path: Path) -> None:
        super().__init__(
            path, f"others may read or change it; run: chmod 600 {path}, and replace what it held"
        )


class KeysDamagedError(KeyFileError):
    """It was changed by something else than this program."""

    code = "keys_damaged"

    def __init__(self, path: Path, detail: str) -> None:
        self.detail = detail
        super().__init__(path, f"{detail}; restore it from your backup, or remove it and add the keys again")


class KeysTooNewError(KeyFileError):
    """A newer version wrote it."""

    code = "keys_too_new"

    def __init__(self, path: Path, version: int) -> None:
        self.version = version
        super().__init__(path, f"has format {version} of a newer version; install that, nothing was changed")


class MasterKeyMissingError(KeyStoreError):
    """Nobody told the key that opens the keys."""

    code = "master_key_missing"

    def __init__(self) -> None:
        super().__init__(
            "no master key: set MRMARKET_KEY, name a file with [keys] key_file (make one with"
            " `mrmarket keys new-master FILE`), or run the command on a terminal"
        )


class NewMasterKeyMissingError(KeyStoreError):
    """Nobody told the next master key."""

    code = "new_master_key_missing"

    def __init__(self) -> None:
        super().__init__(
            "no new master key: set MRMARKET_KEY_NEW, give --new-key-file, or run the command on a terminal"
        )


class WrongMasterKeyError(KeyStoreError):
    """The master key does not open this file."""

    code = "master_key_wrong"

    def __init__(self, path: Path, where: str) -> None:
        self.path = path
        self.where = where
        super().__init__(
            f"{path}: the master key from {where} does not open it; give the one it was made with"
        )


class WeakMasterKeyError(KeyStoreError):
    """A master key that could be guessed."""

    code = "master_key_weak"

    def __init__(self, problem: str) -> None:
        self.problem = problem
        super().__init__(f"the master key was refused: {problem}")


class KeysChangedError(KeyStoreError):
    """Somebody else changed the master key at the same time."""

    code = "keys_changed"
    retryable = True

    def __init__(self, path: Path) -> None:
        self.path = path
        super().__init__(f"{path} has another master key since a moment; run the command again with that one")


class UnknownKeyError(KeyStoreError):
    """No entry has that name."""

    code = "key_unknown"

    def __init__(self, name: str, known: list[str]) -> None:
        self.name = name
        self.known = known
        there = f"there are {', '.join(known)}" if known else "there is none yet"
        super().__init__(f"no exchange key is called {name!r}; {there}; add it with `mrmarket keys add`")


class KeyExistsError(KeyStoreError):
    """The name is taken."""

    code = "key_exists"

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"an exchange key is called {name!r} already; give another name, or --replace")


class KeyTextRefusedError(KeyStoreError):
    """What was typed cannot be an exchange key."""

    code = "key_text_refused"

    def __init__(self, part: str, problem: str) -> None:
        self.part = part
        super().__init__(f"the {part} was refused: {problem}")


class KeyOfAnotherVenueError(KeyStoreError):
    """The entry belongs to another exchange than the one that is configured."""

    code = "key_of_another_venue"

    def __init__(self, name: str, venue: str, wanted: str) -> None:
        self.name = name
        self.venue = venue
        self.wanted = wanted
        super().__init__(f"the key {name!r} is for {venue}, not for {wanted}; name another in [venue] key")


class KeyMayWithdrawError(KeyStoreError):
    """The exchange lets the key take money out."""

    code = "key_may_withdraw"

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(
            f"the exchange lets the key {name!r} withdraw money; make one without that right"
            " (or insist: `keys add --allow-withdraw`, or [keys] allow_withdraw_key = true)"
        )
