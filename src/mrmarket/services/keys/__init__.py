"""Exchange keys: encrypted at rest, checked for what they may do, shown to nobody."""

from mrmarket.services.keys.errors import KeyMayWithdrawError, KeyStoreError, UnknownKeyError
from mrmarket.services.keys.key_file import KeyEntry
from mrmarket.services.keys.key_source import find_source
from mrmarket.services.keys.key_store import Credentials, KeyStore
from mrmarket.services.keys.rights import judge_rights
from mrmarket.services.keys.secret import Secret

__all__ = [
    "Credentials",
    "KeyEntry",
    "KeyMayWithdrawError",
    "KeyStore",
    "KeyStoreError",
    "Secret",
    "UnknownKeyError",
    "find_source",
    "judge_rights",
]
