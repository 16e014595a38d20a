"""Signers: a key is used and never shown."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from eth_account import Account

from mrmarket.partners.chains.errors import SignerError
from mrmarket.partners.chains.port import UnsignedTransaction
from mrmarket.partners.chains.signer import (
    LocalSigner,
    signer_from_environment,
    signer_from_keyfile,
    write_keyfile,
)
from partners.chains.local_chain import KEYS

KEY = KEYS[0]
ADDRESS = "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266"
TRANSACTION = UnsignedTransaction(1338, 7, "0x" + "ab" * 20, b"\x01\x02", 21_000, 30, 2)


def from_environment(text: str) -> LocalSigner:
    """A signer from a variable of that content."""
    return signer_from_environment({"VAULT": text}, "VAULT")


async def test_what_is_signed_is_the_transaction_by_the_account() -> None:
    """Another wallet recovers the account; the same transaction gives the same bytes."""
    signer = from_environment(f" 0x{KEY}\n")
    signed = await signer.sign(TRANSACTION)
    assert signer.address == ADDRESS
    assert Account.recover_transaction(signed.raw).lower() == ADDRESS
    assert await signer.sign(TRANSACTION) == signed
    assert signed.raw[0] == 2
    assert signed.raw.hex() not in repr(signed)


@pytest.mark.parametrize("text", ["", "  ", "0x12", KEY + "00", "z" * 64, "0" * 64, "f" * 64])
def test_what_is_no_key_is_refused_without_being_quoted(text: str) -> None:
    """Neither the message nor what hangs on it holds the text."""
    with pytest.raises(SignerError) as caught:
        from_environment(text)
    assert not text.strip() or text not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_key_is_never_printed_or_copied() -> None:
    """By its repr, its text or a pickle."""
    signer = from_environment(KEY)
    assert KEY not in f"{signer!r} {signer}"
    with pytest.raises(SignerError):
        pickle.dumps(signer)


def test_a_key_file_is_private_and_opens_with_its_password_alone(tmp_path: Path) -> None:
    """Version 3 of Web3 Secret Storage, which other wallets read."""
    path = tmp_path / "vault.json"
    assert write_keyfile(path, bytes.fromhex(KEY), "open sesame", 16) == ADDRESS
    assert path.stat().st_mode & 0o077 == 0
    assert signer_from_keyfile(path, "open sesame").address == ADDRESS
    assert KEY not in path.read_text()

    with pytest.raises(SignerError, match="password is wrong"):
        signer_from_keyfile(path, "open barley")
    with pytest.raises(SignerError, match="File exists"):
        write_keyfile(path, bytes.fromhex(KEY), "again", 16)
    path.chmod(0o644)
    with pytest.raises(SignerError, match="chmod 600"):
        signer_from_keyfile(path, "open sesame")


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"version": 2}', b'"text"', b"\xff"])
def test_a_file_that_is_no_key_file_is_refused(tmp_path: Path, content: bytes) -> None:
    """Whatever is in it."""
    path = tmp_path / "vault.json"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(SignerError, match="no key file"):
        signer_from_keyfile(path, "x")


def test_a_key_file_that_is_missing_or_unprotected_is_refused(tmp_path: Path) -> None:
    """With what to do."""
    with pytest.raises(SignerError, match="No such file"):
        signer_from_keyfile(tmp_path / "none", "x")
    with pytest.raises(SignerError, match="empty password"):
        write_keyfile(tmp_path / "new", bytes.fromhex(KEY), "")
