"""Signing transactions: one Ed25519 signature for each input, under the input's one-time key."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from blake3 import blake3
from msgspec.structs import replace
from nacl.bindings import (
    crypto_core_ed25519_scalar_add,
    crypto_core_ed25519_scalar_mul,
)
from nacl.exceptions import BadSignatureError
from nacl.signing import VerifyKey

from mrmarket.partners.mixin.errors import TransactionFormError
from mrmarket.partners.mixin.ghost import clamped_scalar, output_secret, public_key, reduce_wide
from mrmarket.partners.mixin.transaction import Transaction, encode_unsigned


def sign_transaction(
    transaction: Transaction, views: Sequence[str], spend_seed: bytes, *, index: int = 0
) -> Transaction:
    """The transaction with our signature on every input; the same bytes every time.

    `views` are the view scalars of the inputs in order (hex), as the sequencer gives them; `index` is the
    place of our key among the keys of each input. Raises TransactionFormError where views are missing or
    are no scalars.
    """
    if len(views) != len(transaction.inputs):
        raise TransactionFormError(f"{len(views)} views for {len(transaction.inputs)} inputs")
    message = blake3(encode_unsigned(transaction)).digest()
    spend = clamped_scalar(spend_seed)
    signatures = tuple({index: _sign(message, output_secret(_scalar(view), spend)).hex()} for view in views)
    return replace(transaction, signatures=signatures)


def verify_signature(message: bytes, signature: str, key: str) -> bool:
    """Whether it is a signature over the message under this key (hex)."""
    try:
        VerifyKey(bytes.fromhex(key)).verify(message, bytes.fromhex(signature))
    except (ValueError, BadSignatureError):
        return False
    return True


def _sign(message: bytes, secret: bytes) -> bytes:
    """Schnorr on Ed25519 with a bare scalar; the nonce follows from the secret and the message."""
    prefix = hashlib.sha512(secret).digest()[32:]
    nonce = reduce_wide(hashlib.sha512(prefix + message).digest())
    commitment = public_key(nonce)
    challenge = reduce_wide(hashlib.sha512(commitment + public_key(secret) + message).digest())
    proof = crypto_core_ed25519_scalar_add(crypto_core_ed25519_scalar_mul(challenge, secret), nonce)
    return commitment + proof


def _scalar(text: str) -> bytes:
    try:
        raw = bytes.fromhex(text)
    except ValueError as strange:
        raise TransactionFormError("a view that is not hex") from strange
    if len(raw) != 32 or reduce_wide(raw + bytes(32)) != raw:  # noqa: PLR2004 - bytes of a scalar
        raise TransactionFormError("a view that is no scalar")
    return raw
