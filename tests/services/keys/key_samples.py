"""Key stores of the tests, with a derivation that costs nothing where none is asked about."""

from __future__ import annotations

from pathlib import Path

from mrmarket.core.clock import ManualClock
from mrmarket.services.keys.key_source import GivenKey
from mrmarket.services.keys.key_store import Credentials, KeyStore
from mrmarket.services.keys.secret import Secret

MASTER = "mmk1_" + "A" * 43
OTHER = "mmk1_" + "B" * 42 + "A"
API_KEY = "api-key-of-the-test"
API_SECRET = "api-secret-of-the-test"


def given(master: str = MASTER) -> GivenKey:
    """A generated master key, which needs no slow derivation."""
    return GivenKey(Secret(master), "the test")


def credentials(mark: str = "") -> Credentials:
    """What an exchange might give."""
    return Credentials(Secret(API_KEY + mark), Secret(API_SECRET + mark), Secret("phrase" + mark))


def store_in(folder: Path, master: str = MASTER) -> KeyStore:
    """The store of a folder."""
    return KeyStore.open(folder, given(master), ManualClock())


def texts(found: Credentials) -> tuple[str, str, str]:
    """What is in credentials."""
    return found.api_key.reveal(), found.secret.reveal(), found.password.reveal()
