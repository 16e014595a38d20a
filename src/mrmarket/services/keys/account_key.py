"""Which key an account trades with: one of the store's, or one from the environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from mrmarket.core.clock import Clock
from mrmarket.core.errors import MrMarketError
from mrmarket.services.keys.errors import KeyOfAnotherVenueError
from mrmarket.services.keys.hardening import forbid_core_dumps
from mrmarket.services.keys.key_source import find_source
from mrmarket.services.keys.key_store import Credentials, KeyStore
from mrmarket.services.keys.secret import Register, Secret, unregistered
from mrmarket.services.keys.section import KeysSection

FROM_ENVIRONMENT: Final = "from the environment"


class MissingKeyError(MrMarketError):
    """Live trading was asked for without a key."""

    code = "key_missing"

    def __init__(self, names: list[str]) -> None:
        self.names = names
        super().__init__(
            f"no exchange key: keep one with `mrmarket keys add` and name it in [venue] key, or set"
            f" {' and '.join(names)} in the environment, or trade with --paper first"
        )


class NamesKey(Protocol):
    """What of `[venue]` says which key to use."""

    @property
    def exchange(self) -> str:
        """The exchange's id in ccxt."""
        ...

    @property
    def key(self) -> str:
        """Name of an entry of the store; empty for the environment."""
        ...

    @property
    def api_key_env(self) -> str:
        """Name of the variable with the key."""
        ...

    @property
    def api_secret_env(self) -> str:
        """Name of the variable with the secret."""
        ...

    @property
    def api_password_env(self) -> str:
        """Name of the variable with the passphrase."""
        ...


@dataclass(frozen=True, slots=True)
class AccountKey:
    """A key that is about to be used."""

    name: str
    credentials: Credentials
    allow_withdraw: bool
    """The owner insists on using one that may withdraw."""


def find_account_key(
    venue: NamesKey,
    keys: KeysSection,
    folder: Path,
    environ: Mapping[str, str],
    clock: Clock,
    know: Register = unregistered,
) -> AccountKey:
    """The key of a venue, opened; from here on this process leaves no core dump.

    Takes a quarter of a second where a passphrase protects the store. Does not ask the exchange: use
    `judge_rights` on what it says once it is open.

    Args:
        venue: which key.
        keys: where the master key comes from.
        folder: the data folder.
        environ: the process's environment.
        clock: of the store.
        know: told every text that must never appear in a log.

    Raises:
        MissingKeyError: none is named, and the variables are empty.
        KeyStoreError: the store does not open, or its entry is for another exchange.
    """
    forbid_core_dumps()
    if venue.key:
        source = find_source(keys, environ)
        for master in source.candidates():
            know(master.reveal())
        store = KeyStore.open(folder, source, clock)
        entry = store.entry(venue.key)
        if entry.venue != venue.exchange:
            raise KeyOfAnotherVenueError(entry.name, entry.venue, venue.exchange)
        allowed = entry.allow_withdraw or keys.allow_withdraw_key
        return AccountKey(entry.name, store.credentials(entry.name, know), allowed)
    missing = [name for name in (venue.api_key_env, venue.api_secret_env) if not environ.get(name)]
    if missing:
        raise MissingKeyError(missing)
    texts = [
        environ.get(name, "") for name in (venue.api_key_env, venue.api_secret_env, venue.api_password_env)
    ]
    for text in filter(None, texts):
        know(text)
    return AccountKey(FROM_ENVIRONMENT, Credentials(*map(Secret, texts)), keys.allow_withdraw_key)
