"""One-time keys: a receiver's two public keys and a random point make a key nobody can link to them.

`R = r·G` is the mask, `P = H(r·A ‖ i)·G + B` the key; whoever holds `a` finds `H(a·R ‖ i)`, and with `b` the
private key `H(a·R ‖ i) + b`. Scalars and points are 32 bytes, little-endian as everywhere on Ed25519.
Source: MixinNetwork/mixin `crypto/key.go`.
"""

from __future__ import annotations

import hashlib
from typing import Final

from blake3 import blake3
from nacl.bindings import (
    crypto_core_ed25519_add,
    crypto_core_ed25519_scalar_add,
    crypto_core_ed25519_scalar_reduce,
    crypto_scalarmult_ed25519_base_noclamp,
    crypto_scalarmult_ed25519_noclamp,
)

_ORDER: Final = 2**252 + 27742317777372353535851937790883648493


def reduce_wide(raw: bytes) -> bytes:
    """A scalar from 64 uniform bytes."""
    return crypto_core_ed25519_scalar_reduce(raw)


def hash_scalar(point: bytes, index: int) -> bytes:
    """The scalar that a shared point gives for the output at an index."""
    first = blake3(point + _varint(index)).digest()
    once = reduce_wide(first + blake3(first).digest())
    second = blake3(once).digest()
    return reduce_wide(second + blake3(second).digest())


def clamped_scalar(seed: bytes) -> bytes:
    """The scalar of an Ed25519 seed, reduced."""
    raw = bytearray(hashlib.sha512(seed).digest()[:32])
    raw[0] &= 248
    raw[31] = raw[31] & 63 | 64
    return (int.from_bytes(raw, "little") % _ORDER).to_bytes(32, "little")


def public_key(scalar: bytes) -> bytes:
    """The point of a scalar."""
    return crypto_scalarmult_ed25519_base_noclamp(scalar)


def ghost_key(secret: bytes, view_key: bytes, spend_key: bytes, index: int) -> bytes:
    """The one-time key for the receiver with these public keys; `secret` is the mask's scalar."""
    shared = hash_scalar(crypto_scalarmult_ed25519_noclamp(secret, view_key), index)
    return crypto_core_ed25519_add(public_key(shared), spend_key)


def view_scalar(view_secret: bytes, mask: bytes, index: int) -> bytes:
    """The receiver's half of the private key of an output at an index."""
    return hash_scalar(crypto_scalarmult_ed25519_noclamp(view_secret, mask), index)


def output_secret(view: bytes, spend_scalar: bytes) -> bytes:
    """The private key of an output, from its view scalar and the receiver's spend scalar."""
    return crypto_core_ed25519_scalar_add(view, spend_scalar)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:  # noqa: PLR2004 - seven bits a byte
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
