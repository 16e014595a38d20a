"""Signers whose key is in this process: from an encrypted key file, or from the environment.

An enclave will be another implementation of the same port.
"""

from __future__ import annotations

import asyncio
import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NoReturn

import msgspec
from eth_utils.crypto import keccak

from mrmarket.partners.chains.errors import SignerError
from mrmarket.partners.chains.port import SignedTransaction, UnsignedTransaction
from mrmarket.partners.chains.web3_door import Account

_KEY: Final = re.compile(r"(?:0x)?[0-9a-fA-F]{64}", re.ASCII)
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


class LocalSigner:
    """Signs with a key that is kept in memory. Neither printing nor pickling shows it."""

    __slots__ = ("_account", "address")

    def __init__(self, account: Any) -> None:
        self._account = account
        self.address: str = account.address.lower()

    async def sign(self, transaction: UnsignedTransaction) -> SignedTransaction:
        """Sign with the deterministic nonce of RFC 6979: the same transaction gives the same bytes."""
        signed = await asyncio.to_thread(
            self._account.sign_transaction,
            {
                "type": 2,
                "chainId": transaction.chain_id,
                "nonce": transaction.nonce,
                "to": bytes.fromhex(transaction.to[2:]),
                "value": transaction.value_wei,
                "data": transaction.data,
                "gas": transaction.gas,
                "maxFeePerGas": transaction.max_fee_wei,
                "maxPriorityFeePerGas": transaction.tip_wei,
            },
        )
        return SignedTransaction(bytes(signed.raw_transaction), "0x" + bytes(signed.hash).hex())

    async def sign_text(self, text: str) -> str:
        """Sign a text by EIP-191 (personal_sign): 0x and 130 hexadecimal digits."""
        content = text.encode()
        digest = keccak(b"\x19Ethereum Signed Message:\n%d" % len(content) + content)
        signed = await asyncio.to_thread(self._account.unsafe_sign_hash, digest)
        return "0x" + bytes(signed.signature).hex()

    def __repr__(self) -> str:
        return f"LocalSigner({self.address})"

    def __reduce__(self) -> NoReturn:
        raise SignerError("memory", "a key is never copied elsewhere")


def signer_from_environment(environ: Mapping[str, str], variable: str) -> LocalSigner:
    """A signer whose private key is in a variable, as 64 hexadecimal digits. Raises `SignerError`."""
    text = environ.get(variable, "").strip()
    where = f"the variable {variable}"
    if not text:
        raise SignerError(where, "it is not set")
    if not _KEY.fullmatch(text):
        raise SignerError(where, "it is not 64 hexadecimal digits")
    return _signer(where, bytes.fromhex(text.removeprefix("0x")))


def signer_from_keyfile(path: Path, password: str) -> LocalSigner:
    """A signer whose key is in a Web3 Secret Storage file of version 3; takes a moment by design.

    Raises:
        SignerError: if the file is missing, others may read it, it is damaged, or the password is wrong.
    """
    where = str(path)
    try:
        if path.stat().st_mode & _OTHERS:
            raise SignerError(where, f"others may read it; run: chmod 600 {path}")
        content = msgspec.json.decode(path.read_bytes())
        key = Account.decrypt(content, password)
    except OSError as error:
        raise SignerError(where, error.strerror or "it cannot be read") from error
    except (msgspec.MsgspecError, KeyError, TypeError, ValueError, NotImplementedError):
        # Their texts may quote what they were given.
        raise SignerError(where, "it is no key file of version 3, or the password is wrong") from None
    return _signer(where, bytes(key))


def write_keyfile(path: Path, key: bytes, password: str, iterations: int | None = None) -> str:
    """Encrypt a private key into a new file that only its owner may read; gives the account's address.

    Args:
        path: a file that is not there yet.
        key: 32 bytes.
        password: what opens it.
        iterations: how hard guessing is made (scrypt's N, a power of two); left out: 2^18, some seconds.

    Raises:
        SignerError: if the file exists, cannot be written, or the password is empty.
    """
    where = str(path)
    if not password:
        raise SignerError(where, "an empty password protects nothing")
    signer = _signer(where, key)
    content = msgspec.json.encode(Account.encrypt(key, password, iterations=iterations))
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise SignerError(where, error.strerror or "it cannot be written") from error
    return signer.address


def _signer(where: str, key: bytes) -> LocalSigner:
    from eth_utils.exceptions import ValidationError  # noqa: PLC0415 - beside its only use

    try:
        return LocalSigner(Account.from_key(key))
    except (ValueError, ValidationError):
        raise SignerError(where, "it is no private key of the curve") from None
